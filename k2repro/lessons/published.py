"""What the 32B recipe is: every published hyper-parameter with its source, beside what mini-K2 does instead.

Published values are facts (`paper/data/sft_config_and_data.csv`); ours are read from `recipe`.
"""

from typing import Any

from k2repro.paper import load_facts
from k2repro.paper.facts import FactBook
from k2repro.sft.recipe import MODEL, SFT

Records = list[dict[str, Any]]
TABLE, DATA = "sft_config", "am_thinking_v1_distilled"
PLATEAUS = {
    "tier-1": "fig2_3_4_scalars/Fig 2 SFT pass@1/AIME 2024 plateau",
    "tier-2": "fig2_3_4_scalars/Fig 2 SFT pass@1/AIME 2025 plateau",
}
SATURATION = "fig2_3_4_scalars/Fig 3 pass@k/AIME 2024 saturation (SFT)"


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


def _sources(book: FactBook) -> list[str]:
    return list(dict.fromkeys(fact.source for fact in book.in_table(TABLE)))


def _printed(printed: str, unit: str) -> str:
    return f"{printed} {unit}".strip()
