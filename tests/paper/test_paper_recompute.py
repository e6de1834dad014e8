"""Recomputation: the article's and the paper's numbers from their parts, each with a wrong twin."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.architecture import ModelConfig, count_parameters
from k2repro.errors import K2ReproError
from k2repro.paper import QUANTITIES, load_facts
from k2repro.paper.recompute import base_config, omni_share, operand, problem_counts

TABLE_2 = "table2_test_time_ablation"
SIXTEEN = "article/K2-Think on Cerebras/weight precision"
TOTAL = {"of": "parameters", "part": "total"}
WEIGHTS = {"of": "weights", "billions": TOTAL, "bits": SIXTEEN}


def value(of, book=None):
    return operand(book or load_facts(), of).value


@pytest.mark.parametrize(
    ("row", "published"),
    [
        ("+ Plan + Bo3 (K2-Think)", 67.99),
        ("SFT+RL Checkpoint", 63.61),
        ("+ Plan only", 65.95),
        ("+ Bo3 only", 66.85),
    ],
)
def test_the_micro_average_is_weighted_by_problems(row, published):
    """Catches other weights than 30/30/30/173; the wrong twin is the unweighted mean."""
    right = value({"of": "micro_average", "row": f"{TABLE_2}/{row}"})
    twin = value({"of": "macro_average", "row": f"{TABLE_2}/{row}"})
    assert round(right, 2) == published
    assert round(twin, 2) != published


def test_gpt_oss_s_recalled_cells_give_its_printed_average():
    """Catches a recalled cell that was misremembered: one of four off by half a point shows."""
    book = load_facts()
    row = "table1_main_results/GPT-OSS 120B"
    assert round(value({"of": "micro_average", "row": row}), 2) == 67.2
    twin = book.override({f"{row}/HMMT25": 81.38})
    assert round(value({"of": "micro_average", "row": row}, twin), 2) != 67.2


def test_problem_counts_come_from_the_published_protocol():
    """Catches counts typed into the code."""
    book = load_facts()
    assert list(problem_counts(book).values()) == [30, 30, 30, 173]
    small = "eval_protocol/K2-Think/AIME 2024 / AIME 2025 / HMMT25 problems"
    other = book.override({small: "15 / 15 / 30"})
    assert list(problem_counts(other).values()) == [15, 15, 30, 173]
    with pytest.raises(K2ReproError, match="three numbers"):
        problem_counts(book.override({small: "thirty / 30 / 30"}))


def test_omni_has_two_thirds_of_the_weight():
    """Catches shares of benchmarks (one quarter) mistaken for shares of problems."""
    assert round(omni_share(load_facts()).value, 1) == 65.8


@settings(deadline=None, derandomize=True, max_examples=30)
@given(scores=st.lists(st.floats(0, 100), min_size=4, max_size=4))
def test_a_micro_average_lies_between_its_scores(scores):
    """Catches weights that do not sum to one."""
    book = load_facts()
    keys = [f"{TABLE_2}/+ Plan only/{b}" for b in ("AIME 2024", "AIME 2025", "HMMT25", "Omni-MATH-HARD")]
    changed = book.override(dict(zip(keys, scores, strict=True)))
    average = value({"of": "micro_average", "row": f"{TABLE_2}/+ Plan only"}, changed)
    assert min(scores) - 1e-9 <= average <= max(scores) + 1e-9


def test_parameters_follow_from_the_published_shape():
    """Catches a hard-coded count: another vocabulary gives another number, and 32.5 is not it."""
    book = load_facts()
    assert round(value(TOTAL) * 1e9) == count_parameters(ModelConfig.preset("k2-think")).total
    assert round(value(TOTAL), 1) == 32.8
    larger = book.override({"qwen2.5_32b_config/config.json/vocab_size": 200000.0})
    assert value(TOTAL, larger) > value(TOTAL)


def test_a_tied_head_counts_once():
    """Catches the text "false" read as true, which would drop 0.8 billion parameters."""
    book = load_facts()
    assert not base_config(book).tie_word_embeddings
    tied = book.override({"qwen2.5_32b_config/config.json/tie_word_embeddings": "true"})
    assert value(TOTAL, tied) < value(TOTAL)


def test_the_weights_do_not_fit_one_wafer():
    """Catches bits taken for bytes: the wrong twin at 8 bit would fit."""
    assert round(value(WEIGHTS), 2) == 65.53
    assert value({"of": "devices_to_hold", "need": WEIGHTS, "memory": "hardware/WSE-3/memory"}) == 2
    twin = load_facts().override({SIXTEEN: 8.0})
    assert value(WEIGHTS, twin) < load_facts().number("hardware/WSE-3/memory")


def test_the_bandwidth_ratio_depends_on_whose_numbers():
    """Catches the article's 7,000 passed off as the data sheets' ratio."""
    article = {"of": "ratio", "a": "article/WSE-3/bandwidth", "b": "article/H100/bandwidth"}
    sheets = {
        "of": "ratio",
        "a": "hardware/WSE-3/bandwidth",
        "b": {"of": "in_petabytes", "a": "hardware/H100-SXM/bandwidth"},
    }
    assert round(value(article)) == 7000
    assert round(value(sheets)) == 6269


def test_a_roofline_reads_every_weight_but_the_embedding():
    """Catches the input embedding, of which one row is read, counted as a whole matrix."""
    one = {"of": "decode_roofline", "bandwidth": "hardware/H100-SXM/bandwidth", "bits": SIXTEEN}
    assert round(value(one), 1) == 52.4
    assert round(3350 / value(WEIGHTS), 1) == 51.1


def test_the_cache_of_a_full_window_is_gigabytes():
    """Catches keys without values, or query heads in place of key and value heads."""
    cache = {"of": "kv_cache", "tokens": "article/K2-Think/context window", "bits": SIXTEEN}
    assert math.isclose(value(cache), 128_000 * 262_144 / 1e9)
    assert value({"of": "kv_bytes_per_token", "bits": SIXTEEN}) == 262_144


def test_length_changes_are_negative():
    """Catches old and new swapped."""
    table = "table3_response_length"
    change = {
        "of": "percent_change",
        "new": f"{table}/K2-Think (Plan+Bo3)/AIME 2024",
        "old": f"{table}/SFT+RL Checkpoint/AIME 2024",
    }
    assert round(value(change), 1) == -6.7
    assert round(value({**change, "new": change["old"], "old": change["new"]}), 1) == 7.2


def test_the_noise_of_a_thirty_problem_set():
    """Catches 16 runs counted as 480 independent problems."""
    error = {
        "of": "binomial_error",
        "score": f"{TABLE_2}/SFT+RL Checkpoint/AIME 2024",
        "problems": {"of": "problems_in", "benchmark": "AIME 2024"},
    }
    assert round(value(error), 1) == 6.3


def test_a_curve_s_end_depends_on_no_other_point():
    """Catches a trace that lists fifty points for a number made of one."""
    book = load_facts()
    name = "TL: RL from base, AIME"
    with book.tracing() as used:
        value({"of": "curve_point", "name": name, "at": "last"})
    assert used == {f"fig4_rl_curves/{name}/2500"}
    with book.tracing() as used:
        value({"of": "curve_point", "name": name, "at": "peak"})
    assert len(used) == 50


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (67.99, "neither a fact key nor a table"),
        ({"a": "b"}, "neither a fact key nor a table"),
        ({"of": "micro_avrage", "row": "t/r"}, "did you mean 'micro_average'"),
        ({"of": "micro_average"}, "lacks the argument 'row'"),
        ({"of": "micro_average", "row": "t/r", "weight": "x"}, "unknown argument"),
        ({"of": "parameters", "part": "half"}, "part of the parameters"),
        ({"of": "problems_in", "benchmark": "MATH500"}, "maths benchmark"),
        ({"of": "curve_point", "name": "TL: RL from base, AIME", "at": "middle"}, "place on a curve"),
    ],
)
def test_a_bad_operand_is_explained(of, message):
    """Catches literals and misspelt quantities, which would make a verdict a constant."""
    with pytest.raises(K2ReproError, match=message):
        value(of)


def test_every_quantity_says_what_it_is():
    """Catches an undocumented formula, and a function registered under another name."""
    for name, function in QUANTITIES.items():
        assert function.__doc__
        assert function.__name__ == name
