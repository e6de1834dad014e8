"""What the data cards of the two families say in numbers, computed from the generators themselves.

`tools/data_cards.py` puts it into `data_cards/variables.md` and `data_cards/programs.md`; its check computes
it again. Train problems have no end, so their counts are of a sample.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import median_low

from k2repro.mini import canonical, programs, traces, variables
from k2repro.mini.data import STYLES, reference_response
from k2repro.mini.problem import SPLITS, Problem
from k2repro.mini.rendering import render_problem, render_response
from k2repro.mini.tokenizer import TURN_END, encode_all, prompt_text
from k2repro.tables import Table

TRAIN, TEST = 2_000, 500
# Of a problem: what makes two of them the same, and what makes them near-duplicates.
Key = Callable[[Problem], object]
Counted = tuple[list[dict[str, str | int]], str]


def variables_card() -> Counted:
    """Entries, one for each tier and level, and the text of the counted part for the family `variables`."""
    entries = []
    for tier, (least, most) in variables.EVERY.items():
        train, test = variables.problems(tier, "train", TRAIN), variables.problems(tier, "test", TEST)
        entries.append(
            {
                "tier": tier,
                "operations": f"{least}-{most}",
                **_overlap(train, test, _normal_form, _structure),
                **_lengths(_texts(test) | _marked_texts(test)),
                "sha256": _digest(train + test),
            }
        )
    example = variables.problems("tier-2", "validation", 1)[0]
    return entries, _text(entries, example)


def programs_card() -> Counted:
    """Entry and text of the counted part for the family `programs`; all of its tasks are counted too."""
    train = programs.problems(programs.TIER, "train", TRAIN)
    test = programs.problems(programs.TIER, "test", TEST)
    entry: dict[str, str | int] = {
        "tier": programs.TIER,
        **{f"all_{split}_tasks": count for split, count in _all_tasks().items()},
        **_overlap(train, test, _normal_task, _three_examples),
        "same_function": len(_shared(train, test, _function)),
        **_lengths(_texts(test)),
        "sha256": _digest(train + test),
    }
    example = programs.problems(programs.TIER, "validation", 1)[0]
    return [entry], _text([entry], example)


# ---- duplicates -----------------------------------------------------------------------------------


def _overlap(train: list[Problem], test: list[Problem], same: Key, near: Key) -> dict[str, str | int]:
    """Distinct problems of both samples, and test problems whose twin is among the train ones."""
    return {
        "train": len(train),
        "train_distinct": len({same(problem) for problem in train}),
        "test": len(test),
        "test_distinct": len({same(problem) for problem in test}),
        "exact": len(_shared(train, test, same)),
        "near": len(_shared(train, test, near)),
    }


def _shared(train: list[Problem], test: list[Problem], key: Key) -> list[Problem]:
    """The test problems with a key that some train problem has; a set of keys counts if any is shared."""
    seen = {part for problem in train for part in _parts(key(problem))}
    return [problem for problem in test if not seen.isdisjoint(_parts(key(problem)))]


def _parts(key: object) -> frozenset[object]:
    return key if isinstance(key, frozenset) else frozenset([key])


def _normal_form(problem: Problem) -> object:
    return canonical.canonical_hash(variables.system_of(problem))


def _structure(problem: Problem) -> object:
    return canonical.structure_hash(variables.system_of(problem))


def _normal_task(problem: Problem) -> object:
    task = programs.task_of(problem)
    return task.function, tuple(sorted(task.examples))


def _function(problem: Problem) -> object:
    return programs.task_of(problem).function


def _three_examples(problem: Problem) -> object:
    """The function with every three of its four examples."""
    task = programs.task_of(problem)
    return frozenset((task.function, three) for three in combinations(sorted(task.examples), 3))


def _all_tasks() -> dict[str, int]:
    """How many different tasks there are, order of examples apart, in each split."""
    counts = dict.fromkeys(SPLITS, 0)
    for function in programs.FUNCTIONS:
        for inputs in combinations(range(variables.MODULUS), len(programs.LABELS)):
            examples = tuple((x, function.table[x]) for x in inputs)
            if programs.candidates(examples) == 1:
                counts[programs.split_of(programs.Task(function, examples))] += 1
    return counts


# ---- lengths and text -----------------------------------------------------------------------------


def _texts(problems: list[Problem]) -> dict[str, list[str]]:
    """Prompts and reference responses, <|im_end|> included."""
    texts = {
        "prompt": [prompt_text(problem.question) for problem in problems],
        "prompt_with_plan": [prompt_text(problem.question, problem.plan) for problem in problems],
    }
    for style in STYLES:
        texts[style] = [reference_response(problem, style) + TURN_END for problem in problems]
    return texts


def _marked_texts(problems: list[Problem]) -> dict[str, list[str]]:
    """The same responses as models of the steady recipe read them."""
    systems = [variables.system_of(problem) for problem in problems]
    return {
        "marked_searching": [traces.searching_response(each, marked=True) + TURN_END for each in systems],
        "marked_planned": [traces.planned_response(each, marked=True) + TURN_END for each in systems],
    }


def _lengths(texts: Mapping[str, list[str]]) -> dict[str, str | int]:
    """Median and largest number of tokens of each group of texts."""
    found: dict[str, str | int] = {}
    for name, group in texts.items():
        tokens = [len(ids) for ids in encode_all(group)]
        found[f"{name}_median"], found[f"{name}_longest"] = median_low(tokens), max(tokens)
    return found


def _digest(problems: Sequence[Problem]) -> str:
    """SHA-256 of ids, questions, plans and answers."""
    lines = [f"{p.id}\t{p.question}\t{p.plan}\t{p.gold}\n" for p in problems]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _text(entries: list[dict[str, str | int]], example: Problem) -> str:
    """Two tables and one problem in all its forms."""
    counts = [name for name in entries[0] if not name.endswith(("_median", "_longest", "sha256"))]
    kinds = [name.removesuffix("_median") for name in entries[0] if name.endswith("_median")]
    lengths: list[dict[str, str | int]] = []
    for entry in entries:
        cells = {kind: f"{entry[f'{kind}_median']} / {entry[f'{kind}_longest']}" for kind in kinds}
        lengths.append({"tier": entry["tier"], **cells})
    response = reference_response(example, "searching")
    blocks = [
        _table([{name: entry[name] for name in counts} for entry in entries]),
        "Tokens of the test problems, median / longest:",
        _table(lengths),
        f"One problem, `{example.id}`, as models read it and as people do:",
        _block(f"{prompt_text(example.question)}{response}{TURN_END}"),
        _block(f"{render_problem(example)}\n\n{render_response(response)}"),
    ]
    return "\n\n".join(blocks)


def _table(rows: Sequence[dict[str, str | int]]) -> str:
    head = [name.replace("_", " ") for name in rows[0]]
    cells = [[str(value) for value in row.values()] for row in rows]
    return Table(head, cells, numeric=frozenset()).as_markdown()


def _block(text: str) -> str:
    return f"```text\n{text}\n```"
