"""Problems as a `datasets.Dataset` with one schema, which this project's trainers and TRL read alike.

`prompt` is the text up to the opening of the assistant's turn, `completion` what is to be learned, <|im_end|>
included. They are plain strings ("standard" format in TRL): a trainer that adds a chat template of its own,
or an end token of its own, would train on other tokens than those that are sampled.

TRL's formats: https://huggingface.co/docs/trl/dataset_formats
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from k2repro.errors import K2ReproError, unknown
from k2repro.mini import program_traces, programs, traces, variables
from k2repro.mini.problem import Problem
from k2repro.mini.tokenizer import TURN_END, prompt_text

if TYPE_CHECKING:
    from datasets import Dataset

COLUMNS = ("id", "family", "split", "tier", "prompt", "completion", "question", "gold", "plan", "facts")
STYLES = ("searching", "planned", "direct")
# What a family calls the thing that its traces are made from.
_SOURCE: dict[str, Callable[[Problem], Any]] = {
    variables.FAMILY: variables.system_of,
    programs.FAMILY: programs.task_of,
}
_RESPONSE: dict[tuple[str, str], Callable[[Any], str]] = {
    (variables.FAMILY, "searching"): traces.searching_response,
    (variables.FAMILY, "planned"): traces.planned_response,
    (variables.FAMILY, "direct"): traces.direct_response,
    (programs.FAMILY, "searching"): program_traces.searching_response,
    (programs.FAMILY, "planned"): program_traces.planned_response,
    (programs.FAMILY, "direct"): program_traces.direct_response,
}


def reference_response(problem: Problem, style: str) -> str:
    """The taught response of a style: "searching", "planned" (for a prompt with the plan) or "direct".

    Raises K2ReproError for an unknown style or family.
    """
    if style not in STYLES:
        raise unknown("style", style, STYLES)
    if problem.family not in _SOURCE:
        raise unknown("family", problem.family, _SOURCE)
    return _RESPONSE[problem.family, style](_SOURCE[problem.family](problem))


def row(problem: Problem, response: str, *, with_plan: bool = False) -> dict[str, str]:
    """One row: a problem and a response, without <|im_end|>. `with_plan`: the prompt holds the plan too."""
    if TURN_END in response:
        raise K2ReproError(f"{problem.id}: the response holds {TURN_END}, which is added here")
    return {
        "id": problem.id,
        "family": problem.family,
        "split": problem.split,
        "tier": problem.tier,
        "prompt": prompt_text(problem.question, problem.plan if with_plan else ""),
        "completion": response + TURN_END,
        "question": problem.question,
        "gold": problem.gold,
        "plan": problem.plan,
        "facts": json.dumps(problem.facts, sort_keys=True, separators=(",", ":")),
    }


def reference_rows(problems: Sequence[Problem], style: str = "searching") -> list[dict[str, str]]:
    """A row for each problem, with the reference response of that style."""
    return [
        row(problem, reference_response(problem, style), with_plan=style == "planned") for problem in problems
    ]


def as_dataset(rows: Sequence[Mapping[str, str]]) -> "Dataset":
    """Rows as a data set whose columns are COLUMNS, all strings, whatever the rows' order of keys.

    Raises K2ReproError for no rows, a missing or a further column, and a value that is not text.
    """
    from datasets import Dataset, Features, Value

    if not rows:
        raise K2ReproError("no rows to make a data set of; usual cause: a filter removed every problem")
    for at, values in enumerate(rows):
        if set(values) != set(COLUMNS):
            strangers = sorted(set(values) ^ set(COLUMNS))
            raise K2ReproError(f"row {at}: columns must be {', '.join(COLUMNS)}; differs in {strangers}")
        wrong = [name for name in COLUMNS if not isinstance(values[name], str)]
        if wrong:
            raise K2ReproError(f"row {at}: {wrong[0]} must be text, got {values[wrong[0]]!r}")
    columns = {name: [values[name] for values in rows] for name in COLUMNS}
    return Dataset.from_dict(columns, features=Features({name: Value("string") for name in COLUMNS}))


def problem_of(values: Mapping[str, str]) -> Problem:
    """The problem behind a row, equal to the one that the row was made from, facts included."""
    try:
        facts = json.loads(values["facts"])
        texts = {name: values[name] for name in ("id", "family", "split", "tier", "question", "gold", "plan")}
    except KeyError as error:
        raise K2ReproError(f"a row without the column {error}; columns are {', '.join(COLUMNS)}") from error
    except json.JSONDecodeError as error:
        raise K2ReproError(f"row {values['id']!r}: facts is not JSON: {error}") from error
    return Problem(**texts, facts=facts)
