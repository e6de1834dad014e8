"""The report's data: what the template shows, computed here, so that the template only lays out."""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from k2repro import __version__
from k2repro.evaluate.compare import Comparison, summarise
from k2repro.paper.cells import standings
from k2repro.paper.changes import load_changes
from k2repro.paper.confidence import legend
from k2repro.paper.facts import Fact
from k2repro.paper.ledger import ClaimVerdict, claims_by_source, count_verdicts, evaluate_claims
from k2repro.paper.loading import load_facts
from k2repro.paper.outcome import CONTRADICTED, VERDICTS
from k2repro.paper.shape import ablation_shape
from k2repro.paper.tables import table, table_names
from k2repro.reading import shipped_toml
from k2repro.results.profiles import Profile
from k2repro.results.rows import Row
from k2repro.results.status import HEADER, NotebookStatus

FILES = resources.files("k2repro.report")
SOURCES = shipped_toml("k2repro.report", "sources.toml", ["source"])["source"]
LONGEST_ORIGIN = 400
# Colour, and a pattern drawn over it, so that no verdict is told by colour alone.
LOOKS = {
    "recomputed": ("good", "none"),
    "consistent as printed": ("fair", "dots"),
    "derived": ("own", "grid"),
    "reproduced at mini scale": ("mini", "rising"),
    "direction only": ("half", "falling"),
    "contradicted": ("bad", "cross"),
    "unresolved": ("open", "level"),
    "not testable here": ("out", "upright"),
}


def render_report(
    profile: Profile,
    statuses: Sequence[NotebookStatus],
    rows: Mapping[str, Row],
    comparisons: Sequence[Comparison],
    figures: Sequence[str],
) -> str:
    """The whole report as one HTML text without scripts, style or pictures from elsewhere.

    comparisons   of this run with the shipped rows; empty when this run made the shipped rows
    figures       ready <figure> elements, taken from the executed notebooks
    """
    verdicts = evaluate_claims(rows)
    return _template().render(
        profile=profile,
        version=__version__,
        style=(FILES / "report.css").read_text(encoding="utf-8"),
        machines=sorted({_machine(row) for row in rows.values()}),
        sources=SOURCES,
        meanings=VERDICTS,
        looks=LOOKS,
        counts=count_verdicts(verdicts),
        matrix=claims_by_source(verdicts),
        total=len(verdicts),
        shape=ablation_shape(rows),
        contradicted=by_consequence(verdicts),
        verdicts=verdicts,
        changes=[change.record() for change in load_changes()],
        tables=[(name, table(name), standings(name, rows)) for name in table_names()],
        marks=legend(),
        figures=figures,
        status_head=HEADER,
        statuses=statuses,
        fresh=sum(status.state == "fresh" for status in statuses),
        rows=rows,
        again={comparison.id: comparison.outcome for comparison in comparisons},
        reproduction=summarise(list(comparisons)) if comparisons else "",
        facts=_facts_by_table(),
    )


def by_consequence(verdicts: Sequence[ClaimVerdict]) -> list[ClaimVerdict]:
    """Contradicted claims: those of the system's makers first, slips without consequence last."""
    order = [source["word"] for source in SOURCES]
    found = [entry for entry in verdicts if entry.verdict == CONTRADICTED]
    return sorted(found, key=lambda entry: (entry.claim.minor, order.index(entry.claim.source)))


def anchor(prefix: str, name: str) -> str:
    """An HTML id for a row, claim or fact."""
    return f"{prefix}-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}"


def number(row: Row) -> str:
    """A row's value as the report prints it."""
    return f"{row.value:,}" if isinstance(row.value, int) else f"{row.value:.6g}"


def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("k2repro.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(anchor=anchor, number=number)
    return environment.get_template("report.html.j2")


def _machine(row: Row) -> str:
    where = row.fingerprint
    return f"Python {where.python}, torch {where.torch}, {where.cpu_capability}, {where.threads} threads"


def _facts_by_table() -> list[tuple[str, int, str, str]]:
    """Per table of facts: its name, how many cells, how sure they are, and where they come from."""
    by_table: dict[str, list[Fact]] = {}
    for fact in load_facts().values():
        by_table.setdefault(fact.table, []).append(fact)
    found = []
    for name, facts in by_table.items():
        origin = "; ".join(dict.fromkeys(fact.source for fact in facts if fact.source))
        origin = origin[:LONGEST_ORIGIN] + ("…" if len(origin) > LONGEST_ORIGIN else "")
        found.append((name, len(facts), ", ".join(dict.fromkeys(f.confidence for f in facts)), origin))
    return found
