"""Plotly's texts as plain words: its few HTML tags removed, line breaks and entities kept as characters."""

import re
from html import unescape
from typing import Any

BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


def plain_text(text: object) -> str:
    """Text of a title, tick or annotation without markup.

    >>> plain_text("<b>pass@1</b><br>on <i>tier</i> 2 &amp; 3")
    'pass@1\\non tier 2 & 3'
    """
    return unescape(TAG.sub("", BREAK.sub("\n", "" if text is None else str(text))))


def title_text(title: Any) -> str:
    """The words of a plotly title: a plain string, a {"text": ...} record, or nothing."""
    if title is None:
        return ""
    if isinstance(title, str):
        return title
    return str(title.get("text") or "")
