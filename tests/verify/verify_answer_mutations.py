"""Answers changed into what they are not: texts that say something else than a tree of `verify_answer_space`.

By construction every leaf counts, so one changed digit, sign, letter, member, bracket or unit is another
answer.
"""

import random
from collections.abc import Callable
from dataclasses import replace

from verify_answer_space import UNITS, Tree, form


def mutations(tree: Tree, rng: random.Random) -> list[tuple[str, str]]:
    """(what was done, a text that is another answer), one or more of each kind that fits the tree."""
    found = [("digit", form(_with_leaf(tree, rng, _other_number), rng))] if _leaves(tree, "int") else []
    if _leaves(tree, "letter"):
        found.append(("case", form(_with_leaf(tree, rng, _other_case, "letter"), rng)))
        found.append(("letter", form(_with_leaf(tree, rng, _other_letter, "letter"), rng)))
    text = form(tree, rng)
    found.append(
        (
            "appended",
            text + rng.choice(["q", " q", "\\cdot q", "'", "+q", "7", "{7}", " or 3", "t", "h", "c", "d"]),
        )
    )
    if tree.kind != "word":
        found.append(
            (
                "negated",
                f"-({text})"
                if tree.kind in ("int", "quot", "sum", "product", "decimal", "root", "log")
                else "\\neq " + text,
            )
        )
        found.append(("hedged", rng.choice(["\\approx ", "~", "< ", "not ", "\\neq "]) + text))
    if tree.kind in ("sum", "complex"):
        found.append(("sign", form(replace(tree, value=_other_sign(str(tree.value))), rng)))
    if tree.kind in ("tuple", "set", "list", "matrix"):
        less, more = tree.parts[1:], (*tree.parts, rng.choice(tree.parts))
        if tree.kind != "matrix":
            found += [
                ("dropped", form(replace(tree, parts=less), rng)),
                ("doubled", form(replace(tree, parts=more), rng)),
            ]
    if tree.kind in ("tuple", "matrix", "interval"):
        found.append(("order", form(replace(tree, parts=tree.parts[::-1]), rng)))
    if tree.kind == "interval":
        found.append(
            (
                "bracket",
                form(
                    replace(tree, value={"()": "(]", "(]": "[]", "[]": "[)", "[)": "()"}[str(tree.value)]),
                    rng,
                ),
            )
        )
    if tree.kind == "inequality":
        other = {"<": "\\le", "\\le": "<", ">": "\\ge", "\\ge": ">"}[str(tree.value)]
        found.append(("relation", form(replace(tree, value=other), rng)))
    if tree.kind == "unit":
        other_unit = rng.choice(sorted(set(UNITS) - {str(tree.value)}))
        found.append(("unit", f"{form(tree.parts[0], rng)}\\text{{ {other_unit}}}"))
    if tree.kind == "named":
        found.append(("name", f"{str(tree.value).upper()} = {form(tree.parts[0], rng)}"))
    return found


def _leaves(tree: Tree, kind: str) -> int:
    own = tree.kind == "int" if kind == "int" else tree.kind == "name" and len(str(tree.value)) == 1
    return int(own) + sum(_leaves(part, kind) for part in tree.parts)


def _with_leaf(tree: Tree, rng: random.Random, change: Callable, kind: str = "int") -> Tree:
    """The tree with one leaf changed."""
    chosen = rng.randrange(_leaves(tree, kind))
    return _replaced(tree, chosen, change, kind, rng)


def _replaced(tree: Tree, chosen: int, change: Callable, kind: str, rng: random.Random) -> Tree:
    if not tree.parts:
        return replace(tree, value=change(tree.value, rng))
    parts = list(tree.parts)
    for at, part in enumerate(parts):
        inside = _leaves(part, kind)
        if chosen < inside:
            parts[at] = _replaced(part, chosen, change, kind, rng)
            break
        chosen -= inside
    return replace(tree, parts=tuple(parts))


def _other_number(value: int, rng: random.Random) -> int:
    return value + rng.choice([1, 10, 100]) if value >= 0 else value - rng.choice([1, 10])


def _other_case(value: str, rng: random.Random) -> str:
    return value.swapcase()


def _other_letter(value: str, rng: random.Random) -> str:
    return rng.choice([each for each in "defgjlouv" if each not in "ei"])


def _other_sign(value: str) -> str:
    return value[:-1] + ("-" if value[-1] == "+" else "+")
