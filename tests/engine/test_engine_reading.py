"""Reading: the likelihood of given responses is that of transformers, of the page, and of the sampler."""

from collections.abc import Callable, Sequence

import engine_tiny as tiny
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from k2repro.engine import Reading, Sampler, read, reading
from k2repro.engine.reading import read_plainly
from k2repro.errors import K2ReproError

MODEL = tiny.model(tiny.config())
PROMPTS = tiny.prompts([3, 9, 5, 14])
STOP = (7, 21)
SAMPLED = Sampler(MODEL).sample(
    PROMPTS, n=6, max_new_tokens=30, seeds=range(len(PROMPTS)), stop=STOP, logprobs=True
)
RESPONSES = [[each.tokens for each in group] for group in SAMPLED]


def all_logprobs(prompt: Sequence[int], response: Sequence[int]) -> torch.Tensor:
    """Log-probabilities [P + T, vocabulary] of the tokens after each place, by transformers."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    theirs = Qwen2ForCausalLM(Qwen2Config.from_dict(MODEL.config.to_dict())).eval()
    theirs.load_state_dict(MODEL.state_dict())
    with torch.no_grad():
        return theirs(torch.tensor([[*prompt, *response]])).logits[0].log_softmax(-1)


def chosen(after: torch.Tensor, tokens: Sequence[int]) -> np.ndarray:
    return after[torch.arange(len(tokens)), torch.tensor(tokens)].numpy()


def test_log_probabilities_are_those_of_transformers():
    """Catches every way of reading another number than the log-softmax at the response's own tokens."""
    for prompt, group, found in zip(PROMPTS, RESPONSES, read(MODEL, PROMPTS, RESPONSES), strict=True):
        for response, ours in zip(group, found, strict=True):
            after = all_logprobs(prompt, response)[len(prompt) - 1 : -1]
            assert ours.logprobs.dtype == ours.certainty.dtype == np.float32
            np.testing.assert_allclose(ours.logprobs, chosen(after, response), atol=1e-4)
            np.testing.assert_allclose(ours.certainty, -(after.mean(-1) + np.log(tiny.VOCABULARY)), atol=1e-4)


Twin = Callable[[Sequence[int], Sequence[int]], np.ndarray]


def off_by_one(prompt: Sequence[int], response: Sequence[int]) -> np.ndarray:
    return chosen(all_logprobs(prompt, response)[len(prompt) :], response)


def prompt_counted(prompt: Sequence[int], response: Sequence[int]) -> np.ndarray:
    return chosen(all_logprobs(prompt, response)[:-1], [*prompt, *response][1:])


def stop_left_out(prompt: Sequence[int], response: Sequence[int]) -> np.ndarray:
    kept = [token for token in response if token not in STOP]
    return chosen(all_logprobs(prompt, kept)[len(prompt) - 1 : -1], kept)


def right(prompt: Sequence[int], response: Sequence[int]) -> np.ndarray:
    return read(MODEL, [prompt], [[response]])[0][0].logprobs


def page(prompt: Sequence[int], response: Sequence[int]) -> np.ndarray:
    return read_plainly(MODEL, prompt, response).logprobs


def agrees_with_the_sampler(twin: Twin) -> bool:
    """Whether the sum and every number are what the sampler said of what it drew itself."""
    for prompt, group in zip(PROMPTS, SAMPLED, strict=True):
        for each in group:
            found = twin(prompt, each.tokens)
            if abs(found.sum() - each.logprobs.sum()) > 1e-3 or found.shape != each.logprobs.shape:
                return False
            if not np.allclose(found, each.logprobs, atol=1e-4):
                return False
    return True


@pytest.mark.parametrize("twin", [right, page])
def test_a_model_reads_its_own_samples_as_it_drew_them(twin: Twin):
    """Catches a likelihood that does not add up with the sampler's: other places, another stop."""
    assert any(each.finish == "stop" for group in SAMPLED for each in group)
    assert agrees_with_the_sampler(twin)


@pytest.mark.parametrize("twin", [off_by_one, prompt_counted, stop_left_out])
def test_wrong_twins_do_not_agree_with_the_sampler(twin: Twin):
    """Catches a check that a shifted, longer or shorter reading would pass."""
    assert not agrees_with_the_sampler(twin)


def test_certainty_is_the_divergence_to_uniform_with_uniform_first():
    """Catches the other direction, log V minus the entropy, and a sum that lacks log V."""
    prompt, response = PROMPTS[1], RESPONSES[1][0]
    model = Categorical(logits=all_logprobs(prompt, response)[len(prompt) - 1 : -1].double())
    uniform = Categorical(logits=torch.zeros(tiny.VOCABULARY, dtype=torch.float64))
    ours = read(MODEL, [prompt], [[response]])[0][0].certainty
    np.testing.assert_allclose(ours, kl_divergence(uniform, model), atol=1e-4)
    assert not np.allclose(ours, kl_divergence(model, uniform), atol=0.1)
    assert not np.allclose(ours, kl_divergence(uniform, model) + np.log(tiny.VOCABULARY), atol=0.1)


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), min_size=1, max_size=6),
            st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), max_size=5),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([1, 9, 40]),
)
@settings(max_examples=60, deadline=None)
def test_sharing_changes_nothing(groups, most):
    """Catches responses that are prefixes of others, equal texts cut elsewhere, empty groups, any cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PASS_TOKENS", most)
        found = read(MODEL, [prompt for prompt, _ in groups], [answers for _, answers in groups])
    for (prompt, answers), readings in zip(groups, found, strict=True):
        assert len(answers) == len(readings)
        for answer, ours in zip(answers, readings, strict=True):
            plain = read_plainly(MODEL, prompt, answer)
            np.testing.assert_allclose(ours.logprobs, plain.logprobs, atol=1e-4)
            np.testing.assert_allclose(ours.certainty, plain.certainty, atol=1e-4)


def test_equal_responses_are_read_once():
    """Catches a pool of sixteen samples that costs sixteen readings where two texts are distinct."""
    told = []
    found = read(
        MODEL,
        [PROMPTS[0], PROMPTS[1], PROMPTS[0]],
        [[[1, 2], [3], [1, 2]], [[1, 2]], [[3]]],
        progress=lambda done, total: told.append((done, total)),
    )
    assert found[0][0] is found[0][2] and found[0][1] is found[2][0]
    assert found[0][0] is not found[1][0]
    assert told[-1] == (3, 3)


@pytest.mark.parametrize("most", [64, 2048])
def test_any_number_of_threads_gives_the_same_bits(monkeypatch, most):
    """Catches sums whose order follows the machine: a selection would differ on a tie."""
    monkeypatch.setattr(reading, "PASS_TOKENS", most)
    threads = torch.get_num_threads()

    def bits(number: int) -> list[bytes]:
        torch.set_num_threads(number)
        try:
            found = read(MODEL, PROMPTS, RESPONSES)
            assert torch.get_num_threads() == number
        finally:
            torch.set_num_threads(threads)
        return [each.logprobs.tobytes() + each.certainty.tobytes() for group in found for each in group]

    assert bits(1) == bits(2) == bits(3)


def test_weights_in_half_precision_are_read_by_the_page():
    """Catches a fast pass on weights that it was not made for."""
    half = tiny.model(tiny.config()).to(torch.bfloat16)
    (found,) = read(half, PROMPTS[:1], [RESPONSES[0][:2]])
    assert isinstance(found[0], Reading)
    np.testing.assert_array_equal(found[0].logprobs, read_plainly(half, PROMPTS[0], RESPONSES[0][0]).logprobs)
    np.testing.assert_allclose(found[0].logprobs, right(PROMPTS[0], RESPONSES[0][0]), atol=0.5)


@pytest.mark.parametrize(
    ("prompts", "responses", "words"),
    [
        ([[1]], [[[2], []]], "response 1 to prompt 0 is empty.*a sample that failed"),
        ([[1] * 90], [[[2] * 7]], "response 0 to prompt 0 has 7 tokens and the prompt 90; .* 96 together"),
        ([[1]], [[[2, 61]]], "response 0 to prompt 0 holds token 61; .* vocabulary has 61.*another model"),
        ([[1]], [[[-1]]], "holds token -1"),
        ([[]], [[[1]]], "prompt 0 is empty"),
        ([[1], [2]], [[[1]]], "1 groups of responses for 2 prompts"),
        ([[1]], ["text"], "the string 'text': pass a list of responses"),
        ([[1]], [["text"]], "response 0 to prompt 0 is a string: pass `tokenizer`"),
    ],
)
def test_what_cannot_be_read_is_refused(prompts, responses, words):
    """Catches input that would be read as something else, or fail deep inside."""
    with pytest.raises(K2ReproError, match=words):
        read(MODEL, prompts, responses)


def test_a_tokenizer_of_another_vocabulary_is_refused():
    """Catches a judge that reads the solver's text with a tokenizer that is not its own."""
    with pytest.raises(K2ReproError, match="the tokenizer has 62 tokens, the model's vocabulary 61"):
        read(MODEL, ["a>"], [["<"]], tokenizer=tiny.tokenizer(62))


def test_strings_are_read_as_their_tokens():
    """Catches text that is encoded with something added to it."""
    made = tiny.tokenizer()
    ids = [made.encode(text, add_special_tokens=False).ids for text in ("a>b", "</a>")]
    ((by_text,),) = read(MODEL, ["a>b"], [["</a>"]], tokenizer=made)
    ((by_ids,),) = read(MODEL, [ids[0]], [[ids[1]]])
    np.testing.assert_array_equal(by_text.logprobs, by_ids.logprobs)


@pytest.mark.parametrize("where", ["weight", "bias"])
def test_diverged_weights_are_named(where):
    """Catches a judge that answers NaN, with which nothing is ever the best."""
    model = tiny.model(tiny.config())
    with torch.no_grad():
        getattr(model.model.layers[1].self_attn.v_proj, where).view(-1)[0] = torch.nan
    for reader in (lambda: read(model, [[1, 2]], [[[3, 4]]]), lambda: read_plainly(model, [1, 2], [3, 4])):
        with pytest.raises(K2ReproError, match="NaN or infinite.*diverged"):
            reader()


def test_an_interruption_leaves_torch_as_it_was():
    """Catches Ctrl-C that leaves torch on one thread for the rest of the notebook."""
    threads = torch.get_num_threads()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            read(MODEL, PROMPTS, RESPONSES, progress=stop)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_nothing_to_read_gives_nothing():
    """Catches an empty batch that crashes on its longest row."""
    assert read(MODEL, [], []) == []
    assert read(MODEL, [[1]], [[]]) == [[]]
