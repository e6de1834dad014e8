"""The end of a response: stop tokens, stop strings that span tokens, and strings that never come."""

import engine_tiny as tiny
import pytest

from k2repro.engine import Sampler
from k2repro.engine.stop import StopRule
from k2repro.engine.text import TextCodec

TOKENIZER = tiny.tokenizer()
CODEC = TextCodec(TOKENIZER, tiny.VOCABULARY)
SAMPLER = Sampler(tiny.model(tiny.config(), scale=0.05))
PROMPTS = tiny.prompts([4, 9, 2])
LESS, SLASH, A, MORE, LESS_SLASH, A_MORE, X_LESS_SLASH, ACCENT_1, ACCENT_2, B = range(10)


def first_end(rule, tokens):
    """Where the engine's two-step test ends a response."""
    for end in range(1, len(tokens) + 1):
        if rule.may_end[tokens[end - 1]] and rule.completes(tokens[:end]):
            return end
    return None


@pytest.mark.parametrize(
    "tokens",
    [[LESS, SLASH, A, MORE], [LESS_SLASH, A_MORE], [B, X_LESS_SLASH, A, MORE], [LESS, SLASH, A_MORE]],
)
def test_stop_strings_span_tokens(tokens):
    """Catches a comparison of ids: `</a>` has four spellings in tokens, and all must stop."""
    rule = StopRule(["</a>"], CODEC, tiny.VOCABULARY)
    assert first_end(rule, [B, *tokens, B]) == 1 + len(tokens)
    assert first_end(rule, [B, *tokens[:-1], B]) is None


def test_a_stop_string_may_end_inside_a_token():
    """Catches a test of the text's end: `</` is complete inside the token `x</` too."""
    assert first_end(StopRule(["x<"], CODEC, tiny.VOCABULARY), [B, X_LESS_SLASH, B]) == 2


def test_a_character_in_two_tokens_is_one_character():
    """Catches decoding token by token, in which no half of an accent is a letter."""
    rule = StopRule(["b\u00e9"], CODEC, tiny.VOCABULARY)
    assert first_end(rule, [B, ACCENT_1, ACCENT_2]) == 3


def test_responses_end_at_the_first_stop():
    """Catches text behind the stop, and a stop that disturbs the rows that go on."""
    arguments = {"n": 20, "max_new_tokens": 40, "seeds": range(3), "tokenizer": TOKENIZER}
    free = SAMPLER.sample(PROMPTS, **arguments)
    ended = SAMPLER.sample(PROMPTS, stop=["</", B, "a>"], max_batch=7, **arguments)
    reasons = set()
    for whole, cut in zip(sum(free, []), sum(ended, []), strict=True):
        assert whole.tokens[: len(cut.tokens)] == cut.tokens
        assert cut.text == CODEC.decode(cut.tokens)
        before = CODEC.decode(cut.tokens[:-1])
        assert "</" not in before and "a>" not in before and B not in cut.tokens[:-1]
        stopped = "</" in cut.text or "a>" in cut.text or cut.tokens[-1] == B
        assert cut.finish == ("stop" if stopped else "length")
        reasons.add((cut.finish, cut.tokens[-1] == B))
    assert reasons == {("stop", True), ("stop", False), ("length", False)} or len(reasons) >= 2


def test_a_stop_string_that_never_comes_ends_by_length():
    """Catches a loop that waits for its stop string."""
    (found,) = SAMPLER.sample(
        PROMPTS[:1], max_new_tokens=15, seeds=[1], stop=["never in this text"], tokenizer=TOKENIZER
    )
    assert found[0].finish == "length"
    assert len(found[0].tokens) == 15


def test_strings_go_in_and_come_out():
    """Catches a tokenizer that adds or drops something on the way."""
    (found,) = SAMPLER.sample(["b</a>"], max_new_tokens=5, temperature=0, tokenizer=TOKENIZER)
    ids = TOKENIZER.encode("b</a>").ids
    assert SAMPLER.sample([ids], max_new_tokens=5, temperature=0)[0][0].tokens == found[0].tokens
    assert found[0].text == TOKENIZER.decode(list(found[0].tokens))
