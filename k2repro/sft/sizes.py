"""What a profile sets of the SFT pillar: how long to train, how many problems to ask, how often."""

from dataclasses import dataclass, fields

from k2repro.errors import K2ReproError
from k2repro.results import load_profile

NOTEBOOK = "02_sft"


@dataclass(frozen=True)
class Sizes:
    """The fields are parameters of notebook 02; the defaults are those of the laptop profile.

    steps     share of the recipe's steps, above 0 and at most 1
    problems  of each benchmark in a pool, and samples of each
    deep      problems of each benchmark that get `deep_samples` instead, for pass@k
    probe     problems of each benchmark behind every point of a training curve
    """

    steps: float = 1.0
    problems: int = 500
    samples: int = 2
    deep: int = 100
    deep_samples: int = 16
    probe: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.steps <= 1:
            raise K2ReproError(f"steps = {self.steps}: must be above 0 and at most 1; it is a share")
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise K2ReproError(f"{field.name} = {value!r}: must be a whole number of at least 1")
        if not 2 <= self.deep <= self.problems:
            raise K2ReproError(
                f"deep = {self.deep}: must be at least 2 and at most problems = {self.problems}"
            )
        if self.deep_samples < self.samples:
            raise K2ReproError(f"deep_samples = {self.deep_samples}: at least samples = {self.samples}")

    @classmethod
    def of_profile(cls, name: str) -> "Sizes":
        """The sizes that a profile gives notebook 02: with them other pillars find the same artifacts."""
        given = load_profile(name).plan(NOTEBOOK).parameters
        return cls(**{field.name: given[field.name] for field in fields(cls) if field.name in given})
