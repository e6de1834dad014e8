"""Other ways to write the same thing, and the words that are known, from `spellings.toml`."""

from k2repro.reading import shipped_toml

_CONTENT = shipped_toml("k2repro.verify", "spellings.toml", ["vocabulary"])


def spellings(section: str) -> dict[str, str]:
    """Spelling -> the one name for it, in the order of the file.

    >>> spellings("commands")["dfrac"], spellings("units")["metres"]
    ('frac', 'm')
    """
    return {word: name for name, words in _CONTENT[section].items() for word in words.split()}


def vocabulary(name: str) -> frozenset[str]:
    """A list of words.

    >>> "arctan" in vocabulary("functions")
    True
    """
    return frozenset(_CONTENT["vocabulary"][name].split())
