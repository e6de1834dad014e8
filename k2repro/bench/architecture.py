"""The decoder against transformers' Qwen2ForCausalLM: same weights, same tokens, alternating runs.

Two jobs: prefill of 512 tokens, and 64 greedy decoding steps with a cache, both at batch 1 in 32 bit.
Differs from generation benchmarks: no sampling code on either side, only forward passes.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from k2repro.architecture.config import ModelConfig

SIZES = {
    "1M": ModelConfig(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
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
        ours, theirs = _pair(config)
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
                ratio = _ratio_of_medians(run_ours, run_theirs, repeats)
            records.append(
                {
                    "bench": "architecture",
                    "size": size,
                    "parameters": sum(parameter.numel() for parameter in ours.parameters()),
                    "job": job,
                    "ratio": ratio,
                    "repeats": repeats,
                    "peer": f"transformers {transformers.__version__}",
                }
            )
    return records


def _pair(config: ModelConfig) -> tuple[Any, Any]:
    """Our model and transformers' with the same weights, both ready for inference."""
    import torch
    import transformers

    from k2repro.architecture.qwen2 import Qwen2

    ours = Qwen2(config, generator=torch.Generator().manual_seed(0)).eval()
    theirs = transformers.Qwen2ForCausalLM(transformers.Qwen2Config.from_dict(config.to_dict()))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs.eval()


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


def _ratio_of_medians(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> float:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        for run, seconds in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
    # The first run of each side pays for allocation and kernel selection.
    return statistics.median(times[1][1:]) / statistics.median(times[0][1:])
