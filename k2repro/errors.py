"""The one error that a user may see, and the one way to say "that does not exist, these do"."""

import difflib
from collections.abc import Iterable


class K2ReproError(ValueError):
    """Bad input or a broken file; the message names the value, the rule and the usual cause.

    The command line prints the message without a traceback and exits with code 2.
    """


def unknown(kind: str, value: object, known: Iterable[str]) -> K2ReproError:
    """Error for a name that does not exist: near names first, then all that exist.

    >>> print(unknown("profile", "laptp", ["smoke", "laptop"]))
    unknown profile 'laptp'; did you mean 'laptop'? Known: laptop, smoke
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(value), names, n=3)
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    return K2ReproError(f"unknown {kind} {value!r};{hint} Known: {', '.join(names) or '(none)'}")
