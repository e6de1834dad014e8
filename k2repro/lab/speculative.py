"""Speculative decoding on mini-K2: a draft distilled from the fine-tuned model, and what it is good for.

weights "sft" -> draft -> speculation: passes, accepted tokens, identity with the sampler

Counts only: nothing here is a time. Those belong to `k2repro bench speculative`.
"""

import json
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from k2repro.architecture import Qwen2
from k2repro.engine import NUMERICS as ENGINE
from k2repro.engine import Sampler
from k2repro.lab import sft
from k2repro.lab.campaign import carry_out
from k2repro.lab.made import Made, Making
from k2repro.lab.progress import JobProgress
from k2repro.lab.scale import Scale
from k2repro.lab.sft_recipe import SFT
from k2repro.mini import TEXTS, tokenizer
from k2repro.mini.benchmarks import MATHS, MAX_NEW_TOKENS, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint, save_checkpoint
from k2repro.mini.mixtures import MixtureStream
from k2repro.mini.problem import item_seed
from k2repro.results import ArtifactStore
from k2repro.results.atomic import canonical_json, write_text
from k2repro.speculative.distil import RATES, distil
from k2repro.speculative.drafts import Draft, prune
from k2repro.speculative.sampling import SlowDraft, Speculated, speculative_sample
from k2repro.training import NUMERICS as TRAINING

# A part of the target: three of four layers, 192 of 384 units. No other size was tried.
LAYERS, UNITS, STEPS = 3, 192, 260
GAMMAS = (1, 2, 3, 4, 5, 7, 11, 15)
DRAFTS = ("trained", "early exit", "base", "look-up", "bigram")
# Numbers of guesses and batches of which each has its share of the problems that are compared.
COMPARED = tuple(product(range(1, 16), (1, 8)))
FILE = "speculation.json"
# Tokens that the bigram table is counted over, from the training mixture.
_BIGRAM_BATCHES = 40


def draft(scale: Scale) -> Made:
    """The distilled draft of the fine-tuned model of seed 0."""
    steps = max(2, round(STEPS * scale.steps))
    return Made(
        "draft",
        "sft",
        0,
        partial(_distil, steps),
        {"layers": LAYERS, "units": UNITS, "steps": steps, "rates": vars(RATES)},
        (TRAINING, TEXTS),
        {"target": sft.weights("sft", 0, scale)},
        ships=True,
    )


def speculation(scale: Scale) -> Made:
    """What every draft came to on test problems."""
    return Made(
        "speculation",
        "sft",
        0,
        partial(_measure, scale.problems, scale.deep),
        {
            "problems": scale.problems,
            "deep": scale.deep,
            "gammas": list(GAMMAS),
            "drafts": list(DRAFTS),
            "compared": "rounds of all tiers",
        },
        (ENGINE, TEXTS, TRAINING),
        _models(scale),
        ships=True,
    )


def carry_out_models(scale: Scale, store: ArtifactStore) -> dict[str, Path]:
    """Make what is missing; the folders of the target, the base and the draft."""
    return _carry_out(_models(scale), store)


def carry_out_speculation(scale: Scale, store: ArtifactStore) -> dict[str, Path]:
    """The same, and the counts."""
    return _carry_out(_models(scale) | {"counts": speculation(scale)}, store)


def _models(scale: Scale) -> dict[str, Made]:
    return {
        "target": sft.weights("sft", 0, scale),
        "base": sft.weights("base", 0, scale),
        "draft": draft(scale),
    }


def _carry_out(things: dict[str, Made], store: ArtifactStore) -> dict[str, Path]:
    folders = carry_out(list(things.values()), store)
    return {role: folders[made.key] for role, made in things.items()}


def read_counts(folder: Path) -> dict[str, Any]:
    """The counts of `speculation`."""
    found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return found


def prompts_of(split: str, count: int, *, start: int = 0) -> list[list[int]]:
    """Prompts of `count` maths problems, the tiers in turn, as token ids."""
    each = -(-count // len(MATHS))
    tiers = [benchmark_problems(tier, split, each, start=start) for tier in MATHS]
    found = [problem for row in zip(*tiers, strict=True) for problem in row][:count]
    return [tokenizer.encode(tokenizer.prompt_text(problem.question)) for problem in found]


def seeds_of(count: int) -> list[int]:
    """The seed of each of these prompts."""
    return [item_seed("speculation", index) for index in range(count)]


def stop_tokens() -> list[int]:
    """What ends a response."""
    return [tokenizer.turn_end()]


def drafts_of(target: Qwen2, base: Qwen2, trained: Qwen2) -> dict[str, Draft]:
    """All drafts, by name as in DRAFTS."""
    layers, units = target.config.num_hidden_layers, target.config.intermediate_size
    return {
        "trained": Draft.of(trained),
        "early exit": Draft.of(prune(target, layers - 1, units)),
        "base": Draft.of(base),
        "look-up": Draft.lookup(),
        "bigram": Draft.bigram(_texts(), target.config.vocab_size),
    }


def _texts() -> Iterator[list[int]]:
    stream = MixtureStream(SFT[0].mixture, "bigram-0", rows=SFT[0].rows, length=SFT[0].length)
    for _ in range(_BIGRAM_BATCHES):
        yield from stream.next_batch().tokens.tolist()


def _distil(steps: int, making: Making) -> None:
    target = load_checkpoint(making.needs["target"])
    stream = MixtureStream(SFT[0].mixture, "draft-0", rows=SFT[0].rows, length=SFT[0].length)

    def on_step(step: int, loss: float) -> None:
        making.report(JobProgress((step + 1) / steps, f"{loss:.4f} nats"))

    save_checkpoint(
        distil(target, prune(target, LAYERS, UNITS), stream, steps, on_step=on_step), making.folder
    )


def _measure(problems: int, deep: int, making: Making) -> None:
    target, base, trained = (load_checkpoint(making.needs[role]) for role in ("target", "base", "draft"))
    drafts = drafts_of(target, base, trained)
    with warnings.catch_warnings():
        # The base is as large as the target. What it is here for is how often it agrees.
        warnings.simplefilter("ignore", SlowDraft)
        found = {
            "gammas": _by_gamma(target, drafts, prompts_of("test", deep)),
            "rules": _by_rule(target, drafts["trained"], prompts_of("test", deep // 2)),
            "kinds": _kinds(target, drafts, prompts_of("test", deep // 2)),
            "identity": _identity(target, drafts, 2 * problems, making),
        }
    write_text(making.folder / FILE, canonical_json(found) + "\n")


def _run(
    target: Qwen2,
    draft: Draft | None,
    prompts: Sequence[Sequence[int]],
    *,
    gamma: int,
    rule: str = "coupled",
    temperature: float = 1.0,
    batch: int = 8,
) -> Speculated:
    return speculative_sample(
        target,
        draft,
        prompts,
        gamma=gamma,
        rule=rule,
        temperature=temperature,
        batch=batch,
        max_new_tokens=MAX_NEW_TOKENS,
        stop=stop_tokens(),
        seeds=seeds_of(len(prompts)),
    )


def _counts(found: Speculated) -> dict[str, Any]:
    """Tokens and passes of each prompt, and of all together acceptance by position and accepted lengths."""
    return {
        "tokens": [one.tokens for one in found.of_prompts],
        "passes": [one.passes for one in found.of_prompts],
        "acceptance": found.statistics.acceptance,
        "by_position": found.statistics.by_position,
        "lengths": found.statistics.accepted_lengths,
    }


def _by_gamma(target: Qwen2, drafts: Mapping[str, Draft], prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    return {
        name: {str(gamma): _counts(_run(target, draft, prompts, gamma=gamma)) for gamma in GAMMAS}
        for name, draft in drafts.items()
    }


def _by_rule(target: Qwen2, draft: Draft, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Each rule at each temperature, the coupled one up to 1."""
    settings = [(rule, t) for t in (0.0, 0.5, 1.0, 2.0) for rule in ("coupled", "token", "block")]
    return {
        f"{rule} {t:g}": _counts(_run(target, draft, prompts, gamma=4, rule=rule, temperature=t))
        for rule, t in settings
        if rule != "coupled" or t <= 1
    }


def _kinds(target: Qwen2, drafts: Mapping[str, Draft], prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Accepted and refused guesses by the kind of the token that came, at gamma 7."""
    found = {}
    for name, draft in drafts.items():
        counts: Counter[tuple[str, bool]] = Counter()
        for row in _run(target, draft, prompts, gamma=7).responses:
            for token, origin in zip(row[0].tokens, row[0].origin, strict=True):
                if origin != "added":
                    counts[kind_of(token), origin == "accepted"] += 1
        found[name] = {
            kind: [counts[kind, True], counts[kind, False]] for kind in sorted({kind for kind, _ in counts})
        }
    return found


def kind_of(token: int) -> str:
    """What a token is to a reader: digit, letter, operator, markup or word."""
    text = tokenizer.decode([token]).strip()
    if text.isdigit():
        return "digit"
    if len(text) == 1 and text.isalpha():
        return "letter"
    if text and set(text) <= set("+-*=%()/"):
        return "operator"
    return "markup" if text.startswith("<") or not text else "word"


def dealt(problems: int) -> dict[tuple[int, int], list[int]]:
    """Places of the problems that each number of guesses with each batch is compared on; all are dealt out.

    Whole rounds of the tiers, so that no number of guesses and no batch meets some of the tiers only.
    """
    turn = len(COMPARED) * len(MATHS)
    return {
        setting: [at for at in range(problems) if at % turn // len(MATHS) == place]
        for place, setting in enumerate(COMPARED)
    }


def _identity(target: Qwen2, drafts: Mapping[str, Draft], problems: int, making: Making) -> dict[str, Any]:
    """Of how many problems every draft gives the sampler's tokens, greedily and at temperature 1."""
    sampler, found = Sampler(target), {}
    prompts, seeds = prompts_of("test", problems), seeds_of(problems)
    for half, temperature in enumerate((1.0, 0.0)):
        how: dict[str, Any] = {
            "max_new_tokens": MAX_NEW_TOKENS,
            "stop": stop_tokens(),
            "temperature": temperature,
        }
        wanted = [row[0].tokens for row in sampler.sample(prompts, seeds=seeds, **how)]
        for done, (name, draft) in enumerate(drafts.items()):
            making.report(JobProgress((half + done / len(drafts)) / 2, f"the same tokens with {name}"))
            same = 0
            for (gamma, batch), places in dealt(problems).items():
                if places:
                    mine = {**how, "seeds": [seeds[at] for at in places], "gamma": gamma, "batch": batch}
                    made = speculative_sample(target, draft, [prompts[at] for at in places], **mine)
                    same += sum(
                        row[0].tokens == wanted[at] for row, at in zip(made.responses, places, strict=True)
                    )
            found[f"{name} {temperature:g}"] = [same, problems]
    return found
