"""Bad input of `sample` is refused before anything is computed, with the rule and the usual cause."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from k2repro.engine.text import TextCodec
from k2repro.errors import K2ReproError

LARGEST_SEED = 2**64 - 1
NO_PROMPT = "the model needs a token to predict the next from"
NO_RESPONSE = "there is no token to read. Usual cause: a sample that failed, which is no candidate"


def whole(name: str, value: object) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise K2ReproError(f"{name} = {value!r}: must be a whole number of at least 1")
    return int(value)


def check_temperature(temperature: float) -> float:
    """A finite number of at least 0; 0 is greedy."""
    if isinstance(temperature, bool) or not isinstance(temperature, (int, float)):
        raise K2ReproError(f"temperature = {temperature!r}: must be a number")
    if not (math.isfinite(temperature) and temperature >= 0):
        raise K2ReproError(f"temperature = {temperature}: must be 0 (greedy) or a finite number above it")
    # Below this logits / temperature leaves 32 bit; the distribution is greedy long before.
    if 0 < temperature < 1e-6:
        raise K2ReproError(f"temperature = {temperature}: too small to divide by; 0 is greedy")
    return float(temperature)


def check_top_p(top_p: float) -> float:
    """A number above 0 and at most 1; 1 keeps every token."""
    if isinstance(top_p, bool) or not isinstance(top_p, (int, float)) or not 0 < top_p <= 1:
        raise K2ReproError(f"top_p = {top_p!r}: must be above 0 and at most 1; 1 keeps every token")
    return float(top_p)


def check_prompts(
    prompts: Sequence[Sequence[int] | str], codec: TextCodec | None, vocab_size: int, context: int
) -> list[list[int]]:
    """Token ids of each prompt; every prompt leaves room for at least one token in the context."""
    if isinstance(prompts, str):
        raise K2ReproError(f"prompts is the string {prompts[:40]!r}: pass a list of prompts")
    found = []
    for index, prompt in enumerate(prompts):
        tokens = _tokens(f"prompt {index}", prompt, codec, vocab_size, NO_PROMPT)
        if len(tokens) >= context:
            raise K2ReproError(
                f"prompt {index} has {len(tokens)} tokens; the context of the model holds {context}, the "
                "response included (max_position_embeddings). Usual cause: a question or a plan for a model "
                "with a longer one"
            )
        found.append(tokens)
    return found


def check_responses(
    prompt: int,
    length: int,
    responses: Sequence[Sequence[int] | str],
    codec: TextCodec | None,
    vocab_size: int,
    context: int,
) -> list[list[int]]:
    """Token ids of each response that is given to prompt number `prompt`, which has `length` tokens."""
    if isinstance(responses, str):
        raise K2ReproError(
            f"the responses to prompt {prompt} are the string {responses[:40]!r}: pass a list of responses"
        )
    found = []
    for index, response in enumerate(responses):
        name = f"response {index} to prompt {prompt}"
        tokens = _tokens(name, response, codec, vocab_size, NO_RESPONSE)
        if length + len(tokens) > context:
            raise K2ReproError(
                f"{name} has {len(tokens)} tokens and the prompt {length}; the context of the model holds "
                f"{context} together (max_position_embeddings)"
            )
        found.append(tokens)
    return found


def _tokens(name: str, text: Any, codec: TextCodec | None, vocab_size: int, empty: str) -> list[int]:
    """Token ids of a prompt or response: at least one, all of them in the vocabulary."""
    if isinstance(text, str) and codec is None:
        raise K2ReproError(f"{name} is a string: pass `tokenizer`, or token ids")
    tokens = codec.encode(text) if isinstance(text, str) and codec else [int(token) for token in text]
    if not tokens:
        raise K2ReproError(f"{name} is empty: {empty}")
    if min(tokens) < 0 or max(tokens) >= vocab_size:
        raise K2ReproError(
            f"{name} holds token {max(tokens) if min(tokens) >= 0 else min(tokens)}; the model's "
            f"vocabulary has {vocab_size}. Usual cause: the tokenizer of another model"
        )
    return tokens


def prompt_seeds(
    seeds: Sequence[int] | None, generator: torch.Generator | None, prompts: int, greedy: bool
) -> list[int]:
    """One seed a prompt: as given, or drawn from `generator`; greedy decoding needs neither."""
    if seeds is not None and generator is not None:
        raise K2ReproError("pass seeds or generator, not both: the seeds alone decide what is drawn")
    if seeds is not None:
        if len(seeds) != prompts:
            raise K2ReproError(f"{len(seeds)} seeds for {prompts} prompts: must be one a prompt")
        for seed in seeds:
            if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
                raise K2ReproError(f"seed {seed!r} ({type(seed).__name__}): must be a whole number")
            if not 0 <= seed <= LARGEST_SEED:
                raise K2ReproError(f"seed {seed}: must be from 0 to 2^64 - 1")
        return [int(seed) for seed in seeds]
    if generator is not None:
        drawn = torch.randint(2**63 - 1, (prompts,), generator=generator, device=generator.device)
        return [int(seed) for seed in drawn.tolist()]
    if not greedy:
        raise K2ReproError("temperature above 0 draws random numbers: pass seeds (one a prompt) or generator")
    return [0] * prompts
