"""`make reproduce` and `make notebooks`: run every notebook of a profile, compare, publish, report.

Everything is built in `build/<profile>/` from nothing and can be stopped at any second: a finished
notebook is recognised by its stamp and hashes and is not run again.
"""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.evaluate.compare import Comparison, compare_rows, failures, summarise
from k2repro.lab.predictions import load_predictions
from k2repro.notebook.build import BuildRecord, build, is_fresh, read_record
from k2repro.notebook.parameters import resolve_parameters
from k2repro.notebook.pictures import built_pictures, notebook_figures
from k2repro.notebook.source import find_source, source_names
from k2repro.notebook.stamp import differences, make_stamp, read_stamp
from k2repro.notebook.student import write_student_copies
from k2repro.paper.ledger import count_verdicts, evaluate_claims
from k2repro.paper.markdown import render_tables
from k2repro.readme import CLAIMS_PICTURE, claims_picture, rendered_readme
from k2repro.report import render_report
from k2repro.results.atomic import write_bytes, write_text
from k2repro.results.locking import alone
from k2repro.results.places import Places
from k2repro.results.profiles import Profile, load_profile
from k2repro.results.rowbook import with_real_rows
from k2repro.results.rows import load_rows
from k2repro.results.status import NotebookStatus, render_markdown
from k2repro.results.store import open_store, publish_artifacts, rebuilding

COMMITTED_PROFILE = "laptop"
Say = Callable[[str], None]


def planned(profile: Profile, places: Places) -> list[str]:
    """The notebooks of a profile in running order; every source must be planned and the other way round."""
    sources = source_names(places)
    unplanned = sorted(set(sources) ^ set(profile.notebooks))
    if unplanned:
        raise K2ReproError(
            f"profile {profile.name!r} and notebooks/src disagree on {', '.join(unplanned)}; "
            f"add the section to profiles/{profile.name}.toml or remove it"
        )
    return sources


def build_all(profile: Profile, places: Places, names: list[str], say: Say) -> list[BuildRecord]:
    """Build the named notebooks in order; a failure stops the run after saying what is on disk."""
    folder = places.build(profile.name)
    records = []
    for position, name in enumerate(names, 1):
        label = f"[{position}/{len(names)}] {name}"
        if _state(profile, places, name, folder) == "fresh":
            say(f"{label}: fresh, kept")
        else:
            say(f"{label}: running (budget {profile.plan(name).budget_seconds} s)")
        record = build(name, profile, places, folder, progress=sys.stderr.isatty())
        say(f"{label}: {record.rows} rows, {_told_cost(record, profile)}")
        records.append(record)
    return records


def _told_cost(record: BuildRecord, profile: Profile) -> str:
    cost = f"{record.seconds:.0f} s, {record.peak_memory_mb:.0f} MB"
    slow = record.seconds > profile.plan(record.notebook).budget_seconds
    return f"{cost} (other programs kept this machine busy)" if slow else cost


def _state(profile: Profile, places: Places, name: str, folder: Path) -> str:
    """fresh | failed | stale: why | not built, for the build folder."""
    record = read_record(folder, name)
    if record is None:
        return "not built"
    if record.error is not None:
        return "failed"
    source = find_source(places, name)
    parameters = resolve_parameters(source, profile.name, profile.plan(name).parameters)
    stamp = make_stamp(source, places, profile.name, parameters, folder / "rows")
    return "fresh" if is_fresh(folder, stamp) else "stale"


def one_run(profile: Profile, places: Places, say: Say) -> AbstractContextManager[None]:
    """Two runs of a profile in one checkout would take each other's files away: the second one waits."""
    lock = places.cache / "locks" / profile.name
    return alone(lock, f"a run of profile {profile.name}", say)


def reproduce(profile_name: str, say: Say, *, fresh: bool = False) -> list[Comparison]:
    """Build every notebook of a profile, compare with what is shipped, write the report.

    fresh: forget an earlier run instead of resuming it.
    Returns the comparison with the shipped rows, empty for a profile that ships none. Results are
    published to `results/<profile>/` when nothing is shipped there; shipped rows are never overwritten.
    """
    places, profile = Places.find(), load_profile(profile_name)
    with one_run(profile, places, say):
        if fresh:
            shutil.rmtree(places.build(profile.name), ignore_errors=True)
        return _reproduce(profile, places, say)


def _reproduce(profile: Profile, places: Places, say: Say) -> list[Comparison]:
    folder, results = places.build(profile.name), places.results(profile.name)
    say(f"profile {profile.name}: {profile.description}")
    with rebuilding():
        build_all(profile, places, planned(profile, places), say)
    here = load_rows(folder / "rows")
    shipped = load_rows(results / "rows") if profile.name == COMMITTED_PROFILE else {}
    comparisons = compare_rows(shipped, here) if shipped else []
    if not shipped:
        publish(profile, places)
    _write_comparison(folder, comparisons)
    write_report(profile, places, folder, results / "report.html")
    if shipped:
        say(f"against the shipped results: {summarise(comparisons)}")
        for comparison in comparisons:
            if not comparison.reproduced:
                say(f"  {comparison.outcome}: {comparison.id} {comparison.shipped} -> {comparison.here}")
        if failed := failures(comparisons, deciding_rows()):
            say(f"not reproduced: {', '.join(each.id for each in failed)}")
    say(f"{len(here)} rows; the report is results/{profile.name}/report.html")
    return comparisons


def deciding_rows() -> frozenset[str]:
    """The rows that decide whether trained models came out again on another machine: the predicted ones."""
    return frozenset(prediction.effect for prediction in load_predictions())


def publish(profile: Profile, places: Places) -> None:
    """Copy rows and timings of the build to `results/<profile>/`, and the tables rendered from them."""
    folder, results = places.build(profile.name), places.results(profile.name)
    names = set(planned(profile, places))
    for path in sorted((results / "rows").glob("*.jsonl")):
        if path.stem not in names:
            path.unlink()
    for name in sorted(names):
        write_bytes(results / "rows" / f"{name}.jsonl", (folder / "rows" / f"{name}.jsonl").read_bytes())
    timings = [read_record(folder, name) for name in sorted(names)]
    lines = [
        json.dumps({"notebook": r.notebook, "seconds": r.seconds, "peak_memory_mb": r.peak_memory_mb})
        for r in timings
        if r is not None
    ]
    write_text(results / "timings.jsonl", "\n".join(lines) + "\n")
    for figure, svg in built_pictures(folder / "notebooks").items():
        write_bytes(results / "figures" / figure, svg)
    rows = with_real_rows(load_rows(results / "rows"))
    write_bytes(results / "figures" / CLAIMS_PICTURE, claims_picture(rows))
    for table, text in render_tables(rows).items():
        write_text(results / "tables" / table, text)


def build_committed(names: list[str], say: Say) -> None:
    """`make notebooks`: rebuild, publish the laptop results, and place the notebooks for readers."""
    places, profile = Places.find(), load_profile(COMMITTED_PROFILE)
    everything = planned(profile, places)
    chosen = [find_source(places, name).stem for name in names] or everything
    if names:
        say(f"building {', '.join(chosen)}; the rest is taken as it is where it is fresh")
    with one_run(profile, places, say):
        _build_committed(profile, places, everything, say)


def _build_committed(profile: Profile, places: Places, everything: list[str], say: Say) -> None:
    folder = places.build(profile.name)
    build_all(profile, places, everything, say)
    for name in everything:
        write_bytes(places.notebooks / f"{name}.ipynb", (folder / "notebooks" / f"{name}.ipynb").read_bytes())
    write_student_copies(places)
    publish(profile, places)
    size = publish_artifacts(folder, open_store(profile.name), places.shipped_artifacts(profile.name))
    _write_comparison(folder, [])
    write_report(profile, places, folder, places.results(profile.name) / "report.html")
    write_text(places.root / "STATUS.md", status_markdown(places))
    write_text(places.root / "README.md", rendered_readme(places, profile))
    say(f"artifacts/{profile.name}/ holds {size / 1e6:.1f} MB")
    say(f"notebooks/, results/{profile.name}/, STATUS.md and README.md are up to date")


def _write_comparison(folder: Path, comparisons: list[Comparison]) -> None:
    content = [comparison.as_dict() for comparison in comparisons]
    write_text(folder / "reproduction.json", json.dumps(content, indent=1) + "\n")


def write_report(profile: Profile, places: Places, folder: Path, path: Path) -> Path:
    """The one-page HTML report of a build folder."""
    comparisons = [
        Comparison(**record)
        for record in json.loads((folder / "reproduction.json").read_text(encoding="utf-8"))
    ]
    built = [folder / "notebooks" / f"{name}.ipynb" for name in sorted(profile.notebooks)]
    figures = [element for notebook in built for element in notebook_figures(notebook)]
    states = statuses(profile, places, folder)
    html = render_report(profile, states, with_real_rows(load_rows(folder / "rows")), comparisons, figures)
    return write_text(path, html)


def statuses(profile: Profile, places: Places, folder: Path) -> list[NotebookStatus]:
    """One status per planned notebook, from the records of a build folder."""
    result = []
    for name in planned(profile, places):
        record, plan = read_record(folder, name), profile.plan(name)
        result.append(
            NotebookStatus(
                notebook=name,
                profile=profile.name,
                state=_state(profile, places, name, folder),
                seconds=record.seconds if record else None,
                budget_seconds=plan.budget_seconds,
                peak_memory_mb=record.peak_memory_mb if record else None,
                rows=record.rows if record else None,
                finished=record.finished if record else None,
                error=record.error if record else None,
            )
        )
    return sorted(result, key=lambda status: status.notebook)


def status_markdown(places: Places) -> str:
    """STATUS.md for the committed profile."""
    profile = load_profile(COMMITTED_PROFILE)
    rows = load_rows(places.results(profile.name) / "rows")
    counts = count_verdicts(evaluate_claims(rows))
    claims = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return render_markdown(
        statuses(profile, places, places.build(profile.name)),
        f"{len(rows)} rows in `results/{profile.name}/rows`",
        f"claims: {claims}",
    )


def stale_notebooks(places: Places) -> dict[str, str]:
    """Committed notebooks that no longer agree with what made them, with the reasons."""
    profile = load_profile(COMMITTED_PROFILE)
    stale: dict[str, str] = {}
    for name in planned(profile, places):
        path = places.notebooks / f"{name}.ipynb"
        if not path.is_file():
            stale[name] = "it was never built"
            continue
        source = find_source(places, name)
        parameters = resolve_parameters(source, profile.name, profile.plan(name).parameters)
        now = make_stamp(source, places, profile.name, parameters, places.results(profile.name) / "rows")
        try:
            reasons = differences(read_stamp(path), now)
        except K2ReproError as error:
            stale[name] = str(error)
            continue
        if reasons:
            stale[name] = f"{' and '.join(reasons)} changed"
    return stale
