"""Rules that a machine can check, for notebooks, documents and library code.

    findings = lint_all(root)
    text = render_findings(findings)

Each rule has a name, and a test with a text that breaks it beside one that keeps it. There is no
opt-out: a rule that is wrong gets changed for everybody.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from k2repro.notebook.lint.built import lint_built
from k2repro.notebook.lint.finding import Finding
from k2repro.notebook.lint.links import lint_links
from k2repro.notebook.lint.package import lint_package
from k2repro.notebook.lint.source import lint_notebook_source

__all__ = [
    "Finding",
    "lint_all",
    "lint_built",
    "lint_links",
    "lint_notebook_source",
    "lint_package",
    "render_findings",
]

TOTAL_BYTES = 5_000_000
DOCUMENTS = ("*.md", "data_cards/*.md", "recipes/*.md", "docs/**/*.md")


def lint_all(root: Path) -> list[Finding]:
    """Every finding in one checkout, sorted by path and place; paths are relative to `root`."""
    findings: list[Finding] = []
    for path in sorted((root / "notebooks" / "src").glob("*.py")):
        findings += lint_notebook_source(path)
    built = sorted((root / "notebooks").glob("*.ipynb"))
    for path in built:
        findings += lint_built(path)
    findings += _total_size(root, built)
    for pattern in DOCUMENTS:
        for path in sorted(root.glob(pattern)):
            findings += lint_links(path)
    findings += lint_package(root / "k2repro")
    return sorted({_relative(finding, root) for finding in findings})


def _total_size(root: Path, built: Iterable[Path]) -> list[Finding]:
    total = sum(path.stat().st_size for path in built)
    if total <= TOTAL_BYTES:
        return []
    message = f"all notebooks together have {total:,} bytes; the budget is {TOTAL_BYTES:,}"
    return [Finding(str(root / "notebooks"), "all", "size-total", message)]


def _relative(finding: Finding, root: Path) -> Finding:
    path = Path(finding.path)
    return replace(finding, path=path.relative_to(root).as_posix()) if path.is_relative_to(root) else finding


def render_findings(findings: Iterable[Finding]) -> str:
    """One line per finding and a count per rule; says so when there are none."""
    lines = sorted(findings)
    if not lines:
        return "no findings"
    counts = Counter(finding.rule for finding in lines)
    summary = ", ".join(f"{rule} {count}" for rule, count in sorted(counts.items()))
    told = [f"{f.path}: {f.where}: [{f.rule}] {f.message}" for f in lines]
    return "\n".join([*told, f"{len(lines)} finding{'s' if len(lines) > 1 else ''}: {summary}"])
