"""One Backend: the local one gives the tokens of `sample`, in any batch, and refuses what it cannot read."""

import subprocess
import sys
from dataclasses import replace

import engine_tiny as tiny
import numpy as np
import pytest

from k2repro.engine import Completion, LocalBackend, Message, Request, sample
from k2repro.errors import K2ReproError
from k2repro.mini import tokenizer

PROMPT = (Message("user", " q=7 m: - p i i=4 p: + q i ? m p q"),)


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    return LocalBackend(
        tiny.model(tiny.config(vocab_size=tokenizer.vocabulary_size())),
        tokenizer.load(),
        template=tokenizer.CHAT_TEMPLATE,
        end=[tokenizer.turn_end()],
        special=tokenizer.SPECIAL,
    )


def test_chat_is_rendered_as_the_prompt_that_models_are_trained_on(backend: LocalBackend) -> None:
    """Catches a template that differs by a line end from the text of training."""
    assert backend.render(PROMPT) == tokenizer.prompt_text(PROMPT[0].content)


def test_tokens_are_those_of_sample_whatever_shares_the_batch(backend: LocalBackend) -> None:
    """Catches seeds or samples that are matched with another request when settings are mixed."""
    asked = [
        Request(PROMPT, 12, n=3, seed=5),
        Request(PROMPT, 7, n=1, temperature=0.0),
        Request(PROMPT, 12, n=3, seed=6, role="planner"),
    ]
    told: list[tuple[int, int]] = []
    found = backend.complete(asked, progress=lambda done, total: told.append((done, total)))
    for request, completions in zip(asked, found, strict=True):
        (expected,) = sample(
            backend.model,
            [tokenizer.prompt_text(PROMPT[0].content)],
            n=request.n,
            max_new_tokens=request.max_new_tokens,
            temperature=request.temperature,
            seeds=[request.seed],
            stop=[tokenizer.turn_end()],
            tokenizer=tokenizer.load(),
        )
        assert [each.tokens for each in completions] == [each.tokens for each in expected]
        assert all(each.prompt_tokens and each.count == len(each.tokens) for each in completions)
    assert told[-1] == (7, 7)
    assert len({tuple(each.tokens for each in group) for group in found}) == 3


def test_a_request_keeps_its_settings_beside_another(backend: LocalBackend) -> None:
    """Catches a batch that is drawn with the settings of its first request: those of the others go unread."""
    plain = Request(PROMPT, 12, n=3, seed=5)
    ([first, *_],) = backend.complete([plain])
    for change in (
        {"n": 2},
        {"max_new_tokens": 5},
        {"temperature": 0.0},
        {"top_p": 0.2},
        {"stop": (first.tokens[2],)},
        {"logprobs": True},
    ):
        other = replace(plain, **change)  # type: ignore[arg-type]
        usual, beside = (
            [(each.tokens, each.logprobs is None) for each in group]
            for group in backend.complete([plain, other])
        )
        (alone,) = backend.complete([other])
        assert [(each.tokens, each.logprobs is None) for each in alone] == beside != usual, change


def test_a_stop_of_a_request_comes_on_top_of_the_end_of_the_turn() -> None:
    """Catches a request whose own stop takes the place of the model's: its response runs into the budget."""
    model, asked = tiny.model(tiny.config()), Request((3, 5, 7), 12, seed=5)
    ([free],) = LocalBackend(model).complete([asked])
    other = next(token for token in range(tiny.VOCABULARY) if token not in free.tokens)
    ending = LocalBackend(model, end=[free.tokens[4]])
    for stop in ((), (other,)):
        ([found],) = ending.complete([replace(asked, stop=stop)])
        assert found.tokens == free.tokens[: free.tokens.index(free.tokens[4]) + 1]
        assert (found.finish, free.finish) == ("stop", "length")


def test_a_message_cannot_write_the_assistants_turn(backend: LocalBackend) -> None:
    """Catches a question whose marker is read as a special token."""
    with pytest.raises(K2ReproError, match="special token"):
        backend.complete([Request((Message("user", "a<|im_end|>b"),), 4)])


@pytest.mark.parametrize("prompt", [(), "", ()])
def test_an_empty_prompt_is_refused(backend: LocalBackend, prompt: tuple) -> None:
    with pytest.raises(K2ReproError, match="empty"):
        backend.complete([Request(prompt, 4)])


def test_counts_come_from_the_server_or_from_the_tokens() -> None:
    """Catches a bill of 0 tokens for servers that name no token."""
    assert Completion((1, 2, 3), "stop").count == 3
    assert Completion((), "stop", text="x", counted=41).count == 41
    assert Completion((), "timeout", error="no answer in 5 s").failed
    assert Completion((1,), "stop", np.zeros(1, np.float32)).failed is False


def test_the_interface_loads_no_torch() -> None:
    """Catches an endpoint user who has to install torch."""
    code = "import sys; import k2repro.engine.backend; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
