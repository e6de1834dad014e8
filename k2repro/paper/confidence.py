"""How far a published number can be trusted, in one word, and how a table has to mark it.

The words are those of the fact sheet; `data/README.md` explains them to a reader. Two rules hang on
them: a recalled number is never shown without its mark, and no verdict rests on an unchecked one.
"""

from dataclasses import dataclass

from k2repro.errors import unknown


@dataclass(frozen=True)
class Confidence:
    """One confidence word.

    template   how a table writes the printed number, for example "~{}"
    meaning    one line for a legend
    """

    word: str
    template: str
    meaning: str

    @property
    def needs_mark(self) -> bool:
        """Whether a table must not show the bare number."""
        return self.template != "{}"


CONFIDENCE = {
    word: Confidence(word, template, meaning)
    for word, template, meaning in (
        ("verbatim", "{}", "seen in the official artefact or in the critique itself"),
        ("secondary-verbatim", "{}ˢ", "second-hand: seen in a text that quotes the source"),
        ("article", "{}", "printed by the K2Think.in article"),
        ("article-only-rounded", "{}ʳ", "only the article has it, rounded"),
        ("figure-digitised", "~{}", "read off a picture of the figure"),
        ("derived", "{}ᵈ", "computed from other facts"),
        ("memory-corroborated", "{}ᵐ", "recalled, agrees with an independent check"),
        ("memory-unverified", "({})ᵘ", "recalled only, never checked"),
        ("missing", "—", "the cell exists, no value was found"),
    )
}
COMPUTED_HERE = "derived"
UNCHECKED = "memory-unverified"
CORROBORATED = "memory-corroborated"


def confidence(word: str) -> Confidence:
    """The word's flags; raises K2ReproError for a word that the legend does not know."""
    if word not in CONFIDENCE:
        raise unknown("confidence word", word, CONFIDENCE)
    return CONFIDENCE[word]


def legend() -> list[dict[str, str]]:
    """One record per mark, for the line under a table."""
    return [
        {"mark": entry.template.format("x"), "word": entry.word, "meaning": entry.meaning}
        for entry in CONFIDENCE.values()
        if entry.needs_mark
    ]
