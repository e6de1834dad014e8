"""What `k2repro doctor` prints about the sandbox: the levels of this machine, and the attacks on each."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from k2repro.errors import K2ReproError, unknown
from k2repro.tables import Table
from k2repro.verify.attack import Attack, Finding, load_attacks, run_attacks
from k2repro.verify.ladder import LEVELS, available_levels, why_missing


@dataclass(frozen=True)
class AttackReport:
    """Findings at every level that was attacked."""

    attacks: tuple[Attack, ...]
    findings: dict[str, tuple[Finding, ...]]  # level -> one for each attack

    @property
    def contained(self) -> bool:
        """Whether nothing got out anywhere."""
        return all(finding.contained for found in self.findings.values() for finding in found)

    def as_text(self) -> str:
        """The table, the levels, and a sentence for each attack that got out."""
        lines = [self._table().as_text(), "", level_table().as_text()]
        for level, found in self.findings.items():
            lines += [
                f"{level}: {finding.attack.name} ({finding.attack.kind}): {finding.wrong}"
                for finding in found
                if not finding.contained
            ]
        count = len(self.attacks) * len(self.findings)
        out = sum(not finding.contained for found in self.findings.values() for finding in found)
        return "\n".join([*lines, "", f"{count} runs, {out} not contained"])

    def as_json(self) -> str:
        """For machines: one object for each run."""
        return json.dumps(
            [
                {
                    "level": level,
                    "version": LEVELS[level].version(),
                    "kind": finding.attack.kind,
                    "attack": finding.attack.name,
                    "reason": finding.reason,
                    "contained": finding.contained,
                    "wrong": finding.wrong,
                }
                for level, found in self.findings.items()
                for finding in found
            ],
            indent=1,
        )

    def _table(self) -> Table:
        records = [
            {
                "kind": attack.kind,
                "attack": attack.name,
                **{level: _cell(found[at]) for level, found in self.findings.items()},
            }
            for at, attack in enumerate(self.attacks)
        ]
        return Table.of_records(
            records, ["kind", "attack", *self.findings], "Attacks on the sandbox of this machine"
        )


def attack_report(levels: Sequence[str], kinds: Sequence[str], say: Callable[[str], None]) -> AttackReport:
    """Run the attacks at some levels, all that are here without a choice. say: told what is going on.

    Raises K2ReproError for a level that is not here, for a kind that is unknown, and without any level.
    """
    attacks = load_attacks(kinds)
    for level in levels:
        if level not in LEVELS:
            raise unknown("sandbox level", level, LEVELS)
        if why := why_missing(level):
            raise K2ReproError(f"the sandbox level {level} is not available on this system: {why}")
    chosen = tuple(dict.fromkeys(levels)) or available_levels()
    if not chosen:
        raise K2ReproError(
            "no sandbox level is available on this system; `k2repro doctor` says what each lacks"
        )
    findings = {}
    for level in chosen:
        say(f"{level} {LEVELS[level].version()}: {len(attacks)} attacks")
        findings[level] = tuple(_told(run_attacks(LEVELS[level], attacks), say))
    return AttackReport(tuple(attacks), findings)


def _told(findings: Iterable[Finding], say: Callable[[str], None]) -> Iterator[Finding]:
    kind = ""
    for finding in findings:
        if finding.attack.kind != kind:
            kind = finding.attack.kind
            say(f"  {kind}")
        if not finding.contained:
            say(f"    NOT CONTAINED: {finding.attack.name}: {finding.wrong}")
        yield finding


def _cell(finding: Finding) -> str:
    return "contained" if finding.contained else "GOT OUT"


def level_table() -> Table:
    """The rungs of the ladder in their order: version, and what a missing one lacks."""
    records = []
    for name, level in LEVELS.items():
        why = why_missing(name)
        records.append(
            {"level": name, "version": "-" if why else level.version(), "state": why or "works here"}
        )
    return Table.of_records(
        records, ["level", "version", "state"], "Sandbox levels, in the order of the ladder"
    )
