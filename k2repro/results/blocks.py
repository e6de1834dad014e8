"""Rendered blocks in hand-written pages: README says what rows and timings say, between two markers.

<!-- begin rendered: notebooks -->
...
<!-- end rendered: notebooks -->
"""

import re
from collections.abc import Mapping

from k2repro.errors import K2ReproError, unknown

BLOCK = re.compile(
    r"(?P<begin><!-- begin rendered: (?P<name>[a-z-]+) -->\n).*?(?P<end><!-- end rendered: (?P=name) -->)",
    re.S,
)


def fill_blocks(page: str, blocks: Mapping[str, str]) -> str:
    """The page with every block's content replaced.

    Raises K2ReproError when a block of the page is not given, or a given one is not in the page.
    """
    found = [match["name"] for match in BLOCK.finditer(page)]
    missing = sorted(set(blocks) - set(found))
    if missing:
        raise K2ReproError(f"the page has no markers for the block {missing[0]!r}")

    def replace(match: re.Match[str]) -> str:
        if match["name"] not in blocks:
            raise unknown("rendered block", match["name"], blocks)
        return f"{match['begin']}{blocks[match['name']].strip()}\n{match['end']}"

    return BLOCK.sub(replace, page)
