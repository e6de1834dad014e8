"""Where the kit stands, per notebook: `k2repro status`, and STATUS.md rendered from the same records."""

from collections.abc import Iterable
from dataclasses import dataclass

from k2repro.tables import Table

HEADER = ("notebook", "profile", "state", "seconds", "budget", "memory MB", "rows", "finished", "last error")


@dataclass(frozen=True)
class NotebookStatus:
    """One line of the status page; `state` is fresh, stale, failed or not built here, or as shipped."""

    notebook: str
    profile: str
    state: str
    seconds: float | None
    budget_seconds: int
    peak_memory_mb: float | None
    rows: int | None
    finished: str | None
    error: str | None

    def cells(self) -> tuple[str, ...]:
        return (
            self.notebook,
            self.profile,
            self.state,
            "—" if self.seconds is None else f"{self.seconds:.0f}",
            str(self.budget_seconds),
            "—" if self.peak_memory_mb is None else f"{self.peak_memory_mb:.0f}",
            "—" if self.rows is None else str(self.rows),
            self.finished or "—",
            self.error or "",
        )


def render_text(statuses: Iterable[NotebookStatus]) -> str:
    """Aligned columns for the terminal."""
    return status_table(statuses).as_text(rule=False)


def render_markdown(statuses: Iterable[NotebookStatus], rows_line: str, claims_line: str) -> str:
    """STATUS.md: the same table, with the state of rows and claims above it."""
    lines = [
        "# Status",
        "",
        "Rendered by `make notebooks`; do not edit. `k2repro status` prints it live.",
        "",
        f"- {rows_line}",
        f"- {claims_line}",
        "",
        status_table(statuses).as_markdown(),
    ]
    return "\n".join(lines) + "\n"


def status_table(statuses: Iterable[NotebookStatus]) -> Table:
    """One line for each notebook, under HEADER."""
    return Table(HEADER, [status.cells() for status in statuses])
