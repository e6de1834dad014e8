"""Exact quantities recomputed from published facts: averages, parameter counts, bytes, rates, gains.

Each function takes the book and operands (see `quantity`), reads every input from the book and returns
a `Quantity`. None holds a published number of its own; only unit conversions are constants here.
"""

import math
from collections.abc import Callable

from k2repro.architecture import ModelConfig, count_parameters, kv_cache_bytes
from k2repro.errors import K2ReproError, unknown
from k2repro.paper.facts import FactBook
from k2repro.paper.figures import curve
from k2repro.paper.quantity import Operand, Quantity, resolve

BILLION = 1e9
GIGABYTE = 1e9
KIBIBYTE = 1024
CONFIG = "qwen2.5_32b_config/config.json"
SMALL_SETS = "eval_protocol/K2-Think/AIME 2024 / AIME 2025 / HMMT25 problems"
OMNI_SET = "eval_protocol/K2-Think/Omni-MATH-HARD problems"
TIED = "tie_word_embeddings"
CACHE_SHAPE = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
# Each token reads the head once, shared with the embedding or not, so tying does not matter there.
READ_SHAPE = (*CACHE_SHAPE, "vocab_size", "intermediate_size")
SHAPE = (*READ_SHAPE, TIED)
MATHS = ("AIME 2024", "AIME 2025", "HMMT25", "Omni-MATH-HARD")


def operand(book: FactBook, of: object) -> Quantity:
    """The number of a nested operand."""
    return resolve(of, book, QUANTITIES)


def _small_sets(book: FactBook) -> list[float]:
    """Problems in the three small sets, which are published as one text: "30 / 30 / 30"."""
    parts = book.text(SMALL_SETS).split(" / ")
    try:
        aime_2024, aime_2025, hmmt25 = (float(part) for part in parts)
    except ValueError:
        raise K2ReproError(f"fact {SMALL_SETS!r} is {parts}; three numbers are needed") from None
    return [aime_2024, aime_2025, hmmt25]


def problem_counts(book: FactBook) -> dict[str, float]:
    """Problems in each maths benchmark."""
    return dict(zip(MATHS, [*_small_sets(book), book.number(OMNI_SET)], strict=True))


def micro_average_of(
    book: FactBook, aime_2024: Operand, aime_2025: Operand, hmmt25: Operand, omni: Operand
) -> Quantity:
    """Average of four maths scores, weighted by the number of problems."""
    scores = [operand(book, cell).value for cell in (aime_2024, aime_2025, hmmt25, omni)]
    weights = list(problem_counts(book).values())
    value = sum(w * s for w, s in zip(weights, scores, strict=True)) / sum(weights)
    terms = " + ".join(f"{w:g}*{s:g}" for w, s in zip(weights, scores, strict=True))
    return Quantity(value, "%", f"({terms}) / {sum(weights):g}")


def micro_average(book: FactBook, row: str) -> Quantity:
    """Micro-average of the four maths cells in `row`, written `table/row`."""
    return micro_average_of(book, *(f"{row}/{benchmark}" for benchmark in MATHS))


def macro_average(book: FactBook, row: str) -> Quantity:
    """Unweighted mean of the four maths cells in `row`."""
    return mean(book, [f"{row}/{benchmark}" for benchmark in MATHS])


def problems_total(book: FactBook) -> Quantity:
    """Problems in the four maths benchmarks together."""
    counts = problem_counts(book)
    return Quantity(sum(counts.values()), "problems", " + ".join(f"{n:g}" for n in counts.values()))


def problems_in(book: FactBook, benchmark: str) -> Quantity:
    """Problems in one maths benchmark."""
    if benchmark not in MATHS:
        raise unknown("maths benchmark", benchmark, MATHS)
    place = MATHS.index(benchmark)
    count = book.number(OMNI_SET) if benchmark == MATHS[-1] else _small_sets(book)[place]
    return Quantity(count, "problems", f"{count:g}")


def omni_share(book: FactBook) -> Quantity:
    """Weight of Omni-MATH-HARD in the micro-average, in per cent."""
    counts = problem_counts(book)
    total, omni = sum(counts.values()), counts["Omni-MATH-HARD"]
    return Quantity(100 * omni / total, "%", f"{omni:g} / {total:g}")


def difference(book: FactBook, a: Operand, b: Operand) -> Quantity:
    """a - b."""
    x, y = operand(book, a), operand(book, b)
    return Quantity(x.value - y.value, x.unit, f"{x.value:g} - {y.value:g}")


def ratio(book: FactBook, a: Operand, b: Operand) -> Quantity:
    """a / b; both in the same unit."""
    x, y = operand(book, a), operand(book, b)
    if not y.value:
        raise K2ReproError(f"ratio to {b!r}, which is 0")
    return Quantity(x.value / y.value, "", f"{x.value:g} / {y.value:g}")


def share(book: FactBook, part: Operand, whole: Operand) -> Quantity:
    """part / whole in per cent."""
    found = ratio(book, part, whole)
    return Quantity(100 * found.value, "%", found.formula)


def percent_change(book: FactBook, new: Operand, old: Operand) -> Quantity:
    """Relative change from old to new in per cent; negative when new is smaller."""
    found = ratio(book, new, old)
    return Quantity(100 * (found.value - 1), "%", f"{found.formula} - 1")


def total(book: FactBook, parts: list[Operand]) -> Quantity:
    """Sum of the operands."""
    found = [operand(book, part) for part in parts]
    return Quantity(
        math.fsum(p.value for p in found), found[0].unit, " + ".join(f"{p.value:g}" for p in found)
    )


def mean(book: FactBook, parts: list[Operand]) -> Quantity:
    """Unweighted mean of the operands."""
    found = total(book, parts)
    return Quantity(found.value / len(parts), found.unit, f"({found.formula}) / {len(parts)}")


def product(book: FactBook, parts: list[Operand]) -> Quantity:
    """Product of the operands; the unit is that of the last one."""
    found = [operand(book, part) for part in parts]
    return Quantity(
        math.prod(p.value for p in found), found[-1].unit, " * ".join(f"{p.value:g}" for p in found)
    )


def percent(book: FactBook, a: Operand) -> Quantity:
    """A fraction in per cent."""
    found = operand(book, a)
    return Quantity(100 * found.value, "%", f"100 * {found.formula}")


def in_thousands(book: FactBook, a: Operand) -> Quantity:
    """A count in thousands."""
    found = operand(book, a)
    return Quantity(found.value / 1000, "thousand", f"({found.formula}) / 1000")


def in_petabytes(book: FactBook, a: Operand) -> Quantity:
    """A bandwidth published in GB/s, in PB/s."""
    found = operand(book, a)
    return Quantity(found.value / 1e6, "PB/s", f"{found.formula} / 1e6")


def in_gigabytes(book: FactBook, a: Operand) -> Quantity:
    """A bandwidth published in PB/s, in GB/s."""
    found = operand(book, a)
    return Quantity(found.value * 1e6, "GB/s", f"{found.formula} * 1e6")


def largest_reduction(book: FactBook, parts: list[Operand]) -> Quantity:
    """The largest fall among relative changes, as a positive number."""
    changes = [operand(book, part).value for part in parts]
    return Quantity(-min(changes), "%", f"-min({', '.join(f'{c:g}' for c in changes)})")


def base_config(book: FactBook, matters: tuple[str, ...] = SHAPE) -> ModelConfig:
    """The shape of Qwen2.5-32B from its published config.json, sizes only.

    matters   the keys on which the caller's result depends; only these count as read
    """

    def size(key: str) -> int:
        return int(book.number(f"{CONFIG}/{key}") if key in matters else float(unread[key]))

    unread = {fact.column: fact.printed for fact in book.in_table(CONFIG.partition("/")[0])}
    tied = unread[TIED] if TIED not in matters else book.text(f"{CONFIG}/{TIED}")
    return ModelConfig(
        vocab_size=size("vocab_size"),
        hidden_size=size("hidden_size"),
        intermediate_size=size("intermediate_size"),
        num_hidden_layers=size("num_hidden_layers"),
        num_attention_heads=size("num_attention_heads"),
        num_key_value_heads=size("num_key_value_heads"),
        tie_word_embeddings=tied == "true",
    )


def parameters(book: FactBook, part: str) -> Quantity:
    """Parameters in billions; part is "total", "non_embedding" or "read_per_token"."""
    matters = READ_SHAPE if part == "read_per_token" else SHAPE
    count = count_parameters(base_config(book, matters))
    counts = {
        "total": count.total,
        "non_embedding": count.non_embedding,
        "read_per_token": count.read_per_token,
    }
    if part not in counts:
        raise unknown("part of the parameters", part, counts)
    return Quantity(counts[part] / BILLION, "billion", f"{counts[part]:,} parameters")


def heads_per_kv_head(book: FactBook) -> Quantity:
    """Query heads that share one key and value head."""
    shared = base_config(book, CACHE_SHAPE[2:]).query_heads_per_kv_head
    return Quantity(float(shared), "query heads per KV head", "query heads / KV heads")


def weights(book: FactBook, billions: Operand, bits: Operand) -> Quantity:
    """Bytes of the weights in GB, all values stored with `bits`."""
    count, width = operand(book, billions), operand(book, bits)
    value = count.value * BILLION * width.value / 8 / GIGABYTE
    return Quantity(value, "GB", f"{count.value:.3f}e9 * {width.value:g} bit / 8")


def kv_cache(book: FactBook, tokens: Operand, bits: Operand) -> Quantity:
    """Bytes of the key-value cache of one sequence in GB."""
    length, width = operand(book, tokens), operand(book, bits)
    size = kv_cache_bytes(base_config(book, CACHE_SHAPE), int(length.value), 1, width.value / 8)
    return Quantity(size / GIGABYTE, "GB", f"{length.value:g} tokens * {size / length.value:g} bytes")


def kv_bytes_per_token(book: FactBook, bits: Operand) -> Quantity:
    """Bytes that one token of context adds to the key-value cache."""
    width = operand(book, bits)
    size = kv_cache_bytes(base_config(book, CACHE_SHAPE), 1, 1, width.value / 8)
    return Quantity(float(size), "bytes", f"2 * layers * KV heads * head size * {width.value:g} bit / 8")


def bits_that_fit(book: FactBook, memory: Operand) -> Quantity:
    """Bits per parameter when the weights alone fill `memory` (GB)."""
    room, count = operand(book, memory), parameters(book, "total")
    value = room.value * GIGABYTE * 8 / (count.value * BILLION)
    return Quantity(value, "bit per parameter", f"{room.value:g} GB * 8 / {count.value:.3f}e9")


def devices_to_hold(book: FactBook, need: Operand, memory: Operand) -> Quantity:
    """Fewest devices whose memories together hold `need`."""
    x, y = operand(book, need), operand(book, memory)
    return Quantity(float(math.ceil(x.value / y.value)), "devices", f"ceil({x.value:.2f} / {y.value:g})")


def decode_roofline(book: FactBook, bandwidth: Operand, bits: Operand) -> Quantity:
    """Tokens per second of one stream when every weight but the embedding is read once per token."""
    speed = operand(book, bandwidth)
    read = weights(book, {"of": "parameters", "part": "read_per_token"}, bits)
    return Quantity(speed.value / read.value, "tokens/s", f"{speed.value:g} / {read.value:.2f} GB")


def memory_of_cores(book: FactBook, cores: Operand, kib: Operand) -> Quantity:
    """Memory of all cores together in GB, each with `kib` binary kilobytes."""
    n, each = operand(book, cores), operand(book, kib)
    value = n.value * each.value * KIBIBYTE / GIGABYTE
    return Quantity(value, "GB", f"{n.value:g} * {each.value:g} KiB")


def curve_point(book: FactBook, name: str, at: str) -> Quantity:
    """Start, peak or last of a digitised curve of Figure 4, in points (per cent)."""
    series = curve(name, book)
    points = {"start": series.start, "peak": series.peak, "last": series.last}
    if at not in points:
        raise unknown("place on a curve", at, points)
    # A peak depends on every point of the curve, the two ends only on themselves.
    for point in series.points if at == "peak" else (points[at],):
        book.number(point.fact.key)
    return Quantity(100 * points[at].y, "%", f"{at} at step {points[at].x:g}")


def curve_gain(book: FactBook, name: str, to: str) -> Quantity:
    """From the first plotted point of a curve to its peak or last point, in points."""
    start, end = curve_point(book, name, "start"), curve_point(book, name, to)
    return Quantity(end.value - start.value, "points", f"{end.value:.1f} ({end.formula}) - {start.value:.1f}")


def curve_fall(book: FactBook, name: str) -> Quantity:
    """From a curve's peak down to its last point, in points; 0 when it ends at its peak."""
    peak, last = curve_point(book, name, "peak"), curve_point(book, name, "last")
    return Quantity(peak.value - last.value, "points", f"{peak.value:.1f} - {last.value:.1f}")


def binomial_error(book: FactBook, score: Operand, problems: Operand) -> Quantity:
    """Binomial standard error of a score in per cent over `problems` problems, in points."""
    s, n = operand(book, score), operand(book, problems)
    p = s.value / 100
    if not 0 <= p <= 1:
        raise K2ReproError(f"score {s.value:g} is not between 0 and 100")
    return Quantity(
        100 * math.sqrt(p * (1 - p) / n.value), "points", f"sqrt(p(1-p)/{n.value:g}), p = {p:.4f}"
    )


def optimizer_steps(
    book: FactBook, epochs: Operand, tokens: Operand, batch: Operand, length: Operand
) -> Quantity:
    """Steps of packed training: epochs * tokens (in millions) / (sequences * tokens per sequence)."""
    e, t, b, n = (operand(book, of).value for of in (epochs, tokens, batch, length))
    return Quantity(e * t * 1e6 / (b * n), "steps", f"{e:g} * {t:g}e6 / ({b:g} * {n:g})")


def month_number(book: FactBook, year: Operand, month: Operand) -> Quantity:
    """Months since year 0, to compare two dates."""
    y, m = operand(book, year).value, operand(book, month).value
    return Quantity(12 * y + m, "months", f"{y:g}-{m:02g}")


QUANTITIES: dict[str, Callable[..., Quantity]] = {
    function.__name__: function
    for function in (
        binomial_error,
        bits_that_fit,
        curve_fall,
        curve_gain,
        curve_point,
        decode_roofline,
        devices_to_hold,
        difference,
        heads_per_kv_head,
        in_gigabytes,
        in_petabytes,
        in_thousands,
        kv_bytes_per_token,
        kv_cache,
        largest_reduction,
        macro_average,
        mean,
        memory_of_cores,
        micro_average,
        micro_average_of,
        month_number,
        omni_share,
        optimizer_steps,
        parameters,
        percent,
        percent_change,
        problems_in,
        problems_total,
        product,
        ratio,
        share,
        total,
        weights,
    )
}
