"""Speculative decoding against ordinary decoding, and against transformers: the same pair, alternating runs.

Times are CPU time of one thread, so that strangers on the machine count less. Targets are the fine-tuned
mini-K2 and two grown from it (`speculative/growth.py`): **large models that compute a small function**, so a
small draft agrees with it more often than with a model that uses its size.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from k2repro.bench.timing import alternate

# (name, width, layers, units, query heads to a key head) of the grown targets.
GROWN = (("27M", 512, 10, 1280, 4), ("92M", 512, 35, 1280, 4))
PROMPTS, NEW_TOKENS = 4, 96
GAMMAS = (3, 7, 15)


def bench_speculative(*, repeats: int = 3, peers: bool = True) -> list[dict[str, object]]:
    """A record for each target and setting: speed over the same engine without a draft, and as predicted.

    repeats: timed runs of each side, alternating, after one warm-up. Record: bench, target, draft, gamma,
    ratio (of medians; above 1 is faster), predicted, leviathan (theorem 3.8), tokens_per_pass, acceptance.
    With `peers` two more for the 27M target: transformers' generate, and its assisted generation as it comes.
    Needs the shipped checkpoint and draft.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        target, drafts, prompts = _pair()
        records = _of_target("1M", target, drafts, prompts, repeats)
        for name, *shape in GROWN:
            grown = _grown(target, shape)
            records += _of_target(name, grown, drafts, prompts, repeats)
            if peers and name == "27M":
                records += _against_transformers(name, grown, drafts["trained"], prompts, repeats)
        return records
    finally:
        torch.set_num_threads(threads)


def _pair() -> tuple[Any, dict[str, Any], list[list[int]]]:
    """The fine-tuned model, its drafts, and a few validation prompts."""
    from k2repro.lab.scale import Scale
    from k2repro.lab.speculative import carry_out_speculation, prompts_of
    from k2repro.mini.checkpoint import load_checkpoint
    from k2repro.results.store import open_store
    from k2repro.speculative import Draft

    folders = carry_out_speculation(Scale.of_profile("laptop"), open_store("laptop"))
    drafts = {"trained": Draft.of(load_checkpoint(folders["draft"])), "look-up": Draft.lookup()}
    return load_checkpoint(folders["target"]), drafts, prompts_of("validation", PROMPTS)


def _grown(target: Any, shape: Sequence[int]) -> Any:
    import torch

    from k2repro.speculative.growth import grow

    width, layers, units, groups = shape
    generator = torch.Generator().manual_seed(0)
    return grow(target, width=width, layers=layers, units=units, groups=groups, generator=generator)


def _of_target(
    name: str, target: Any, drafts: dict[str, Any], prompts: Sequence[Sequence[int]], repeats: int
) -> list[dict[str, object]]:
    """Every draft and gamma on one target."""
    from k2repro.speculative.prediction import expected_speedup

    records: list[dict[str, object]] = []
    for kind, draft in drafts.items():
        for gamma in GAMMAS:
            costs = _costs(target, draft, gamma, prompts)
            mine: list[Any] = []
            ours = _writer(target, draft, gamma, prompts, mine)
            seconds = alternate(
                ours, _writer(target, None, gamma, prompts, []), repeats, clock=time.thread_time
            )
            found = mine[-1]
            share = costs.draft / costs.of_pass(1)
            records.append(
                {
                    "bench": "speculative",
                    "target": name,
                    "draft": kind,
                    "gamma": gamma,
                    "ratio": statistics.median(seconds[1]) / statistics.median(seconds[0]),
                    "predicted": costs.speedup(found.tokens_per_pass, gamma),
                    "leviathan": expected_speedup(found.acceptance, gamma, share),
                    "pass_ratio": costs.of_pass(gamma + 1) / costs.of_pass(1),
                    "draft_share": share,
                    "tokens_per_pass": found.tokens_per_pass,
                    "acceptance": found.acceptance,
                    "repeats": repeats,
                }
            )
    return records


def _costs(target: Any, draft: Any, gamma: int, prompts: Sequence[Sequence[int]]) -> Any:
    """Costs timed in place, half-way through a response."""
    from k2repro.fast.speculator import Speculator
    from k2repro.speculative.prediction import time_costs

    longest = max(map(len, prompts))
    speculator = Speculator(
        target,
        draft.model,
        kind=draft.kind,
        table=draft.table,
        rows=1,
        gamma=gamma,
        positions=longest + NEW_TOKENS,
    )
    drafts = gamma if draft.model is not None else 0
    sizes = (1, gamma + 1)
    return time_costs(speculator, drafts, context=longest + NEW_TOKENS // 2, sizes=sizes)


def _writer(
    target: Any, draft: Any, gamma: int, prompts: Sequence[Sequence[int]], found: list[Any]
) -> Callable[[], object]:
    """A run over all prompts, prepared once; its statistics are appended to `found`."""
    from k2repro.speculative.sampling import SpeculativeSampler

    longest = max(map(len, prompts))
    prepared = SpeculativeSampler(target, draft, gamma=gamma, positions=longest + NEW_TOKENS)

    def run() -> None:
        made = prepared.sample(prompts, max_new_tokens=NEW_TOKENS, seeds=range(len(prompts)))
        found.append(made.statistics)

    return run


def _against_transformers(
    name: str, target: Any, draft: Any, prompts: Sequence[Sequence[int]], repeats: int
) -> list[dict[str, object]]:
    """transformers' generate with and without the draft, at its defaults, against our best gamma."""
    import torch
    import transformers

    theirs, helper = _as_transformers(target), _as_transformers(draft.model)
    ours = _writer(target, draft, 15, prompts, [])
    records: list[dict[str, object]] = []
    for kind, assistant in (("generate", None), ("assisted generation", helper)):

        def generate(assistant: Any = assistant) -> None:
            for at, prompt in enumerate(prompts):
                torch.manual_seed(at)
                theirs.generate(
                    torch.tensor([prompt]),
                    attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                    assistant_model=assistant,
                    do_sample=True,
                    top_k=0,
                    max_new_tokens=NEW_TOKENS,
                    min_new_tokens=NEW_TOKENS,
                    pad_token_id=0,
                )

        seconds = alternate(ours, generate, repeats, clock=time.thread_time)
        records.append(
            {
                "bench": "speculative",
                "target": name,
                "draft": "trained",
                "gamma": 15,
                "ratio": statistics.median(seconds[1]) / statistics.median(seconds[0]),
                "peer": f"transformers {transformers.__version__} {kind}",
                "repeats": repeats,
            }
        )
    return records


def _as_transformers(model: Any) -> Any:
    import transformers

    theirs = transformers.Qwen2ForCausalLM(transformers.Qwen2Config.from_dict(model.config.to_dict()))
    theirs.load_state_dict(model.state_dict())
    return theirs.eval()
