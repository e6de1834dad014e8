"""The checkpoint in other hands: `transformers` loads it, gives the same greedy answers and the same tokens.

A checkpoint that only its maker's code can read is not released, whatever folder it lies in. Attention for
the notebook's slider comes from here too, since `transformers` returns it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from k2repro.engine import sample
from k2repro.engine.shares import one_thread_each
from k2repro.mini import tokenizer
from k2repro.mini.benchmarks import MAX_NEW_TOKENS
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.mini.data import STYLES, reference_response
from k2repro.mini.problem import Problem


@dataclass(frozen=True)
class Agreement:
    """How many of `n` items came out alike, and the first that did not."""

    equal: int
    n: int
    first_different: str = ""


def greedy_agreement(folder: Path, problems: Sequence[Problem]) -> Agreement:
    """Greedy responses of our engine against `transformers.generate`, token by token."""
    prompts = [tokenizer.prompt_text(problem.question) for problem in problems]
    ours = sample(
        load_checkpoint(folder),
        prompts,
        max_new_tokens=MAX_NEW_TOKENS,
        temperature=0.0,
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
    )
    theirs = _transformers_greedy(folder, prompts)
    differing = [
        problem.id
        for problem, (mine,), other in zip(problems, ours, theirs, strict=True)
        if list(mine.tokens) != other
    ]
    return Agreement(len(problems) - len(differing), len(problems), next(iter(differing), ""))


def token_agreement(folder: Path, problems: Sequence[Problem]) -> Agreement:
    """Prompt and reference responses of every style, there and back through the saved tokenizer.

    Alike means: `AutoTokenizer` gives the ids that training used, decodes them to the same text, and its chat
    template gives the prompt that training used.
    """
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    differing, n = [], 0
    for problem in problems:
        prompt = tokenizer.prompt_text(problem.question)
        chat = theirs.apply_chat_template(
            [{"role": "user", "content": problem.question}], tokenize=False, add_generation_prompt=True
        )
        texts = [prompt, *(reference_response(problem, style) + tokenizer.TURN_END for style in STYLES)]
        for text in texts:
            ids = theirs(text, add_special_tokens=False)["input_ids"]
            alike = ids == tokenizer.encode(text) and theirs.decode(ids) == text and chat == prompt
            n += 1
            if not alike:
                differing.append(text)
    return Agreement(n - len(differing), n, next(iter(differing), ""))


def attention(folder: Path, tokens: Sequence[int]) -> np.ndarray:
    """How much each token looks at each before it, float [T, T]: the mean over layers and heads.

    Rows sum to 1.
    """
    model = _transformers_model(folder, attn_implementation="eager")
    with torch.no_grad():
        found = model(torch.tensor([list(tokens)]), output_attentions=True).attentions
    mean: np.ndarray = torch.stack(found).mean(dim=(0, 1, 2)).numpy()
    return mean


def _transformers_greedy(folder: Path, prompts: Sequence[str]) -> list[list[int]]:
    """Greedy responses of `transformers`, prompts of equal length together, so that nothing is padded."""
    model, end = _transformers_model(folder), tokenizer.turn_end()
    encoded = tokenizer.encode_all(prompts)
    found: dict[int, list[int]] = {}
    for length in sorted({len(tokens) for tokens in encoded}):
        places = [at for at, tokens in enumerate(encoded) if len(tokens) == length]
        batch = torch.tensor([encoded[at] for at in places])
        # Matrices this small gain nothing from a second thread, and on a busy machine it keeps them waiting.
        with torch.no_grad(), one_thread_each(1):
            out = model.generate(
                batch,
                attention_mask=torch.ones_like(batch),
                do_sample=False,
                max_new_tokens=MAX_NEW_TOKENS,
                eos_token_id=end,
                pad_token_id=end,
            )
        for at, row in zip(places, out[:, length:].tolist(), strict=True):
            found[at] = row[: row.index(end) + 1] if end in row else row
    return [found[at] for at in range(len(prompts))]


def _transformers_model(folder: Path, attn_implementation: str = "sdpa") -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attn_implementation
    ).eval()
