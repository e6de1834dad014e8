"""On-policy groups: prompts from a stream, completions from the present weights, scores from the verifier.

Nothing random is kept between steps: the seed of a prompt's completions is a hash of the run's seed and
of the prompt's place in the stream.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine.backend import Backend, Request
from k2repro.errors import K2ReproError
from k2repro.mini.problem import item_random, item_seed
from k2repro.rlvr.config import GrpoConfig
from k2repro.rlvr.groups import Group, check_group
from k2repro.rlvr.rewards import Prompt, Reward, score

PromptStream = Callable[[int], Prompt]  # prompt number 0, 1, 2, ... of an endless stream


@dataclass(frozen=True)
class RolloutSource:
    """Where groups come from.

    prompts: the stream. rewards: functions by name. backend: gives a backend that holds the present weights
    of a model, such as `LocalBackend`; called again in every round, so none can sample from older ones. It
    has to name the tokens of its completions. stop: token ids or strings that end a completion.
    """

    prompts: PromptStream
    rewards: Mapping[str, Reward]
    backend: Callable[[Qwen2], Backend]
    stop: Sequence[int | str]


@dataclass
class Clock:
    """Seconds spent on the parts of a step; for people, never for a row."""

    sampling: float = 0.0
    scoring: float = 0.0
    training: float = 0.0


def cycle(prompts: Sequence[Prompt], seed: int) -> PromptStream:
    """An endless stream of `prompts`, in a new order each time round; place i is a pure function of i."""
    if not prompts:
        raise K2ReproError("there is no prompt to train on")
    orders: dict[int, list[int]] = {}

    def at(index: int) -> Prompt:
        turn, place = divmod(index, len(prompts))
        if turn not in orders:
            order = list(range(len(prompts)))
            item_random("rlvr-order", seed, turn).shuffle(order)
            orders.clear()
            orders[turn] = order
        return prompts[orders[turn][place]]

    return at


def draw_groups(
    model: Qwen2, source: RolloutSource, config: GrpoConfig, position: int, budget: int, clock: Clock
) -> list[Group]:
    """The groups of one step, beginning at place `position` of the stream; one prompt for each group.

    With `config.refill_rounds`, further prompts are drawn in place of groups that are all right or all wrong.
    Raises K2ReproError for a prompt without room, a lost completion, or a bad reward.
    """
    places = range(position, position + config.prompts_per_step)
    groups = _one_round(model, source, config, places, budget, clock)
    for _ in range(config.refill_rounds):
        missing = config.prompts_per_step - sum(not group.uniform for group in groups)
        if missing == 0:
            break
        places = range(places.stop, places.stop + missing)
        groups += _one_round(model, source, config, places, budget, clock)
    return groups


def _one_round(
    model: Qwen2, source: RolloutSource, config: GrpoConfig, places: range, budget: int, clock: Clock
) -> list[Group]:
    prompts = [source.prompts(place) for place in places]
    for prompt in prompts:
        _check_room(prompt, budget, model.config.max_position_embeddings)
    started = time.perf_counter()
    requests = [
        Request(
            prompt.tokens,
            max_new_tokens=budget,
            n=config.group_size,
            temperature=1.0,
            top_p=1.0,
            seed=item_seed("rlvr-samples", config.seed, place),
            stop=tuple(source.stop),
            logprobs=True,
        )
        for prompt, place in zip(prompts, places, strict=True)
    ]
    sampled = source.backend(model).complete(requests)
    clock.sampling += time.perf_counter() - started
    if len(sampled) != len(prompts):
        raise K2ReproError(f"the backend returned {len(sampled)} groups for {len(prompts)} prompts")
    for prompt, completions in zip(prompts, sampled, strict=True):
        check_group(prompt, completions, config.group_size)
    started = time.perf_counter()
    flat = [completion for completions in sampled for completion in completions]
    scores = score(source.rewards, [p for p in prompts for _ in range(config.group_size)], flat)
    clock.scoring += time.perf_counter() - started
    return [
        Group(prompt, tuple(completions), tuple(row))
        for prompt, completions, row in zip(
            prompts, sampled, scores.view(-1, config.group_size).tolist(), strict=True
        )
    ]


def _check_room(prompt: Prompt, budget: int, limit: int) -> None:
    if not prompt.tokens:
        raise K2ReproError(f"prompt {prompt.id!r} has no token")
    if len(prompt.tokens) + budget > limit:
        raise K2ReproError(
            f"prompt {prompt.id!r} has {len(prompt.tokens)} tokens and the response budget is {budget}: "
            f"together more than the context of {limit}. Cut the budget, or leave such prompts out"
        )
