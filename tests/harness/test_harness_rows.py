"""Rows of a run: K2-Think by the published protocol fills the paper's cells, anything else never does."""

import re
import shutil
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import k2repro.paper
from k2repro.engine.backend import Completion
from k2repro.errors import K2ReproError
from k2repro.harness.attempts import Attempt, run_protocol
from k2repro.harness.benchmarks import Benchmark, BenchmarkProblem
from k2repro.harness.protocol import Protocol
from k2repro.harness.rows import report, slug
from k2repro.harness.scores import adaptive_by_agreement, cells, equal_tokens
from k2repro.paper.cells import standings
from k2repro.results import Places, with_real_rows, write_rows
from k2repro.results.rows import ROW_ID
from k2repro.solve import Roles

PROBLEMS = tuple(BenchmarkProblem(f"p{i}", f"What is {i} + 1?", str(i + 1)) for i in range(20))
BENCHMARK = Benchmark("aime-2024", PROBLEMS, "made up", "tier-1")
PUBLISHED = Protocol()


def attempts(protocol=PUBLISHED, chance=(0.6, 0.7), seed=0):
    """A run whose solver is right with these chances, and whose judge finds a right candidate."""
    generator, found = np.random.default_rng(seed), []
    for problem in PROBLEMS:
        for run in range(protocol.runs):
            for arm, p in zip(protocol.arms, chance, strict=True):
                right = generator.random(protocol.n) < p
                answers = [problem.gold if ok else f"x{generator.integers(4)}" for ok in right]
                chosen = int(right.argmax())
                planned = arm == "planned"
                found.append(
                    Attempt(
                        problem=problem.id,
                        run=run,
                        arm=arm,
                        answers=tuple(answers),
                        right=tuple(map(bool, right)),
                        chosen=chosen,
                        tokens=(100,) * protocol.n,
                        planner=30 if planned else 0,
                        judge=20,
                        plans=("Add.",) * 3 if planned else (),
                        failed=0,
                        cut=2,
                        verdicts=2,
                        unreadable=0,
                        first=1,
                    )
                )
    return found


@cache
def rows_of(model="LLM360/K2-Think", protocol=PUBLISHED):
    run = report(attempts(protocol), BENCHMARK, protocol, model=model, params={}, answers="0" * 16)
    return {row.id: row for row in run.rows}


def test_the_papers_cells_are_filled_by_k2_think_alone():
    """Catches another model's score, or another protocol's, standing in the column of K2-Think."""
    ours = {name for name in rows_of() if name.startswith("real.")}
    assert ours == {
        "real.table1.tier-1",
        "real.table2.bo3.tier-1",
        "real.table2.checkpoint.tier-1",
        "real.table2.plan-bo3.tier-1",
        "real.table2.plan.tier-1",
        "real.table3.tier-1",
    }
    assert not any(name.startswith("real.") for name in rows_of("Qwen3-32B"))
    assert not any(name.startswith("real.") for name in rows_of(protocol=Protocol(runs=4)))


def test_ids_are_those_that_tables_and_claims_wait_for():
    """Catches an id that no cell and no claim reads."""
    data = Path(k2repro.paper.__file__).parent
    waited = set(re.findall(r'"(real\.[^"{}]+)"', (data / "claims.toml").read_text()))
    patterns = [
        (block["real"], part)
        for block in tomllib.loads((data / "cells.toml").read_text())["measure"]
        if "real" in block
        for part in block["columns"].values()
    ]
    cells_wait = {pattern.format(part=part) for pattern, part in patterns}
    assert {name for name in rows_of() if name.startswith("real.")} <= cells_wait
    assert {name for name in waited if name.startswith(("real.table", "real.figure"))} <= cells_wait


def test_the_real_column_shows_the_row(tmp_path, monkeypatch):
    """Catches a file of real rows that nobody reads, and mini rows smuggled in among them."""
    places = Places.find()
    monkeypatch.setattr("k2repro.results.rowbook.Places", FakePlaces(tmp_path))
    assert with_real_rows({}) == {}
    rows = rows_of()
    write_rows(tmp_path / "endpoint" / "rows" / "aime.jsonl", rows.values())
    found = with_real_rows({})
    (cell,) = [
        each for each in standings("2", found) if each.row == "+ Bo3 only" and each.column == "AIME 2024"
    ]
    assert cell.real == rows["real.table2.bo3.tier-1"]
    shutil.copy(
        next((places.results("laptop") / "rows").glob("02*.jsonl")),
        tmp_path / "endpoint" / "rows" / "b.jsonl",
    )
    with pytest.raises(K2ReproError, match="not real"):
        with_real_rows({})


class FakePlaces:
    """Results in another folder."""

    def __init__(self, root):
        self.root = root

    def find(self):
        return self

    def results(self, profile):
        return self.root / profile


def test_cells_come_from_the_pool_and_tokens_of_all_roles_are_counted():
    """Catches judge or planner tokens left out of the equal-token comparison."""
    run = attempts()
    found = {cell.name: cell for cell in cells(run, PUBLISHED)}
    search = [each for each in run if each.arm == "search"]
    assert found["checkpoint"].accuracy == pytest.approx(np.mean([each.right for each in search]))
    assert found["bo3"].accuracy == pytest.approx(np.mean([any(each.right) for each in search]))
    assert found["plan-bo3"].tokens == {"solver": 300.0, "planner": 30.0, "judge": 20.0}
    assert found["plan"].tokens == {"solver": 100.0, "planner": 10.0}
    equal = {each.cell: each for each in equal_tokens(list(found.values()), run, np.random.default_rng(0))}
    assert equal["plan-bo3"].votes == pytest.approx(3.5)
    assert set(equal) == {"plan", "bo3", "plan-bo3"}
    adaptive = adaptive_by_agreement(run, 3, np.random.default_rng(0))
    assert 2.0 <= adaptive.samples < 3.0


class Hasty:
    """A solver of whose four samples two end at the limit of tokens and one is lost."""

    name = "hasty"

    def complete(self, requests, *, progress=None):
        finishes = ("stop", "length", "error", "length")
        return [
            [Completion((1,), finish, text="<answer>1</answer>") for finish in finishes[: each.n]]
            for each in requests
        ]


def test_samples_that_end_at_the_limit_are_counted_and_their_share_is_a_row():
    """Catches a limit that cuts most responses and stands nowhere, or counts lost samples too."""
    run = attempts()
    row = rows_of()["endpoint.llm360-k2-think.aime-2024.cut-at-the-limit"]
    samples = sum(len(each.answers) for each in run)
    assert (row.value, row.unit, row.n) == (2 * len(run) / samples, "fraction", samples)
    protocol = Protocol(runs=2, n=4, plan=False, select="majority")
    found = run_protocol(BENCHMARK, protocol, Roles(Hasty()))
    assert [(each.cut, each.failed) for each in found] == [(2, 1)] * 2 * len(BENCHMARK)


def test_one_problem_has_no_interval_and_slugs_are_parts_of_ids():
    with pytest.raises(K2ReproError, match="at least 2"):
        report([], Benchmark("x", PROBLEMS[:1], ""), PUBLISHED, model="m", params={}, answers="")
    assert slug("Org/Model_v1.5 (32B)") == "org-model-v1.5-32b"
    assert slug("задачи") != slug("вопросы")


@given(st.text(max_size=12))
def test_every_name_is_a_part_of_an_id(text):
    """Catches a paid run that ends without rows because a file or a model has no Latin letter in its name."""
    assert ROW_ID.fullmatch(f"endpoint.{slug(text)}.checkpoint.accuracy")
