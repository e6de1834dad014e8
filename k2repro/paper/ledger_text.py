"""The ledger for a terminal: counts on top, then one block per claim. Used by `k2repro claims`."""

import textwrap
from pathlib import Path

from k2repro.errors import K2ReproError, unknown
from k2repro.paper.claims import find_claim, load_claims
from k2repro.paper.ledger import ClaimVerdict, count_verdicts, evaluate_claims, ledger_as_json
from k2repro.paper.outcome import VERDICTS
from k2repro.results import load_rows, with_real_rows

WIDTH = 96
LABEL = 12


def render_ledger(verdicts: list[ClaimVerdict]) -> str:
    """Counts by verdict, then the claims grouped by verdict in the order of the file."""
    return "\n\n".join([render_counts(verdicts), *_groups(verdicts)]) + "\n"


def render_counts(verdicts: list[ClaimVerdict]) -> str:
    """One aligned line per verdict with its count and its meaning."""
    counts = count_verdicts(verdicts)
    width = max(map(len, VERDICTS))
    lines = [f"{len(verdicts)} claim{'s' if len(verdicts) != 1 else ''}"]
    lines += [f"  {name:<{width}}  {counts[name]:>4}  {VERDICTS[name]}" for name in VERDICTS]
    return "\n".join(lines)


def _groups(verdicts: list[ClaimVerdict]) -> list[str]:
    groups = []
    for name in VERDICTS:
        found = [entry for entry in verdicts if entry.verdict == name]
        if found:
            heading = f"{name} ({len(found)})"
            groups.append(f"{heading}\n{'-' * len(heading)}")
            groups += [render_claim(entry) for entry in found]
    return groups


def render_claim(entry: ClaimVerdict) -> str:
    """One block: id and place, what is claimed, what was published, the reason, what it waits for."""
    parts = [
        ("stated in", f"{entry.claim.source}: {entry.claim.place}"),
        ("claims", entry.claim.paraphrase),
        ("published", "; ".join(f"{display} ({key})" for key, display in entry.published.items())),
        ("verdict", f"{entry.verdict}. {entry.reason}"),
        ("waits for", ", ".join(entry.rows_missing)),
        ("note", entry.claim.note),
    ]
    lines = [entry.claim.id]
    lines += [_labelled(label, text) for label, text in parts if text]
    return "\n".join(lines)


def _labelled(label: str, text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"  {label:<{LABEL}}",
        subsequent_indent=" " * (LABEL + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def cli_claims(
    json: bool = False, claim_id: str | None = None, rows_dir: Path | None = None, verdict: str | None = None
) -> str:
    """The text that `k2repro claims` prints.

    json       the machine-readable ledger instead of text
    claim_id   only this claim; unknown ids raise K2ReproError with near names
    rows_dir   folder (or file) of measured rows; default none
    verdict    only claims with this verdict; unknown ones raise K2ReproError
    """
    if verdict is not None and verdict not in VERDICTS:
        raise unknown("verdict", verdict, VERDICTS)
    if rows_dir is not None and not rows_dir.exists():
        raise K2ReproError(
            f"rows folder {str(rows_dir)!r} does not exist. "
            "Usual cause: no notebook of this profile was built yet; run `make notebooks`"
        )
    claims = (find_claim(claim_id),) if claim_id is not None else load_claims()
    rows = with_real_rows(load_rows(rows_dir)) if rows_dir is not None else {}
    verdicts = evaluate_claims(rows, claims=claims)
    if verdict is not None:
        verdicts = [entry for entry in verdicts if entry.verdict == verdict]
    return ledger_as_json(verdicts) if json else render_ledger(verdicts)
