"""A judge that reads two answers side by side and says which is right, as K2-Think's does.

weights "steady-sft", first seed -> examples: two of its answers to a training problem, one right, one wrong
weights "steady-sft", second seed, + examples -> reader: two minutes longer, on one word after every pair
reader + candidates of the first solver -> verdicts on every pair of a pool, in both orders (ships)

It reads the question, what the two answers have in common, and how each of them goes on. Then it says one of
two words; the verdict is the difference of their logits. Whoever compares two things in one text can prefer
what it read first: that bias is measured here, beside what it costs to compare as released.

On validation problems the reader preferred what it read first, and was at chance once both orders were
averaged, as in an earlier try with answers at temperature 1. It is shown for its bias and not as a judge
worth having.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from k2repro.architecture import Qwen2
from k2repro.engine import NUMERICS as ENGINE
from k2repro.engine.reading import read
from k2repro.evaluate import POOLS
from k2repro.lab import candidates, judge, sft
from k2repro.lab.asking import AskedPrompt, read_askings
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.made import Made, Making
from k2repro.lab.pools import Asked
from k2repro.lab.progress import JobProgress, live
from k2repro.lab.readings import read_readings, reading
from k2repro.lab.scale import Scale
from k2repro.mini import GRADER, TEXTS, tokenizer
from k2repro.mini.benchmarks import LEVELS, MAX_NEW_TOKENS_LEVELS, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint, save_checkpoint
from k2repro.mini.problem import item_random, item_seed
from k2repro.results import ArtifactStore
from k2repro.results.provenance import made_on
from k2repro.training import NUMERICS as TRAINING
from k2repro.training import SCHEDULES, build_optimizer
from k2repro.training.growth import grow_layers
from k2repro.training.loop import train
from k2repro.training.optimizer import LearningRates
from k2repro.training.packing import Batch, Example, pack

FILE = "pairs.jsonl.gz"
# Said when the answer that was read first is the right one, and when the second one is.
FIRST_RIGHT, SECOND_RIGHT = " ok", " no"
# Hot enough that most short problems have a wrong answer; a short one costs a third of a long one.
TEMPERATURE = 1.4
# What is read; raised when the text around a pair changes.
FORMAT = "pair-1"
# Margins are kept to a thousandth: they ship, and finer would be rounding.
DIGITS = 3
# Candidates of a problem that are compared, and problems of each level.
COMPARED, PROBLEMS = 8, 60


@dataclass(frozen=True)
class PairReaderRecipe:
    """How the reader is made.

    levels, problems, samples: of the examples, training problems of each level and answers to each.
    pairs: most of one problem. steps of `rows` pairs. layers: the model is grown to this depth.
    """

    levels: tuple[str, ...] = ("tier-2", "tier-3", "ops-9-10")
    problems: int = 60
    samples: int = 6
    pairs: int = 8
    steps: int = 150
    rows: int = 12
    layers: int = 5
    rates: LearningRates = LearningRates(matrices=4.5e-3, rest=4.5e-4, biases=1.35e-2)

    def shortened(self, share: float) -> "PairReaderRecipe":
        """The same with `share` of its problems and steps; for quick runs that prove the path."""
        fewer = {"problems": max(4, round(self.problems * share)), "steps": max(2, round(self.steps * share))}
        return PairReaderRecipe(**{**vars(self), **fewer})


RECIPE = PairReaderRecipe()


# ---- things to be made ----------------------------------------------------------------------------


def examples(seed: int, scale: Scale) -> Made:
    """Pairs to learn from: training problems, answers of the first solver's SFT model."""
    recipe = RECIPE.shortened(scale.steps)
    params = {
        **{name: getattr(recipe, name) for name in ("levels", "problems", "samples", "pairs")},
        "max_new_tokens": MAX_NEW_TOKENS_LEVELS,
        "temperature": TEMPERATURE,
    }
    return Made(
        "pair-examples",
        "steady-sft",
        seed,
        partial(_examples, recipe),
        params,
        (ENGINE, POOLS, TEXTS, GRADER),
        {"writer": judge.foreign(seed, scale)},
    )


def reader(seeds: Sequence[int], scale: Scale) -> Made:
    """The trained reader. seeds: of all solvers, in their order."""
    recipe = RECIPE.shortened(scale.steps)
    params = {"format": FORMAT, **{n: asdict(recipe)[n] for n in ("steps", "rows", "layers", "rates")}}
    needs = {"start": judge.foreign(seeds[1], scale), "examples": examples(seeds[0], scale)}
    return Made("weights", "pair-reader", 0, partial(_train, recipe), params, (TRAINING, TEXTS), needs)


def verdicts(seeds: Sequence[int], scale: Scale) -> Made:
    """What it says of test problems; ships. seeds: of all solvers, in their order."""
    searched = candidates.search(seeds[0], "test", scale)
    needs = {
        "reader": reader(seeds, scale),
        "candidates": searched,
        "likelihood": reading(candidates.solver(seeds[0], scale), searched),
    }
    params = {"format": FORMAT, "problems": min(PROBLEMS, scale.asked), "compared": COMPARED}
    return Made(
        "pair-verdicts", "pair-reader", 0, partial(_judge, params), params, (ENGINE, TEXTS), needs, ships=True
    )


@dataclass(frozen=True)
class Compared:
    """One problem whose candidates were compared in pairs.

    of: which of the distinct texts each candidate has; right, own (the solver's log-probability): of each
    distinct text. margins: [distinct][distinct], nats; [i][j] above 0 says that i, read first, is right
    and j is not. None on the diagonal, and where question and both texts do not fit the context.
    """

    id: str
    tier: str
    of: tuple[int, ...]
    right: tuple[int, ...]
    own: tuple[float, ...]
    margins: tuple[tuple[float | None, ...], ...]


def carry_out_pair_reader(
    scale: Scale, store: ArtifactStore, seeds: Sequence[int], *, workers: int = 2, progress: Watch = live
) -> tuple[list[Compared], Mapping[str, str]]:
    """The verdicts, made where they are missing, and the machine that made them. seeds: of the solvers."""
    made = verdicts(seeds, scale)
    folders = carry_out([made], store, workers=workers, progress=progress)
    return read_compared(folders[made.key]), made_on(folders.values())


def read_compared(folder: Path) -> list[Compared]:
    """The verdicts of an artifact. Raises K2ReproError for a file that is cut short."""
    return read_lines(folder / FILE, Compared)


# ---- what is read ---------------------------------------------------------------------------------


def pair_tokens(question: str, first: str, second: str) -> tuple[int, ...]:
    """Question, common beginning, how `first` goes on, how `second` does, and the sign to judge."""
    prompt, one, other = tokenizer.encode_all([tokenizer.prompt_text(question), first, second])
    same = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    turn, judge_now = tokenizer.encode_all([tokenizer.TURN_START, tokenizer.END_OF_TEXT])
    return (*prompt, *one[:same], *turn, *one[same:], *turn, *other[same:], *judge_now)


def margins(model: Qwen2, pairs: Sequence[tuple[int, ...]]) -> list[float | None]:
    """The verdict on each pair: log-probability of FIRST_RIGHT minus that of SECOND_RIGHT.

    None for a pair that leaves no place for the word in the context.
    """
    words = tokenizer.encode_all([FIRST_RIGHT, SECOND_RIGHT])
    fits = [len(pair) < model.config.max_position_embeddings for pair in pairs]
    kept = [pair for pair, fit in zip(pairs, fits, strict=True) if fit]
    found = iter(read(model, kept, [words] * len(kept)))
    return [_margin(*next(found)) if fit else None for fit in fits]


def _rounded(margin: float | None) -> float | None:
    return None if margin is None else round(margin, DIGITS)


def _margin(first: Any, second: Any) -> float:
    return float(first.logprobs[0]) - float(second.logprobs[0])


# ---- making ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RightAndWrong:
    """Two answers to a training problem."""

    id: str
    question: str
    right: str
    wrong: str


def _examples(recipe: PairReaderRecipe, making: Making) -> None:
    problems = [
        each for level in recipe.levels for each in benchmark_problems(level, "train", recipe.problems)
    ]
    asked = Asked(
        load_checkpoint(making.needs["writer"]),
        0,
        making.work,
        making.report,
        max_new_tokens=MAX_NEW_TOKENS_LEVELS,
        temperature=TEMPERATURE,
    )
    pool = asked.pool([(problems, recipe.samples)], {})
    questions = {each.id: each.question for each in problems}
    found: list[RightAndWrong] = []
    for attempt in pool.attempts:
        texts = {True: dict[str, None](), False: dict[str, None]()}
        for one in attempt.generations:
            texts[one.right][one.text] = None
        pairs = list(product(texts[True], texts[False]))
        item_random("pair-examples", attempt.id.replace("/", ".")).shuffle(pairs)
        found += [RightAndWrong(attempt.id, questions[attempt.id], *pair) for pair in pairs[: recipe.pairs]]
    write_lines(making.folder / FILE, found)


class PairStream:
    """Batches of pairs, each followed by the right word; who is read first is drawn. See `BatchStream`."""

    def __init__(self, pairs: Sequence[RightAndWrong], *, rows: int, context: int) -> None:
        words = tokenizer.encode_all([FIRST_RIGHT, SECOND_RIGHT])
        self._examples = [both for pair in pairs if (both := _both_orders(pair, words, context)) is not None]
        self._rows, self._context, self._next = rows, context, 0

    @property
    def size(self) -> int:
        """Pairs that fit the context."""
        return len(self._examples)

    def next_batch(self) -> Batch:
        drawn = [self._draw(at) for at in range(self._next, self._next + self._rows)]
        self._next += self._rows
        return pack(drawn, self._context)[0]

    def _draw(self, index: int) -> Example:
        """Every example comes once before any comes again."""
        turn, at = divmod(index, len(self._examples))
        order = list(range(len(self._examples)))
        item_random("pair-reader", turn).shuffle(order)
        return self._examples[order[at]][item_random("pair-reader", turn, at).randrange(2)]

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next = int(state["next"])


def _both_orders(
    pair: RightAndWrong, words: Sequence[Sequence[int]], context: int
) -> tuple[Example, Example] | None:
    """The pair in both orders, each with its word; None where it does not fit."""
    ways = ((pair.right, pair.wrong), (pair.wrong, pair.right))
    found = [Example(pair_tokens(pair.question, *way), word) for way, word in zip(ways, words, strict=True)]
    return None if max(map(len, found)) > context else (found[0], found[1])


def _train(recipe: PairReaderRecipe, making: Making) -> None:
    model = load_checkpoint(making.needs["start"])
    generator = torch.Generator().manual_seed(item_seed("growth", "pair-reader") % 2**63)
    model = grow_layers(model, recipe.layers, generator=generator)
    pairs = read_lines(making.needs["examples"] / FILE, RightAndWrong)

    stream = PairStream(pairs, rows=recipe.rows, context=model.config.max_position_embeddings)
    # A solver that is never right, or never wrong, leaves nothing to learn: the reader stays as it began.
    if stream.size:
        train(
            model,
            build_optimizer(model, recipe.rates),
            stream,
            recipe.steps,
            stage="pair-reader",
            schedule=partial(SCHEDULES["cosine"], warmup=0.1),
            work=making.work,
            progress=lambda now: making.report(sft.report_of(now)),
        )
    save_checkpoint(model, making.folder)


def _judge(params: Mapping[str, Any], making: Making) -> None:
    model = load_checkpoint(making.needs["reader"]).eval()
    likely = {each.id: each for each in read_readings(making.needs["likelihood"])}
    chosen = list(_first_of_each_level(read_askings(making.needs["candidates"]), params["problems"]))
    found = []
    for done, asking in enumerate(chosen):
        making.report(JobProgress(done / len(chosen), f"problem {done + 1} of {len(chosen)}"))
        found.append(_compared(model, asking, likely[asking.id].logprob, params["compared"]))
    write_lines(making.folder / FILE, found)


def _first_of_each_level(askings: Sequence[AskedPrompt], count: int) -> Iterator[AskedPrompt]:
    for level in LEVELS:
        yield from [each for each in askings if each.tier == level][:count]


def _compared(model: Qwen2, asking: AskedPrompt, own: Sequence[float], most: int) -> Compared:
    texts = asking.texts[:most]
    distinct = list(dict.fromkeys(texts))
    places = [texts.index(text) for text in distinct]
    pairs = [(i, j) for i in range(len(distinct)) for j in range(len(distinct)) if i != j]
    read_as = [pair_tokens(asking.question, distinct[i], distinct[j]) for i, j in pairs]
    said = dict(zip(pairs, margins(model, read_as), strict=True))
    return Compared(
        asking.id,
        asking.tier,
        of=tuple(distinct.index(text) for text in texts),
        right=tuple(int(asking.right[at]) for at in places),
        own=tuple(own[at] for at in places),
        margins=tuple(
            tuple(_rounded(said.get((i, j))) for j in range(len(distinct))) for i in range(len(distinct))
        ),
    )
