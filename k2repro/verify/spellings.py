"""Other ways to write the same thing, from `spellings.toml`."""

from k2repro.reading import shipped_toml


def spellings(section: str) -> dict[str, str]:
    """Spelling -> the one name for it, in the order of the file.

    >>> spellings("commands")["dfrac"], spellings("units")["metres"]
    ('frac', 'm')
    """
    names = shipped_toml("k2repro.verify", "spellings.toml", [section])[section]
    return {word: name for name, words in names.items() for word in words.split()}
