"""A grammar of answers, for tests: trees that `written` writes as people do, in one of many equal forms."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

LETTERS = "abckmnprtxyzRTN"
UNITS = {
    "cm": ["cm", "centimeters"],
    "km": ["km", "kilometers"],
    "kg": ["kg", "kilograms"],
    "hour": ["hours"],
}
WORDS = ["Tuesday", "even", "isosceles", "Evelyn", "no solution", "Paris"]
_KINDS = """
value value formula formula tuple set list interval union equation inequality matrix complex named unit word
"""
KINDS = _KINDS.split()
FUNCTIONS = ["sin", "cos", "ln", "arctan"]


@dataclass(frozen=True)
class Tree:
    """kind, parts and value (a number, a name, a sign, brackets)."""

    kind: str
    parts: tuple["Tree", ...] = ()
    value: object = None


def whole(rng: random.Random, most: int = 99) -> Tree:
    """A whole number, at least 2, so that no factor or exponent is without effect."""
    return Tree("int", value=rng.randint(2, most))


def quantity(rng: random.Random) -> Tree:
    """A number as answers have them: whole, a fraction, a decimal, a surd, a multiple of pi, a logarithm."""
    kind = rng.choice(["int", "quot", "decimal", "surd", "pi", "log", "sum"])
    if kind == "int":
        return whole(rng, 5000)
    if kind == "quot":
        return Tree(
            "quot", (Tree("int", value=rng.choice([1, 3, 7, 11])), Tree("int", value=rng.choice([2, 5, 13])))
        )
    if kind == "decimal":
        return Tree("decimal", value=f"{rng.randint(1, 99)}.{rng.randint(1, 99)}{rng.randint(1, 9)}")
    if kind == "surd":
        return Tree(
            "product", (whole(rng, 9), Tree("root", (Tree("int", value=rng.choice([2, 3, 5, 6, 7])),)))
        )
    if kind == "pi":
        return Tree("product", (whole(rng, 9), Tree("name", value="\\pi")))
    if kind == "log":
        return Tree("log", (Tree("int", value=rng.choice([3, 5, 7])),), value=rng.choice([2, 10]))
    root = Tree("root", (Tree("int", value=rng.choice([2, 3, 5])),))
    return Tree("sum", (whole(rng, 9), root), value=rng.choice(["+-", "++"]))


def monomial(rng: random.Random, letters: list[str]) -> Tree:
    """A coefficient times powers of letters."""
    chosen = rng.sample(letters, rng.randint(1, min(2, len(letters))))
    powers = [
        Tree("power", (Tree("name", value=name), whole(rng, 5)))
        if rng.random() < 0.5
        else Tree("name", value=name)
        for name in chosen
    ]
    return Tree("product", (whole(rng, 12), *powers))


def formula(rng: random.Random) -> Tree:
    """A sum of monomials of different letters, a quotient, a root, a function of one."""
    letters = rng.sample(LETTERS, 4)
    total = Tree(
        "sum", (monomial(rng, letters[:2]), monomial(rng, letters[2:])), value=rng.choice(["++", "+-"])
    )
    kind = rng.choice(["sum", "quot", "root", "function", "times"])
    if kind == "quot":
        return Tree("quot", (total, monomial(rng, letters[:1])))
    if kind == "root":
        return Tree("root", (total,))
    if kind == "function":
        return Tree("function", (total,), value=rng.choice(FUNCTIONS))
    if kind == "times":
        return Tree("times", (Tree("name", value=letters[0]), total))
    return total


def value(rng: random.Random) -> Tree:
    """A number or a formula."""
    return quantity(rng) if rng.random() < 0.6 else formula(rng)


def members(rng: random.Random, count: int) -> tuple[Tree, ...]:
    """Different numbers, in ascending order."""
    found = sorted(rng.sample(range(-60, 200), count))
    return tuple(Tree("int", value=each) for each in found)


def answer(rng: random.Random) -> Tree:
    """Any answer."""
    kind = rng.choice(KINDS)
    if kind in ("value", "formula"):
        return value(rng) if kind == "value" else formula(rng)
    if kind in ("tuple", "set", "list"):
        return Tree(kind, members(rng, rng.randint(2, 4)))
    if kind == "interval":
        return Tree("interval", members(rng, 2), value=rng.choice(["()", "[)", "(]", "[]"]))
    if kind == "union":
        low, middle, high, last = members(rng, 4)
        return Tree("union", (Tree("interval", (low, middle), "()"), Tree("interval", (high, last), "[]")))
    if kind == "equation":
        return Tree("equation", (formula(rng), whole(rng)))
    if kind == "inequality":
        return Tree("inequality", (formula(rng), whole(rng)), value=rng.choice(["<", ">", "\\le", "\\ge"]))
    if kind == "matrix":
        return Tree("matrix", members(rng, 4))
    if kind == "complex":
        return Tree("complex", (whole(rng, 30), whole(rng, 30)), value=rng.choice("+-"))
    if kind == "named":
        return Tree("named", (value(rng),), value=rng.choice("uvwqs"))
    if kind == "unit":
        return Tree("unit", (quantity(rng),), value=rng.choice(sorted(UNITS)))
    return Tree("word", value=rng.choice(WORDS))


# Writing


def written(tree: Tree, rng: random.Random) -> str:
    """The tree in one of its equal forms, with the ornaments of an answer around it."""
    text = form(tree, rng)
    if tree.kind in ("word", "unit"):
        return rng.choice([text, f"\\boxed{{{text}}}", f"${text}$" if tree.kind == "unit" else f"{text}."])
    around: list[Callable[[str], str]] = [
        lambda inside: inside,
        lambda inside: f"${inside}$",
        lambda inside: f"\\boxed{{{inside}}}",
        lambda inside: f"$\\boxed{{{inside}}}$.",
        lambda inside: f"\\({inside}\\)",
        lambda inside: f"\\displaystyle {inside}",
        lambda inside: f" {inside} ",
    ]
    return rng.choice(around)(text)


def form(tree: Tree, rng: random.Random) -> str:
    """The bare text of a tree."""
    return globals()[f"_{tree.kind}"](tree, rng)


def _int(tree: Tree, rng: random.Random) -> str:
    number = int(str(tree.value))
    return f"{number:,}" if number >= 1000 and rng.random() < 0.3 else str(number)


def _decimal(tree: Tree, rng: random.Random) -> str:
    return f"{tree.value}{rng.choice(['', '0'])}"


def _name(tree: Tree, rng: random.Random) -> str:
    return f"{tree.value} " if str(tree.value).startswith("\\") else str(tree.value)


def _sum(tree: Tree, rng: random.Random) -> str:
    terms = [(sign, form(part, rng)) for sign, part in zip(str(tree.value), tree.parts, strict=True)]
    rng.shuffle(terms)
    space = rng.choice(["", " "])
    text = "".join(f"{space}{sign}{space}{part}" for sign, part in terms)
    return text.strip().removeprefix("+").strip()


def _factor(tree: Tree, rng: random.Random) -> str:
    text = form(tree, rng)
    return f"({text})" if tree.kind == "sum" else text


def _product(tree: Tree, rng: random.Random) -> str:
    first, *rest = [_factor(part, rng) for part in tree.parts]
    rng.shuffle(rest)
    joint = rng.choice(["", " ", " \\cdot ", "*"])
    return first.strip() + "".join(joint + part for part in rest)


def _times(tree: Tree, rng: random.Random) -> str:
    name, total = tree.parts
    if rng.random() < 0.5:
        parts = tuple(Tree("product", (part.parts[0], name, *part.parts[1:])) for part in total.parts)
        return _sum(replace(total, parts=parts), rng)
    return (
        f"{name.value}\\left({form(total, rng)}\\right)"
        if rng.random() < 0.5
        else f"{name.value} ({form(total, rng)})"
    )


def _power(tree: Tree, rng: random.Random) -> str:
    base, exponent = (part.value for part in tree.parts)
    return rng.choice(
        [f"{base}^{exponent}", f"{base}^{{{exponent}}}", f"{base}^{{{exponent}}}", f"{base}**{exponent}"]
    )


def _quot(tree: Tree, rng: random.Random) -> str:
    above, below = (form(part, rng) for part in tree.parts)
    if all(part.kind == "int" for part in tree.parts) and rng.random() < 0.3:
        return f"{above}/{below}"
    return rng.choice(["\\frac", "\\dfrac", "\\tfrac"]) + f"{{{above}}}{{{below}}}"


def _root(tree: Tree, rng: random.Random) -> str:
    inside = form(tree.parts[0], rng)
    return rng.choice([f"\\sqrt{{{inside}}}", f"sqrt({inside})", f"\\sqrt{{ {inside} }}"])


def _log(tree: Tree, rng: random.Random) -> str:
    inside, base = form(tree.parts[0], rng), tree.value
    return rng.choice(
        [
            f"\\log_{{{base}}} {inside}",
            f"\\log_{{{base}}}({inside})",
            f"\\frac{{\\ln {inside}}}{{\\ln {base}}}",
        ]
    )


def _function(tree: Tree, rng: random.Random) -> str:
    inside = form(tree.parts[0], rng)
    return rng.choice(
        [f"\\{tree.value}({inside})", f"\\{tree.value}\\left({inside}\\right)", f"{tree.value}({inside})"]
    )


def _listed(tree: Tree, rng: random.Random, ordered: bool) -> str:
    texts = [str(part.value) for part in tree.parts]
    if not ordered:
        rng.shuffle(texts)
    return ", ".join(texts)


def _tuple(tree: Tree, rng: random.Random) -> str:
    return rng.choice(["({})", "\\left({}\\right)"]).format(_listed(tree, rng, True))


def _set(tree: Tree, rng: random.Random) -> str:
    inside = _listed(tree, rng, False)
    return rng.choice([f"\\{{{inside}\\}}", f"\\left\\{{{inside}\\right\\}}"])


def _list(tree: Tree, rng: random.Random) -> str:
    text = _listed(tree, rng, False)
    first, _, last = text.rpartition(", ")
    return rng.choice([text, f"{first} and {last}", f"{first} \\text{{ or }} {last}"])


def _interval(tree: Tree, rng: random.Random) -> str:
    brackets = str(tree.value)
    inside = _listed(tree, rng, True)
    return rng.choice(
        [f"{brackets[0]}{inside}{brackets[1]}", f"\\left{brackets[0]} {inside} \\right{brackets[1]}"]
    )


def _union(tree: Tree, rng: random.Random) -> str:
    texts = [form(part, rng) for part in tree.parts]
    rng.shuffle(texts)
    return rng.choice([" \\cup ", "\\cup", " ∪ "]).join(texts)


def _equation(tree: Tree, rng: random.Random) -> str:
    left, right = (form(part, rng) for part in tree.parts)
    return rng.choice([f"{left}={right}", f"{right} = {left}", f"{left} - {right} = 0"])


def _inequality(tree: Tree, rng: random.Random) -> str:
    left, right = (form(part, rng) for part in tree.parts)
    turned = {"<": ">", ">": "<", "\\le": "\\geq", "\\ge": "\\leq"}[str(tree.value)]
    return rng.choice([f"{left} {tree.value} {right}", f"{right} {turned} {left}"])


def _matrix(tree: Tree, rng: random.Random) -> str:
    a, b, c, d = (part.value for part in tree.parts)
    kind = rng.choice(["pmatrix", "bmatrix"])
    return f"\\begin{{{kind}}} {a} & {b} \\\\ {c} & {d} \\end{{{kind}}}"


def _complex(tree: Tree, rng: random.Random) -> str:
    real, imaginary = (part.value for part in tree.parts)
    return rng.choice(
        [f"{real}{tree.value}{imaginary}i", f"{real} {tree.value} {imaginary} i"]
        + [f"{imaginary}i+{real}"] * (tree.value == "+")
    )


def _named(tree: Tree, rng: random.Random) -> str:
    inside = form(tree.parts[0], rng)
    return rng.choice([inside, f"{tree.value}={inside}", f"{tree.value} = {inside}"])


def _unit(tree: Tree, rng: random.Random) -> str:
    inside, name = form(tree.parts[0], rng), rng.choice(UNITS[str(tree.value)])
    return rng.choice([inside, f"{inside}\\text{{ {name}}}", f"{inside} \\mathrm{{{name}}}"])


def _word(tree: Tree, rng: random.Random) -> str:
    text = str(tree.value)
    return rng.choice([text, text.lower(), text[0].upper() + text[1:], f"\\text{{{text}}}"])


def gold(tree: Tree, rng: random.Random) -> str:
    """The tree as a gold answer, with its name and unit."""
    if tree.kind == "unit":
        return f"{form(tree.parts[0], rng)}\\text{{ {tree.value}}}"
    if tree.kind == "named":
        return f"{tree.value}={form(tree.parts[0], rng)}"
    return form(tree, rng)
