"""The ledger: every claim with its verdict, the numbers behind it, and the facts and rows it read.

Three rules stand above the predicates. A verdict that rests on a recalled, unchecked number is lowered to
"unresolved". A claim that read neither a fact nor a row can never be decided. And "recomputed" is said only
where something was computed from what others printed: else it is "derived" or "consistent as printed".
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from k2repro.errors import K2ReproError
from k2repro.paper.claims import SOURCES, Claim, load_claims
from k2repro.paper.confidence import COMPUTED_HERE, CORROBORATED, UNCHECKED
from k2repro.paper.facts import FactBook
from k2repro.paper.loading import load_facts
from k2repro.paper.outcome import (
    CONSISTENT,
    DECISIVE,
    DERIVED,
    RECOMPUTED,
    UNRESOLVED,
    VERDICTS,
    Evidence,
    Judgement,
)
from k2repro.paper.predicates import PREDICATES
from k2repro.paper.tables import Cell
from k2repro.results import Row


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim's verdict with everything that led to it.

    published      the published cells as a table would show them, by fact key
    numbers        the numbers behind the reason, by name
    facts_used     keys of the facts that the predicate read, with `facts_hash` over them
    rows_used      ids of needed rows that exist; `rows_missing` those that do not
    """

    claim: Claim
    verdict: str
    reason: str
    published: Mapping[str, str]
    numbers: Mapping[str, float]
    facts_used: tuple[str, ...]
    facts_hash: str
    rows_used: tuple[str, ...]
    rows_missing: tuple[str, ...]


def evaluate_claims(
    rows: Mapping[str, Row] | None = None, book: FactBook | None = None, claims: Iterable[Claim] | None = None
) -> list[ClaimVerdict]:
    """Verdicts on all claims, in the order of `claims.toml`.

    rows     measured rows by id; default none, so claims that wait for them are unresolved
    Raises K2ReproError that names the claim when its predicate cannot be computed.
    """
    book = book or load_facts()
    chosen = load_claims() if claims is None else claims
    return [evaluate_claim(claim, rows or {}, book) for claim in chosen]


def evaluate_claim(claim: Claim, rows: Mapping[str, Row], book: FactBook) -> ClaimVerdict:
    """The verdict on one claim; reads nothing but the given rows and facts."""
    predicate = PREDICATES[claim.predicate]
    with book.tracing() as used:
        try:
            evidence = Evidence(book, rows, claim.needs)
            outcome = predicate(evidence, **claim.arguments)
        except K2ReproError as error:
            raise K2ReproError(f"claim {claim.id!r}: {error}") from error
    present = tuple(row for row in claim.needs if row in rows)
    outcome = _guard(claim, _no_stronger(claim, outcome, evidence), used, present, book)
    return ClaimVerdict(
        claim=claim,
        verdict=outcome.verdict,
        reason=outcome.reason,
        published={key: Cell(book.fact(key)).display for key in claim.published},
        numbers=dict(outcome.numbers),
        facts_used=tuple(sorted(used)),
        facts_hash=book.hash_of(used),
        rows_used=present,
        rows_missing=tuple(row for row in claim.needs if row not in rows),
    )


def _no_stronger(claim: Claim, outcome: Judgement, evidence: Evidence) -> Judgement:
    """ "recomputed" only where something was computed, and from what others printed.

    Where the number compared with is the kit's own sum, agreement shows that it adds up twice alike.
    Where nothing was computed, printed numbers agree with printed numbers.
    """
    if outcome.verdict != RECOMPUTED or claim.needs:
        return outcome
    against = claim.arguments.get("published")
    if isinstance(against, str) and evidence.book.fact(against).confidence == COMPUTED_HERE:
        reason = f"{outcome.reason} The number compared with is derived (ᵈ), not printed."
        return Judgement(DERIVED, reason, outcome.numbers)
    if all(quantity.is_fact for quantity in evidence.asked):
        return Judgement(CONSISTENT, outcome.reason, outcome.numbers)
    return outcome


def _guard(
    claim: Claim, outcome: Judgement, used: set[str], rows: tuple[str, ...], book: FactBook
) -> Judgement:
    """Lower a verdict that rests on unchecked numbers; mark one that rests on corroborated ones."""
    if outcome.verdict not in VERDICTS:
        raise K2ReproError(f"claim {claim.id!r}: {outcome.verdict!r} is not a verdict")
    if outcome.verdict not in DECISIVE:
        return outcome
    if not used and not rows:
        raise K2ReproError(
            f"claim {claim.id!r} is {outcome.verdict!r} without reading any fact or row. "
            "Usual cause: a constant in its predicate"
        )
    words = {book.fact(key).confidence for key in used}
    if UNCHECKED in words:
        reason = f"{outcome.reason} Rests on recalled numbers (ᵘ), so it decides nothing."
        return Judgement(UNRESOLVED, reason, outcome.numbers)
    if CORROBORATED in words:
        reason = f"{outcome.reason} Reads recalled numbers that agree with other prints (ᵐ)."
        return Judgement(outcome.verdict, reason, outcome.numbers)
    return outcome


def count_verdicts(verdicts: Iterable[ClaimVerdict]) -> dict[str, int]:
    """How many claims have each verdict, every verdict listed."""
    counted = Counter(verdict.verdict for verdict in verdicts)
    return {name: counted[name] for name in VERDICTS}


def claims_by_source(verdicts: Iterable[ClaimVerdict]) -> dict[str, dict[str, int]]:
    """Source -> verdict -> number of claims; every source and every verdict is listed."""
    counted = {source: dict.fromkeys(VERDICTS, 0) for source in SOURCES}
    for entry in verdicts:
        counted[entry.claim.source][entry.verdict] += 1
    return counted


def ledger_records(verdicts: Iterable[ClaimVerdict]) -> list[dict[str, object]]:
    """One plain record per claim, for JSON and for other programs."""
    return [
        {
            "id": entry.claim.id,
            "verdict": entry.verdict,
            "source": entry.claim.source,
            "place": entry.claim.place,
            "paraphrase": entry.claim.paraphrase,
            "published": dict(entry.published),
            "reason": entry.reason,
            "numbers": dict(entry.numbers),
            "predicate": entry.claim.predicate,
            "facts_used": list(entry.facts_used),
            "facts_hash": entry.facts_hash,
            "rows_used": list(entry.rows_used),
            "rows_missing": list(entry.rows_missing),
            "note": entry.claim.note,
        }
        for entry in verdicts
    ]


def ledger_as_json(verdicts: list[ClaimVerdict]) -> str:
    """The ledger for machines: counts by verdict, the verdicts' meanings, and all claims."""
    content = {"counts": count_verdicts(verdicts), "verdicts": VERDICTS, "claims": ledger_records(verdicts)}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
