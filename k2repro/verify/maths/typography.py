"""Typographic characters as the LaTeX that they stand for: ≤, √10, x², ⅔, １２, 𝑥."""

import re
import unicodedata

from k2repro.verify.spellings import spellings

_TYPED = spellings("typed")
_CHARACTERS = spellings("characters") | _TYPED
_MINUS_SIGNS = re.compile("[−–‐‑‒﹣－]")
_UNSEEN = re.compile("[\u200b\u2060\ufeff]")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ]+")
_LOWERED = re.compile("[₀-₉₊₋₍₎ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼ]+")
_ROOT = re.compile(r"(?P<sign>[√∛∜])\s*(?P<inside>\d+(?:\.\d+)?)?")
_DEGREES = {"√": "", "∛": "[3]", "∜": "[4]"}
_GREEK_NAME = re.compile(
    r"GREEK (?P<case>SMALL|CAPITAL) LETTER (?:FINAL )?(?P<name>[A-Z]+)"
    r"|GREEK (?:LUNATE )?(?P<symbol>[A-Z]+) SYMBOL"
)


def plain(text: str) -> str:
    """`text` with typographic characters as LaTeX.

    >>> plain("x² ≤ √10"), plain("１２"), plain("2⅔")
    ('x^{2} \\\\leq  \\\\sqrt{10}', '12', '2\\\\frac{2}{3}')
    """
    if not text.isascii():
        text = _MINUS_SIGNS.sub("-", _UNSEEN.sub("", text))
        text = _RAISED.sub(lambda run: f"^{{{_folded(run[0])}}}", text)
        text = _LOWERED.sub(lambda run: f"_{{{_folded(run[0])}}}", text)
        text = "".join(letter if letter in _CHARACTERS else _letter(letter) for letter in text)
        text = _ROOT.sub(_root, text)
    elif not any(old in text for old in _TYPED):
        return text
    for old, new in _CHARACTERS.items():
        text = text.replace(old, new)
    return text


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("−", "-")


def _root(found: re.Match[str]) -> str:
    inside = f"{{{found['inside']}}}" if found["inside"] else " "
    return f"\\sqrt{_DEGREES[found['sign']]}{inside}"


def _letter(letter: str) -> str:
    """A digit of any script, a fraction, a wide or italic letter, a Greek letter; else as it is."""
    if letter.isascii():
        return letter
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if "\uff01" <= letter <= "\uff5e":
        return chr(ord(letter) - 0xFEE0)
    if "\U0001d400" <= letter <= "\U0001d7ff":
        letter = unicodedata.normalize("NFKC", letter)
    if unicodedata.numeric(letter, None) is not None:
        above, bar, below = unicodedata.normalize("NFKC", letter).partition("⁄")
        return f"\\frac{{{above}}}{{{below}}}" if bar else letter
    found = _GREEK_NAME.fullmatch(unicodedata.name(letter, ""))
    return _greek(found) if found else letter


def _greek(found: re.Match[str]) -> str:
    r"""α as \alpha, Δ as \Delta, ϕ as \phi."""
    name = (found["name"] or found["symbol"]).lower().replace("lamda", "lambda")
    return f"\\{name.capitalize() if found['case'] == 'CAPITAL' else name} "
