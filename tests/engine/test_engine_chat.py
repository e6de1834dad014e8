"""What a server's answer says: log-probabilities, counts, thinking, and bodies that say nothing."""

import pytest

from k2repro.engine.backend import Message, Request
from k2repro.engine.chat import BadResponse, body_of, joined_stream, read_response, sample_seed
from k2repro.errors import K2ReproError


def body(**choice):
    return {"choices": [{"message": {"content": "a b"}, "finish_reason": "stop", **choice}]}


def test_log_probabilities_are_read_so_that_likelihood_can_select():
    """Catches own-sum and own-mean that fail on every server."""
    told = {"content": [{"token": "a", "logprob": -0.5}, {"token": " b", "logprob": -1.5}]}
    assert read_response(body(logprobs=told), ()).logprobs.tolist() == [-0.5, -1.5]
    assert read_response(body(), ()).logprobs is None
    assert read_response(body(logprobs={"content": []}), ()).logprobs is None
    with pytest.raises(BadResponse, match="logprobs"):
        read_response(body(logprobs={"content": [{"token": "a"}]}), ())


@pytest.mark.parametrize(
    "bad", [{}, {"choices": []}, {"choices": [{}]}, {"choices": None}, body(message=None)]
)
def test_a_body_without_an_answer_is_bad_and_not_empty(bad):
    """Catches an error page that counts as an empty answer."""
    with pytest.raises(BadResponse):
        read_response(bad, ())


def test_empty_content_and_cut_thinking_are_answers():
    """Catches a reasoning model that was cut in its thinking being asked again until the budget is gone."""
    message = {"content": None, "reasoning_content": "so far"}
    found = read_response({"choices": [{"message": message, "finish_reason": "length"}]}, ())
    assert (found.reasoning, found.text, found.finish) == ("so far", "", "length")
    assert found.count == 2


def test_bodies_are_made_of_chats_and_every_sample_has_its_seed():
    request = Request((Message("user", "q"),), 5, n=2, seed=3, stop=("x",))
    first, second = (body_of(request, "m", sample, {"k": 1}) for sample in (0, 1))
    assert first["seed"] == sample_seed(3, 0) != second["seed"]
    assert (first["stop"], first["k"], "n" in first) == (["x"], 1, False)
    for prompt in ("text", (1, 2), ()):
        with pytest.raises(K2ReproError, match="takes chats"):
            body_of(Request(prompt, 5), "m", 0, {})
    with pytest.raises(K2ReproError, match="not token ids"):
        body_of(Request((Message("user", "q"),), 5, stop=(7,)), "m", 0, {})


def test_a_stream_joins_to_the_body_that_would_have_come_at_once():
    events = [
        {"choices": [{"delta": {"reasoning_content": "th"}}]},
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"delta": {"content": " b"}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"completion_tokens": 9, "prompt_tokens": 4}},
    ]
    found = read_response(joined_stream(events), ())
    assert (found.reasoning, found.text, found.finish, found.count) == ("th", "a b", "length", 9)
