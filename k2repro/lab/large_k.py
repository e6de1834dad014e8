"""SFT and RL when many samples are allowed: pass@k up to k = 64, and what the last norm is worth.

weights of SFT and of RL from SFT -> tried (validation, a grid of temperatures) -> temperatures
                                  -> outcomes (test) -> large-k (ships)

The question is that of Yue et al. 2025, "Does Reinforcement Learning Really Incentivize Reasoning Capacity in
LLMs Beyond the Base Model?" (https://arxiv.org/abs/2504.13837): RL wins at k = 1; does it at large k? Asked
is the one level that leaves room there: of easier ones 64 samples solve everything, whoever draws them.
Temperatures are chosen on validation problems, and a pool on test problems reads the one that was chosen.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from k2repro.architecture import Qwen2
from k2repro.engine import NUMERICS as ENGINE
from k2repro.errors import K2ReproError, unknown
from k2repro.evaluate import POOLS
from k2repro.lab import rlvr, sft, temperatures
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.made import Made, Making
from k2repro.lab.outcomes import BySeed, SampleOutcomes, first_of, outcomes_of
from k2repro.lab.pools import Asked
from k2repro.lab.progress import live
from k2repro.lab.scale import Scale
from k2repro.lab.temperatures import SAME, ChosenTemperatures
from k2repro.mini import GRADER, TEXTS
from k2repro.mini.benchmarks import MAX_NEW_TOKENS_LEVELS, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.results import ArtifactStore
from k2repro.results.atomic import canonical_json, write_text
from k2repro.results.provenance import made_on

START, RUN = "sft", "from-sft"
# The level that is asked: longer than anything in training.
LEVEL = "ops-15-16"
# Test problems of that level from here on: in an earlier version notebooks 04 and 05 asked the first 300.
FIRST = 400
# What is asked: model, at which temperature, and whether often. "one" and "many" are the temperatures chosen
# for one sample and for many, "matched" is where SFT is as unsure, token by token, as RL is at 1.
AT_SAME = {model: f"{model}@same" for model in (START, RUN)}
AT_MANY = {model: f"{model}@many" for model in (START, RUN)}
AT_ONE = {model: f"{model}@one" for model in (START, RUN)}
MATCHED = f"{START}@matched"
# One model with the scales of the other's last norm, 128 numbers: both at temperature 1.
SFT_WITH_RL_NORM, RL_WITH_SFT_NORM = f"{START}+norm", f"{RUN}+norm"
OFTEN = (*AT_SAME.values(), *AT_MANY.values())
KINDS = (*OFTEN, *AT_ONE.values(), MATCHED, SFT_WITH_RL_NORM, RL_WITH_SFT_NORM)
FILE, SHIPPED = "outcomes.jsonl", "outcomes.jsonl.gz"
_WORDS = (ENGINE, POOLS, TEXTS, GRADER)


# ---- things to be made ----------------------------------------------------------------------------


def weights(model: str, seed: int, scale: Scale) -> Made:
    """The weights of "sft" or of the RL run from it. Raises K2ReproError for another name."""
    if model not in AT_SAME:
        raise unknown("model of the comparison at large k", model, AT_SAME)
    return sft.weights(START, seed, scale) if model == START else rlvr.weights(RUN, seed, scale)


def choice(scale: Scale) -> Made:
    """The temperatures, chosen on validation problems over all seeds."""
    return temperatures.choice(
        {model: {seed: weights(model, seed, scale) for seed in range(scale.seeds)} for model in AT_SAME},
        LEVEL,
        scale,
    )


def outcomes(kind: str, seed: int, scale: Scale) -> Made:
    """Which samples are right, on test problems that nothing else asks. kind: one of KINDS."""
    if kind not in KINDS:
        raise unknown("kind of outcomes", kind, KINDS)
    params = {
        "level": LEVEL,
        "start": FIRST,
        "problems": scale.many_problems,
        "samples": scale.many_samples if kind in OFTEN else scale.few_samples,
        "max_new_tokens": MAX_NEW_TOKENS_LEVELS,
    }
    model, _, at = kind.partition("@")
    needs: dict[str, Made]
    if not at:  # with the other's norm
        model = model.removesuffix("+norm")
        other = RUN if model == START else START
        needs = {"model": weights(model, seed, scale), "norm": weights(other, seed, scale)}
    elif at == "same":
        needs = {"model": weights(model, seed, scale)}
    else:
        needs = {
            "model": weights(model, seed, scale),
            "temperatures": choice(scale),
            "same": outcomes(AT_SAME[model], seed, scale),
        }
    return Made("outcomes", kind, seed, partial(_ask, kind, params, seed), params, _WORDS, needs)


def large_k(scale: Scale) -> Made:
    """All outcomes of all seeds, a bit a sample, and the temperatures; it ships."""
    needs = {f"{kind} {seed}": outcomes(kind, seed, scale) for kind in KINDS for seed in range(scale.seeds)}
    return Made("large-k", RUN, 0, _collect, needs={**needs, "temperatures": choice(scale)}, ships=True)


# ---- making ---------------------------------------------------------------------------------------


def _ask(kind: str, params: Mapping[str, Any], seed: int, making: Making) -> None:
    chosen = (
        temperatures.read_choice(making.needs["temperatures"]) if "temperatures" in making.needs else None
    )
    temperature = temperature_of(kind, seed, chosen)
    if chosen is not None and temperature == SAME:
        # The same streams of random numbers: the pool at 1 is this pool.
        found = first_of(read_outcomes(making.needs["same"]), params["samples"])
    else:
        model = load_checkpoint(making.needs["model"])
        if "norm" in making.needs:
            model = with_norm_of(model, load_checkpoint(making.needs["norm"]))
        asked = Asked(
            model,
            seed,
            making.work,
            making.report,
            max_new_tokens=params["max_new_tokens"],
            temperature=temperature,
        )
        problems = benchmark_problems(params["level"], "test", params["problems"], start=params["start"])
        found = outcomes_of(asked.pool([(problems, params["samples"])], {}))
    write_text(making.folder / FILE, "".join(canonical_json(each.packed()) + "\n" for each in found))


def temperature_of(kind: str, seed: int, chosen: ChosenTemperatures | None) -> float:
    """At which temperature a kind is sampled. chosen: None for kinds that are sampled at 1."""
    model, _, at = kind.partition("@")
    if chosen is None or at in ("", "same"):
        return SAME
    if at == "matched":
        return chosen.matched[seed]
    return (chosen.one if at == "one" else chosen.many)[model]


@torch.no_grad()
def with_norm_of(model: Qwen2, other: Qwen2) -> Qwen2:
    """`model`, changed: with the scales of the last norm of `other`, and nothing else of it."""
    model.model.norm.weight.copy_(other.model.norm.weight)
    return model


@dataclass(frozen=True)
class _Line:
    """A line of what ships: `SampleOutcomes.packed`, and whose it is."""

    kind: str
    seed: int
    id: str
    samples: int
    right: str


def _collect(making: Making) -> None:
    lines: list[_Line] = []
    for role, folder in making.needs.items():
        if role != "temperatures":
            kind, _, seed = role.rpartition(" ")
            lines += [_Line(kind, int(seed), **each.packed()) for each in read_outcomes(folder)]
    write_lines(making.folder / SHIPPED, lines)
    text = (making.needs["temperatures"] / temperatures.FILE).read_text(encoding="utf-8")
    write_text(making.folder / temperatures.FILE, text)


# ---- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LargeK:
    """What was made. outcomes: by kind and seed; machine: that made them, see `made_on`."""

    outcomes: Mapping[str, BySeed]
    choice: ChosenTemperatures
    machine: Mapping[str, str]


def read_outcomes(folder: Path) -> list[SampleOutcomes]:
    """The outcomes of one kind and seed."""
    text = (folder / FILE).read_text(encoding="utf-8")
    return [SampleOutcomes.unpacked(json.loads(line)) for line in text.splitlines()]


def read_large_k(folder: Path) -> dict[str, dict[int, list[SampleOutcomes]]]:
    """Outcomes by kind and seed. Raises K2ReproError for a file that is cut short."""
    path = folder / SHIPPED
    found: dict[str, dict[int, list[SampleOutcomes]]] = {}
    for line in read_lines(path, _Line):
        outcomes = SampleOutcomes.unpacked(asdict(line))
        found.setdefault(line.kind, {}).setdefault(line.seed, []).append(outcomes)
    if missing := set(KINDS) - set(found):
        raise K2ReproError(
            f"{path}: no outcomes of {', '.join(sorted(missing))}; usual cause: an edited file"
        )
    return found


def carry_out_large_k(
    scale: Scale, store: ArtifactStore, *, workers: int = 2, progress: Watch = live
) -> LargeK:
    """Make what is missing, mark what ships, and read it. Raises whatever stops a job."""
    folder = carry_out([large_k(scale)], store, workers=workers, progress=progress)[large_k(scale).key]
    return LargeK(read_large_k(folder), temperatures.read_choice(folder), made_on([folder]))
