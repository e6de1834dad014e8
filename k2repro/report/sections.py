"""The report's sections, each a pure function from verdicts, rows or statuses to HTML."""

from collections.abc import Mapping, Sequence
from html import escape

from k2repro.paper.cells import Standing, standings
from k2repro.paper.facts import Fact
from k2repro.paper.ledger import Verdict
from k2repro.paper.loading import load_facts
from k2repro.paper.tables import table, table_names
from k2repro.report.html import anchor, badge, html_table, link
from k2repro.results.compare import Comparison
from k2repro.results.rows import Row
from k2repro.results.status import HEADER, NotebookStatus

LONGEST_FORMULA = 160
LEGEND = (
    "Each published cell beside what follows from other facts, what mini-K2 measured, and what real weights "
    "measured. Marks: — no source prints it; ᵐ recalled, agrees with another print; (…)ᵘ recalled only; "
    "ʳ rounded by the article; ᵈ derived; ~ read off a picture."
)


def contradictions(verdicts: Sequence[Verdict]) -> str:
    """Claims that recorded facts or measurements contradict, with the numbers."""
    found = [entry for entry in verdicts if entry.verdict == "contradicted"]
    body = [[_claim_link(e), escape(e.claim.paraphrase), _published(e), escape(e.reason)] for e in found]
    head = ("claim", "what is said", "published", "what the evidence says")
    return (
        '<h2 id="contradicted">What does not hold</h2><p>Arithmetic on published facts, or a primary source, '
        "says otherwise. Nothing here accuses: a rounding or a slip is listed like everything else.</p>"
        + html_table(f"{len(found)} contradicted claims", head, body)
    )


def tables(rows: Mapping[str, Row]) -> str:
    """Every table and figure of the paper, cell by cell."""
    parts = [f'<h2 id="tables">The paper\'s tables</h2><p>{LEGEND}</p>']
    for name in table_names():
        named = table(name)
        body = [_standing(standing) for standing in standings(name, rows)]
        head = ("row", "column", "published", "recomputed", "mini-K2", "real weights", "verdict", "why")
        is_open = " open" if name in ("2", "safety") else ""
        inner = html_table(f"{named.title}: {len(body)} cells", head, body, numeric=(2, 3))
        parts.append(
            f'<h3 id="{anchor("table", name)}">{escape(named.title)}</h3><p>{escape(named.caption)}</p>'
            f"<details{is_open}><summary>All cells of {escape(named.title)}</summary>{inner}</details>"
        )
    return "".join(parts)


def _standing(entry: Standing) -> list[str]:
    record = entry.record()
    fact = entry.published.fact
    published = escape(entry.published.display)
    if fact is not None and fact.printed:
        published = link(anchor("fact", fact.table), entry.published.display)
    why = record["why"]
    why = why if len(why) <= LONGEST_FORMULA else f"{why[:LONGEST_FORMULA]}…"
    return [
        escape(entry.row),
        escape(entry.column),
        published,
        escape(record["recomputed"]),
        _row_link(entry.mini, record["mini"]),
        _row_link(entry.real, record["real"]),
        badge(entry.verdict),
        escape(why),
    ]


def _row_link(row: Row | None, text: str) -> str:
    return link(anchor("row", row.id), text) if row else ""


def figures(elements: Sequence[str]) -> str:
    """Pictures of the executed notebooks, each with its alternative text."""
    return '<h2 id="figures">Figures</h2>' + "".join(elements)


def claims(verdicts: Sequence[Verdict]) -> str:
    """The whole ledger; rows that a claim used are linked, rows that it waits for are named."""
    body = [
        [
            f'<span id="{anchor("claim", e.claim.id)}"><code>{escape(e.claim.id)}</code></span>',
            f"{escape(e.claim.source)}, {escape(e.claim.place)}",
            escape(e.claim.paraphrase),
            _published(e),
            badge(e.verdict),
            escape(e.reason) + _rows_of(e),
        ]
        for e in verdicts
    ]
    head = ("claim", "where", "what is said", "published", "verdict", "why")
    return '<h2 id="claims">All claims</h2>' + html_table(f"{len(body)} claims", head, body)


def _claim_link(entry: Verdict) -> str:
    return link(anchor("claim", entry.claim.id), entry.claim.id)


def _published(entry: Verdict) -> str:
    shown = [
        link(anchor("fact", key.split("/")[0]), display or "—") for key, display in entry.published.items()
    ]
    return ", ".join(shown)


def _rows_of(entry: Verdict) -> str:
    used = ", ".join(link(anchor("row", row), row) for row in entry.rows_used)
    return f" Rows: {used}." if used else ""


def notebooks(statuses: Sequence[NotebookStatus]) -> str:
    """What each notebook of the profile cost and how it stands."""
    body = [[escape(cell) for cell in status.cells()] for status in statuses]
    return '<h2 id="notebooks">Notebooks</h2>' + html_table("Notebooks of this profile", HEADER, body)


def rows(found: Mapping[str, Row], comparisons: Sequence[Comparison]) -> str:
    """Every row with its provenance, and whether the shipped one came out again."""
    again = {comparison.id: comparison.outcome for comparison in comparisons}
    body = []
    for row in found.values():
        low_high = (
            f"{row.interval[0]:.4g} to {row.interval[1]:.4g} ({row.interval_method})" if row.interval else ""
        )
        body.append(
            [
                f'<span id="{anchor("row", row.id)}"><code>{escape(row.id)}</code></span>',
                f"{row.value:,}" if isinstance(row.value, int) else f"{row.value:.6g}",
                escape(row.unit),
                "" if row.n is None else str(row.n),
                escape(low_high),
                row.scale,
                f"<code>{row.params_hash[:8]} {row.code_hash[:8]} {row.data_hash[:8]}</code>",
                escape(row.paper_ref or ""),
                again.get(row.id, ""),
            ]
        )
    head = (
        "row",
        "value",
        "unit",
        "n",
        "interval",
        "scale",
        "params, code, data",
        "stands beside",
        "came out again",
    )
    return '<h2 id="rows">Rows</h2>' + html_table(f"{len(body)} rows", head, body, numeric=(1,))


def sources() -> str:
    """Where the published cells come from, per table of facts, with how sure each is."""
    by_table: dict[str, list[Fact]] = {}
    for fact in load_facts().values():
        by_table.setdefault(fact.table, []).append(fact)
    body = []
    for name, facts in by_table.items():
        confidences = ", ".join(dict.fromkeys(fact.confidence for fact in facts))
        origin = "; ".join(dict.fromkeys(fact.source for fact in facts if fact.source))
        body.append(
            [
                f'<span id="{anchor("fact", name)}"><code>{escape(name)}</code></span>',
                str(len(facts)),
                escape(confidences),
                escape(origin[:600] + ("…" if len(origin) > 600 else "")),
            ]
        )
    head = ("table of facts", "cells", "confidence", "sources")
    return '<h2 id="sources">Sources</h2>' + html_table("Published facts", head, body, numeric=(1,))
