"""Catches: a prediction that is written or changed after its row and passes for one from before."""

import os
import subprocess
from pathlib import Path

import pytest

from k2repro.lab.sealed import PLACE, orders, why_no_dates
from k2repro.results import Row
from tests.lab.test_lab_predictions import GOOD, row

ROWS = "results/laptop/rows"


class Repository:
    """A git repository whose clock ticks once a commit."""

    def __init__(self, root: Path) -> None:
        self.root, self.clock = root, 1_700_000_000
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> None:
        date = f"{self.clock} +0000"
        who = {f"GIT_{one}_{what}": "x@y" for one in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        subprocess.run(["git", *words], cwd=self.root, check=True, env={**os.environ, **who, **dates})

    def write(self, prediction: str | None = None, number: Row | None = None) -> None:
        for place, text in ((PLACE, prediction), (f"{ROWS}/room.jsonl", number and number.as_line() + "\n")):
            if text is not None:
                path = self.root / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")

    def commit(self, prediction: str | None = None, number: Row | None = None) -> None:
        self.clock += 60
        self.write(prediction, number)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "one step")

    @property
    def complaint(self) -> str | None:
        [order] = orders(self.root, ROWS)
        return order.complaint


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


NUMBER = row(0.05, 0.01, 0.09)
OTHER = row(0.06, 0.02, 0.10)
ADMITTED = GOOD + 'after = "the row was known"\n'


def test_a_prediction_before_its_row_is_sealed(repository: Repository):
    """Catches a check that complains of everything: the honest order passes, and so do mended words."""
    repository.commit(prediction=GOOD)
    repository.commit(number=NUMBER)
    assert repository.complaint is None
    repository.commit(prediction=GOOD.replace("because", "because of that"))
    assert repository.complaint is None


def test_a_prediction_added_after_its_row_is_named(repository: Repository):
    """Catches hindsight: it has to be admitted, and then it is honest."""
    repository.commit(number=NUMBER)
    repository.commit(prediction=GOOD)
    assert "after its row" in (repository.complaint or "")
    repository.commit(prediction=ADMITTED)
    assert repository.complaint is None


def test_a_prediction_changed_after_its_row_is_named(repository: Repository):
    """Catches a bound that moves once the number is known, committed or not, and back again is fine."""
    repository.commit(prediction=GOOD)
    repository.commit(number=NUMBER)
    moved = GOOD.replace("0.03", "0.02")
    repository.write(prediction=moved)
    assert "after its row" in (repository.complaint or "")
    repository.commit(prediction=moved)
    assert "after its row" in (repository.complaint or "")


def test_both_in_one_commit_is_no_prediction(repository: Repository):
    """Catches a prediction that was written with its row beside it."""
    repository.commit(prediction=GOOD, number=NUMBER)
    assert "after its row" in (repository.complaint or "")


def test_a_row_that_is_measured_anew_is_younger(repository: Repository):
    """Catches an admission that outlives its row, and a row renewed in its last digit only."""
    repository.commit(number=NUMBER)
    repository.commit(prediction=ADMITTED)
    repository.commit(number=row(0.05 + 1e-15, 0.0, 0.1))
    assert repository.complaint is None
    repository.write(number=OTHER)
    assert "take `after` out" in (repository.complaint or "")


def test_without_a_history_nothing_is_claimed(tmp_path: Path):
    """Catches a date made up: a tarball, a shallow clone and a foreign repository say why there is none."""
    (tmp_path / "whole").mkdir()
    whole = Repository(tmp_path / "whole")
    whole.commit(prediction=GOOD)
    whole.commit(number=NUMBER)
    assert why_no_dates(whole.root) is None
    clone = ["git", "clone", "-q", "--depth=1", f"file://{whole.root}", str(tmp_path / "shallow")]
    subprocess.run(clone, check=True)
    assert "shallow" in (why_no_dates(tmp_path / "shallow") or "")
    plain = tmp_path / "tarball"
    plain.mkdir()
    assert "no git history here" in (why_no_dates(plain) or "")
    inside = whole.root / "unpacked"
    inside.mkdir()
    assert "another repository" in (why_no_dates(inside) or "")
