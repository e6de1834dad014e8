"""What was published of the 32B recipes: every setting with its source, beside what mini-K2 does instead.

Published values are facts (`paper/data/sft_config_and_data.csv`); ours are read from `recipe`.
"""

from typing import Any

from k2repro.lab.rl_runs import FROM_BASE, FROM_SFT, FULL
from k2repro.lab.sft_recipe import MODEL, SFT
from k2repro.paper import load_facts
from k2repro.paper.facts import FactBook
from k2repro.rlvr.config import GrpoConfig

Records = list[dict[str, Any]]
TABLE, DATA = "sft_config", "am_thinking_v1_distilled"
GRPO_TABLE = "rl_config_guru_example_NOT_k2think"


def recipe_records(book: FactBook | None = None) -> Records:
    """One line for each published hyper-parameter. confidence, source: see `source_records`."""
    book = book or load_facts()
    sources = _sources(book)
    return [
        {
            "hyper-parameter": fact.column,
            "published": _printed(fact.printed, fact.unit),
            "mini-K2": _ours().get(fact.column, "-"),
            "confidence": fact.confidence,
            "source": sources.index(fact.source) + 1,
        }
        for fact in book.in_table(TABLE)
    ]


def source_records(book: FactBook | None = None) -> Records:
    """The sources that `recipe_records` numbers."""
    return [
        {"source": number, "where it was read": source}
        for number, source in enumerate(_sources(book or load_facts()), 1)
    ]


def data_records(book: FactBook | None = None) -> Records:
    """The domains of the published data, by share of instances and of response tokens."""
    book = book or load_facts()
    domains = [fact.row for fact in book.in_table(DATA) if fact.column == "instance share" and fact.printed]
    return [
        {
            "domain": domain,
            "instances (thousand)": book.number(f"{DATA}/{domain}/instances"),
            "share (%)": book.number(f"{DATA}/{domain}/instance share"),
            "response tokens (million)": book.number(f"{DATA}/{domain}/AM response tokens"),
            "share of tokens (%)": book.number(f"{DATA}/{domain}/token share"),
        }
        for domain in domains
    ]


def _ours() -> dict[str, str]:
    """What mini-K2's fine-tuning does in place of each published setting, read from the recipe."""
    [stage] = SFT
    rates = stage.rates
    kinds = ", ".join(f"{each.kind} {each.share:.0%}" for each in stage.mixture)
    return {
        "base model": f"trained here, {MODEL.num_hidden_layers} layers of {MODEL.hidden_size}",
        "dataset": kinds,
        "dataset revision": "drawn endlessly from hashed seeds",
        "finetuning type": "full",
        "framework": "k2repro",
        "packing / neat_packing": "true / true",
        "max sequence length": f"{stage.length} tokens",
        "gradient accumulation": "1",
        "global batch": f"{stage.rows} packed sequences",
        "learning rate": f"Muon {rates.matrices:g}, AdamW {rates.rest:g}, biases {rates.biases:g}",
        "scheduler": stage.schedule,
        "warmup ratio": f"{stage.warmup:g}",
        "precision": "fp32, saved as bf16",
        "chat template": "ChatML, <think> and <answer> as plain text",
        "optimizer steps (estimate)": f"{stage.steps} steps",
    }


def grpo_records(book: FactBook | None = None) -> Records:
    """The public example of the group behind K2-Think, setting by setting, beside mini-K2's."""
    ours = _our_grpo()
    return [
        {
            "setting": fact.column,
            "published example": fact.printed,
            "mini-K2": ours.get(fact.column, "-"),
            "confidence": fact.confidence,
        }
        for fact in (book or load_facts()).in_table(GRPO_TABLE)
    ]


def _our_grpo() -> dict[str, str]:
    """What mini-K2 does in place of each published setting, read from the code that does it."""
    config = GrpoConfig(max_new_tokens=FULL[0][1])
    return {
        "algorithm": f"GRPO, advantages scaled by {config.scale}",
        "KL in reward / KL loss": f"off / {'off' if config.beta == 0 else config.beta}",
        "clip low / high / c": f"{config.epsilon_low} / {config.epsilon_high} / {config.delta}",
        "entropy coeff": "none",
        "max prompt / response length": f"as it comes / {FULL[0][1]}",
        "train prompt batch": str(config.prompts_per_step),
        "rollouts per prompt": str(config.group_size),
        "mini-batch (prompts)": str(config.prompts_per_step // config.updates_per_rollout),
        "gradient updates per rollout batch (derived 512/64)": str(config.updates_per_rollout),
        "temperature / top_p / top_k": "1.0 / 1.0 / -1",
        "learning rate": f"AdamW {FROM_SFT.weights:g} from SFT, {FROM_BASE.weights:g} from base, norms "
        f"{FROM_SFT.norms:g}, last norm {FROM_SFT.readout:g}, falling linearly",
        "weight decay": "0",
        "grad clip": f"{config.max_grad_norm}",
        "loss aggregation": f"{config.loss_type}: mean over tokens",
        "overlong buffer / group filter": "off / groups without signal are not passed through",
        "epochs": "no prompt comes twice",
        "rollout engine": "k2repro.engine",
        "model": "mini-K2, base or SFT",
    }


def _sources(book: FactBook) -> list[str]:
    return list(dict.fromkeys(fact.source for fact in book.in_table(TABLE)))


def _printed(printed: str, unit: str) -> str:
    return f"{printed} {unit}".strip()
