"""`make check` beyond ruff and mypy: lints, stale stamps, rows, ledger, tables, status."""

import json
from collections.abc import Callable

from k2repro.errors import K2ReproError
from k2repro.notebook.lint import Finding, lint_all, render_findings
from k2repro.paper.ledger import evaluate_claims
from k2repro.paper.markdown import render_tables
from k2repro.reading import read_text
from k2repro.reproduce import COMMITTED_PROFILE, stale_notebooks
from k2repro.results import Places, load_profile, load_rows, profile_names
from k2repro.results.shipped import damages_of_shipped

Say = Callable[[str], None]


def run_checks(say: Say) -> list[Finding]:
    """Every check of a checkout; says what it finds and returns the findings."""
    places = Places.find()
    findings = [
        *lint_all(places.root),
        *_stale(places),
        *_profiles(places),
        *_results(places),
        *_timings(places),
        *_shipped(places),
        *_predictions(places, say),
    ]
    say(render_findings(findings))
    return findings


def _stale(places: Places) -> list[Finding]:
    return [
        Finding(f"notebooks/{name}.ipynb", "all", "stale", f"{why}; run `make notebooks`")
        for name, why in stale_notebooks(places).items()
    ]


def _shipped(places: Places) -> list[Finding]:
    """Every shipped artifact is whole; a damaged one would be trained anew for half an hour."""
    return [
        Finding(f"artifacts/{folder.name}/{name}", "all", "damaged", damage)
        for folder in sorted((places.root / "artifacts").glob("*"))
        if folder.is_dir()
        for name, damage in damages_of_shipped(folder)
    ]


def _predictions(places: Places, say: Say) -> list[Finding]:
    """No prediction hides that it is younger than its rows; where git cannot tell, that is said."""
    from k2repro.lab.sealed import PLACE, orders, why_no_dates

    if undated := why_no_dates(places.root):
        say(f"predictions are not dated: {undated}")
        return []
    folder = places.results(COMMITTED_PROFILE).relative_to(places.root) / "rows"
    return [
        Finding(PLACE, order.prediction.effect, "not-sealed", order.complaint)
        for order in orders(places.root, folder.as_posix())
        if order.complaint
    ]


def _timings(places: Places) -> list[Finding]:
    """Every committed notebook says what it cost."""
    place = f"results/{COMMITTED_PROFILE}/timings.jsonl"
    try:
        lines = read_text(places.root / place).splitlines()
        timed = {str(json.loads(line)["notebook"]) for line in lines}
    except (K2ReproError, ValueError, LookupError, TypeError) as error:
        return [Finding(place, "all", "damaged", f"cannot be read: {error}; run `make notebooks`")]
    built = {path.stem for path in places.notebooks.glob("[0-9][0-9]_*.ipynb")}
    return [
        Finding(place, "all", "damaged", f"says nothing of {name}; run `make notebooks`")
        for name in sorted(built - timed)
    ]


def _profiles(places: Places) -> list[Finding]:
    """Every profile parses and plans exactly the notebooks that exist."""
    from k2repro.notebook.parameters import resolve_parameters
    from k2repro.notebook.source import find_source
    from k2repro.reproduce import planned

    for name in profile_names(places.profiles):
        profile = load_profile(name, places.profiles)
        for notebook in planned(profile, places):
            plan = profile.plan(notebook)
            resolve_parameters(find_source(places, notebook), name, plan.parameters)
    return []


def _results(places: Places) -> list[Finding]:
    """Committed rows parse, the ledger evaluates on them, and the tables are the ones they render to."""
    results = places.results(COMMITTED_PROFILE)
    rows = load_rows(results / "rows")
    evaluate_claims(rows)
    findings = []
    for name, text in render_tables(rows).items():
        path = results / "tables" / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            place = f"results/{COMMITTED_PROFILE}/tables/{name}"
            findings.append(
                Finding(place, "", "stale", "is not what the rows render to; run `make notebooks`")
            )
    return findings
