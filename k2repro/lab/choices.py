"""The tuning log (`choices.toml`): what was changed after a first try, and what stood in sight."""

import re
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources

from k2repro.errors import K2ReproError, unknown

FILE = "choices.toml"
STAGES = ("base", "sft", "rl", "test time")
ON_TEST = "test"
SIGHTS = (ON_TEST, "validation", "loss", "time")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class TuningChoice:
    """One setting that was changed; the keys are explained at the head of `choices.toml`."""

    stage: str
    date: str
    setting: str
    seen: tuple[str, ...]
    runs: str
    why: str

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise unknown("stage", self.stage, STAGES)
        for sight in self.seen:
            if sight not in SIGHTS:
                raise unknown("sight", sight, SIGHTS)
        if not (self.seen and self.setting and self.runs and self.why and DAY.fullmatch(self.date)):
            raise K2ReproError(
                f"a choice of {self.date!r} needs a day, a setting, what was seen, runs and why"
            )

    def record(self) -> dict[str, str]:
        """A line of a table."""
        return {
            "date": self.date,
            "changed": f"{self.stage}: {self.setting}",
            "seen": ", ".join(self.seen),
            "on": self.runs,
            "why": self.why,
        }


def parse_choices(text: str) -> tuple[TuningChoice, ...]:
    """The choices of a text in its order. Raises K2ReproError for a key that is unknown or lacks."""
    known = [each.name for each in fields(TuningChoice)]
    found = []
    for block in tomllib.loads(text).get("choice", []):
        for key in block:
            if key not in known:
                raise unknown("key of a choice", key, known)
        if missing := [key for key in known if key not in block]:
            raise K2ReproError(f"a choice of {block.get('date')!r} lacks {', '.join(missing)}")
        found.append(TuningChoice(**{**block, "seen": tuple(block["seen"])}))
    return tuple(found)


@cache
def load_choices() -> tuple[TuningChoice, ...]:
    """Every choice that ships."""
    return parse_choices((resources.files("k2repro.lab") / FILE).read_text(encoding="utf-8"))


def choice_records(*stages: str) -> list[dict[str, str]]:
    """The tuning log of these stages as a table, those with test scores in sight first."""
    for stage in stages:
        if stage not in STAGES:
            raise unknown("stage", stage, STAGES)
    chosen = [each for each in load_choices() if each.stage in stages]
    return [each.record() for each in sorted(chosen, key=lambda each: ON_TEST not in each.seen)]
