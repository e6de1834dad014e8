"""Facts, rows and verdicts of predicates, without a paper and without a measurement."""

from k2repro.paper import Fact, FactBook
from k2repro.paper.outcome import Evidence
from k2repro.paper.predicates import PREDICATES
from k2repro.results import Fingerprint, Row

HASH = "0" * 16
WHERE = Fingerprint(python="3.11", torch="2.13.0", cpu_capability="AVX2", threads=1)


def book(**printed):
    """A book with the facts t/r/<name>; the texts given are the printed cells."""
    return FactBook(Fact("t", "r", name, text, "%", "a source", "verbatim") for name, text in printed.items())


def row(value, interval=None, scale="mini", unit="points"):
    method = None if interval is None else "bootstrap by problem 95 %"
    return Row(
        id="room.effect",
        value=value,
        unit=unit,
        n=None if scale == "exact" else 100,
        interval=interval,
        interval_method=method,
        seeds=(),
        profile="laptop",
        params_hash=HASH,
        code_hash=HASH,
        data_hash=HASH,
        fingerprint=WHERE,
        scale=scale,
    )


def judge(name, facts, measured=None, needs=("room.effect",), **arguments):
    rows = {} if measured is None else {measured.id: measured}
    return PREDICATES[name](Evidence(facts, rows, needs), **arguments)
