"""The rendered parts of README.md: its picture, what each notebook shows and costs, how the claims stand."""

import json
import re
from collections.abc import Mapping

from k2repro.notebook.source import find_source, read_source
from k2repro.paper.ledger import claims_by_source, count_verdicts, evaluate_claims
from k2repro.results.blocks import fill_blocks
from k2repro.results.places import Places
from k2repro.results.profiles import Profile
from k2repro.results.rows import Row, load_rows
from k2repro.tables import Table

TITLE = re.compile(r"^# (.+)$", re.M)
CLAIMS_PICTURE = "claims.svg"
SHOWS = re.compile(r"^\*\*Shows:\*\* (.+?)(?:\n\n|\Z)", re.M | re.S)


def claims_picture(rows: Mapping[str, Row]) -> bytes:
    """The README's first picture, an SVG drawn from the same rows as its numbers."""
    from k2repro.notebook.static.svg import static_svg
    from k2repro.pictures.paper_tables import verdicts_picture

    figure, _ = verdicts_picture(claims_by_source(evaluate_claims(rows)))
    return static_svg(figure).encode()


def rendered_readme(places: Places, profile: Profile) -> str:
    """README.md as it follows from the committed rows, timings and notebook sources."""
    results = places.results(profile.name)
    timings = {
        record["notebook"]: record
        for record in map(json.loads, (results / "timings.jsonl").read_text(encoding="utf-8").splitlines())
    }
    blocks = {
        "notebooks": notebook_table(places, timings),
        "verdicts": verdict_table(results_rows=load_rows(results / "rows")),
    }
    return fill_blocks((places.root / "README.md").read_text(encoding="utf-8"), blocks)


def notebook_table(places: Places, timings: dict[str, dict[str, float]]) -> str:
    """One line a notebook: its title, what its first cell says it shows, its measured cost."""
    lines = []
    for name in sorted(timings):
        first = read_source(find_source(places, name)).cells[0].source
        title, shows = TITLE.search(first), SHOWS.search(first)
        cost = timings[name]
        lines.append(
            (
                f"[{title[1] if title else name}](notebooks/{name}.ipynb)",
                " ".join(shows[1].split()) if shows else "",
                f"{cost['seconds']:.0f}",
                f"{cost['peak_memory_mb']:.0f}",
            )
        )
    return Table(("notebook", "shows", "seconds here", "memory MB"), lines).as_markdown()


def verdict_table(results_rows: dict) -> str:
    """How many claims have which verdict."""
    counts = count_verdicts(evaluate_claims(results_rows))
    return Table(("verdict", "claims"), list(counts.items())).as_markdown()
