"""Reading: how likely a model finds responses that are given, whoever wrote them.

`sample` writes and tells how likely each token was; `read` tells it of any text: one pass, because all tokens
are known. Best-of-N reads with it: the solver's own likelihood, the likelihood under a judge with weights of
its own, and self-certainty. `read_plainly` is the whole of it on one page; `read` gives the same numbers for
many responses. It reads equal pairs once, what responses have in common once, and uses every core.

Shapes: P tokens of a prompt, T of a response, V vocabulary.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import checks
from k2repro.engine.backend import Progress
from k2repro.engine.text import TextCodec
from k2repro.errors import K2ReproError
from k2repro.fast import fits_fused, packed_logits
from k2repro.fast.spans import in_common

# New tokens of one pass: enough for large products, few enough to stay near the processor.
PASS_TOKENS = 2048
# Most numbers in the logits of one pass; 150,000 tokens of vocabulary leave room for 400 places.
PASS_LOGITS = 1 << 26

# Prompt and response, token ids.
Pair = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Reading:
    """What a model makes of each of the T tokens of a response, the stop token included where it is there.

    logprobs: float32 [T], natural log of the probability of the token at temperature 1.
    certainty: float32 [T], nats. KL(U || p) = -1/V sum_j log(V p_j): the divergence from the model's
        distribution p to the uniform one U, U coming first. It does not look at the token that follows. Its
        mean over the response is the self-certainty of Kang et al. (arXiv 2502.18581). All V tokens
        count, so the least likely decide it.
    """

    logprobs: NDArray[np.float32]
    certainty: NDArray[np.float32]


@torch.no_grad()
def read_plainly(model: Qwen2, prompt: Sequence[int], response: Sequence[int]) -> Reading:
    """One response to one prompt, token ids both, read by the model as it is."""
    tokens = torch.tensor([[*prompt, *response]], device=model.lm_head.weight.device)  # [1, P + T]
    # The logits at a place are for the token after it: P - 1 predicts the first token of the response.
    logits = model(tokens[:, :-1])[0, len(prompt) - 1 :]  # [T, V]
    return _reading(logits, tokens[0, len(prompt) :])


def read(
    model: Qwen2,
    prompts: Sequence[Sequence[int] | str],
    responses: Sequence[Sequence[Sequence[int] | str]],
    *,
    tokenizer: Any = None,
    progress: Progress | None = None,
) -> list[list[Reading]]:
    """How `model` reads each response to each prompt, as [prompt][response].

    prompts: token ids, or strings when `tokenizer` is given (encoded as they are, nothing added).
    responses: for each prompt any number of responses, of the same two kinds. A stop token is read only if
        it is there. Equal responses to a prompt are one `Reading`, named several times.
    tokenizer: a tokenizers.Tokenizer or one of transformers.
    progress: called with (distinct responses read, all distinct responses).
    The bits depend on what is read together, and not on the number of threads.
    Raises K2ReproError for an empty prompt or response, one that the context does not hold, a token or
    tokenizer of another vocabulary, and weights that give NaN.
    """
    pairs = _checked(model, prompts, responses, tokenizer)
    distinct = sorted(set(chain(*pairs)), key=lambda pair: (pair[0] + pair[1], len(pair[0])))
    found: dict[Pair, Reading] = {}

    def keep(part: dict[Pair, Reading]) -> None:
        found.update(part)
        if progress is not None:
            progress(len(found), len(distinct))

    if fits_fused(model):
        _read_passes(model, distinct, keep)
    else:
        for pair in distinct:
            keep({pair: read_plainly(model, *pair)})
    return [[found[pair] for pair in group] for group in pairs]


def _read_passes(model: Qwen2, distinct: Sequence[Pair], keep: Callable[[dict[Pair, Reading]], None]) -> None:
    """Cut sorted pairs into passes, read them side by side, and give each to `keep`, in order."""
    parts = _cut(distinct, max(1, min(PASS_TOKENS, PASS_LOGITS // model.config.vocab_size)))
    threads = torch.get_num_threads()

    def alone(part: Sequence[Pair]) -> dict[Pair, Reading]:
        # A thread for each pass, whatever their number: the order of the sums, and so the bits, stay.
        torch.set_num_threads(1)
        return _read_pass(model, part)

    pool = ThreadPoolExecutor(max(1, min(threads, len(parts))))
    try:
        for running in [pool.submit(alone, part) for part in parts]:
            keep(running.result())
    finally:
        # On Ctrl-C and errors too: what has not begun is not begun.
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)


@torch.no_grad()
def _read_pass(model: Qwen2, pairs: Sequence[Pair]) -> dict[Pair, Reading]:
    """Sorted pairs as one packed row: what one has in common with the one before it is read once."""
    # The last token predicts nothing that is asked.
    fed = [(prompt + response)[:-1] for prompt, response in pairs]
    lengths = [len(tokens) for tokens in fed]
    segments = torch.arange(len(pairs)).repeat_interleave(torch.tensor(lengths))
    ends = np.cumsum(lengths)
    at = [np.arange(end - len(response), end) for (_, response), end in zip(pairs, ends, strict=True)]
    tokens = torch.tensor([list(chain(*fed))])
    places = torch.from_numpy(np.concatenate(at))
    logits = packed_logits(model, tokens, segments[None], places, share_prefixes=True)
    whole = _reading(logits, torch.tensor(list(chain(*(response for _, response in pairs)))))
    cuts = np.cumsum([len(response) for _, response in pairs])[:-1]
    each = zip(np.split(whole.logprobs, cuts), np.split(whole.certainty, cuts), strict=True)
    return {pair: Reading(*found) for pair, found in zip(pairs, each, strict=True)}


def _reading(logits: Tensor, targets: Tensor) -> Reading:
    """logits: [T, V]; row t predicts targets[t], int64 [T]."""
    logprobs = logits.float().log_softmax(-1)  # [T, V]
    chosen = logprobs.gather(-1, targets[:, None])[:, 0]  # [T]
    certainty = -logprobs.mean(-1) - log(logprobs.shape[1])  # [T]
    if not (chosen.isfinite().all() and certainty.isfinite().all()):
        raise K2ReproError(
            "the model gives NaN or infinite logits for the responses that it reads: they have no "
            "likelihood. Usual cause: weights that diverged in training (look at the loss of the last steps)"
        )
    return Reading(chosen.cpu().numpy(), certainty.cpu().numpy())


def _cut(ordered: Sequence[Pair], most: int) -> list[list[Pair]]:
    """Parts of about `most` new tokens, at least one pair each."""
    parts: list[list[Pair]] = []
    size = most
    before: tuple[int, ...] = ()
    for pair in ordered:
        tokens = pair[0] + pair[1]
        new = len(tokens) - in_common(before, tokens)
        if size + new > most:
            parts.append([])
            size, new = 0, len(tokens)
        parts[-1].append(pair)
        size, before = size + new, tokens
    return parts


def _checked(
    model: Qwen2,
    prompts: Sequence[Sequence[int] | str],
    responses: Sequence[Sequence[Sequence[int] | str]],
    tokenizer: Any,
) -> list[list[Pair]]:
    """Pairs of token ids, as [prompt][response]."""
    vocab_size, context = model.config.vocab_size, model.config.max_position_embeddings
    codec = None if tokenizer is None else TextCodec(tokenizer, vocab_size)
    asked = checks.check_prompts(prompts, codec, vocab_size, context)
    if isinstance(responses, str) or len(responses) != len(asked):
        raise K2ReproError(
            f"{len(responses)} groups of responses for {len(asked)} prompts: must be one group a prompt"
        )
    pairs = []
    for index, (prompt, group) in enumerate(zip(asked, responses, strict=True)):
        answers = checks.check_responses(index, len(prompt), group, codec, vocab_size, context)
        pairs.append([(tuple(prompt), tuple(answer)) for answer in answers])
    return pairs
