"""Attacks on the sandbox, each with a witness outside: what `k2repro doctor --sandbox` runs on this machine.

The programs are data (`attacks/*.toml`, a file for each kind). They are harmless by construction: they aim at
things that exist for one attack only (`targets.Targets`), or ask for what changes nothing when it is granted.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.verify.judge import judge
from k2repro.verify.level import Level
from k2repro.verify.schema import FunctionTest, Limits, TestRun
from k2repro.verify.targets import Targets

LIMITS = Limits(seconds=1.0, memory_mb=128)
_SUBSET = "monty"
# In the subset interpreter most attacks end at a feature that it lacks; these words mean "it went through".
_THROUGH = frozenset({"passed", "wrong answer"})


@dataclass(frozen=True)
class Attack:
    """One hostile program.

    It is called with the targets and returns the names of what was not refused, so [] is right; or, with
    `forge`, it is asked for 2 + 3 and never adds. ends: other words that a run may end with. next: a program
    that is run after it and must find nothing. bare: whether something gets through without a sandbox.
    """

    kind: str
    name: str
    source: str
    forge: bool = False
    ends: tuple[str, ...] = ()
    next: str = ""
    bare: bool = True


@dataclass(frozen=True)
class Finding:
    """What became of one attack at one level."""

    attack: Attack
    level: str
    reason: str  # the word of the run
    wrong: str  # empty when the attack was contained

    @property
    def contained(self) -> bool:
        """Whether nothing got out."""
        return not self.wrong


def load_attacks(kinds: Sequence[str] = ()) -> list[Attack]:
    """All attacks, or those of some kinds, in the order of the files. K2ReproError for another kind."""
    folder = files("k2repro.verify") / "attacks"
    data = [entry.name for entry in folder.iterdir() if entry.name.endswith(".toml")]
    names = sorted(name.removesuffix(".toml") for name in data)
    for kind in kinds:
        if kind not in names:
            raise unknown("kind of attack", kind, names)
    prelude = (folder / "prelude.txt").read_text(encoding="utf-8")
    return [
        _attack(kind, entry, prelude)
        for kind in names
        if not kinds or kind in kinds
        for entry in tomllib.loads((folder / f"{kind}.toml").read_text(encoding="utf-8"))["attack"]
    ]


def _attack(kind: str, entry: dict[str, Any], prelude: str) -> Attack:
    try:
        told = {**entry, "ends": tuple(entry.get("ends", ()))}
        if not entry.get("forge"):
            told["source"] = prelude + entry["source"]
        if "next" in entry:
            told["next"] = prelude + entry["next"]
        return Attack(kind, **told)
    except (KeyError, TypeError) as error:
        raise K2ReproError(f"attacks/{kind}.toml: {entry.get('name', '?')}: {error}") from error


def run_attacks(level: Level, attacks: Sequence[Attack], limits: Limits = LIMITS) -> Iterator[Finding]:
    """Run attacks at one level, one after the other. Raises LevelMissing."""
    for attack in attacks:
        with Targets() as targets:
            run = judge(level, attack.source, [_test(attack, targets)], limits)
            wrong = _wrong(attack, run, level.name)
            if attack.next and not wrong:
                found = judge(level, attack.next, [_test(attack, targets)], limits)
                wrong = _wrong(attack, found, level.name)
            wrong = wrong or ", ".join(targets.disturbed())
        yield Finding(attack, level.name, run.reason, wrong)


def _test(attack: Attack, targets: Targets) -> FunctionTest:
    return FunctionTest((2, 3), 5) if attack.forge else FunctionTest((targets.told(),), [])


def _wrong(attack: Attack, run: TestRun, level: str) -> str:
    """Why the run is not that of a contained attack, or ""."""
    if attack.forge:
        return "passed" if run.passed else ""
    if level == _SUBSET:
        fine = run.reason not in _THROUGH - {*attack.ends, "passed"}
    else:
        fine = run.reason in (attack.ends or ("passed",))
    return "" if fine else f"{run.reason} {run.detail}".strip()
