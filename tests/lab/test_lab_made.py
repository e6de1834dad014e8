"""Catches: a thing that needs itself, things made twice or before what they need."""

import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from k2repro.errors import K2ReproError
from k2repro.lab.campaign import carry_out, jobs_for
from k2repro.lab.made import Made, Making, declared, make_now, missing
from k2repro.lab.progress import FINISHED, Board, JobProgress
from k2repro.results import ArtifactStore
from k2repro.results.artifacts import read_manifest


def write(text: str, making: Making) -> None:
    """The text, then what is read from everything that is needed."""
    parts = [(folder / "text").read_text() for _, folder in sorted(making.needs.items())]
    making.report(JobProgress(0.5, "half"))
    (making.folder / "text").write_text(text + "".join(parts))


def thing(name: str, ships: bool = False, **needs: Made) -> Made:
    return Made("test", name, 0, partial(write, name), numerics=("test-1",), needs=needs, ships=ships)


def diamond() -> tuple[Made, Made, Made, Made]:
    base = thing("a")
    left, right = thing("b", base=base), thing("c", base=thing("a"))
    return base, left, right, thing("d", left=left, right=right)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store", shipped=None)


def test_what_is_needed_comes_first_and_once(store: ArtifactStore):
    """Catches a base that is made for each of those that need it, or after them."""
    base, left, right, top = diamond()
    assert [made.name for made in missing([top, left], store)] == ["a", "b", "c", "d"]
    make_now(base, store)
    assert [made.name for made in missing([top], store)] == ["b", "c", "d"]
    assert make_now(top, store).joinpath("text").read_text() == "dbaca"
    assert missing([top, left, right], store) == []


def test_what_stands_is_not_looked_behind(store: ArtifactStore, tmp_path: Path):
    """Catches scores that ship and train their models nevertheless."""
    *_, top = diamond()
    shipped = ArtifactStore(tmp_path / "shipped", shipped=None)
    make_now(top, shipped)
    for folder in (shipped.root / "test").iterdir():
        if folder.name != top.key:
            for file in folder.iterdir():
                file.unlink()
    reader = ArtifactStore(store.root, shipped=shipped.root)
    assert missing([top], reader) == []


def test_a_thing_that_needs_itself_is_refused(store: ArtifactStore):
    """Catches a walk that never ends; the message shows the way round."""
    needs: dict[str, Made] = {}
    first = Made("test", "a", 0, partial(write, "a"), needs=needs)
    needs["start"] = thing("b", start=first)
    for ask in (lambda: first.key, lambda: missing([first], store), lambda: jobs_for([first], store)):
        with pytest.raises(K2ReproError, match="test of a 0 needs itself: .*test of b 0 -> test of a 0"):
            ask()


@pytest.mark.parametrize(
    "change", [{"kind": "other"}, {"name": "z"}, {"seed": 1}, {"params": {"x": 1}}, {"numerics": ("test-2",)}]
)
def test_everything_declared_is_in_the_address_and_the_maker_is_not(change):
    """Catches a stale thing that is served, and one that is made anew because a function moved."""
    given = {"kind": "test", "name": "a", "seed": 0, "numerics": ("test-1",)}
    made = Made(make=partial(write, "a"), **given)
    assert Made(make=partial(write, "moved"), **given).key == made.key
    assert Made(make=partial(write, "a"), **{**given, **change}).key != made.key
    child, other = (thing("b", start=each) for each in (made, Made(make=made.make, **{**given, **change})))
    assert child.key != other.key


def test_a_later_field_changes_no_address_at_its_default():
    """Catches models that go stale because their class got a field, and a field that no key ever says."""

    @dataclass(frozen=True)
    class Shape:
        width: int = 8
        bias: bool = True

    assert declared(Shape(), later=("bias",)) == {"width": 8}
    assert declared(Shape(bias=False), later=("bias",)) == {"width": 8, "bias": False}
    # Wrong twin: a field of the start is named even at its default, which somebody may change.
    assert declared(Shape()) == {"width": 8, "bias": True}


def test_a_campaign_makes_all_in_order_and_says_how_wide_it_was(store: ArtifactStore):
    """Catches jobs that start too early, progress that nobody hears, manifests without provenance."""
    base, _, _, top = diamond()
    boards: list[Board] = []

    def watch(names):
        from contextlib import nullcontext

        boards.append(Board(names))
        return nullcontext(boards[0].hear)

    folders = carry_out([top, base], store, workers=2, progress=watch)
    assert (folders[top.key] / "text").read_text() == "dbaca"
    assert boards[0].done == 4 and boards[0].line() == "starting"
    made = read_manifest(folders[top.key])["provenance"]
    assert (made["workers"], made["threads"]) == (2, 1)
    assert set(made) == {"commit", "code_hash", "python", "torch", "cpu_capability", "threads", "workers"}
    assert jobs_for([top], store) == []


def test_the_longest_chain_starts_first(store: ArtifactStore):
    """Catches a queue in which short jobs keep the long chain waiting."""
    single = thing("alone")
    chain = thing("z", start=thing("y", start=thing("x")))
    assert [job.name for job in jobs_for([single, chain], store)][0] == "test of x 0"


def test_the_board_says_how_far_each_job_is():
    """Catches finished jobs that stay in the line."""
    board = Board(["a", "b"])
    board.hear("a", JobProgress(0.25, "step 1/4", 90.0))
    board.hear("b", JobProgress(0.5, "half"))
    assert board.line() == "a: step 1/4, 1.5 min left | b: half"
    board.hear("b", FINISHED)
    assert (board.done, board.line()) == (1.25, "a: step 1/4, 1.5 min left")


MAKER = """
import sys, time
from pathlib import Path
from k2repro.lab.made import Made, Making, make_now
from k2repro.results import ArtifactStore

def make(making: Making) -> None:
    point = making.work / "point"
    point.write_text("1", encoding="utf-8")
    time.sleep(1.0)
    (making.folder / "made").write_text(point.read_text(encoding="utf-8"), encoding="utf-8")

made = Made("specimen", "one", 0, make)
print(make_now(made, ArtifactStore(Path(sys.argv[1]))), flush=True)
"""


def test_two_processes_that_make_the_same_thing_take_turns(tmp_path):
    """Catches the first to finish removing the work folder of the second, after half an hour of training."""
    both = [
        subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    folders = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert folders[0] == folders[1] != ""
