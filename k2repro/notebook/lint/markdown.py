"""Rules for prose: typed numbers, headings, pictures, filler words. Texts in, messages out."""

import re

CODE_BLOCK = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
LINK_TARGET = re.compile(r"\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^(#{1,6})\s+\S", re.MULTILINE)
PICTURE_WITHOUT_ALT = re.compile(r"!\[\s*\]\(|<img\b(?![^>]*\balt=\"[^\"]+\")[^>]*>", re.IGNORECASE)
FILLER = re.compile(r"\b(simply|just|obviously)\b", re.IGNORECASE)

# A comparison that is expected has to be decided by code: expected("...", holds=...).
EXPECTATION = re.compile(
    r"\bexpect(?:s|ed)?\b[^.]*?\b(?:more|less|most|least|fewer|near|nearly|same|larger|smaller|higher|lower|"
    r"longer|shorter|above|below|under|beyond|no gain)\b[^.]*",
    re.IGNORECASE,
)

NUMBER = r"(?<![\w.@-])[-−+]?\d[\d,]*(?:\.\d+)?"
QUANTITY = (
    r"(?:accurac(?:y|ies)|scores?|pass rate|solve rate|success rate|rewards?|loss|perplexity|speed-?up|"
    r"throughput|latency|bandwidth|acceptance rate)"
)
SAYS = r"(?:is|are|was|were|of|at|to|by|from|reaches|reached|gives|gave|about|around|near|=|:|≈|~)"
# 0 and 1 are how a reward or a probability is defined, not something that was measured.
VALUE = r"(?![01](?![\d.,]))\d[\d,]*(?:\.\d+)?"
MEASURED = {
    "percentage": rf"{NUMBER}\s?(?:%|percent\b|per cent\b|percentage points?\b)",
    "decoding rate": rf"{NUMBER}\s*k?\s*(?:tok(?:en)?s?)\s*(?:/|per|a)\s*s(?:ec(?:ond)?)?\b",
    "amount of memory": rf"{NUMBER}\s*(?:[kMGTP]i?B)(?:/s)?\b",
    "result": rf"\b{QUANTITY}\b(?:\s+\w+){{0,3}}?\s*{SAYS}(?:\s+(?:about|around|only|nearly))?\s*{VALUE}",
    "result before its word": rf"(?<![\w.@-])\d+\.\d+\s+{QUANTITY}\b",
    "pass@k value": rf"pass@\w+\s*{SAYS}\s*{VALUE}",
    "factor": (
        rf"{NUMBER}\s*(?:x|×|times|-?fold)\s+"
        r"(?:faster|slower|more|less|fewer|larger|smaller|higher|lower|cheaper|better|worse|as\b|the\b)"
    ),
    "amount of parameters or tokens": rf"{NUMBER}\s*(?:billion|million)\s+(?:parameters|weights|tokens)\b",
    "duration": rf"\b(?:took|takes|lasts|within|in)\s+(?:about\s+|under\s+)?{NUMBER}\s*"
    r"(?:ms|milliseconds?|seconds?|minutes?|hours?|s)\b",
    "p-value": r"(?<![-\w])p\s*<\s*0?\.\d+",
}
PATTERNS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in MEASURED.items()}
# The level of an interval is chosen, not measured.
LEVEL = re.compile(
    r"\b(?:90|95|99)\s?%\s+(?:\w+\s+)?(?:confidence|intervals?|Wilson|bootstrap|CI|level|credible)\b", re.I
)


def prose(markdown: str) -> str:
    """The words alone: code, formulas and link targets blanked out."""
    text = markdown
    for pattern in (CODE_BLOCK, CODE_SPAN, FORMULA):
        text = pattern.sub(" ", text)
    return LINK_TARGET.sub("]", text)


def typed_numbers(markdown: str) -> list[str]:
    """Messages for measured-looking numbers typed into prose.

    Names and identifiers stay allowed: AIME 2024, Qwen2.5-32B, pass@k, Table 2, 16 bit, notebook 01.
    """
    text = LEVEL.sub(" ", prose(markdown))
    found: dict[str, str] = {}
    for name, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            phrase = " ".join(match.group().split())
            found.setdefault(phrase, f"typed {name} {phrase!r}: take it from a row with tell(rows, ...)")
    return list(found.values())


def heading_levels(markdown: str) -> list[int]:
    """Levels of the headings of one cell, in order; code blocks do not count."""
    return [len(match.group(1)) for match in HEADING.finditer(CODE_BLOCK.sub("", markdown))]


def pictures_without_alt(markdown: str) -> list[str]:
    """Markdown and HTML pictures that say nothing to those who cannot see them."""
    text = CODE_SPAN.sub(" ", CODE_BLOCK.sub(" ", markdown))
    return [match.group()[:40] for match in PICTURE_WITHOUT_ALT.finditer(text)]


def filler_words(markdown: str) -> list[str]:
    """Words that tell a struggling reader that the matter is easy."""
    return [match.group() for match in FILLER.finditer(prose(markdown))]


def open_expectations(markdown: str) -> list[str]:
    """Sentences that expect a comparison and tie it to no row: they stay when the numbers change."""
    text = " ".join(prose(markdown).split())
    return [match.group()[:70] for match in EXPECTATION.finditer(text)]
