"""Right or wrong, sample by sample, and nothing else: pass@k needs no more, and a bit a sample can ship.

    {"id": "variables/test/ops-15-16/0/300", "samples": 64, "right": "fff0..."}

`right` is hexadecimal, the first sample the highest bit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.evaluate import pass_at_k
from k2repro.evaluate.effects import SeedTable
from k2repro.evaluate.pool import Generation, Responses


@dataclass(frozen=True)
class SampleOutcomes:
    """The samples of one problem. right: "1" or "0" for each, in their order.

    Raises K2ReproError for no sample and for another letter.
    """

    id: str
    right: str

    def __post_init__(self) -> None:
        if not self.right or set(self.right) - {"0", "1"}:
            raise K2ReproError(
                f"{self.id}: outcomes {self.right[:20]!r} must be ones and zeros, one at least"
            )

    @property
    def count(self) -> int:
        """How many are right."""
        return self.right.count("1")

    def first(self, samples: int) -> "SampleOutcomes":
        """The first samples alone. Raises K2ReproError where there are fewer."""
        if samples > len(self.right):
            raise K2ReproError(f"{self.id}: {len(self.right)} samples, {samples} were asked for")
        return SampleOutcomes(self.id, self.right[:samples])

    def packed(self) -> dict[str, Any]:
        """As it is written to a file."""
        return {"id": self.id, "samples": len(self.right), "right": to_hex(self.right)}

    @classmethod
    def unpacked(cls, line: Mapping[str, object]) -> "SampleOutcomes":
        """What `packed` gave. Raises K2ReproError for bits that do not fit the number of samples."""
        try:
            samples, name, digits = int(str(line["samples"])), str(line["id"]), str(line["right"])
            int(digits, 16)
        except (KeyError, ValueError) as error:
            raise K2ReproError(f"outcomes {dict(line)} must hold id, samples and right: {error}") from error
        return cls(name, from_hex(digits, samples, name))


def to_hex(bits: str) -> str:
    """Ones and zeros, one at least, as hexadecimal digits; the first is the highest bit."""
    return f"{int(bits, 2):0{-(-len(bits) // 4)}x}"


def from_hex(digits: str, count: int, what: str) -> str:
    """The `count` ones and zeros that `to_hex` packed. Raises K2ReproError where the counts do not fit."""
    bits = f"{int(digits, 16):0{count}b}"
    if len(bits) != count:
        raise K2ReproError(f"{what}: {len(bits)} bits for {count} samples; usual cause: an edited file")
    if len(digits) != -(-count // 4):
        raise K2ReproError(
            f"{what}: {len(digits)} digits for {count} samples; usual cause: a file of another scale"
        )
    return bits


# Outcomes of one kind of model, by seed.
BySeed = Mapping[int, Sequence[SampleOutcomes]]


def outcomes_of(pool: Responses[Generation]) -> list[SampleOutcomes]:
    """The outcomes of a pool, its texts left behind."""
    return [
        SampleOutcomes(each.id, "".join(str(int(one.right)) for one in each.generations))
        for each in pool.attempts
    ]


def first_of(outcomes: Iterable[SampleOutcomes], samples: int) -> list[SampleOutcomes]:
    """The first samples of every problem."""
    return [each.first(samples) for each in outcomes]


def pass_table(by_seed: BySeed, k: int) -> SeedTable:
    """Unbiased pass@k of every problem, for each seed.

    Raises K2ReproError where seeds were asked other problems, and for more than the samples of a problem.
    """
    ids = _shared_ids(by_seed)
    return SeedTable(
        ids,
        {
            seed: np.asarray(pass_at_k([len(e.right) for e in outcomes], [e.count for e in outcomes], k))
            for seed, outcomes in by_seed.items()
        },
    )


def only_by(first: BySeed, second: BySeed) -> SeedTable:
    """1 for each problem that some sample of `first` solves and none of `second`, by seed; 0 for the others.

    Raises K2ReproError where the two were asked other problems, have other seeds, or unequally many samples:
    whoever is asked more often solves more.
    """
    ids = _shared_ids(first)
    if ids != _shared_ids(second) or set(first) != set(second):
        raise K2ReproError("other problems or seeds on the two sides: nothing pairs them")
    values: dict[int, np.ndarray] = {}
    for seed, ours in first.items():
        pairs = list(zip(ours, second[seed], strict=True))
        for one, other in pairs:
            if len(one.right) != len(other.right):
                raise K2ReproError(
                    f"{one.id}: {len(one.right)} samples against {len(other.right)}: whoever is asked more "
                    "often solves more"
                )
        values[seed] = np.array([float(one.count > 0 and other.count == 0) for one, other in pairs])
    return SeedTable(ids, values)


def _shared_ids(by_seed: BySeed) -> tuple[str, ...]:
    every = [tuple(each.id for each in outcomes) for outcomes in by_seed.values()]
    if not every or not every[0]:
        raise K2ReproError("no outcomes to compare")
    if any(ids != every[0] for ids in every):
        raise K2ReproError("seeds were asked other problems, or in another order")
    return every[0]
