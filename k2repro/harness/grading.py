"""Is a response right? One check for each kind of problem; hostile text and hostile programs are expected."""

import re
from collections.abc import Sequence

from k2repro.harness.benchmarks import BenchmarkProblem
from k2repro.solve.dialects import read_answer
from k2repro.verify import answers_equal, run_many

FENCE = re.compile(r"```(?:python|py)?\s*\n(.*?)(?:```|\Z)", re.DOTALL)
LETTER = re.compile(r"\(?([A-D])\)?\.?")
INSTRUCTIONS = {
    "maths": "Give the final answer inside \\boxed{}, within <answer> and </answer>.",
    "choice": "Give the letter of your answer within <answer> and </answer>.",
    "code": "Give the program in one ```python block.",
    "safety": "",
}


def stated(problem: BenchmarkProblem, text: str) -> str | None:
    """What a response answers: a value, a letter, a program; None when nothing can be read."""
    if problem.kind == "code":
        blocks = FENCE.findall(text)
        return blocks[-1].strip() or None if blocks else None
    if problem.kind == "safety":
        return text.strip() or None
    answer = read_answer(text)
    if problem.kind == "choice" and answer is not None:
        found = LETTER.fullmatch(answer.strip())
        return found[1] if found else None
    return answer


def grade(problems: Sequence[BenchmarkProblem], answers: Sequence[str | None]) -> list[bool]:
    """Whether each answer is right; programs run in the sandbox, all in one call."""
    pairs = list(zip(problems, answers, strict=True))
    code = [(answer, each.tests) for each, answer in pairs if each.kind == "code" and answer is not None]
    programs = iter(run_many(code) if code else ())
    found = []
    for problem, answer in pairs:
        if answer is None:
            found.append(False)
        elif problem.kind == "code":
            found.append(next(programs).passed)
        else:
            found.append(answers_equal(problem.gold, answer))
    return found
