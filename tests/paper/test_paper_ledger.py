"""The ledger: headline verdicts, guards above the predicates, and what the command line prints."""

import json

import pytest

from k2repro.errors import K2ReproError
from k2repro.paper import (
    VERDICTS,
    Fact,
    FactBook,
    cli_claims,
    count_verdicts,
    evaluate_claims,
    find_claim,
    ledger_as_json,
    load_facts,
)
from k2repro.paper.claims import Claim
from k2repro.paper.ledger import evaluate_claim
from k2repro.results import Fingerprint, Row, write_rows

HASH = "0" * 16
WHERE = Fingerprint(python="3.11", torch="2.13.0", cpu_capability="AVX2", threads=1)


def row(row_id, value, interval, scale="mini", unit="points"):
    return Row(
        id=row_id,
        value=value,
        unit=unit,
        n=100,
        interval=interval,
        interval_method="bootstrap by seed and problem, 95 %",
        seeds=(0, 1, 2),
        profile="laptop",
        params_hash=HASH,
        code_hash=HASH,
        data_hash=HASH,
        fingerprint=WHERE,
        scale=scale,
    )


def verdict(claim_id, rows=None):
    return evaluate_claim(find_claim(claim_id), rows or {}, load_facts())


@pytest.mark.parametrize(
    ("claim_id", "expected"),
    [
        ("paper.micro-average.k2-think", "recomputed"),
        ("paper.micro-average.checkpoint", "derived"),
        ("paper.micro-average.plan-only", "derived"),
        ("paper.micro-average.best-of-3-only", "derived"),
        ("paper.micro-average.gpt-oss-120b", "recomputed"),
        ("paper.micro-average.deepseek-v3-1", "unresolved"),
        ("paper.length-change.aime-2024", "unresolved"),
        ("paper.plan-alone-lowers-aime-2024", "consistent as printed"),
        ("article.planning-gains-across-benchmarks", "unresolved"),
        ("paper.greatest-gains-from-best-of-3.average", "recomputed"),
        ("article.close-to-deepseek-v31-on-aime-2024", "consistent as printed"),
        ("article.contamination-from-pre-training", "unresolved"),
        ("repository.kv-cache-per-token", "derived"),
        ("article.bandwidth-removes-the-bottleneck", "unresolved"),
        ("paper.sixteen-runs", "unresolved"),
        ("model-card.safety-macro", "recomputed"),
        ("article.parameters-32-5-billion", "recomputed"),
        ("article.one-twentieth-of-r1", "recomputed"),
        ("article.sixteen-bit-on-one-wafer", "contradicted"),
        ("article.bandwidth-ratio", "recomputed"),
        ("article.bandwidth-ratio.from-datasheets", "contradicted"),
        ("model-card.32k-tokens-on-the-wafer", "recomputed"),
        ("model-card.32k-tokens-on-gpus", "recomputed"),
        ("article.length-reduction-6-to-11-percent", "contradicted"),
        ("article.r1-scores-82-5-on-aime-2025", "unresolved"),
        ("article.rl-improves-accuracy.livecodebench", "unresolved"),
        ("article.rl-from-base-gain", "direction only"),
        ("article.aime-2024-score", "unresolved"),
        ("article.safety-refusal", "not testable here"),
        ("critique.omni-weight", "recomputed"),
    ],
)
def test_headline_verdicts(claim_id, expected):
    """Catches a verdict that changed because a predicate, not a fact, was changed."""
    assert verdict(claim_id).verdict == expected


def test_the_grid_claim_names_its_cells():
    """Catches a verdict without the cells that caused it."""
    reason = verdict("paper.sixteen-runs").reason
    assert "3 of 12 cells" in reason
    for cell in ("90.77 (nearest 90.83)", "81.22 (nearest 81.25)", "71.16 (nearest 71.25)"):
        assert cell in reason


def test_a_verdict_without_evidence_is_refused():
    """Catches "recomputed" by a constant: no fact read, no row used."""
    claim = Claim("x.constant", "article", "here", "A constant.", "undecided", arguments={"reason": "None."})
    assert evaluate_claim(claim, {}, load_facts()).verdict == "unresolved"
    from k2repro.paper.ledger import _guard
    from k2repro.paper.outcome import Judgement

    with pytest.raises(K2ReproError, match="without reading any fact or row"):
        _guard(claim, Judgement("recomputed", "because"), set(), (), load_facts())


def test_recalled_numbers_lower_a_verdict_and_say_so():
    """Catches a memory-only number deciding; the corroborated twin keeps its verdict with a mark."""

    def judge(word):
        cells = [Fact("t", "r", "a", "1.0", "%", "s", word), Fact("t", "r", "b", "1.0", "%", "s", "verbatim")]
        arguments = {"recomputed": "t/r/a", "published": "t/r/b"}
        claim = Claim("x.recalled", "paper", "here", "A number.", "rounds_to", arguments=arguments)
        return evaluate_claim(claim, {}, FactBook(cells))

    assert judge("memory-unverified").verdict == "unresolved"
    assert "ᵘ" in judge("memory-unverified").reason
    assert judge("memory-corroborated").verdict == "consistent as printed"
    assert "ᵐ" in judge("memory-corroborated").reason
    assert "ᵐ" not in judge("verbatim").reason


def test_a_claim_that_cannot_be_computed_is_named():
    """Catches an error from deep inside that names no claim."""
    missing = load_facts().override({"article/K2-Think/layers": None})
    with pytest.raises(K2ReproError, match="claim 'article.layers-64'"):
        evaluate_claims(book=missing, claims=[find_claim("article.layers-64")])


def test_rows_turn_a_waiting_claim_into_a_verdict():
    """Catches rows that the ledger never looks at."""
    waiting = verdict("article.planning-helps")
    assert (waiting.verdict, waiting.rows_missing) == ("unresolved", ("planning.gain",))
    gain = row("planning.gain", 18.0, (15.0, 21.0))
    decided = verdict("article.planning-helps", {gain.id: gain})
    assert (decided.verdict, decided.rows_used, decided.rows_missing) == (
        "reproduced at mini scale",
        ("planning.gain",),
        (),
    )
    loss = row("planning.gain", -18.0, (-21.0, -15.0))
    assert verdict("article.planning-helps", {loss.id: loss}).verdict == "contradicted"


def test_recomputed_needs_a_computation_from_what_others_printed():
    """Catches the kit's sums checked against themselves, and printed orders, counted as recomputed."""

    def judge(published, **cells):
        facts = [Fact("t", "r", name, text, "", "s", word) for name, (text, word) in cells.items()]
        arguments = {"recomputed": {"of": "difference", "a": "t/r/a", "b": "t/r/b"}, "published": "t/r/c"}
        claim = Claim("x.y", "paper", "here", "A sum.", "rounds_to", published=published, arguments=arguments)
        return evaluate_claim(claim, {}, FactBook(facts)).verdict

    printed = {"a": ("3.0", "verbatim"), "b": ("1.0", "verbatim")}
    assert judge((), **printed, c=("2.0", "verbatim")) == "recomputed"
    assert judge((), **printed, c=("2.0", "derived")) == "derived"
    assert judge((), **printed, c=("2.5", "derived")) == "contradicted"
    assert verdict("article.layers-64").verdict == "consistent as printed"


def test_verdicts_carry_their_provenance():
    """Catches a ledger entry that cannot be traced back to cells."""
    entry = verdict("paper.micro-average.plan-only")
    assert len(entry.facts_used) == 7
    assert entry.facts_hash == load_facts().hash_of(entry.facts_used)
    assert list(entry.published.values()) == ["65.95ᵈ"]


def test_counts_cover_every_verdict():
    """Catches a claim that appears in no group."""
    found = evaluate_claims()
    counts = count_verdicts(found)
    assert list(counts) == list(VERDICTS)
    assert sum(counts.values()) == len(found)


def test_json_is_complete_and_plain():
    """Catches a ledger for machines that leaves out what the text shows."""
    content = json.loads(ledger_as_json(evaluate_claims()))
    assert sum(content["counts"].values()) == len(content["claims"])
    one = next(c for c in content["claims"] if c["id"] == "article.sixteen-bit-on-one-wafer")
    assert one["verdict"] == "contradicted"
    assert one["numbers"]["value"] > one["numbers"]["limit"] == 44


def test_text_shows_counts_first_and_every_claim_once():
    """Catches claims lost or doubled between groups."""
    text = cli_claims()
    found = evaluate_claims()
    assert text.startswith(f"{len(found)} claims\n")
    for entry in found:
        assert text.splitlines().count(entry.claim.id) == 1
    assert all(len(line) <= 96 for line in text.splitlines() if "/" not in line)


def test_one_claim_one_verdict():
    """Catches filters that are accepted and ignored."""
    assert cli_claims(claim_id="article.layers-64").startswith("1 claim\n")
    chosen = json.loads(cli_claims(json=True, verdict="contradicted"))["claims"]
    assert {claim["verdict"] for claim in chosen} == {"contradicted"}


def test_rows_are_read_from_a_folder(tmp_path):
    """Catches `--rows` accepted and ignored."""
    write_rows(tmp_path / "04_planning.jsonl", [row("planning.gain", 18.0, (15.0, 21.0))])
    text = cli_claims(claim_id="article.planning-helps", rows_dir=tmp_path)
    assert "reproduced at mini scale. planning.gain = 18 [15, 21] points" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"claim_id": "paper.micro-average.k2think"}, "did you mean 'paper.micro-average.k2-think'"),
        ({"verdict": "contradictd"}, "did you mean 'contradicted'"),
    ],
)
def test_bad_names_list_near_ones(arguments, message):
    """Catches a typing slip answered with an empty ledger."""
    with pytest.raises(K2ReproError, match=message):
        cli_claims(**arguments)


def test_a_missing_rows_folder_is_explained(tmp_path):
    """Catches a misspelt folder read as "nothing measured yet"."""
    with pytest.raises(K2ReproError, match="does not exist"):
        cli_claims(rows_dir=tmp_path / "absent")
