"""A minute of measuring, and what it says: should a draft be used here, which, and how."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from k2repro.architecture import Qwen2, load_pretrained
from k2repro.engine.text import TextCodec
from k2repro.errors import K2ReproError
from k2repro.fast.speculator import Speculator
from k2repro.speculative.drafts import Draft
from k2repro.speculative.prediction import Costs, expected_tokens, time_costs
from k2repro.speculative.sampling import speculative_sample

NEW_TOKENS, MOST = 96, 15
_SIZES = (1, 2, 4, 8, 16, 32)


def advise(
    target: Qwen2,
    drafts: dict[str, Draft],
    prompts: Sequence[Sequence[int]],
    *,
    temperature: float = 1.0,
    stop: Sequence[int] = (),
) -> dict[str, Any]:
    """What each draft would bring at batch 1, and where it stops helping; times are CPU time of one thread.

    prompts: token ids, a few dozen are enough. Raises K2ReproError for a pair that does not fit.
    """
    if not prompts:
        raise K2ReproError("no prompt to measure acceptance on: a few dozen like those you will serve")
    rule = "coupled" if temperature <= 1 else "block"
    found: dict[str, Any] = {"prompts": len(prompts), "temperature": temperature, "rule": rule, "drafts": {}}
    for name, draft in drafts.items():
        made = speculative_sample(
            target,
            draft,
            prompts,
            gamma=4,
            rule=rule,
            max_new_tokens=NEW_TOKENS,
            temperature=temperature,
            seeds=range(len(prompts)),
            stop=stop,
        ).statistics
        costs = _costs(target, draft, max(map(len, prompts)))
        found["drafts"][name] = _of_draft(made.acceptance, costs)
    return found


def load_pair(
    target: Path, draft: Path | None, prompts: Path
) -> tuple[Qwen2, dict[str, Draft], list[list[int]]]:
    """A checkpoint in 32 bit, the drafts to try (look-up, and a model if named), the prompts as tokens.

    prompts: JSON lines, see `read_prompts`; encoded by the target's tokenizer.json.
    """
    model = load_pretrained(target, dtype=torch.float32).eval()
    drafts = {"look-up": Draft.lookup()}
    if draft is not None:
        drafts["model"] = Draft.of(load_pretrained(draft, dtype=torch.float32).eval())
    codec = TextCodec(Tokenizer.from_file(str(target / "tokenizer.json")), model.config.vocab_size)
    return model, drafts, [codec.encode(text) for text in read_prompts(prompts)]


def _costs(target: Qwen2, draft: Draft, longest: int) -> Costs:
    speculator = Speculator(
        target,
        draft.model,
        kind=draft.kind,
        table=draft.table,
        rows=1,
        gamma=MOST,
        positions=min(target.config.max_position_embeddings, longest + NEW_TOKENS),
    )
    drafts = 4 if draft.model is not None else 0
    return time_costs(speculator, drafts, context=longest, sizes=_SIZES)


def _of_draft(acceptance: float, costs: Costs) -> dict[str, Any]:
    best = costs.best_gamma(acceptance, MOST)
    gamma = max(1, best)
    tokens = expected_tokens(acceptance, gamma)
    return {
        "acceptance": acceptance,
        "draft_cost": costs.draft / costs.of_pass(1),
        "pass_of_8": costs.of_pass(8) / costs.of_pass(1),
        "best_gamma": best,
        "tokens_per_pass": tokens,
        "speedup": costs.speedup(tokens, gamma),
        "break_even_acceptance": costs.break_even_acceptance(gamma),
        "break_even_batch": costs.break_even_rows(acceptance, gamma) if best else 1,
    }


def advice_text(found: dict[str, Any]) -> str:
    """The same in sentences."""
    settings = f"temperature {found['temperature']:g}, rule {found['rule']}"
    lines = [f"{found['prompts']} prompts, {settings}; predicted from costs timed in place, one thread."]
    for name, one in found["drafts"].items():
        measured = (
            f"{name}: acceptance {one['acceptance']:.3f}, a draft step costs {one['draft_cost']:.3f} passes"
        )
        if not one["best_gamma"]:
            loss = 1 / one["speedup"]
            lines.append(f"{measured}. Do not use it: decoding would take {loss:.2f} times as long.")
            continue
        until = one["break_even_batch"]
        batch = (
            "helps at every batch that was looked at" if until is None else f"stops helping at batch {until}"
        )
        lines.append(
            f"{measured}. Use gamma {one['best_gamma']}: {one['tokens_per_pass']:.2f} tokens a pass, "
            f"{one['speedup']:.2f} times as fast. It pays from an acceptance of "
            f"{one['break_even_acceptance']:.2f} on, and {batch}."
        )
    return "\n".join(lines)


def read_prompts(path: Path) -> list[str]:
    """The field `prompt` of each line. Raises K2ReproError that names the line."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found.append(str(json.loads(line)["prompt"]))
        except (json.JSONDecodeError, KeyError, TypeError):
            raise K2ReproError(f"{path} line {number}: must be a JSON object with a field `prompt`") from None
    return found
