"""The sampling engine against transformers' `generate`: same weights, same prompts, alternating runs.

Sampled at temperature 1 from prompts of 60 tokens, 128 new tokens each, nothing stops early, in 32 bit on
as many threads as torch has. The model has mini-K2's shape, 0.8M parameters. `time_shares` says
where the time of one of our steps goes.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from k2repro.bench.peers import MINI, pair_of
from k2repro.bench.timing import alternate, in_turn, ratio_of_medians

PROMPT_TOKENS, NEW_TOKENS = 60, 128
# (prompts, samples of each)
JOBS = ((1, 1), (64, 1), (8, 8))


def bench_engine(*, repeats: int = 3, jobs: tuple[tuple[int, int], ...] = JOBS) -> list[dict[str, object]]:
    """Tokens a second of our engine over those of transformers, a record for each batch.

    repeats: timed runs of each side, alternating, after one warm-up. A ratio above 1 means ours is faster.
    Record: bench, job, batch, ratio (of medians), slowest (the worst pair), repeats, threads, peer, and the
    parts of our step (attention, matrices, sampling, rest), which add up to 1. Needs torch and transformers.
    """
    import torch
    import transformers

    from k2repro.engine import Sampler

    ours, theirs = pair_of(MINI)
    sampler = Sampler(ours)
    records: list[dict[str, object]] = []
    for prompts, samples in jobs:
        tokens = _prompts(prompts)
        batch = torch.tensor(tokens).repeat_interleave(samples, 0)
        seconds = alternate(
            lambda tokens=tokens, samples=samples: sampler.sample(  # type: ignore[misc]
                tokens, n=samples, max_new_tokens=NEW_TOKENS, seeds=range(len(tokens))
            ),
            lambda batch=batch: _generate(theirs, batch),  # type: ignore[misc]
            repeats,
        )
        records.append(
            {
                "bench": "engine",
                "job": f"{prompts} prompts x {samples} samples",
                "batch": prompts * samples,
                "ratio": ratio_of_medians(*seconds),
                "slowest": min(b / a for a, b in zip(*seconds, strict=True)),
                "repeats": repeats,
                "threads": torch.get_num_threads(),
                "peer": f"transformers {transformers.__version__}",
                **time_shares(prompts * samples),
            }
        )
    return records


def time_shares(batch: int, *, steps: int = NEW_TOKENS) -> dict[str, float]:
    """Parts of a decoding step, on one thread, that add up to 1: matrices, attention, sampling, rest.

    batch: rows in flight; no more are taken than the engine takes.
    matrices: the five products with weights. attention: scores, softmax and mixing. sampling: from logits
    to tokens. rest: norms, rotation, gating, writing keys and values, and Python in between;
    it is what is left, and noise can make it a little negative.
    """
    import numpy as np
    import torch

    from k2repro.engine.choose import choose
    from k2repro.engine.shares import one_thread_each
    from k2repro.fast import COMPILED_ROWS, CompiledDecoder, fold

    model = pair_of(MINI)[0]
    batch = min(batch, COMPILED_ROWS)
    decoder = CompiledDecoder(model, fold(model), batch, PROMPT_TOKENS + steps)
    for row, prefix in enumerate(decoder.prefill(_prompts(batch))):
        decoder.put(row, prefix)
    tokens, numbers = torch.ones(batch, dtype=torch.long), np.full(batch, 0.5)
    found: defaultdict[str, list[float]] = defaultdict(list)
    with one_thread_each(1):
        for _ in range(steps):
            begin = time.perf_counter()
            decoder.step(tokens)
            middle = time.perf_counter()
            choose(decoder.logits[:batch], numbers, 1.0, 1.0)
            found["step"].append(middle - begin)
            found["sampling"].append(time.perf_counter() - middle)
        typical = {name: statistics.median(times) for name, times in found.items()}
        parts = {
            "matrices": _matrices_seconds(decoder, batch),
            "attention": _attention_seconds(decoder, batch),
            "sampling": typical["sampling"],
        }
    whole = typical["step"] + typical["sampling"]
    shares = {name: seconds / whole for name, seconds in parts.items()}
    return {**shares, "rest": 1.0 - sum(shares.values())}


def _matrices_seconds(decoder: Any, batch: int) -> float:
    """The products with weights of one step, repeated on their own in the same order."""
    from k2repro.fast.kernels.panels import multiply_panels

    buffers, weights = decoder._step, decoder._weights

    def products() -> None:
        for layer in range(len(weights.bias)):
            multiply_panels(buffers.qkv, buffers.normed, weights.qkv[layer], batch, False)
            multiply_panels(buffers.residual, buffers.mixed, weights.output[layer], batch, True)
            multiply_panels(buffers.gate_up, buffers.normed, weights.gate_up[layer], batch, False)
            multiply_panels(buffers.residual, buffers.activated, weights.down[layer], batch, True)
        multiply_panels(decoder._logits, buffers.normed, weights.head, batch, False)

    return _median_seconds(products)


def _attention_seconds(decoder: Any, batch: int) -> float:
    """Attention of all layers at half of the new tokens, repeated on its own."""
    import numpy as np

    from k2repro.fast.kernels.decode import DecodeBatch, attend_all

    config, (keys, values), rows = decoder._config, decoder._cache, np.arange(batch)
    half = DecodeBatch(rows, rows, np.full(batch, PROMPT_TOKENS + NEW_TOKENS // 2), rows)

    def layers() -> None:
        for layer in range(len(keys)):
            attend_all(half, keys[layer], values[layer], config.query_heads_per_kv_head, decoder._step)

    return _median_seconds(layers)


def _median_seconds(run: Callable[[], object], repeats: int = 30) -> float:
    return statistics.median(in_turn({"": run}, repeats)[""])


def _prompts(count: int) -> list[list[int]]:
    import torch

    generator = torch.Generator().manual_seed(count)
    return torch.randint(1, MINI.vocab_size, (count, PROMPT_TOKENS), generator=generator).tolist()


def _generate(model: Any, batch: Any) -> object:
    import torch

    return model.generate(
        batch,
        attention_mask=torch.ones_like(batch),
        do_sample=True,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
        pad_token_id=0,
    )
