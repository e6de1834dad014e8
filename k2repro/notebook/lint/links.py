"""Links between documents: every relative target exists, every anchor in a document is a heading."""

import re
from pathlib import Path

from k2repro.notebook.lint.finding import Finding
from k2repro.notebook.lint.markdown import CODE_BLOCK, CODE_SPAN

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
TITLE = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def link_targets(markdown: str) -> list[str]:
    """Relative files that a text links to, without anchors."""
    files = [target.split("#")[0] for target in _all_targets(markdown)]
    return [target for target in files if target]


def lint_links(path: Path) -> list[Finding]:
    """Findings for a Markdown document: targets that do not exist, and anchors without a heading."""
    text = path.read_text(encoding="utf-8")
    anchors = {_slug(title) for title in TITLE.findall(CODE_BLOCK.sub("", text))}
    findings = []
    for target in _all_targets(text):
        file, _, anchor = target.partition("#")
        if file and not (path.parent / file).exists():
            findings.append(Finding(str(path), "all", "link", f"{file!r} does not exist"))
        elif not file and anchor not in anchors:
            findings.append(Finding(str(path), "all", "link", f"no heading for the anchor #{anchor}"))
    return findings


def _all_targets(markdown: str) -> list[str]:
    text = CODE_SPAN.sub(" ", CODE_BLOCK.sub("", markdown))
    found = LINK.findall(text) + REFERENCE.findall(text)
    return [target for target in found if not ELSEWHERE.match(target)]


def _slug(title: str) -> str:
    """GitHub's anchor of a heading: lower case, no punctuation, dashes for spaces."""
    kept = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower())
    return kept.strip().replace(" ", "-")
