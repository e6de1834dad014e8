"""How far sampling and training part by rounding alone, seen against the same weights in 64 bit.

The sampler, the fast training pass and the plain module add up the same products in different orders, in 32
bit. A hidden state that rounds differently moves the logits of a few sensitive tokens by hundreds of times
the rounding of a logit. What is left between two 32-bit ways is a fault only if it exceeds what each of them
leaves to 64 bit.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import sample
from k2repro.errors import K2ReproError
from k2repro.rlvr.batch import MicroBatch, Rollout, completion_logprobs, micro_batches

Records = list[dict[str, Any]]
# The agreement that is asked for, nats.
CLOSE = 1e-4
SAMPLING, TRAINING, MODULE, EXACT = "sampling", "training", "module", "64 bit"
PAIRS = ((SAMPLING, TRAINING), (SAMPLING, EXACT), (TRAINING, EXACT), (MODULE, EXACT))


def sampled_rollouts(
    model: Qwen2,
    prompts: Sequence[tuple[int, ...]],
    *,
    n: int,
    max_new_tokens: int,
    stop: Sequence[int],
    seed: int = 0,
) -> list[Rollout]:
    """`n` completions of each prompt with the log-probabilities that the sampler gave them; no advantage."""
    drawn = sample(
        model,
        prompts,
        n=n,
        max_new_tokens=max_new_tokens,
        stop=stop,
        logprobs=True,
        seeds=range(seed, seed + len(prompts)),
    )
    return [
        Rollout(prompt, completion.tokens, 0.0, completion.logprobs)
        for prompt, completions in zip(prompts, drawn, strict=True)
        for completion in completions
    ]


@torch.no_grad()
def logprobs_by_way(model: Qwen2, rollouts: Sequence[Rollout]) -> dict[str, Tensor]:
    """Log-probability of every completion token [tokens], float64, nats, computed in each of four ways.

    "sampling": what the rollouts brought along. "training": the pass that has the gradient. "module": the
    plain 32-bit module. "64 bit": the module with the same weights in float64.
    Raises K2ReproError for rollouts without log-probabilities.
    """
    exact = copy.deepcopy(model).double()
    found: dict[str, list[Tensor]] = {way: [] for way in (SAMPLING, TRAINING, MODULE, EXACT)}
    for batch in micro_batches(rollouts, max_tokens=4096):
        if batch.sampling_logprobs is None:
            raise K2ReproError("rollouts carry no log-probabilities: sample with logprobs=True")
        for way, values in (
            (SAMPLING, batch.sampling_logprobs),
            (TRAINING, completion_logprobs(model, batch)[0]),
            (MODULE, _plain(model, batch)),
            (EXACT, _plain(exact, batch)),
        ):
            found[way].append(values[batch.mask].double())
    return {way: torch.cat(parts) for way, parts in found.items()}


def rounding_records(logprobs: dict[str, Tensor]) -> Records:
    """Of each pair in PAIRS the mean and the largest distance, and how many tokens are beyond CLOSE."""
    return [
        {
            "between": f"{one} and {other}",
            "tokens": len(gap),
            "mean (nats)": float(gap.mean()),
            "largest (nats)": float(gap.max()),
            f"beyond {CLOSE:g}": int((gap > CLOSE).sum()),
        }
        for one, other in PAIRS
        for gap in [(logprobs[one] - logprobs[other]).abs()]
    ]


def _plain(model: Qwen2, batch: MicroBatch) -> Tensor:
    logits = model(batch.tokens, logits_at=batch.logits_at)
    return logits.log_softmax(-1).gather(-1, batch.targets[..., None])[..., 0]
