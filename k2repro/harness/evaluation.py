"""One evaluation from beginning to end: journal, attempts, rows, and what is printed of them."""

from dataclasses import replace
from pathlib import Path

from k2repro.engine.probe import NO_EFFECT, probe
from k2repro.errors import K2ReproError
from k2repro.evaluate.journal import Bill, Journal
from k2repro.harness.attempts import run_protocol
from k2repro.harness.benchmarks import Benchmark
from k2repro.harness.export import SampleExport
from k2repro.harness.progress import ProgressLine
from k2repro.harness.protocol import Protocol
from k2repro.harness.rows import HarnessReport, report
from k2repro.harness.serving import Served
from k2repro.results.rows import write_rows
from k2repro.tables import Table

JOURNAL, ROWS, PROBLEMS = "journal.sqlite", "rows.jsonl", "problems.jsonl"


def evaluate(
    benchmark: Benchmark,
    protocol: Protocol,
    served: Served,
    journal: Journal,
    folder: Path,
    *,
    workers: int,
    check: bool,
) -> HarnessReport:
    """Ask what the journal does not know yet, write rows and samples into `folder`.

    check: probe the server first, and refuse a protocol whose samples would all be copies.
    """
    with (
        ProgressLine(served.budget, "attempts", waiting=served.waiting) as line,
        SampleExport(folder, benchmark, protocol) as export,
    ):
        if check:
            check_server(served, protocol)
        attempts = run_protocol(
            benchmark, protocol, served.roles, workers=workers, progress=line, seen=export
        )
    if all(each.failed == len(each.answers) for each in attempts):
        raise K2ReproError(f"none of the samples came, so there is no number. {'; '.join(served.notes)}")
    found = report(
        attempts,
        benchmark,
        protocol,
        model=served.endpoints["solver"].model,
        params=journal.protocol,
        answers=journal.answers_digest("probe"),
    )
    write_rows(folder / ROWS, found.rows)
    return replace(found, notes=[*found.notes, *served.notes])


def check_server(served: Served, protocol: Protocol) -> None:
    """Raise K2ReproError when sampling several answers would give several copies."""
    if protocol.n * protocol.runs == 1 or protocol.solver.temperature == 0:
        return
    found = {each.name: each for each in probe(served.backends["solver"])}
    if found["temperature"].state == NO_EFFECT:
        raise K2ReproError(
            f"{served.endpoints['solver'].url} seems to ignore temperature: {found['temperature'].detail}. "
            "Repair that, or ask once and greedily: --runs 1 --best-of 1 --temperature 0"
        )


def as_text(found: HarnessReport, benchmark: Benchmark, bills: dict[str, Bill]) -> str:
    """The tables of a run: accuracies, differences, the bill."""
    accuracies = [
        {
            "configuration": score.name,
            "accuracy": f"{100 * score.value:.2f}",
            "95 % interval": f"{100 * score.interval.low:.2f} to {100 * score.interval.high:.2f}",
            "tokens of a question, all roles": f"{cell.total:,.0f}",
        }
        for score in found.scores
        for cell in found.cells
        if cell.name == score.name
    ]
    added = [
        {
            "difference": score.name.replace(".minus.", " - "),
            "points": f"{100 * score.value:+.2f}",
            "95 % interval": f"{100 * score.interval.low:+.2f} to {100 * score.interval.high:+.2f}",
        }
        for score in found.scores
        if ".minus." in score.name
    ]
    spent = [
        {
            "role": role,
            "requests": bill.attempts,
            "answers": bill.answers,
            "prompt tokens": bill.prompt_tokens,
            "output tokens": bill.output_tokens,
            "money": round(bill.cost, 4),
        }
        for role, bill in bills.items()
    ]
    parts = [
        Table.of_records(accuracies, caption=f"{benchmark.name}, {len(benchmark)} problems").as_text(),
        Table.of_records(added, caption="On the same problems").as_text(),
        Table.of_records(spent, caption="The bill").as_text(),
        *(f"note: {note}" for note in found.notes),
    ]
    return "\n\n".join(part for part in parts if part)
