"""Which predicates were declared anew, when and why (`changes.toml`)."""

from dataclasses import dataclass, fields
from functools import cache

from k2repro.errors import K2ReproError, unknown
from k2repro.reading import shipped_toml

EVERY_CLAIM = "*"


@dataclass(frozen=True)
class Change:
    """One rule that was changed after its first declaration; `claim` is "*" where it holds for all."""

    claim: str
    date: str
    was: str
    now: str
    why: str

    def record(self) -> dict[str, str]:
        """A line of a table."""
        claim = "every claim" if self.claim == EVERY_CLAIM else self.claim
        return {"claim": claim, "date": self.date, "was": self.was, "now": self.now, "why": self.why}


@cache
def load_changes() -> tuple[Change, ...]:
    """Every change in the order of the file; a block with other keys raises K2ReproError."""
    content = shipped_toml("k2repro.paper", "changes.toml")
    known = [field.name for field in fields(Change)]
    found = []
    for block in content.get("change", []):
        for key in block:
            if key not in known:
                raise unknown("key of a change", key, known)
        if missing := [key for key in known if not block.get(key)]:
            raise K2ReproError(f"a change of {block.get('claim')!r} lacks {', '.join(missing)}")
        found.append(Change(**block))
    return tuple(found)
