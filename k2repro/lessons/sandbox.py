"""What notebook 03 shows beside the runs: published settings, a verifier that is hacked, code that is run."""

from collections.abc import Sequence
from typing import Any

from k2repro.mini import programs
from k2repro.mini.grading import run_programs, split_response
from k2repro.mini.problem import Problem
from k2repro.mini.programs import hidden_tests
from k2repro.paper import load_facts
from k2repro.paper.facts import FactBook
from k2repro.rlvr.advantages import group_advantages
from k2repro.rlvr.arms import FROM_BASE, FROM_SFT, FULL
from k2repro.rlvr.builds import Log
from k2repro.rlvr.config import GrpoConfig
from k2repro.rlvr.lax import RESPONSES, SCORERS
from k2repro.rlvr.probe import SHOWN, benchmark
from k2repro.verify import FunctionTest, Limits, run_tests

Records = list[dict[str, Any]]
TABLE = "rl_config_guru_example_NOT_k2think"

# Programs that a model might write, each wrong in its own way; the first is right.
PROGRAMS = {
    "right": "def f(a, b): return a + b",
    "right value, wrong type": "def f(a, b): return float(a + b)",
    "never ends": "def f(a, b):\n    while True: pass",
    "takes all memory": "def f(a, b): return [0] * 10**10",
    "reads a file": "def f(a, b): return open('/etc/passwd').read()",
    "prints that it passed": "print('1 passed')\ndef f(a, b): return 0",
    "leaves early": "import sys\nsys.exit(0)",
    "recurses for ever": "def f(a, b): return f(a, b)",
}
LIMITS = Limits(seconds=0.3)


def recipe_records(book: FactBook | None = None) -> Records:
    """The public example of the group behind K2-Think, setting by setting, beside mini-K2's."""
    ours = _ours()
    return [
        {
            "setting": fact.column,
            "published example": fact.printed,
            "mini-K2": ours.get(fact.column, "-"),
            "confidence": fact.confidence,
        }
        for fact in (book or load_facts()).in_table(TABLE)
    ]


def _ours() -> dict[str, str]:
    """What mini-K2 does in place of each published setting, read from the code that does it."""
    config = GrpoConfig(max_new_tokens=FULL[0][1])
    return {
        "algorithm": f"GRPO, advantages scaled by {config.scale}",
        "KL in reward / KL loss": f"off / {'off' if config.beta == 0 else config.beta}",
        "clip low / high / c": f"{config.epsilon_low} / {config.epsilon_high} / {config.delta}",
        "entropy coeff": "none",
        "max prompt / response length": f"as it comes / {FULL[0][1]}",
        "train prompt batch": str(config.prompts_per_step),
        "rollouts per prompt": str(config.group_size),
        "mini-batch (prompts)": str(config.prompts_per_step // config.updates_per_rollout),
        "gradient updates per rollout batch (derived 512/64)": str(config.updates_per_rollout),
        "temperature / top_p / top_k": "1.0 / 1.0 / -1",
        "learning rate": f"AdamW {FROM_SFT.weights:g} from SFT, {FROM_BASE.weights:g} from base, norms "
        f"{FROM_SFT.norms:g}, last norm {FROM_SFT.readout:g}, falling linearly",
        "weight decay": "0",
        "grad clip": f"{config.max_grad_norm}",
        "loss aggregation": f"{config.loss_type}: mean over tokens",
        "overlong buffer / group filter": "off / groups without signal are not passed through",
        "epochs": "no prompt comes twice",
        "rollout engine": "k2repro.engine",
        "model": "mini-K2, base or SFT",
    }


def lax_records(problems: Sequence[Problem]) -> Records:
    """Mean reward that each kind of response earns from each verifier, over some problems."""
    return [
        {
            "response": name,
            **{
                f"{label}": round(sum(scorer(each, write(each)) for each in problems) / len(problems), 3)
                for label, scorer in SCORERS.items()
            },
        }
        for name, write in RESPONSES.items()
    ]


def lax_advantages(problem: Problem) -> Records:
    """One group that holds one response of each kind: what GRPO would push up, by verifier."""
    texts = {name: write(problem) for name, write in RESPONSES.items()}
    pushed = {
        label: group_advantages([scorer(problem, text) for text in texts.values()], len(texts)).tolist()
        for label, scorer in SCORERS.items()
    }
    return [
        {"response": name, **{label: f"{values[at]:+.2f}" for label, values in pushed.items()}}
        for at, name in enumerate(texts)
    ]


def sandbox_records(limits: Limits = LIMITS) -> Records:
    """What the sandbox says to each of PROGRAMS, which are asked for 2 + 3."""
    test = FunctionTest((2, 3), 5)
    runs = {name: run_tests(source, [test], limits) for name, source in PROGRAMS.items()}
    return [
        {
            "program": name,
            "reward": float(run.passed),
            "reason": run.reason,
            "level": run.level,
            "time limit (s)": limits.seconds,
            "memory limit (MiB)": limits.memory_mb,
        }
        for name, run in runs.items()
    ]


def program_of(response: str) -> str | None:
    """The program in the answer place of a response, None without one."""
    parts = split_response(response)
    return None if parts is None else parts.answer.strip()


def tested_records(problem: Problem, source: str) -> Records:
    """One line for each hidden test of a program."""
    (run,) = run_programs([(problem, source)])
    return [
        {
            "call": f"f({', '.join(map(repr, test['arguments']))})",
            "expected": repr(test["expected"]),
            "outcome": outcome.reason,
            "what happened": outcome.detail or "-",
        }
        for test, outcome in zip(hidden_tests(problem), run.outcomes, strict=True)
    ]


def turned_program(logs: Sequence[Log]) -> tuple[Problem, str, str]:
    """A kept problem of the code runs with its programs at the start and at the end of one, "" for none.

    The first that turned right; without one, the first of all.
    """
    ends = [
        (
            problem,
            program_of(log.points[0].texts[problem.id]) or "",
            program_of(log.points[-1].texts[problem.id]) or "",
        )
        for log in logs
        for problem in benchmark(programs.TIER, "validation", SHOWN)
        if problem.id in log.points[0].texts
    ]
    for problem, first, last in ends:
        before, after = run_programs([(problem, first), (problem, last)])
        if after.passed and not before.passed:
            return problem, first, last
    return ends[0]
