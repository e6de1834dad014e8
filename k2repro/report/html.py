"""Small pieces of HTML: anchors, links, tables, the style sheet. Everything is escaped here."""

import re
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { --ink: #1a1a1a; --quiet: #555; --line: #d0d0d0; --paper: #fff; --tint: #f5f6f8; --link: #0b57a4; }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink);
  background: var(--paper); margin: 0; }
main, header, nav { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { margin: 3rem 0 .5rem; border-top: 3px solid var(--ink); padding-top: .6rem; }
h3 { margin: 2rem 0 .3rem; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; padding: 0; list-style: none; }
.quiet { color: var(--quiet); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; margin: .6rem 0 1rem; }
caption { text-align: left; font-weight: 600; padding: .4rem 0; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); }
thead th { background: var(--tint); border-bottom: 2px solid var(--line); }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font-size: .85em; overflow-wrap: anywhere; }
.badge { display: inline-block; padding: .05rem .5rem; border-radius: .8rem; font-size: .8rem;
  white-space: nowrap; border: 1.5px solid; font-weight: 600; }
.recomputed { color: #00563f; } .mini { color: #0b4f8a; } .direction { color: #5a4a00; }
.contradicted { color: #a01818; } .unresolved { color: #4a4a4a; } .untestable { color: #5b3a86; }
.bar { display: flex; height: 2.2rem; border-radius: .3rem; overflow: hidden; max-width: 60rem; }
.bar span { display: block; min-width: 3px; }
.tiles { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0; }
.tile { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem 1rem; min-width: 9rem; }
.tile b { display: block; font-size: 1.6rem; }
figure { margin: 1rem 0 2rem; } figure img { max-width: 100%; height: auto; }
details > summary { cursor: pointer; padding: .3rem 0; }
.warn { border-left: 5px solid #b35c00; background: #fff6ea; padding: .6rem 1rem; max-width: 60rem; }
:target { background: #fff3b0; }
@media print { nav { display: none; } details { display: block; } }
"""

KINDS = {
    "recomputed": ("recomputed", "#2a9d78"),
    "reproduced at mini scale": ("mini", "#3b82c4"),
    "direction only": ("direction", "#e0b400"),
    "contradicted": ("contradicted", "#d1495b"),
    "unresolved": ("unresolved", "#b4b4b4"),
    "not testable here": ("untestable", "#9b7fc0"),
}


def anchor(prefix: str, name: str) -> str:
    """An HTML id for a row, claim or fact."""
    return f"{prefix}-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}"


def link(target: str, text: str) -> str:
    """A link inside the page; `text` is escaped."""
    return f'<a href="#{target}">{escape(text)}</a>'


def badge(verdict: str) -> str:
    """The verdict as a word in a pill: never by colour alone."""
    return f'<span class="badge {KINDS[verdict][0]}">{escape(verdict)}</span>'


def html_table(
    caption: str, head: Sequence[str], body: Iterable[Sequence[str]], *, numeric: Sequence[int] = ()
) -> str:
    """A table of ready HTML cells with caption and column scopes, scrollable sideways."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = []
    for cells in body:
        tags = [
            f"<td{' class=n' if place in numeric else ''}>{cell}</td>" for place, cell in enumerate(cells)
        ]
        lines.append("<tr>" + "".join(tags) + "</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )
