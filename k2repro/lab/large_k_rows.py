"""Every number of notebook 03 about many samples, by row id: levels, differences, who solves what alone."""

from collections.abc import Mapping, Sequence

from k2repro.evaluate.effects import Effect, SeedTable, difference, level
from k2repro.lab.large_k import (
    AT_MANY,
    AT_ONE,
    AT_SAME,
    MATCHED,
    RL_WITH_SFT_NORM,
    RUN,
    SFT_WITH_RL_NORM,
    START,
    LargeK,
)
from k2repro.lab.outcomes import first_of, only_by, pass_table
from k2repro.lab.rlvr_rows import generator_of

Found = dict[str, Effect]
SHORT = {START: "sft", RUN: "rl"}


def ks_of(results: LargeK) -> list[int]:
    """1, 2, 4, ... up to as many samples as both models drew."""
    samples = min(
        len(each.right)
        for kind in AT_SAME.values()
        for every in results.outcomes[kind].values()
        for each in every
    )
    return [2**power for power in range(samples.bit_length())]


def curves(results: LargeK) -> Found:
    """pass@k of both models at temperature 1."""
    found: Found = {}
    for model, kind in AT_SAME.items():
        for k in ks_of(results):
            row = f"rlvr.large_k.pass.{SHORT[model]}.k{k}"
            table = pass_table(results.outcomes[kind], k)
            found[row] = level(table, generator=generator_of(row), each_seed=False)
    return found


def differences(results: LargeK) -> Found:
    """RL minus SFT at the same temperature for every k, and each at its own for one sample and for many."""
    most = ks_of(results)[-1]
    found: Found = {}
    for k in ks_of(results):
        found |= _minus(f"rlvr.large_k.same.k{k}", *_pair(results, AT_SAME, k))
    found |= _minus("rlvr.large_k.best.k1", *_pair(results, AT_ONE, 1))
    return found | _minus(f"rlvr.large_k.best.k{most}", *_pair(results, AT_MANY, most))


def controls(results: LargeK) -> Found:
    """pass@1 where SFT is as unsure as RL, and with the last norms exchanged; equally many samples a side."""
    few = len(results.outcomes[MATCHED][next(iter(results.outcomes[MATCHED]))][0].right)
    tables = {
        kind: pass_table({seed: first_of(every, few) for seed, every in results.outcomes[kind].items()}, 1)
        for kind in (*AT_SAME.values(), MATCHED, SFT_WITH_RL_NORM, RL_WITH_SFT_NORM)
    }
    sft, rl = tables[AT_SAME[START]], tables[AT_SAME[RUN]]
    return {
        **_minus("rlvr.large_k.gain.k1", rl, sft),
        **_minus("rlvr.large_k.matched.k1", rl, tables[MATCHED]),
        **_minus("rlvr.large_k.rl_norm_minus_sft", tables[SFT_WITH_RL_NORM], sft),
        **_minus("rlvr.large_k.from_sft_minus_rl_norm", rl, tables[SFT_WITH_RL_NORM]),
        **_minus("rlvr.large_k.sft_norm_minus_sft", tables[RL_WITH_SFT_NORM], sft),
    }


def alone(results: LargeK) -> Found:
    """Share of problems that one model solves in some sample and the other in none, at temperature 1."""
    sft, rl = (results.outcomes[AT_SAME[model]] for model in (START, RUN))
    found: Found = {}
    sides = {"rlvr.large_k.only_rl": only_by(rl, sft), "rlvr.large_k.only_sft": only_by(sft, rl)}
    for row, table in sides.items():
        found[row] = level(table, generator=generator_of(row), each_seed=False)
    return found


def crossing(found: Mapping[str, Effect], ks: Sequence[int]) -> int | None:
    """The smallest k from which on RL is not ahead in the mean; None if it is at the largest.

    found: of `differences`.
    """
    behind: int | None = None
    for k in ks:
        if found[f"rlvr.large_k.same.k{k}"].value > 0:
            behind = None
        elif behind is None:
            behind = k
    return behind


def chosen_records(results: LargeK) -> list[dict[str, object]]:
    """What was tried on validation, and what was chosen there, as a table."""
    choice = results.choice
    return [
        {
            "model": {START: "SFT", RUN: "RL from SFT"}[model],
            "temperature": each.temperature,
            "pass@1 (%)": round(100 * each.pass_one, 1),
            f"pass@{choice.samples} (%)": round(100 * each.pass_many, 1),
            "entropy (nats a token)": round(each.entropy, 4),
            "chosen for": _chosen(choice.one[model], choice.many[model], each.temperature),
        }
        for model, tries in choice.tries.items()
        for each in tries
    ]


def _chosen(one: float, many: float, temperature: float) -> str:
    words = [word for word, at in (("one sample", one), ("many", many)) if at == temperature]
    return ", ".join(words)


def _pair(results: LargeK, kinds: dict[str, str], k: int) -> Sequence[SeedTable]:
    return [pass_table(results.outcomes[kinds[model]], k) for model in (RUN, START)]


def _minus(row: str, plus: SeedTable, minus: SeedTable) -> Found:
    return {row: difference(plus, minus, generator=generator_of(row))}
