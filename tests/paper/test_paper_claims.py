"""The ledger's source: complete, checked on reading, and never decided by a constant."""

import re
from collections import Counter

import pytest

from k2repro.errors import K2ReproError
from k2repro.paper import find_claim, load_claims, load_facts
from k2repro.paper.changes import EVERY_CLAIM, load_changes
from k2repro.paper.claims import read_claims
from k2repro.paper.loading import article_inventory

LITERALS = {"tolerance", "decimals", "beyond", "sign", "limit"}
GOOD = """
[[claim]]
id = "article.layers"
source = "article"
place = "Overview"
paraphrase = "There are 64 layers."
published = ["article/K2-Think/layers"]
predicate = "equals_source"
[claim.arguments]
stated = "article/K2-Think/layers"
source = "qwen2.5_32b_config/config.json/num_hidden_layers"
"""


def read(text):
    return read_claims(text, load_facts())


def test_every_number_of_the_article_has_a_claim_or_a_reason():
    """Catches a statement of the article that the ledger leaves out."""
    known = {claim.id for claim in load_claims()}
    for entry in article_inventory():
        assert bool(entry["claim"]) != bool(entry["reason"]), entry
        assert not entry["claim"] or entry["claim"] in known, entry


def test_the_inventory_and_the_article_s_claims_cover_each_other():
    """Catches a claim about the article that stands nowhere in it."""
    listed = {entry["claim"] for entry in article_inventory()}
    stated = {claim.id for claim in load_claims() if claim.source == "article"}
    assert stated <= listed


def test_the_inventory_holds_every_number():
    """Catches lines lost from the inventory (147 numbers and number words, counted in the article)."""
    tokens = Counter(token for entry in article_inventory() for token in entry["tokens"].split())
    assert sum(tokens.values()) == 147
    assert (tokens["90.83"], tokens["2,000"], tokens["billion"]) == (4, 6, 11)


def test_every_claim_is_a_sentence_of_its_own():
    """Catches empty or copied paraphrases."""
    paraphrases = [claim.paraphrase for claim in load_claims()]
    assert len(set(paraphrases)) == len(paraphrases)
    assert all(re.fullmatch(r"[A-Z0-9].{15,}\.", text) for text in paraphrases)
    assert all(len(text.split()) <= 25 for text in paraphrases)


def numbers_in(value, name=""):
    """Names under which a literal number stands in nested arguments."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in numbers_in(item, key)]
    if isinstance(value, list):
        return [found for item in value for found in numbers_in(item, name)]
    return [name] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_only_tolerances_are_literal():
    """Catches a published or measured number typed into a claim."""
    for claim in load_claims():
        assert set(numbers_in(dict(claim.arguments))) <= LITERALS, claim.id


def test_every_tolerance_is_explained():
    """Catches a tolerance chosen after the fact and left without a reason."""
    for claim in load_claims():
        if claim.arguments.get("tolerance") or "decimals" in claim.arguments:
            exact = claim.predicate == "rounds_to" and claim.arguments.get("decimals") == 2
            assert claim.note or exact or claim.predicate == "on_grid", claim.id


def test_an_unknown_claim_lists_near_names():
    """Catches a bare "not found"."""
    with pytest.raises(K2ReproError, match="did you mean 'article.layers-64'"):
        find_claim("article.layer-64")


def test_a_good_block_is_read_whole():
    """Catches arguments or published keys lost between the file and the claim."""
    [claim] = read(GOOD)
    assert claim.arguments["source"].endswith("num_hidden_layers")
    assert claim.published == ("article/K2-Think/layers",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "article.layers"', 'id = "Article Layers"', "not lower case"),
        ('source = "article"', 'source = "artcle"', "did you mean 'article'"),
        ('predicate = "equals_source"', 'predicate = "equal_source"', "did you mean 'equals_source'"),
        ('place = "Overview"', 'plaice = "Overview"', "did you mean 'place'"),
        ('place = "Overview"', 'place = ""', "needs 'place' as text"),
        ("stated = ", "states = ", "did you mean 'stated'"),
        ('stated = "article/K2-Think/layers"\n', "", "lacks the argument 'stated'"),
        ('["article/K2-Think/layers"]', '["article/K2-Think/layer"]', "did you mean"),
        ('["article/K2-Think/layers"]', '"article/K2-Think/layers"', "not a list of names"),
        ('place = "Overview"', 'place = "Overview"\nneeds = ["a.row"]', "go together"),
        ("[[claim]]", "[[claims]]", "did you mean 'claim'"),
        ("[[claim]]", "[[claim]", "is not TOML"),
    ],
)
def test_a_broken_block_is_explained(old, new, message):
    """Catches a slip in claims.toml that would silently change or drop a claim."""
    with pytest.raises(K2ReproError, match=re.escape(message)):
        read(GOOD.replace(old, new, 1))


def test_an_id_stands_once():
    """Catches a second block that replaces the first."""
    with pytest.raises(K2ReproError, match="stands twice"):
        read(GOOD + GOOD)


def test_a_waiting_claim_names_a_row_id():
    """Catches a row name that no notebook may write."""
    text = GOOD.replace('predicate = "equals_source"', 'predicate = "effect"\nneeds = ["Planning Gain"]')
    text = text[: text.index("[claim.arguments]")]
    with pytest.raises(K2ReproError, match="not a row id"):
        read(text)


def test_every_change_names_a_claim_and_says_why():
    """Catches a predicate declared anew in silence, or a log that speaks of claims that never were."""
    known = {claim.id for claim in load_claims()}
    for change in load_changes():
        assert change.claim in known | {EVERY_CLAIM} or change.now == "removed", change.claim
        assert len(change.why) > 30 and change.was != change.now
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", change.date)
