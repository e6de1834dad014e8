"""Mutation: change any fact that a decided claim read, and the claim has to notice."""

import re

import pytest

from k2repro.errors import K2ReproError
from k2repro.paper import evaluate_claims, load_claims, load_facts
from k2repro.paper.ledger import evaluate_claim

DECIDED = [
    entry for entry in evaluate_claims() if entry.verdict in ("recomputed", "contradicted", "direction only")
]
RECOMPUTED = [entry for entry in DECIDED if entry.verdict == "recomputed"]
FACTORS = (1.5, 0.5, 2.0, 0.8, 1e3, 1e-3)


def mutants(printed):
    """Other cells in place of this one: scaled numbers, or another text."""
    try:
        number = float(printed.removeprefix("~"))
    except ValueError:
        first = re.sub(r"\d+", lambda found: str(2 * int(found[0])), printed, count=1)
        flipped = {"true": "false", "false": "true"}.get(printed, f"not {printed}")
        return [first if first != printed else flipped]
    return [number * factor for factor in FACTORS] if number else [1.0, -1.0]


def outcomes(entry, key):
    """What the claim says for every mutant of one fact; a mutant that cannot be computed is skipped."""
    book = load_facts()
    for mutant in mutants(book.fact(key).printed):
        try:
            yield evaluate_claim(entry.claim, {}, book.override({key: mutant}))
        except K2ReproError:
            continue


@pytest.mark.parametrize("entry", DECIDED, ids=lambda entry: entry.claim.id)
def test_every_fact_that_was_read_matters(entry):
    """Catches a verdict by a constant, and a trace that lists facts which play no part."""
    assert entry.facts_used
    for key in entry.facts_used:
        seen = [(new.verdict, new.numbers, new.reason) for new in outcomes(entry, key)]
        assert any(now != (entry.verdict, entry.numbers, entry.reason) for now in seen), key


@pytest.mark.parametrize("entry", RECOMPUTED, ids=lambda entry: entry.claim.id)
def test_a_recomputed_claim_can_come_out_against(entry):
    """Catches a predicate that says "recomputed" whatever the facts say."""
    verdicts = {new.verdict for key in entry.facts_used for new in outcomes(entry, key)}
    assert "contradicted" in verdicts or "direction only" in verdicts


@pytest.mark.parametrize(
    "entry", [entry for entry in DECIDED if entry.verdict == "contradicted"], ids=lambda entry: entry.claim.id
)
def test_a_contradicted_claim_can_come_out_in_favour(entry):
    """Catches a predicate that is set against the paper whatever the facts say."""
    if entry.claim.predicate == "texts_differ":
        stated, found = entry.claim.arguments["stated"], entry.claim.arguments["found"]
        book = load_facts().override({stated: load_facts().text(found)})
        assert evaluate_claim(entry.claim, {}, book).verdict == "unresolved"
        return
    assert "contradicted" not in {evaluate_claim(entry.claim, {}, agreeing(entry)).verdict}


def agreeing(entry):
    """A book in which the claim holds: the stated side of the comparison is replaced."""
    book, arguments, numbers = load_facts(), entry.claim.arguments, entry.numbers
    if entry.claim.predicate == "all_higher":
        return book.override(lift(entry))
    if entry.claim.predicate == "all_between":
        return book.override({arguments["low"]: 0.0, arguments["high"]: 100.0})
    if entry.claim.predicate == "on_grid":
        return book.override({arguments["runs"]: 1e6})
    if entry.claim.predicate == "at_most":
        return book.override({arguments["limit"]: numbers["value"]})
    if entry.claim.predicate == "equals_source":
        return book.override({arguments["stated"]: numbers["source"]})
    return book.override({arguments["published"]: numbers["recomputed"]})


def lift(entry):
    """Facts on the higher side pushed far up, each by its own amount."""
    keys = {of if isinstance(of, str) else of.get("a", "") for of in entry.claim.arguments["higher"]}
    curves = [
        of["name"] for of in entry.claim.arguments["higher"] if not isinstance(of, str) and "name" in of
    ]
    ends = [
        max((k for k in load_facts() if f"/{name}/" in k), key=lambda k: float(k.rpartition("/")[2]))
        for name in curves
    ]
    return dict.fromkeys([*(key for key in keys if key), *ends], 1e3)


def test_nothing_is_decided_by_a_recalled_number():
    """Catches a memory-only value behind a verdict."""
    book = load_facts()
    for entry in DECIDED:
        words = {book.fact(key).confidence for key in entry.facts_used}
        assert "memory-unverified" not in words, entry.claim.id


def test_the_equal_weight_twin_is_caught():
    """Catches the macro-average sold as the published micro-average."""
    [claim] = [c for c in load_claims() if c.id == "paper.micro-average.k2-think"]
    small = "eval_protocol/K2-Think/AIME 2024 / AIME 2025 / HMMT25 problems"
    equal = load_facts().override({small: "1 / 1 / 1", "eval_protocol/K2-Think/Omni-MATH-HARD problems": 1.0})
    twin = evaluate_claim(claim, {}, equal)
    assert (twin.verdict, round(twin.numbers["recomputed"], 2)) == ("contradicted", 76.64)
