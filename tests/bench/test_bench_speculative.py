"""What `k2repro bench speculative` shows before it times anything, and what is left when it is stopped."""

import pytest
import torch

from k2repro.bench import BENCHES
from k2repro.bench.same_bits import (
    bits_that_differ,
    compiled_decoder,
    growth_that_differs,
    passes_that_differ,
)
from k2repro.bench.speculative import AT_ONCE, long_prompts, mini_pair, target_of
from k2repro.cli import main
from k2repro.engine.eager import EagerDecoder

PROMPT, TEXT = long_prompts(2, 0)
TEXT = TEXT[:AT_ONCE]
POSITIONS = len(PROMPT) + AT_ONCE


@pytest.fixture(scope="module")
def models():
    """mini-K2, and 27 million parameters grown from it."""
    small, _ = mini_pair()
    return small, target_of(small, "27M")


@pytest.mark.slow
def test_at_27m_a_pass_over_1_to_32_tokens_has_the_bits_of_steps_and_growth_those_of_mini_k2(models):
    """Catches what tiny models cannot show: sums over hundreds of numbers, in another order for more rows."""
    small, large = models
    assert sum(one.numel() for one in large.parameters()) == 26_462_208
    decoder = compiled_decoder(large, POSITIONS)
    words = large.config.vocab_size
    passed = AT_ONCE * (AT_ONCE + 1) // 2
    assert passes_that_differ(decoder, PROMPT, TEXT) == (0, (passed + AT_ONCE - 1) * words)
    assert growth_that_differs(decoder, compiled_decoder(small, POSITIONS), PROMPT, TEXT) == (
        0,
        (AT_ONCE + 1) * words,
    )


@pytest.mark.slow
def test_at_27m_the_module_and_a_norm_that_is_not_rescaled_are_noticed(models):
    """Catches a comparison that cannot fail: matrix products of the library round by their number of rows."""
    small, large = models
    differ, compared = passes_that_differ(EagerDecoder(large, 1, POSITIONS + 1), PROMPT, TEXT[:8])
    assert 0 < differ < compared
    own, epsilon = compiled_decoder(small, POSITIONS), large.config.rms_norm_eps
    large.config.__dict__["rms_norm_eps"] = small.config.rms_norm_eps
    try:
        assert growth_that_differs(compiled_decoder(large, POSITIONS), own, PROMPT, TEXT)[0] > 0
    finally:
        large.config.__dict__["rms_norm_eps"] = epsilon


def test_one_bit_of_one_logit_counts():
    """Catches a tolerance, and a logit that is not a number and so is no larger than any bound."""
    row = torch.linspace(-3.0, 3.0, 7)
    other = row.clone()
    other[2] = torch.nextafter(row[2], torch.tensor(9.0))
    assert bits_that_differ(row, row) == 0 and bits_that_differ(row, other) == 1
    other[4] = float("nan")
    assert bits_that_differ(row, other) == 2


def stopped():
    """A bench that is interrupted after its first record."""
    yield {"bench": "one", "target": "small", "ratio": 1.23456}
    raise KeyboardInterrupt


def test_what_was_finished_is_printed_when_a_run_is_stopped(monkeypatch, capsys):
    """Catches minutes of timing that a Ctrl-C throws away, and a promise to go on that nothing keeps."""
    monkeypatch.setitem(BENCHES, "one", f"{__name__}:stopped")
    for words, shown in ((["one"], "small    1.23"), (["one", "--json"], '"ratio": 1.23456')):
        with pytest.raises(SystemExit) as info:
            main(["bench", *words])
        out, err = capsys.readouterr()
        assert info.value.code == 130
        assert shown in out
        assert "what was finished is printed" in err and "go on where" not in err


def test_records_of_two_kinds_are_two_tables():
    """Catches a table in which most cells are dashes, and the digits of a clock nobody should believe."""
    from k2repro.bench.run import bench_text

    kinds = [{"bench": "one", "compared": "bits", "differ": 0}, {"bench": "one", "target": "a", "ratio": 2.0}]
    assert bench_text({"one": [*kinds, kinds[0]]}, as_json=False) == (
        "one\ncompared  differ\nbits           0\nbits           0\n\ntarget  ratio\na           2"
    )
