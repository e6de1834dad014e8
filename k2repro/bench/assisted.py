"""The same pair in transformers: `generate`, and its assisted generation at several settings, in turn.

Which setting is the fastest depends on pair and machine. So several are run, and the best is named.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from k2repro.architecture.parity import transformers_twin
from k2repro.bench.timing import in_turn

# (guesses a cycle, confidence below which its draft stops); the first as it comes. Chosen before any was run.
DEFAULT = (20, 0.4)
SETTINGS = (DEFAULT, (7, 0.0), (15, 0.0), (15, 0.8))


def against_transformers(
    target: Any,
    draft: Any,
    ours: Callable[[], object],
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    repeats: int,
) -> dict[str, float]:
    """Their time over ours, medians of `repeats` runs, by what they did. `ours` writes the same prompts."""
    theirs, helper = transformers_twin(target), transformers_twin(draft)

    def generate(assistant: Any, guesses: int = 0, confidence: float = 0.0) -> None:
        import torch

        if assistant is not None:
            assistant.generation_config.num_assistant_tokens = guesses
            assistant.generation_config.assistant_confidence_threshold = confidence
        for at, prompt in enumerate(prompts):
            torch.manual_seed(at)
            theirs.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                assistant_model=assistant,
                do_sample=True,
                top_k=0,
                max_new_tokens=new_tokens,
                min_new_tokens=new_tokens,
                pad_token_id=0,
            )

    assisted = {_name(*one): partial(generate, helper, *one) for one in SETTINGS}
    sides: dict[str, Callable[[], object]] = {"ours": ours, "generate": partial(generate, None), **assisted}
    seconds = in_turn(sides, repeats, clock=time.thread_time)
    typical = {kind: statistics.median(times) for kind, times in seconds.items()}
    return _with_the_best_named(
        {kind: time / typical["ours"] for kind, time in typical.items() if kind != "ours"}
    )


def _name(guesses: int, confidence: float) -> str:
    words = f"assisted, {guesses} guesses, confidence {confidence:g}"
    return f"{words} (default)" if (guesses, confidence) == DEFAULT else words


def _with_the_best_named(ratios: Mapping[str, float]) -> dict[str, float]:
    """Says which assisted setting was the fastest."""
    best = min((kind for kind in ratios if kind != "generate"), key=lambda kind: ratios[kind])
    return {f"{kind}, its best" if kind == best else kind: ratio for kind, ratio in ratios.items()}
