"""Speculative decoding against ordinary decoding, as predicted, and against transformers: one run, in turn.

Times are CPU time of one thread, so that strangers on the machine count less. Targets are the fine-tuned
mini-K2 and three grown from it (`speculative/growth.py`): **large models that compute a small function**, so
a small draft agrees with it more often than with a model that uses its size.

Before anything is timed, each target shows that it has the bits that all of this rests on (`same_bits.py`).
Nothing of a run goes into its prediction: acceptance comes from other prompts, costs from
`speculative/timing.py`, timed in the same turns as the runs, since a shared machine drifts.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from k2repro.bench.timing import in_turn
from k2repro.errors import unknown

# (width, layers, units, query heads to a key head) of the grown targets.
GROWN = {"10M": (512, 4, 1280, 4), "27M": (512, 10, 1280, 4), "92M": (512, 35, 1280, 4)}
TARGETS = ("1M", *GROWN)
# Prompts of a run at batch 1; a larger batch has one prompt a row. Others, as many, are predicted from.
PROMPTS, OTHERS, NEW_TOKENS = 4, 8, 64
MOST = 15
# Tokens of the longest pass whose bits are compared.
AT_ONCE = 32


@dataclass(frozen=True)
class Setting:
    """draft: "trained", "look-up" or None. gamma: guesses, 0 where there is no draft. batch: rows."""

    draft: str | None
    gamma: int
    temperature: float = 1.0
    batch: int = 1

    @property
    def alone(self) -> "Setting":
        """The same without a draft."""
        return Setting(None, 0, self.temperature, self.batch)


# What is predicted and run on every target. They were chosen before any of them was run.
SETTINGS = (
    Setting("trained", 3),
    Setting("trained", 7),
    Setting("trained", MOST),
    Setting("trained", 7, temperature=0.0),
    Setting("look-up", 3),
    Setting("look-up", 7),
    Setting("trained", 7, batch=8),
)
# What transformers is measured against.
AGAINST_PEERS, PEERS_OF = Setting("trained", MOST), "27M"
# On one target more batches, to see where a draft stops paying.
BATCHES_OF, BATCHES = "27M", (2, 4, 16)


def settings_of(target: str) -> tuple[Setting, ...]:
    """All that is run on a target."""
    more = BATCHES if target == BATCHES_OF else ()
    return SETTINGS + tuple(Setting("trained", 7, batch=batch) for batch in more)


def bench_speculative(
    *, repeats: int = 3, peers: bool = True, targets: Sequence[str] = TARGETS
) -> Iterator[dict[str, object]]:
    """First what was compared of each target, then, target after target, a record for each setting.

    repeats: timed runs of each side, in turn, after one warm-up.
    Record of a comparison: bench, target, parameters, compared, logits, differ (0, or AssertionError).
    Record of a setting: bench, target, draft, gamma, temperature, batch, ratio (speed over the same engine
    without a draft, of medians; above 1 is faster), predicted, off (predicted over measured, less 1),
    leviathan (theorem 3.8), pass_of_8 (time of a pass over eight tokens a row, over one), tokens_a_pass, and
    shares of our time: reading, guessing, checking. More with `peers` for the 27M target: transformers'
    generate, and its assisted generation at several settings. Raises AssertionError should a draft change a
    token. Needs the shipped checkpoint and draft.
    """
    import torch

    from k2repro.lab.progress import FINISHED, JobProgress, live

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        small, draft = mini_pair()
        with live(["bits", *targets]) as listen:

            def told(name: str, share: float, words: str) -> None:
                listen(name, JobProgress(share, words))

            for done, name in enumerate(targets):
                told("bits", done / len(targets), f"comparing those of {name}")
                yield from _compared(name, target_of(small, name), small)
            listen("bits", FINISHED)
            for name in targets:
                target = target_of(small, name)
                side = _Side(target, draft, max(one.batch for one in settings_of(name)))
                yield from _of_target(name, side, repeats, partial(told, name))
                if peers and name == PEERS_OF:
                    told(name, 1.0, "against transformers")
                    yield from _peers(name, target, draft, side, repeats)
                listen(name, FINISHED)
    finally:
        torch.set_num_threads(threads)


def target_of(small: Any, name: str) -> Any:
    """One of TARGETS: the small model itself, or grown from it."""
    if name not in TARGETS:
        raise unknown("target", name, TARGETS)
    return _grown_to(small, GROWN[name]) if name in GROWN else small


def _compared(name: str, target: Any, small: Any) -> Iterator[dict[str, object]]:
    """Passes over 1 to AT_ONCE tokens, and a grown target with the one that it grew from."""
    from k2repro.bench.same_bits import compiled_decoder, growth_that_differs, passes_that_differ

    prompt, text = long_prompts(2, 0)
    text = text[:AT_ONCE]
    decoder = compiled_decoder(target, len(prompt) + AT_ONCE)
    words = f"a pass over 1 to {AT_ONCE} tokens, with as many steps"
    found = {words: passes_that_differ(decoder, prompt, text)}
    if target is not small:
        own = compiled_decoder(small, len(prompt) + AT_ONCE)
        found["the grown target, with mini-K2"] = growth_that_differs(decoder, own, prompt, text)
    for words, (differ, logits) in found.items():
        assert differ == 0, f"{name}: {words}: {differ} of {logits} logits have other bits"
        yield {
            "bench": "speculative",
            "target": name,
            "parameters": sum(one.numel() for one in target.parameters()),
            "compared": words,
            "logits": logits,
            "differ": differ,
        }


def mini_pair() -> tuple[Any, Any]:
    """The fine-tuned model and its distilled draft."""
    from k2repro.lab.scale import Scale
    from k2repro.lab.speculative import carry_out_models
    from k2repro.mini.checkpoint import load_checkpoint
    from k2repro.results.store import open_store

    folders = carry_out_models(Scale.of_profile("laptop"), open_store("laptop"))
    return load_checkpoint(folders["target"]), load_checkpoint(folders["draft"])


def long_prompts(count: int, start: int) -> list[list[int]]:
    """Validation prompts of the two harder tiers: none of their responses ends before NEW_TOKENS, so every
    run writes as many tokens.
    """
    from k2repro.lab.speculative import prompts_of
    from k2repro.mini.benchmarks import MATHS

    tiers = len(MATHS)
    several = prompts_of("validation", tiers * (start + count))
    hard = [prompt for at, prompt in enumerate(several) if at % tiers >= tiers - 2]
    return hard[start : start + count]


def _grown_to(target: Any, shape: Sequence[int]) -> Any:
    import torch

    from k2repro.speculative.growth import grow

    width, layers, units, groups = shape
    generator = torch.Generator().manual_seed(0)
    return grow(target, width=width, layers=layers, units=units, groups=groups, generator=generator)


class _Side:
    """A target and its draft made ready once, for every setting."""

    def __init__(self, target: Any, draft: Any, rows: int) -> None:
        from k2repro.speculative import Draft, SpeculativeSampler

        self.others = long_prompts(OTHERS, 0)
        self.prompts = long_prompts(max(PROMPTS, rows), OTHERS)
        self.longest = max(map(len, self.prompts + self.others))
        self.sampler = SpeculativeSampler(
            target, Draft.of(draft), gamma=MOST, batch=rows, positions=self.longest + NEW_TOKENS
        )
        self._cycles: dict[tuple[str | None, float], Any] = {}
        self.costs: dict[int, list[Any]] = {}

    def tuned(self, one: Setting) -> Any:
        """The sampler of a setting."""
        return self.sampler.retuned(
            gamma=one.gamma, temperature=one.temperature, lookup=one.draft == "look-up", batch=one.batch
        )

    def write(self, one: Setting) -> Any:
        """What a setting writes."""
        prompts = self.prompts[: max(PROMPTS, one.batch)]
        return self.tuned(one).sample(prompts, max_new_tokens=NEW_TOKENS, seeds=range(len(prompts)))

    def time_costs(self, batch: int) -> None:
        """A few rounds more at a batch."""
        from k2repro.speculative.timing import time_costs

        most = MOST if batch == 1 else 7
        loop = self.sampler.retuned(gamma=most, batch=batch).speculator
        shape = {"rows": batch, "prompt": self.longest, "response": NEW_TOKENS}
        # A pass of many rows takes long, and takes its time more evenly.
        found = time_costs(loop, **shape, sizes=(2, 3, 5, 7), rounds=3 if batch == 1 else 1)
        self.costs.setdefault(batch, []).append(found)

    def cycles(self, one: Setting) -> Any:
        """Cycles of the setting's draft on the other prompts, cut to the setting's guesses."""
        from k2repro.speculative.prediction import shortened

        name = one.draft, one.temperature
        if name not in self._cycles:
            loop = self.tuned(replace(one, gamma=MOST, batch=1))
            made = loop.sample(self.others, max_new_tokens=NEW_TOKENS, seeds=range(100, 100 + OTHERS))
            self._cycles[name] = made.statistics.cycles
        return shortened(self._cycles[name], one.gamma)


def _of_target(
    name: str, side: _Side, repeats: int, told: Callable[[float, str], None]
) -> Iterator[dict[str, object]]:
    """Predict every setting, then run all of them and decoding without a draft in turn."""
    settings, made = settings_of(name), {}
    for one in settings:
        told(0.0, "acceptance on other prompts")
        side.cycles(one)

    def writer(one: Setting) -> Callable[[], None]:
        def run() -> None:
            made[one] = side.write(one)

        return run

    sides: dict[object, Callable[[], object]] = {
        batch: partial(side.time_costs, batch) for batch in sorted({one.batch for one in settings})
    }
    for one in (*dict.fromkeys(one.alone for one in settings), *settings):
        sides[one] = writer(one)
    words = "decoding with and without a draft"
    seconds = in_turn(sides, repeats, clock=time.thread_time, told=lambda share: told(share, words))
    for one in settings:
        texts, wanted = ([row[0].tokens for row in made[each].responses] for each in (one, one.alone))
        assert texts == wanted, f"{name} {one}: a draft changed a token"
        ratio = statistics.median(seconds[one.alone]) / statistics.median(seconds[one])
        predicted = _predicted(side, one)
        yield {
            "bench": "speculative",
            "target": name,
            "draft": one.draft,
            "gamma": one.gamma,
            "temperature": one.temperature,
            "batch": one.batch,
            "ratio": ratio,
            "predicted": predicted["predicted"],
            "off": predicted["predicted"] / ratio - 1,
            "tokens_a_pass": made[one].statistics.tokens_per_pass,
            **{key: value for key, value in predicted.items() if key != "predicted"},
            "repeats": repeats,
        }


def _predicted(side: _Side, one: Setting) -> dict[str, float]:
    """Speed by cost and by Leviathan's theorem, and where the time goes."""
    from k2repro.speculative.prediction import acceptance_of, expected_speedup
    from k2repro.speculative.timing import typical

    costs, cycles = typical(side.costs[one.batch]), side.cycles(one)
    if one.draft == "look-up":
        costs = replace(costs, guesses={0: 0.0}, draft_reading=0.0)
    share = costs.of_guesses(one.gamma) / one.gamma / costs.of_pass(1)
    return {
        "predicted": costs.speedup(cycles, NEW_TOKENS),
        "leviathan": expected_speedup(acceptance_of(cycles), one.gamma, share),
        "pass_of_8": costs.of_pass(8) / costs.of_pass(1),
        **costs.phases(cycles, NEW_TOKENS),
    }


def _peers(name: str, target: Any, draft: Any, side: _Side, repeats: int) -> Iterator[dict[str, object]]:
    """transformers with and without the draft, against our most guesses."""
    import transformers

    from k2repro.bench.assisted import against_transformers

    ours = AGAINST_PEERS
    ratios = against_transformers(
        target, draft, lambda: side.write(ours), side.prompts[:PROMPTS], NEW_TOKENS, repeats
    )
    for kind, ratio in ratios.items():
        yield {
            "bench": "speculative",
            "target": name,
            "draft": ours.draft,
            "gamma": ours.gamma,
            "temperature": ours.temperature,
            "batch": ours.batch,
            "ratio": ratio,
            "peer": f"transformers {transformers.__version__}, {kind}",
            "repeats": repeats,
        }
