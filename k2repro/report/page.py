"""The page: status and verdicts on top, then contradictions, tables, figures, claims, rows."""

from collections.abc import Mapping, Sequence
from html import escape

from k2repro import __version__
from k2repro.paper.ledger import count_verdicts, evaluate_claims
from k2repro.report import sections
from k2repro.report.html import KINDS, STYLE
from k2repro.results.compare import Comparison, summarise
from k2repro.results.profiles import Profile
from k2repro.results.rows import Row
from k2repro.results.status import NotebookStatus

CONTENTS = {
    "status": "Status",
    "contradicted": "What does not hold",
    "tables": "The paper's tables",
    "figures": "Figures",
    "claims": "All claims",
    "notebooks": "Notebooks",
    "rows": "Rows",
    "sources": "Sources",
}


def render_report(
    profile: Profile,
    statuses: Sequence[NotebookStatus],
    rows: Mapping[str, Row],
    comparisons: Sequence[Comparison],
    figures: Sequence[str],
) -> str:
    """The whole report as one HTML text without scripts or outside links to style or pictures.

    figures   ready <figure> elements, taken from the executed notebooks
    """
    verdicts = evaluate_claims(rows)
    counts = count_verdicts(verdicts)
    links = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title in CONTENTS.items())
    body = [
        _header(profile, rows),
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>',
        "<main>",
        _status(counts, statuses, comparisons, rows),
        sections.contradictions(verdicts),
        sections.tables(rows),
        sections.figures(figures),
        sections.claims(verdicts),
        sections.notebooks(statuses),
        sections.rows(rows, comparisons),
        sections.sources(),
        "</main>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>k2repro report: {escape(profile.name)}</title><style>{STYLE}</style></head>\n<body>"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _header(profile: Profile, rows: Mapping[str, Row]) -> str:
    places = sorted({_machine(row) for row in rows.values()})
    warning = ""
    if profile.name == "smoke":
        warning = (
            '<p class="warn">Smoke profile: these numbers prove that every path runs. '
            "They are no evidence for or against a claim.</p>"
        )
    return (
        f"<header><h1>K2-Think, checked by code</h1><p>Profile <b>{escape(profile.name)}</b>: "
        f"{escape(profile.description)}.</p>{warning}"
        f'<p class="quiet">k2repro {__version__} · {escape("; ".join(places) or "no rows yet")}</p></header>'
    )


def _machine(row: Row) -> str:
    where = row.fingerprint
    return f"Python {where.python}, torch {where.torch}, {where.cpu_capability}, {where.threads} threads"


def _status(
    counts: Mapping[str, int],
    statuses: Sequence[NotebookStatus],
    comparisons: Sequence[Comparison],
    rows: Mapping[str, Row],
) -> str:
    total = sum(counts.values())
    fresh = sum(status.state == "fresh" for status in statuses)
    segments = "".join(
        f'<span style="width:{100 * count / total:.2f}%;background:{KINDS[verdict][1]}"></span>'
        for verdict, count in counts.items()
        if count
    )
    words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    tiles = "".join(f'<div class="tile"><b>{count}</b>{escape(v)}</div>' for v, count in counts.items())
    again = summarise(list(comparisons)) if comparisons else "no shipped rows to compare with in this run"
    return (
        f'<h2 id="status">Status</h2><p>{total} claims of the article, the paper, the model card and their '
        "critics; each verdict comes from a predicate that was declared before the run.</p>"
        f'<div class="bar" role="img" aria-label="Claims by verdict: {escape(words)}">{segments}</div>'
        f'<div class="tiles">{tiles}</div>'
        f"<p>{fresh} of {len(statuses)} notebooks are fresh; {len(rows)} rows. "
        f"Reproduction: {escape(again)}.</p>"
    )
