"""How large the experiments are: one scale per profile, so that every pillar finds the same models."""

from dataclasses import dataclass, fields

from k2repro.errors import K2ReproError, unknown
from k2repro.results import load_profile


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The fields are those of the table [lab] of a profile; the defaults are the laptop profile.

    seeds         models of each kind that a claim rests on: seeds 0 to seeds - 1
    shown_seeds   of runs that only show something
    steps         share of the recipe's steps in every stage up to SFT; rl_steps: in every run of RL
    problems      of each benchmark in a pool, and samples of each
    deep          problems of each benchmark that get `deep_samples` instead, for pass@k
    probe         problems of each benchmark behind every point of the SFT curve; rl_probe: of an RL curve
    prompts       groups of a step of RL, and completions of a group
    points        intervals between points of an RL curve, as many as the steps allow
    solver_seeds  solvers behind planning and best-of-N, each with a judge from the next one's SFT model
    gate          share of the shortest level that a model has to solve, on validation, to count as a solver
    steady_first  first seed of the steady recipe: those before it were looked at while it was found
    steady_seeds  models of the steady recipe; steady_controls: of its controls; large_seeds: of the model of
                  four times the size
    asked         test problems of each level for them; the first `deep` of these get `deep_samples`
    candidates    samples of each of the others, in pairs; chosen: validation problems of each level
    many_problems test problems behind pass@k of SFT and RL, and many_samples of each
    few_samples   of each where pass@1 is all that is asked; grid_problems: validation problems that choose
                  the temperatures, with as few samples
    """

    seeds: int = 3
    shown_seeds: int = 1
    steps: float = 1.0
    problems: int = 500
    samples: int = 2
    deep: int = 100
    deep_samples: int = 16
    probe: int = 100
    rl_steps: float = 1.0
    prompts: int = 16
    group: int = 8
    rl_probe: int = 50
    points: int = 4
    solver_seeds: int = 5
    gate: float = 0.5
    steady_first: int = 30
    steady_seeds: int = 5
    steady_controls: int = 3
    large_seeds: int = 3
    asked: int = 300
    candidates: int = 8
    chosen: int = 60
    many_problems: int = 30
    many_samples: int = 64
    few_samples: int = 8
    grid_problems: int = 12

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "steady_first":
                if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                    raise K2ReproError(
                        f"steady_first = {value!r}: must be a whole number of at least 0; it is a seed"
                    )
            elif each.name == "gate":
                if not 0 <= value < 1:
                    raise K2ReproError(f"gate = {value}: must be at least 0 and below 1; it is a share")
            elif each.name in ("steps", "rl_steps"):
                if not 0 < value <= 1:
                    raise K2ReproError(f"{each.name} = {value}: must be above 0 and at most 1; it is a share")
            elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise K2ReproError(f"{each.name} = {value!r}: must be a whole number of at least 1")
        if not 2 <= self.deep <= self.problems:
            raise K2ReproError(
                f"deep = {self.deep}: must be at least 2 and at most problems = {self.problems}"
            )
        if self.deep_samples < self.samples:
            raise K2ReproError(f"deep_samples = {self.deep_samples}: at least samples = {self.samples}")
        if self.many_samples < self.few_samples:
            raise K2ReproError(
                f"many_samples = {self.many_samples}: at least few_samples = {self.few_samples}"
            )
        if self.candidates < 4 or self.candidates % 2:
            raise K2ReproError(
                f"candidates = {self.candidates}: an even number of at least 4; the best of three is chosen "
                "among them, and each pair gets a plan"
            )
        for name in ("steady_controls", "large_seeds"):
            if getattr(self, name) > self.steady_seeds:
                raise K2ReproError(
                    f"{name} = {getattr(self, name)}: must be at most steady_seeds = {self.steady_seeds}; "
                    "each is compared with a model of the same seed"
                )
        if self.shown_seeds > self.seeds:
            raise K2ReproError(f"shown_seeds = {self.shown_seeds}: must be at most seeds = {self.seeds}")

    @classmethod
    def of_profile(cls, name: str) -> "Scale":
        """The scale of a profile. Raises K2ReproError for a key that does not exist, with those that do."""
        given = load_profile(name).lab
        known = [each.name for each in fields(cls)]
        for key in given:
            if key not in known:
                raise unknown(f"key in [lab] of profile {name!r}", key, known)
        return cls(**given)

    def steady(self, count: int) -> range:
        """The first `count` seeds of the steady recipe."""
        return range(self.steady_first, self.steady_first + count)

    def sft_parameters(self) -> dict[str, object]:
        """What shapes the rows of notebook 02."""
        names = ("steps", "problems", "samples", "deep", "deep_samples", "probe")
        return {"seeds": list(range(self.seeds)), **{name: getattr(self, name) for name in names}}

    def rl_parameters(self) -> dict[str, object]:
        """What shapes the rows of notebook 03, besides the models that it starts from."""
        names = ("seeds", "shown_seeds", "problems", "samples", "deep", "deep_samples", "prompts", "group")
        many = ("many_problems", "many_samples", "few_samples", "grid_problems")
        given = {name: getattr(self, name) for name in (*names, *many)}
        return {**given, "steps": self.rl_steps, "probe": self.rl_probe, "points": self.points}

    def steady_parameters(self) -> dict[str, object]:
        """What shapes the rows of the steady recipe."""
        names = (
            "steps",
            "rl_steps",
            "steady_first",
            "steady_seeds",
            "steady_controls",
            "prompts",
            "group",
            "asked",
            "chosen",
        )
        return {name: getattr(self, name) for name in names}

    def test_time_parameters(self) -> dict[str, object]:
        """What shapes the rows of notebooks 04 and 05, besides the models that they start from."""
        names = (
            "steps",
            "rl_steps",
            "steady_first",
            "solver_seeds",
            "large_seeds",
            "gate",
            "asked",
            "candidates",
            "deep",
            "deep_samples",
            "chosen",
        )
        return {name: getattr(self, name) for name in names}
