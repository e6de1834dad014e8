"""A minute of measuring, and what it says: should a draft be used here, which, and how."""

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from k2repro.architecture import Qwen2, load_pretrained
from k2repro.engine.text import TextCodec
from k2repro.errors import K2ReproError
from k2repro.speculative.drafts import Draft, prune
from k2repro.speculative.prediction import Costs, Cycles, shortened, tokens_a_cycle
from k2repro.speculative.sampling import SlowDraft, SpeculativeSampler, Statistics
from k2repro.speculative.timing import time_costs
from k2repro.tables import Table

NEW_TOKENS, MOST = 96, 15
# Rows written together for which it is said whether a draft pays, and the guesses that are timed there.
BATCHES, FEWER = (1, 4, 16), 7


def advise(
    target: Qwen2,
    drafts: dict[str, Draft],
    prompts: Sequence[Sequence[int]],
    *,
    temperature: float = 1.0,
    stop: Sequence[int] = (),
    told: Callable[[float, str], None] = lambda share, words: None,
) -> dict[str, Any]:
    """What each draft would bring, at batch 1 and at larger ones; times are CPU time of one thread.

    prompts: token ids, a few dozen are enough. told: the share that is done, and what is done now. Raises
    K2ReproError for a pair that does not fit.
    """
    if not prompts:
        raise K2ReproError("no prompt to measure acceptance on: a few dozen like those you will serve")
    rule = "coupled" if temperature <= 1 else "block"
    found: dict[str, Any] = {"prompts": len(prompts), "temperature": temperature, "rule": rule, "drafts": {}}
    longest = max(map(len, prompts))
    for done, (name, draft) in enumerate(drafts.items()):

        def step(part: int, words: str, done: int = done, name: str = name) -> None:
            told((done + part / (1 + len(BATCHES))) / len(drafts), f"{name}, {words}")

        step(0, "acceptance")
        sampler = _sampler(target, draft, rule, temperature, stop, longest + NEW_TOKENS)
        made = sampler.sample(prompts, max_new_tokens=NEW_TOKENS, seeds=range(len(prompts))).statistics
        response = made.tokens / len(prompts)
        costs = {}
        for part, rows in enumerate(BATCHES, start=1):
            step(part, f"costs at batch {rows}")
            costs[rows] = _costs(sampler, draft, rows, longest, round(response))
        found["drafts"][name] = _of_draft(made, costs, response)
    return found


def _sampler(
    target: Qwen2, draft: Draft, rule: str, temperature: float, stop: Sequence[int], positions: int
) -> SpeculativeSampler:
    with warnings.catch_warnings():
        # What the advice says of a slow draft says it better.
        warnings.simplefilter("ignore", SlowDraft)
        return SpeculativeSampler(
            target,
            draft,
            gamma=MOST,
            rule=rule,
            temperature=temperature,
            stop=stop,
            batch=max(BATCHES),
            positions=positions,
        )


def load_pair(
    target: Path, draft: Path | None, prompts: Path, *, layers: int | None = None
) -> tuple[Qwen2, dict[str, Draft], list[list[int]]]:
    """A checkpoint in 32 bit, the drafts to try, the prompts as tokens.

    Look-up is always tried, a model if it is named, and with `layers` the target's first so many layers.
    prompts: JSON lines, see `read_prompts`; encoded by the target's tokenizer.json. Raises K2ReproError
    without that file, and for more layers than there are.
    """
    model = load_pretrained(target, dtype=torch.float32).eval()
    drafts = {"look-up": Draft.lookup()}
    if draft is not None:
        drafts["model"] = Draft.of(load_pretrained(draft, dtype=torch.float32).eval())
    if layers is not None:
        drafts["early exit"] = Draft.of(prune(model, layers, model.config.intermediate_size))
    words = target / "tokenizer.json"
    if not words.is_file():
        raise K2ReproError(f"{target}: has no tokenizer.json, which the prompts are read with")
    codec = TextCodec(Tokenizer.from_file(str(words)), model.config.vocab_size)
    return model, drafts, [codec.encode(text) for text in read_prompts(prompts)]


def _costs(sampler: SpeculativeSampler, draft: Draft, rows: int, prompt: int, response: int) -> Costs:
    """All numbers of guesses at batch 1, a few at the others."""
    most, sizes = (MOST, range(MOST + 1)) if rows == 1 else (FEWER, (0, 1, 3))
    loop = sampler.retuned(gamma=most, batch=rows).speculator
    response = min(max(4 * MOST, response), loop.positions - prompt)
    costs = time_costs(loop, rows=rows, prompt=prompt, response=response, sizes=sizes)
    return replace(costs, guesses={0: 0.0}) if draft.kind == "lookup" else costs


def _of_draft(made: Statistics, costs: dict[int, Costs], response: float) -> dict[str, Any]:
    cycles, alone = made.cycles, costs[1]
    fastest = _fastest(cycles, alone, response)
    used = shortened(cycles, fastest)
    speed = alone.speedup(used, response)
    return {
        "acceptance": made.acceptance,
        "draft_cost": alone.of_guesses(MOST) / MOST / alone.of_pass(1),
        "pass_of_8": alone.of_pass(8) / alone.of_pass(1),
        "fastest_gamma": fastest,
        "best_gamma": fastest if speed > 1 else 0,
        "tokens_per_pass": tokens_a_cycle(used),
        "speedup": speed,
        "break_even_acceptance": alone.break_even_acceptance(fastest),
        "batches": {
            rows: one.speedup(shortened(cycles, _fastest(cycles, one, response)), response)
            for rows, one in costs.items()
        },
    }


def _fastest(cycles: Cycles, costs: Costs, response: float) -> int:
    """The best number of guesses of those that were timed, at least one."""
    most = max(costs.guesses) if len(costs.guesses) > 1 else max(costs.passes) - 1
    return max(range(1, most + 1), key=lambda gamma: costs.speedup(shortened(cycles, gamma), response))


def advice_text(found: dict[str, Any]) -> str:
    """The same for a reader: what to do, the numbers behind it, and where it ends."""
    drafts = sorted(found["drafts"].items(), key=lambda pair: -pair[1]["speedup"])
    name, best = drafts[0]
    if best["best_gamma"]:
        guesses = "1 guess" if best["best_gamma"] == 1 else f"{best['best_gamma']} guesses"
        verdict = (
            f"Use {name} with {guesses} a cycle: {best['speedup']:.2f} times as fast as without a draft, one "
            "row at a time."
        )
    else:
        verdict = (
            f"Use no draft. With the best of them, {name}, a response would take "
            f"{1 / best['speedup']:.2f} times as long."
        )
    notes = [note for each, one in drafts for note in _notes(each, one)]
    settings = (
        f"Predicted for temperature {found['temperature']:g}, rule {found['rule']}, from {found['prompts']} "
        "prompts and costs timed in place, one thread. Speeds are over decoding without a draft."
    )
    table = Table.of_records([_line(each, one) for each, one in drafts]).as_text(rule=False)
    return "\n".join([verdict, "", table, "", *notes, settings])


def _line(name: str, one: dict[str, Any]) -> dict[str, object]:
    needed = one["break_even_acceptance"]
    return {
        "draft": name,
        "guesses": one["fastest_gamma"],
        "accepted": f"{one['acceptance']:.3f}",
        "pays from": "never" if needed is None else f"{needed:.2f}",
        "tokens a pass": f"{one['tokens_per_pass']:.2f}",
        "a guess costs": f"{one['draft_cost']:.2f} passes",
        **{f"speed, batch {rows}": f"{speed:.2f}" for rows, speed in one["batches"].items()},
    }


def _notes(name: str, one: dict[str, Any]) -> list[str]:
    """What a table does not say of a draft."""
    if one["draft_cost"] >= 1:
        return [
            f"{name} is slower than the target, {one['draft_cost']:.2f} passes a guess: it cannot pay, "
            "whatever its acceptance."
        ]
    if not one["best_gamma"]:
        return [f"{name}: do not use it. A response would take {1 / one['speedup']:.2f} times as long."]
    lost = [rows for rows, speed in one["batches"].items() if speed <= 1]
    return [f"{name} does not pay at a batch of {', '.join(map(str, lost))}."] if lost else []


def read_prompts(path: Path) -> list[str]:
    """The field `prompt` of each line. Raises K2ReproError without the file, and for a line without it."""
    if not path.is_file():
        raise K2ReproError(f"{path}: no such file. Must be JSON lines with a field `prompt`")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found.append(str(json.loads(line)["prompt"]))
        except (json.JSONDecodeError, KeyError, TypeError):
            raise K2ReproError(f"{path} line {number}: must be a JSON object with a field `prompt`") from None
    return found
