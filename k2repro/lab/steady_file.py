"""What the steady recipe showed, in one small file each: outcomes as bits, curves as bits, stages in numbers.

Seven models of three to five seeds take half a megabyte problem by problem, and twenty kilobytes as bits. So
that is what ships; the order of the problems is that of `levels.level_problems`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k2repro.lab.levels import PLANNED, SEARCH, LevelOutcome, level_ids
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.outcomes import from_hex, to_hex
from k2repro.mini.benchmarks import LEVELS
from k2repro.mini.mistakes import KINDS

OUTCOMES, CURVES, STAGES = "outcomes.jsonl.gz", "curves.jsonl.gz", "stages.jsonl.gz"
DIGITS = 4


@dataclass(frozen=True)
class PackedOutcomes:
    """What one model solved. problems: of each level; samples: searches of each problem.

    search, planned: right (1) or wrong (0), all samples of a problem together, as hexadecimal digits.
    kinds: how many searches of each level had a first mistake of each kind, or were right.
    """

    model: str
    seed: int
    split: str
    problems: int
    samples: int
    search: str
    planned: str
    kinds: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class PackedCurve:
    """What fine-tuning of a seed solved on validation after a share of its steps, as bits. count: of them."""

    seed: int
    share: float
    count: int
    search: str


@dataclass(frozen=True)
class StageLog:
    """One stage of a training: its steps, the tokens it read, and the loss of each skill along it (nats)."""

    model: str
    seed: int
    stage: str
    steps: int
    tokens: int
    skills: dict[str, tuple[float, ...]]


def pack(model: str, seed: int, split: str, outcomes: Sequence[LevelOutcome]) -> PackedOutcomes:
    """The outcomes of a model."""
    samples = len(outcomes[0].search)
    levels = {each.level for each in outcomes}
    return PackedOutcomes(
        model,
        seed,
        split,
        len(outcomes) // len(levels),
        samples,
        bits([bit for each in outcomes for bit in each.search]),
        bits([bit for each in outcomes for bit in each.planned]),
        _counted(outcomes),
    )


def _counted(outcomes: Sequence[LevelOutcome]) -> dict[str, tuple[int, ...]]:
    """Searches by the kind of their first mistake, level by level."""
    counts = {level: Counter[str]() for level in LEVELS}
    for each in outcomes:
        counts[each.level].update(each.kinds)
    return {kind: tuple(counts[level][kind] for level in LEVELS) for kind in KINDS}


def unpack(packed: PackedOutcomes) -> list[LevelOutcome]:
    """What `pack` got. Raises K2ReproError for digits that do not fit the counts."""
    ids = level_ids(packed.split, packed.problems)
    n = packed.samples
    search = from_bits(packed.search, n * len(ids), f"{packed.model} {packed.seed}, {SEARCH}")
    planned = from_bits(packed.planned, len(ids), f"{packed.model} {packed.seed}, {PLANNED}")
    return [
        LevelOutcome(name, level, tuple(search[n * at : n * at + n]), (planned[at],))
        for at, (name, level) in enumerate(ids)
    ]


def bits(values: Sequence[int]) -> str:
    """Ones and zeros as they are packed."""
    return to_hex("".join(map(str, values)))


def from_bits(digits: str, count: int, what: str) -> list[int]:
    """What `bits` packed. Raises K2ReproError for digits that do not fit the count."""
    return [int(bit) for bit in from_hex(digits, count, what)]


def rounded(losses: Sequence[float]) -> tuple[float, ...]:
    """Losses as they ship: a figure on a log axis shows no more."""
    return tuple(round(loss, DIGITS) for loss in losses)


def write_parts(
    folder: Path,
    outcomes: Sequence[PackedOutcomes],
    curves: Sequence[PackedCurve],
    stages: Sequence[StageLog],
) -> None:
    """One file for each kind, also where there is none of it."""
    for name, things in ((OUTCOMES, outcomes), (CURVES, curves), (STAGES, stages)):
        write_lines(folder / name, things)


def read_parts(folder: Path) -> tuple[list[PackedOutcomes], list[PackedCurve], list[StageLog]]:
    """What `write_parts` wrote. Raises K2ReproError for a file that is cut short."""
    return (
        read_lines(folder / OUTCOMES, PackedOutcomes),
        read_lines(folder / CURVES, PackedCurve),
        read_lines(folder / STAGES, StageLog),
    )
