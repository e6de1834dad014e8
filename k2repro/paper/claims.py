"""The claims: what the article, the paper, the card and their critics state, each with its predicate.

`claims.toml` is the ledger's source. Adding a claim is one `[[claim]]` block; a number that needs more
than a difference or a ratio is one small function in `recompute`.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache

from k2repro.errors import K2ReproError, unknown
from k2repro.paper.facts import FactBook
from k2repro.paper.loading import load_facts
from k2repro.paper.predicates import PREDICATES
from k2repro.paper.quantity import bind
from k2repro.paper.row_predicates import ROW_PREDICATES
from k2repro.reading import REPAIR, shipped_text

# Those who made the system first; the article is by others.
SOURCES = ("paper", "model card", "repository", "critique", "article")
CLAIM_ID = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
ROW_ID = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
TEXT_KEYS = ("id", "source", "place", "paraphrase", "predicate")


@dataclass(frozen=True)
class Claim:
    """One checkable statement.

    source, place   who states it and under which heading
    paraphrase      the statement in our own words
    published       fact keys of the published numbers, shown beside the verdict
    predicate       name in `PREDICATES`; `arguments` are its arguments
    needs           row ids that it waits for, the one that decides first
    note            why a tolerance was chosen, or what a reader should know
    minor           a slip without consequence for the system: listed after the others
    """

    id: str
    source: str
    place: str
    paraphrase: str
    predicate: str
    published: tuple[str, ...] = ()
    arguments: Mapping[str, object] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    note: str = ""
    minor: bool = False


def read_claims(text: str, book: FactBook) -> tuple[Claim, ...]:
    """Claims of a TOML text in file order; raises K2ReproError that names the claim and the rule."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise K2ReproError(f"claims.toml is not TOML: {error}") from None
    for key in content:
        if key != "claim":
            raise unknown("table in claims.toml", key, ["claim"])
    claims: dict[str, Claim] = {}
    for block in content.get("claim", []):
        claim = _claim(block, book)
        if claim.id in claims:
            raise K2ReproError(f"claim {claim.id!r} stands twice in claims.toml")
        claims[claim.id] = claim
    return tuple(claims.values())


def _claim(block: Mapping[str, object], book: FactBook) -> Claim:
    name = block.get("id")
    known = [each.name for each in fields(Claim)]
    for key in block:
        if key not in known:
            raise unknown(f"key of claim {name!r}", key, known)
    texts = {}
    for key in TEXT_KEYS:
        value = block.get(key)
        if not isinstance(value, str) or not value.strip():
            raise K2ReproError(f"claim {name!r} needs {key!r} as text, not {value!r}")
        texts[key] = value
    arguments = block.get("arguments", {})
    if not isinstance(arguments, Mapping):
        raise K2ReproError(f"claim {name!r}: arguments {arguments!r} is not a table")
    claim = Claim(
        **texts,
        published=_names(block, "published"),
        arguments=arguments,
        needs=_names(block, "needs"),
        note=str(block.get("note", "")),
        minor=block.get("minor") is True,
    )
    _check(claim, book)
    return claim


def _names(block: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = block.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise K2ReproError(f"claim {block['id']!r}: {key} = {value!r} is not a list of names")
    return tuple(value)


def _check(claim: Claim, book: FactBook) -> None:
    if not CLAIM_ID.fullmatch(claim.id):
        raise K2ReproError(f"claim id {claim.id!r} is not lower case with dots and hyphens")
    if claim.source not in SOURCES:
        raise unknown(f"source of claim {claim.id!r}", claim.source, SOURCES)
    if claim.predicate not in PREDICATES:
        raise unknown(f"predicate of claim {claim.id!r}", claim.predicate, PREDICATES)
    bind(f"predicate of claim {claim.id!r},", claim.predicate, PREDICATES[claim.predicate], claim.arguments)
    for key in claim.published:
        book.fact(key)
    if bool(claim.needs) != (claim.predicate in ROW_PREDICATES):
        raise K2ReproError(
            f"claim {claim.id!r}: needs = {list(claim.needs)} with predicate {claim.predicate!r}. "
            f"Rows and these predicates go together: {', '.join(ROW_PREDICATES)}"
        )
    for row in claim.needs:
        if not ROW_ID.fullmatch(row):
            raise K2ReproError(f"claim {claim.id!r} waits for {row!r}, which is not a row id")


@cache
def load_claims() -> tuple[Claim, ...]:
    """Every claim of the package, in the order of the file."""
    text = shipped_text("k2repro.paper", "claims.toml")
    claims = read_claims(text, load_facts())
    if not claims:
        raise K2ReproError(f"claims.toml holds no claim. {REPAIR}")
    return claims


def find_claim(claim_id: str, claims: Iterable[Claim] | None = None) -> Claim:
    """One claim by id; raises K2ReproError with near names for an id that does not exist."""
    by_id = {claim.id: claim for claim in (load_claims() if claims is None else claims)}
    if claim_id not in by_id:
        near = difflib.get_close_matches(claim_id, by_id, n=5, cutoff=0.5)
        hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
        # `errors.unknown` would print every id, a screen full; the command lists them with their text.
        known = f"{len(by_id)} claims, listed by `k2repro claims`"
        raise K2ReproError(f"unknown claim {claim_id!r};{hint} Known: {known}")
    return by_id[claim_id]
