"""What the steady recipe showed, in one small file each: outcomes as bits, curves as bits, stages in numbers.

Nine models of three to five seeds take half a megabyte problem by problem, and twenty kilobytes as bits. So
that is what ships; the order of the problems is that of `levels.level_problems`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.lab.levels import PLANNED, SEARCH, LevelOutcome, level_ids
from k2repro.lab.lines import read_lines, write_lines

OUTCOMES, CURVES, STAGES = "outcomes.jsonl.gz", "curves.jsonl.gz", "stages.jsonl.gz"
DIGITS = 4


@dataclass(frozen=True)
class PackedOutcomes:
    """What one model solved. problems: of each level; samples: searches of each problem.

    search, planned: right (1) or wrong (0), all samples of a problem together, as hexadecimal digits.
    """

    model: str
    seed: int
    split: str
    problems: int
    samples: int
    search: str
    planned: str


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
    """The outcomes of a model without the lengths of its answers."""
    samples = len(outcomes[0].search)
    levels = {each.level for each in outcomes}
    return PackedOutcomes(
        model,
        seed,
        split,
        len(outcomes) // len(levels),
        samples,
        to_hex([bit for each in outcomes for bit in each.search]),
        to_hex([bit for each in outcomes for bit in each.planned]),
    )


def unpack(packed: PackedOutcomes) -> list[LevelOutcome]:
    """What `pack` got, without lengths. Raises K2ReproError for digits that do not fit the counts."""
    ids = level_ids(packed.split, packed.problems)
    n = packed.samples
    search = from_hex(packed.search, n * len(ids), f"{packed.model} {packed.seed}, {SEARCH}")
    planned = from_hex(packed.planned, len(ids), f"{packed.model} {packed.seed}, {PLANNED}")
    return [
        LevelOutcome(name, level, tuple(search[n * at : n * at + n]), (planned[at],), (), ())
        for at, (name, level) in enumerate(ids)
    ]


def to_hex(bits: Sequence[int]) -> str:
    """Bits as hexadecimal digits, the first bit highest; a last digit is filled up with zeros."""
    filled = [*bits, *([0] * (-len(bits) % 4))]
    return f"{int(''.join(map(str, filled)), 2):0{len(filled) // 4}x}"


def from_hex(digits: str, count: int, what: str) -> list[int]:
    """The first `count` bits. Raises K2ReproError where there are fewer, or more than fill a digit."""
    if len(digits) != -(-count // 4):
        raise K2ReproError(
            f"{what}: {len(digits)} digits for {count} answers; usual cause: a file of another scale, or cut"
        )
    return [int(bit) for bit in f"{int(digits, 16):0{4 * len(digits)}b}"[:count]]


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
