"""`speculative_sample`: the text of the target alone, written faster with the help of a draft.

The compiled loop (`fast/kernels/speculating.py`) does the work; here are prompts, random numbers, what a row
asks for, and what is counted. Under the coupled rule response j to a prompt takes the numbers that
`engine.sample` takes for it, so the same seed gives the same tokens with any draft, or none.
"""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from k2repro.architecture import count_parameters
from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import checks
from k2repro.engine.choose import choose
from k2repro.engine.streams import uniforms
from k2repro.errors import K2ReproError, unknown
from k2repro.fast.speculator import (
    ACCEPTED,
    ADDED,
    ASKS,
    BROKEN,
    BROKEN_DRAFT,
    CORRECTED,
    KINDS,
    RULES,
    Speculator,
)
from k2repro.speculative.drafts import Draft
from k2repro.speculative.prediction import acceptance_of


class SlowDraft(UserWarning):
    """A draft that costs more than it can save."""


# Samples beyond this would share the streams of other rules' numbers.
_OTHER_STREAM = 2**63


@dataclass(frozen=True)
class Response:
    """tokens: of the response, the stop token included. finish: "stop" or "length". origin: of each token,
    "accepted" (the draft's), "corrected" (the target's instead of a draft's) or "added" (behind all drafts).
    """

    tokens: tuple[int, ...]
    finish: str
    origin: tuple[str, ...]


@dataclass(frozen=True)
class Statistics:
    """What a run came to. cycles: int64 [G + 1, G + 1], passes of the target by (drafted, accepted)."""

    cycles: NDArray[np.int64]
    tokens: int

    @property
    def passes(self) -> int:
        """Passes of the target."""
        return int(self.cycles.sum())

    @property
    def tokens_per_pass(self) -> float:
        """Tokens written for each pass of the target."""
        return self.tokens / self.passes

    @property
    def acceptance(self) -> float:
        """Accepted over judged tokens: those behind the first refused one of a cycle are not judged."""
        return acceptance_of(self.cycles)

    @property
    def by_position(self) -> list[float]:
        """Acceptance of the first, second ... token of a cycle, among those that were judged."""
        many, stayed = np.indices(self.cycles.shape)
        found = []
        for at in range(self.cycles.shape[0] - 1):
            judged = self.cycles[(many > at) & (stayed >= at)].sum()
            if judged:
                found.append(float(self.cycles[(many > at) & (stayed > at)].sum() / judged))
        return found

    @property
    def accepted_lengths(self) -> list[int]:
        """How many passes kept 0, 1, 2 ... drafts."""
        return self.cycles.sum(0).tolist()


@dataclass(frozen=True)
class Speculated:
    """responses: [prompt][sample]. statistics: of all of them; of_prompts: of each prompt."""

    responses: list[list[Response]]
    statistics: Statistics
    of_prompts: list[Statistics]


class SpeculativeSampler:
    """A target and a draft made ready; reusable. Arguments as those of `speculative_sample`.

    positions: most tokens of a prompt and its response together; the model's context by default.
    """

    def __init__(
        self,
        model: Qwen2,
        draft: Draft | None,
        *,
        gamma: int = 7,
        rule: str = "coupled",
        temperature: float = 1.0,
        top_p: float = 1.0,
        stop: Sequence[int] = (),
        confidence: float = 0.0,
        batch: int = 1,
        positions: int | None = None,
    ) -> None:
        _check_settings(model, draft, gamma, rule, temperature, batch)
        _say_if_slow(model, draft, gamma)
        self._temperature, self._top_p = temperature, checks.check_top_p(top_p)
        self._config, context = model.config, model.config.max_position_embeddings
        self._positions = context if positions is None else min(context, positions)
        self._speculator = Speculator(
            model,
            None if draft is None else draft.model,
            kind="lookup" if draft is None else draft.kind,
            table=None if draft is None else draft.table,
            rows=batch,
            gamma=0 if draft is None else gamma,
            positions=self._positions,
            rule=rule,
            temperature=temperature,
            top_p=top_p,
            confidence=confidence,
            stop=stop,
        )

    @property
    def speculator(self) -> Speculator:
        """The compiled loop, for timing."""
        return self._speculator

    def retuned(
        self, *, gamma: int, temperature: float | None = None, lookup: bool = False, batch: int | None = None
    ) -> "SpeculativeSampler":
        """The same models and memory with other settings; one of the two samples at a time.

        gamma, batch: at most those of this one; gamma 0 for no draft. lookup: it takes the draft's place.
        """
        loop, batch = self._speculator, self._speculator.rows if batch is None else batch
        if not (0 <= gamma <= loop.gamma and 1 <= batch <= loop.rows):
            raise K2ReproError(
                f"gamma = {gamma}, batch = {batch}: there is room for 0 to {loop.gamma} guesses and 1 to "
                f"{loop.rows} rows"
            )
        other = copy.copy(self)
        if temperature is not None:
            other._temperature = checks.check_temperature(temperature)
            _check_coupled(loop.coupled, temperature)
        other._speculator = loop.retuned(gamma=gamma, rows=batch, temperature=temperature, lookup=lookup)
        return other

    def sample(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, seeds: Sequence[int], n: int = 1
    ) -> Speculated:
        """`n` responses to each prompt."""
        checks.whole("n", n)
        checks.whole("max_new_tokens", max_new_tokens)
        checks.check_prompts(prompts, None, self._config.vocab_size, self._positions)
        if not prompts:
            raise K2ReproError("no prompt: pass at least one list of token ids")
        checks.prompt_seeds(seeds, None, len(prompts), self._temperature == 0)
        work = [(p, j) for p in range(len(prompts)) for j in range(n)]
        found: dict[tuple[int, int], tuple[Response, NDArray[np.int64]]] = {}
        for first in range(0, len(work), self._speculator.rows):
            part = work[first : first + self._speculator.rows]
            self._speculator.begin([self._begin(prompts[p], seeds[p], j, max_new_tokens) for p, j in part])
            _run(self._speculator, self._temperature, self._top_p)
            for row, name in enumerate(part):
                cycles = self._speculator.state.cycles[row].copy()
                found[name] = _response(self._speculator, row), cycles
        responses = [[found[p, j][0] for j in range(n)] for p in range(len(prompts))]
        of_prompts = [
            Statistics(
                np.sum([found[p, j][1] for j in range(n)], 0), sum(len(one.tokens) for one in responses[p])
            )
            for p in range(len(prompts))
        ]
        whole = Statistics(
            np.sum([one.cycles for one in of_prompts], 0), sum(one.tokens for one in of_prompts)
        )
        return Speculated(responses, whole, of_prompts)

    def _begin(
        self, prompt: Sequence[int], seed: int, sample: int, most: int
    ) -> tuple[Sequence[int], NDArray[np.float64], int]:
        """Prompt, numbers and budget of a row."""
        budget = min(most, self._positions - len(prompt))
        if self._speculator.coupled:
            return prompt, uniforms(seed, sample, budget), budget
        # Drafting, judging and replacing each take numbers of their own; none is used twice.
        numbers = budget * (2 * self._speculator.gamma + 2)
        return prompt, uniforms(seed, _OTHER_STREAM + sample, numbers), budget


def speculative_sample(
    model: Qwen2,
    draft: Draft | None,
    prompts: Sequence[Sequence[int]],
    *,
    gamma: int = 7,
    rule: str = "coupled",
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seeds: Sequence[int],
    n: int = 1,
    stop: Sequence[int] = (),
    confidence: float = 0.0,
    batch: int = 1,
) -> Speculated:
    """`n` responses to each prompt, distributed exactly as `model` alone would write them.

    draft: see `drafts.py`; None decodes without one. gamma: most tokens that it proposes in a cycle.
    rule: "coupled", "token" or "block"; at temperature 0 all three are greedy decoding. batch: rows that are
    written together. confidence: the draft stops early where its likeliest token has less than this
    probability; 0 never. stop: token ids. Other arguments as those of `engine.sample`.
    Raises K2ReproError for input that cannot be served and logits that are not finite. Warns (`SlowDraft`)
    where the draft is no smaller than the target.
    """
    sampler = SpeculativeSampler(
        model,
        draft,
        gamma=gamma,
        rule=rule,
        temperature=temperature,
        top_p=top_p,
        stop=stop,
        confidence=confidence,
        batch=min(checks.whole("batch", batch), max(1, len(prompts) * n)),
        positions=max(map(len, prompts), default=1) + checks.whole("max_new_tokens", max_new_tokens),
    )
    return sampler.sample(prompts, max_new_tokens=max_new_tokens, seeds=seeds, n=n)


def _run(speculator: Speculator, temperature: float, top_p: float) -> None:
    """Until every row is at its end; a number too close to call is given to `engine.choose`."""
    while speculator.run():
        state = speculator.state.state
        for broken, whose in ((BROKEN, "target"), (BROKEN_DRAFT, "draft")):
            if (state == broken).any():
                raise K2ReproError(
                    f"logits of the {whose} are NaN or infinite: no token can be drawn. Usual cause: weights "
                    "that diverged in training (look at the loss of the last steps)"
                )
        for row in np.flatnonzero(state == ASKS):
            logits = torch.from_numpy(speculator.logits_asked(int(row)).copy())[None]
            token = choose(logits, speculator.number_asked(int(row)), temperature, top_p)
            speculator.answer(int(row), int(token[0]))


_ORIGINS = {ACCEPTED: "accepted", CORRECTED: "corrected", ADDED: "added"}


def _response(speculator: Speculator, row: int) -> Response:
    tokens, origin = speculator.response(row)
    stopped = bool(tokens) and bool(speculator.state.stops[tokens[-1]])
    return Response(
        tuple(tokens), "stop" if stopped else "length", tuple(_ORIGINS[int(one)] for one in origin)
    )


def _check_settings(
    model: Qwen2, draft: Draft | None, gamma: int, rule: str, temperature: float, batch: int
) -> None:
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    checks.whole("gamma", gamma)
    checks.whole("batch", batch)
    checks.check_temperature(temperature)
    if gamma >= model.config.max_position_embeddings:
        raise K2ReproError(
            f"gamma = {gamma}: must be below the context of {model.config.max_position_embeddings} tokens"
        )
    _check_coupled(rule == "coupled", temperature)
    if draft is None:
        return
    if draft.kind not in KINDS:
        raise unknown("draft", draft.kind, KINDS)
    if draft.words not in (None, model.config.vocab_size):
        raise K2ReproError(
            f"the draft knows {draft.words} words, the target {model.config.vocab_size}: must be equal. "
            "Usual cause: one of the two is padded (resize the smaller table), or another tokenizer's model"
        )


def _say_if_slow(model: Qwen2, draft: Draft | None, gamma: int) -> None:
    """A draft as large as its target is as slow: no acceptance makes up for that."""
    if draft is None or draft.model is None:
        return
    large, small = (count_parameters(each.config).total for each in (model, draft.model))
    if small >= large:
        best = (gamma + 1) / (1 + gamma * small / large)
        warnings.warn(
            f"the draft has {small:,} parameters, the target {large:,}: a guess costs what it is to "
            f"save. Where time goes with size, decoding is at best {best:.2f} times as fast as without a "
            "draft, with every guess accepted. `k2repro speculate` measures it",
            SlowDraft,
            stacklevel=4,
        )


def _check_coupled(coupled: bool, temperature: float) -> None:
    if coupled and temperature > 1:
        raise K2ReproError(
            f"rule 'coupled' at temperature {temperature:g}: must be at most 1. Above, two models draw the "
            "same token with the same number ever less often, however alike they are: more guesses are "
            "thrown away than under the other rules; notebook 06 shows how many. Take rule='block' or 'token'"
        )
