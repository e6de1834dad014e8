"""The decoder against transformers' Qwen2ForCausalLM: same weights, same tokens, alternating runs.

Two jobs: prefill of 512 tokens, and 64 greedy decoding steps with a cache, both at batch 1 in 32 bit.
Differs from generation benchmarks: no sampling code on either side, only forward passes.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from k2repro.architecture.config import ModelConfig
from k2repro.bench.peers import MINI, pair_of
from k2repro.bench.timing import alternate, ratio_of_medians

SIZES = {
    "1M": replace(MINI, vocab_size=512, num_hidden_layers=5),
    "30M": ModelConfig(
        vocab_size=8192,
        hidden_size=512,
        intermediate_size=1536,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
}


def bench_architecture(
    *, repeats: int = 7, prompt_tokens: int = 512, decode_steps: int = 64
) -> list[dict[str, object]]:
    """Median time of our decoder over the median of transformers', a record for each size and job.

    repeats: timed runs of each side, alternating, after one warm-up. A ratio above 1 means ours is faster.
    Record: bench, size, parameters, job, ratio, repeats, peer. Needs torch and transformers.
    """
    import torch
    import transformers

    records: list[dict[str, object]] = []
    for size, config in SIZES.items():
        ours, theirs = pair_of(config)
        generator = torch.Generator().manual_seed(0)
        prompt = torch.randint(config.vocab_size, (1, prompt_tokens), generator=generator)
        start = prompt[:, :16]
        jobs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            f"prefill 1x{prompt_tokens}": (partial(ours, prompt), partial(theirs, prompt, use_cache=False)),
            f"decode {decode_steps} steps": (
                partial(_decode_ours, ours, start, decode_steps),
                partial(_decode_theirs, theirs, start, decode_steps),
            ),
        }
        for job, (run_ours, run_theirs) in jobs.items():
            with torch.inference_mode():
                seconds = alternate(run_ours, run_theirs, repeats)
            records.append(
                {
                    "bench": "architecture",
                    "size": size,
                    "parameters": sum(parameter.numel() for parameter in ours.parameters()),
                    "job": job,
                    "ratio": ratio_of_medians(*seconds),
                    "repeats": repeats,
                    "peer": f"transformers {transformers.__version__}",
                }
            )
    return records


def _decode_ours(model: Any, prompt: Any, steps: int) -> object:
    from k2repro.architecture.kv_cache import KVCache

    cache = KVCache(model.config, 1, prompt.shape[1] + steps)
    logits = model(prompt, cache=cache)
    for _ in range(steps):
        logits = model(logits[:, -1:].argmax(-1), cache=cache)
    return logits


def _decode_theirs(model: Any, prompt: Any, steps: int) -> object:
    output = model(prompt, use_cache=True)
    for _ in range(steps):
        token = output.logits[:, -1:].argmax(-1)
        output = model(token, past_key_values=output.past_key_values, use_cache=True)
    return output.logits
