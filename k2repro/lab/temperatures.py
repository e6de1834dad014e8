"""At which temperature a model is asked, chosen on validation problems; and where two are equally unsure.

weights -> tried (a grid of temperatures) -> temperatures

Entropy is that of sampling, in nats a token: the mean of minus the log-probability, at the temperature of
sampling, of the tokens that were drawn. Its expectation is the mean entropy along the model's own responses.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from k2repro.engine import NUMERICS as ENGINE
from k2repro.engine import sample
from k2repro.errors import K2ReproError
from k2repro.evaluate import POOLS, pass_at_k
from k2repro.evaluate.pool import problem_seed
from k2repro.lab.made import Made, Making
from k2repro.lab.pools import sharpened
from k2repro.lab.progress import JobProgress
from k2repro.lab.scale import Scale
from k2repro.mini import GRADER, TEXTS, tokenizer
from k2repro.mini.benchmarks import MAX_NEW_TOKENS_LEVELS, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.mini.grading import grade
from k2repro.results.atomic import canonical_json, write_text

GRID = (0.4, 0.7, 1.0, 1.4)
# Where training samples, and where both models are compared at the same temperature.
SAME = 1.0
TRIED, FILE = "tried.jsonl", "temperatures.json"


@dataclass(frozen=True)
class TemperatureTry:
    """One model at one temperature on validation problems.

    pass_one, pass_many: unbiased pass@1 and pass@k at as many samples as were drawn. entropy: nats a token.
    """

    temperature: float
    pass_one: float
    pass_many: float
    entropy: float


@dataclass(frozen=True)
class ChosenTemperatures:
    """What was chosen.

    one, many  by model: the temperature with the best pass@1, and with the best pass@k at `samples`
    matched    by seed: where the first model is as unsure as the second is at SAME
    tries      by model, means over seeds
    """

    one: Mapping[str, float]
    many: Mapping[str, float]
    matched: Mapping[int, float]
    samples: int
    tries: Mapping[str, Sequence[TemperatureTry]]


# ---- things to be made ----------------------------------------------------------------------------


def tried(name: str, model: Made, level: str, scale: Scale) -> Made:
    """A model at every temperature of the grid, on validation problems."""
    params = {
        "level": level,
        "split": "validation",
        "grid": list(GRID),
        "problems": scale.grid_problems,
        "samples": scale.few_samples,
        "max_new_tokens": MAX_NEW_TOKENS_LEVELS,
    }
    words = (ENGINE, POOLS, TEXTS, GRADER)
    make = partial(_try_all, params, model.seed)
    return Made("tried", f"{name}-temperatures", model.seed, make, params, words, {"model": model})


def choice(models: Mapping[str, Mapping[int, Made]], level: str, scale: Scale) -> Made:
    """The temperatures of two models, by what was tried with all seeds.

    models: weights by name and seed; the second is the one whose entropy at SAME the first has to meet.
    """
    names, seeds = list(models), list(next(iter(models.values())))
    needs = {
        f"{name} {seed}": tried(name, models[name][seed], level, scale) for name in names for seed in seeds
    }
    params = {"models": names, "seeds": seeds, "samples": scale.few_samples}
    return Made("temperatures", "-and-".join(names), 0, partial(_choose, params), params, needs=needs)


# ---- making ---------------------------------------------------------------------------------------


def _try_all(params: Mapping[str, Any], seed: int, making: Making) -> None:
    model = load_checkpoint(making.needs["model"])
    problems = benchmark_problems(params["level"], params["split"], params["problems"])
    prompts = [tokenizer.prompt_text(each.question) for each in problems]
    lines, n = [], params["samples"]
    for at, temperature in enumerate(params["grid"]):
        making.report(JobProgress(at / len(params["grid"]), f"temperature {temperature}"))
        drawn = sample(
            sharpened(model, temperature),
            prompts,
            n=n,
            max_new_tokens=params["max_new_tokens"],
            seeds=[problem_seed(seed, each.id) for each in problems],
            stop=[tokenizer.turn_end()],
            tokenizer=tokenizer.load(),
            logprobs=True,
        )
        flat = [one for each in drawn for one in each]
        right = grade([each for each in problems for _ in range(n)], [str(one.text) for one in flat])
        counts = [sum(right[first : first + n]) for first in range(0, len(right), n)]
        entropy = -float(np.concatenate([one.logprobs for one in flat]).mean(dtype=np.float64))
        one_of, any_of = (float(np.mean([pass_at_k(n, c, k) for c in counts])) for k in (1, n))
        lines.append(
            canonical_json(asdict(TemperatureTry(temperature, one_of, any_of, round(entropy, 6)))) + "\n"
        )
    write_text(making.folder / TRIED, "".join(lines))


def _choose(params: Mapping[str, Any], making: Making) -> None:
    tries = {
        name: {seed: read_tries(making.needs[f"{name} {seed}"]) for seed in params["seeds"]}
        for name in params["models"]
    }
    found = choose(tries, params["samples"])
    write_text(making.folder / FILE, canonical_json(asdict(found)) + "\n")


def choose(tries: Mapping[str, Mapping[int, Sequence[TemperatureTry]]], samples: int) -> ChosenTemperatures:
    """The choice, from what two models gave by seed; of equals the temperature nearest to SAME wins."""
    means = {name: _means(list(by_seed.values())) for name, by_seed in tries.items()}
    first, second = tries.values()
    matched = {seed: matching_temperature(first[seed], _at(second[seed], SAME).entropy) for seed in first}
    return ChosenTemperatures(
        one={name: _best(each, "pass_one") for name, each in means.items()},
        many={name: _best(each, "pass_many") for name, each in means.items()},
        matched=matched,
        samples=samples,
        tries=means,
    )


def matching_temperature(tries: Sequence[TemperatureTry], entropy: float) -> float:
    """Where a model has this entropy, by straight lines between the temperatures tried; to a hundredth.

    Outside of what was tried it is the end of the grid.
    """
    ordered = sorted(tries, key=lambda each: each.entropy)
    found = np.interp(entropy, [each.entropy for each in ordered], [each.temperature for each in ordered])
    return round(float(found), 2)


def _means(by_seed: Sequence[Sequence[TemperatureTry]]) -> list[TemperatureTry]:
    """Over seeds, temperature by temperature."""
    return [
        TemperatureTry(
            same[0].temperature,
            *(
                float(np.mean([getattr(one, name) for one in same]))
                for name in ("pass_one", "pass_many", "entropy")
            ),
        )
        for same in zip(*by_seed, strict=True)
    ]


def _best(tries: Sequence[TemperatureTry], name: str) -> float:
    best = max(tries, key=lambda each: (getattr(each, name), -abs(each.temperature - SAME)))
    return best.temperature


def _at(tries: Sequence[TemperatureTry], temperature: float) -> TemperatureTry:
    found = [each for each in tries if each.temperature == temperature]
    if not found:
        raise K2ReproError(f"temperature {temperature} was not tried, only {[t.temperature for t in tries]}")
    return found[0]


# ---- reading --------------------------------------------------------------------------------------


def read_tries(folder: Path) -> list[TemperatureTry]:
    """A model at every temperature."""
    return [
        TemperatureTry(**json.loads(line))
        for line in (folder / TRIED).read_text(encoding="utf-8").splitlines()
    ]


def read_choice(folder: Path) -> ChosenTemperatures:
    """What was chosen."""
    found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return ChosenTemperatures(
        one=found["one"],
        many=found["many"],
        matched={int(seed): value for seed, value in found["matched"].items()},
        samples=found["samples"],
        tries={name: [TemperatureTry(**each) for each in tries] for name, tries in found["tries"].items()},
    )
