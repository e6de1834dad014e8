"""Plain values as JSON text, so that nothing a program built is ever touched outside its sandbox.

The same source runs in three places: here, in the real-CPython sandboxes and in the subset
interpreter (hence no classes, no decorators, no annotations inside `codec`). Numbers, texts, lists,
tuples, dictionaries and sets keep their type; anything else becomes an opaque mark that equals
nothing. Two values are compared as text: a hostile `__eq__`, or a set of integers chosen to collide,
never reaches the judge.
"""

import inspect
import json
from typing import Any

from k2repro.errors import K2ReproError

_UNORDERED = {"s", "z", "d"}


def codec():
    """The pair (encode, decode). A closure: a program that calls a variable `list` must not break it.

    encode(value) gives what `json.dumps` accepts; decode(node) gives the value back and raises
    TypeError for an opaque mark.
    """
    integer, real, text, array, table = int, float, str, list, dict
    boolean, octets, pair, names = bool, bytes, complex, type
    several = ((tuple, "t"), (set, "s"), (frozenset, "z"))
    is_a, shown, hexadecimal, wrong = isinstance, repr, hex, TypeError

    def encode(value):
        if value is None or is_a(value, (boolean, text)):
            return value
        if is_a(value, integer):
            return value if -(10**15) < value < 10**15 else {"i": hexadecimal(value)}
        if is_a(value, real):
            return {"f": shown(value)}
        if is_a(value, array):
            return [encode(item) for item in value]
        for kind, mark in several:
            if is_a(value, kind):
                return {mark: [encode(item) for item in value]}
        if is_a(value, table):
            return {"d": [[encode(key), encode(item)] for key, item in value.items()]}
        if is_a(value, octets):
            return {"b": value.hex()}
        if is_a(value, pair):
            return {"c": [shown(value.real), shown(value.imag)]}
        return {"?": names(value).__name__}

    def decode(node):
        if is_a(node, array):
            return [decode(item) for item in node]
        if not is_a(node, table):
            return node
        if "i" in node:
            return integer(node["i"], 16)
        if "f" in node:
            return real(node["f"])
        for kind, mark in several:
            if mark in node:
                return kind([decode(item) for item in node[mark]])
        if "d" in node:
            return {decode(key): decode(item) for key, item in node["d"]}
        if "b" in node:
            return octets.fromhex(node["b"])
        if "c" in node:
            return pair(real(node["c"][0]), real(node["c"][1]))
        raise wrong("a value of type " + text(node["?"]) + " is not a plain value")

    return encode, decode


encode, decode = codec()
SOURCE = inspect.getsource(codec)


def canonical(node: Any) -> str:
    """One text for each encoded value, whatever the order of its sets and dictionaries.

    Two encoded values are equal, by value and by type, when their canonical texts are. Built from
    the leaves up, so its cost is that of copying the text, however deep a forged node is.
    """
    if isinstance(node, list):
        return f"[{','.join(map(canonical, node))}]"
    if not isinstance(node, dict):
        return json.dumps(node)
    ((kind, content),) = node.items()
    if not isinstance(content, list):
        return f"{kind}({'0.0' if kind == 'f' and content == '-0.0' else content})"
    items = [canonical(item) for item in content]
    return f"{kind}({','.join(sorted(items) if kind in _UNORDERED else items)})"


def plain_text(value: object, what: str) -> str:
    """JSON text of a plain value; K2ReproError, which names `what`, when `value` is something else."""
    try:
        if _is_plain(value):
            return json.dumps(encode(value))
    except RecursionError:
        raise K2ReproError(
            f"{what} is nested too deeply or contains itself; usual cause: a cyclic list"
        ) from None
    raise K2ReproError(
        f"{what} must be made of numbers, texts, lists, tuples, dictionaries and sets, got "
        f"{str(value)[:80]!r}; usual cause: an object or an array where its plain value was meant"
    )


def same(text: str, expected: str) -> bool:
    """Whether a program's answer (JSON text, hostile) is the value of `expected` (JSON text, ours)."""
    try:
        return canonical(json.loads(text)) == canonical(json.loads(expected))
    except (ValueError, TypeError, RecursionError):
        return False  # not something that `encode` writes: the program forged it


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | str | int | float | bytes | complex)
