"""All that selectors need of every candidate, without its text: small enough to ship for every seed.

search, planned, check + readings by solver, judge and foreign model -> marks

Equal texts of a problem are kept once. From marks every curve of notebooks 04 and 05 is computed in seconds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from k2repro.best_of_n import Candidate, agreements, distinct_ways
from k2repro.lab import candidates, judge
from k2repro.lab.asking import AskedPrompt, read_askings
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.made import Made, Making
from k2repro.lab.readings import ResponseReadings, read_readings, reading
from k2repro.lab.scale import Scale
from k2repro.lab.solvers import next_of
from k2repro.mini import GRADER
from k2repro.mini.orders import evaluation_order
from k2repro.mini.variables import marked_plan_text

FILE = "marks.jsonl.gz"
SPLITS = ("validation", "test")
SEARCH, OWN = "search", "own"
T = TypeVar("T", AskedPrompt, ResponseReadings)


@dataclass(frozen=True)
class Marks:
    """Candidates of one problem, of one kind.

    split, kind: "search", "own", or one of `candidates.EXHIBITS`. of: which of the distinct texts each
    candidate has; the rest has a value for each distinct text: right, tokens, answer (equal numbers are equal
    answers, -1 is unreadable), log-probability under the solver, the judge, the judge before its training and
    the judge of shuffled texts (empty where it was not asked), self-certainty, and whether the answer along
    the text's own order is the same.
    """

    id: str
    tier: str
    split: str
    kind: str
    of: tuple[int, ...]
    right: tuple[int, ...]
    tokens: tuple[int, ...]
    answer: tuple[int, ...]
    own: tuple[float, ...]
    certainty: tuple[float, ...] = ()
    judge: tuple[float, ...] = ()
    foreign: tuple[float, ...] = ()
    shuffled: tuple[float, ...] = ()
    agrees: tuple[int, ...] = ()

    def column(self, name: str) -> list[float]:
        """One value for each candidate."""
        values = getattr(self, name)
        return [float(values[at]) for at in self.of]

    @property
    def candidates(self) -> list[Candidate]:
        """As selectors get them: nothing here says which answer is right."""
        each = [
            Candidate(
                text="",
                answer=None if self.answer[at] < 0 else str(self.answer[at]),
                tokens=self.tokens[at],
                logprob=self.own[at],
                certainty=self.certainty[at] if self.certainty else None,
                judge=self.judge[at] if self.judge else None,
                agrees=bool(self.agrees[at]) if self.agrees else None,
                planned=self.kind != SEARCH,
            )
            for at in range(len(self.right))
        ]
        return [each[at] for at in self.of]


# ---- making ---------------------------------------------------------------------------------------


def marks(seed: int, seeds: Sequence[int], scale: Scale) -> Made:
    """Marks of all candidates of a solver, both splits; they ship. seeds: of all solvers, in their order."""
    start = next_of(seed, seeds)
    solver, verdict = candidates.solver(seed, scale), judge.judge(seed, start, scale)
    needs: dict[str, Made] = {}
    for split in SPLITS:
        kinds = {SEARCH: candidates.search(seed, split, scale), OWN: candidates.own(seed, split, scale)}
        if split == "test":
            kinds |= {kind: candidates.planned(kind, seed, scale) for kind in candidates.EXHIBITS}
        for kind, made in kinds.items():
            needs[f"{split} {kind}"] = made
            needs[f"{split} {kind} own"] = reading(solver, made)
            if kind in (SEARCH, OWN):
                needs[f"{split} {kind} judge"] = reading(verdict, made)
        searched = kinds[SEARCH]
        needs[f"{split} {SEARCH} foreign"] = reading(judge.foreign(start, scale), searched)
        needs[f"{split} check"] = candidates.check(seed, split, scale)
    if seed == seeds[0]:
        needs[f"test {SEARCH} shuffled"] = reading(
            judge.judge(seed, start, scale, judge.SHUFFLED), candidates.search(seed, "test", scale)
        )
    return Made("marks", candidates.SOLVER, seed, _make, numerics=(GRADER,), needs=needs, ships=True)


def _make(making: Making) -> None:
    found: list[Marks] = []
    for split in SPLITS:
        for kind in (SEARCH, OWN, *candidates.EXHIBITS):
            if f"{split} {kind}" in making.needs:
                found += _marks_of(split, kind, making.needs)
    write_lines(making.folder / FILE, found)


def _marks_of(split: str, kind: str, folders: Mapping[str, Path]) -> list[Marks]:
    name = f"{split} {kind}"
    askings = _joined(read_askings(folders[name]))
    readings = {
        reader: _joined_readings(read_readings(folders[f"{name} {reader}"]))
        for reader in ("own", "judge", "foreign", "shuffled")
        if f"{name} {reader}" in folders
    }
    along = _along(read_askings(folders[f"{split} check"])) if kind == SEARCH else None
    return [_marked(split, kind, asking, readings, along) for asking in askings]


def _joined(askings: Iterable[AskedPrompt]) -> list[AskedPrompt]:
    """The responses to all prompts of a problem together."""
    return [
        replace(
            each[0],
            plan="",
            texts=_chained(each, "texts"),
            tokens=_chained(each, "tokens"),
            right=_chained(each, "right"),
        )
        for each in _by_problem(askings).values()
    ]


def _joined_readings(readings: Iterable[ResponseReadings]) -> dict[str, ResponseReadings]:
    return {
        name: ResponseReadings(name, _chained(each, "logprob"), _chained(each, "certainty"))
        for name, each in _by_problem(readings).items()
    }


def _by_problem(things: Iterable[T]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for each in things:
        found.setdefault(each.id, []).append(each)
    return found


def _chained(things: Sequence[Any], name: str) -> tuple[Any, ...]:
    """The values of a field of all things, one after the other."""
    return tuple(chain.from_iterable(getattr(each, name) for each in things))


def _along(checks: Sequence[AskedPrompt]) -> dict[tuple[str, str], str | None]:
    """The answer along each order, by problem and plan."""
    return {(each.id, each.plan): each.answers[0] for each in checks}


def _marked(
    split: str,
    kind: str,
    asking: AskedPrompt,
    readings: Mapping[str, Mapping[str, ResponseReadings]],
    along: Mapping[tuple[str, str], str | None] | None,
) -> Marks:
    # Planned texts were read after a plan each: equal texts need not be equally likely, so none is merged.
    texts = asking.texts if kind == SEARCH else tuple(map(str, range(len(asking.texts))))
    distinct = list(dict.fromkeys(texts))
    first = [texts.index(text) for text in distinct]
    answers = asking.answers
    values: list[str | None] = list(dict.fromkeys(answer for answer in answers if answer is not None))
    read = {reader: by_id[asking.id] for reader, by_id in readings.items()}
    agrees: tuple[int, ...] = ()
    if along is not None:
        ways = distinct_ways([marked_plan_text(evaluation_order(asking.texts[at])) for at in first])
        derived = [along[asking.id, way] for way in ways.distinct]
        agrees = tuple(map(int, agreements([answers[at] for at in first], ways, derived)))
    return Marks(
        asking.id,
        asking.tier,
        split,
        kind,
        of=tuple(distinct.index(text) for text in texts),
        right=tuple(int(asking.right[at]) for at in first),
        tokens=tuple(asking.tokens[at] for at in first),
        answer=tuple(-1 if answers[at] is None else values.index(answers[at]) for at in first),
        own=tuple(read["own"].logprob[at] for at in first),
        certainty=tuple(read["own"].certainty[at] for at in first) if kind == SEARCH else (),
        agrees=agrees,
        **{
            reader: tuple(read[reader].logprob[at] for at in first)
            for reader in ("judge", "foreign", "shuffled")
            if reader in read
        },
    )


def read_marks(folder: Path) -> list[Marks]:
    """The marks of one solver. Raises K2ReproError for a file that is cut short."""
    return read_lines(folder / FILE, Marks)
