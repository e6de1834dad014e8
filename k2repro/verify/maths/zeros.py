"""Where a formula is zero in one of its variables: rational places exactly, others closely.

Found are the zeros of polynomials, of products of what can be solved, and of polynomials in one other thing
that can be undone: (e^x - 2)(e^x - 3), written out or not, is zero at ln 2 and ln 3.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from typing import Any

from flint import arb, fmpq_poly

from k2repro.verify.maths.angles import ball_of
from k2repro.verify.maths.evaluate import Evaluator, Point, precision
from k2repro.verify.maths.polynomials import polynomial
from k2repro.verify.maths.tree import Node, minus, number, rebuilt, symbol, variables, walk
from k2repro.verify.maths.value import Unclear, Undecided, Undefined, is_real

_BITS = 256
_MOST_EXPONENT = 1000
_MOST_BITS = 4000
_INSIDE = "the thing inside"
_SUMS = ("add", "neg", "mul", "div")
_HALVINGS = 100
_SIZES = [Fraction(steps, 4) for steps in range(1, 41)] + [Fraction(2) ** power for power in range(4, 14)]
_TRIED = [-size for size in reversed(_SIZES)] + [Fraction(0), *_SIZES]
At = Mapping[str, Fraction]


def zeros(node: Node, name: str, at: At) -> list[Fraction] | None:
    """Places in `name`, with the other variables set, in order; None where not all can be found.

    Poles are among them: a sign changes there too. Of what repeats itself, as sin x, those in the middle.
    """
    precision(_BITS)
    constants = Evaluator(Point("", dict(at), real=True))
    return _zeros(rebuilt(node, lambda part: _constant(part, name, constants)), name)


def crossings(node: Node, name: str, at: At) -> list[Fraction]:
    """Places where a sign changes: of each factor its zeros or, where they cannot be found, by trial."""
    if (found := zeros(node, name, at)) is not None:
        return found
    if node.head in ("mul", "div", "neg"):
        return sorted({place for part in node.args for place in crossings(part, name, at)})
    signs = [(place, _sign(node, name, at, place)) for place in _TRIED]
    return [
        _between(left, right, sign, lambda place: _sign(node, name, at, place))
        for (left, sign), (right, other) in pairwise(signs)
        if sign * other < 0
    ]


def _sign(node: Node, name: str, at: At, place: Fraction) -> int:
    """1 or -1; 0 where it has none, or it is not known."""
    try:
        return Evaluator(Point("", {**at, name: place}, real=True)).sign(node)
    except (Undecided, Undefined, Unclear):
        return 0


def _between(low: Fraction, high: Fraction, sign: int, sign_at: Callable[[Fraction], int]) -> Fraction:
    """Where the sign that is at `low` is left, by halving."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if sign_at(middle) == sign else (low, middle)
    return (low + high) / 2


def _constant(part: Node, name: str, constants: Evaluator) -> Node | None:
    """A part without the variable as a rational number, or as it is where it has no value."""
    if name in variables(part):
        return None
    with suppress(Undecided, Undefined, Unclear):
        found = constants.value(part)
        if found.exact is not None:
            return number(found.exact)
        if is_real(found.ball):
            return number(_middle(found.ball))
    return part


def is_never_negative(node: Node) -> bool:
    """Whether it shows that no sign changes: sums and products of squares, |x|, e^x."""
    if symbol("i") in walk(node):
        return False
    if node.head == "num":
        return bool(node.value >= 0)
    if node.head == "pow":
        base, exponent = node.args
        even = _is_whole(exponent) and exponent.value % 2 == 0
        return even or base == symbol("e") or is_never_negative(base)
    if node.head == "fn":
        return node.value in ("exp", "cosh")
    if node.head in ("add", "mul", "div"):
        return all(map(is_never_negative, node.args))
    return node.head == "abs" or (node.head == "root" and node.value % 2 == 0)


def _zeros(node: Node, name: str) -> list[Fraction] | None:
    if name not in variables(node):
        return []
    with suppress(Undecided):
        return _of_polynomial(polynomial(node, name, {}))
    if node.head in ("mul", "div", "neg"):
        return _together(_zeros(part, name) for part in node.args)
    if node.head == "percent" or (node.head == "pow" and node.args[1].head == "num"):
        return _zeros(node.args[0], name)
    try:
        return _by_what_is_inside(node, name)
    except Undecided:
        return None


def _together(found: Iterator[list[Fraction] | None]) -> list[Fraction] | None:
    places: set[Fraction] = set()
    for each in found:
        if each is None:
            return None
        places |= set(each)
    return sorted(places)


def _of_polynomial(found: fmpq_poly) -> list[Fraction]:
    if found.degree() < 1:
        return []
    exact = [_fraction(root) for root, _ in found.roots()]
    if sum(many for _, many in found.roots()) == found.degree():
        return sorted(exact)
    complex_: list[Any] = found.numer().complex_roots()
    close = [_middle(root.real) for root, _ in complex_ if root.imag.contains(0)]
    return sorted({*exact, *close})


def _by_what_is_inside(node: Node, name: str) -> list[Fraction] | None:
    """Zeros of a polynomial in e^x, in ln x, in |x|: those of the polynomial, undone."""
    inside = list(dict.fromkeys(_inside(node, name)))
    powers = _powers(inside, name)
    kernel = inside[min(range(len(inside)), key=powers.__getitem__)]
    if kernel.head == "sym":
        return None
    written = dict(zip(inside, powers, strict=True))

    def in_kernel(part: Node) -> Node | None:
        return Node("pow", (symbol(_INSIDE), number(written[part]))) if part in written else None

    values = _of_polynomial(polynomial(rebuilt(node, in_kernel), _INSIDE, {}))
    undo, argument = _undoing(kernel)
    arguments = [place for each in values for place in undo(each)]
    return _together(_zeros(minus(argument, number(each)), name) for each in arguments)


def _inside(node: Node, name: str) -> Iterator[Node]:
    """The largest parts with the variable that sums, products and powers are made of."""
    if name not in variables(node):
        return
    if node.head in _SUMS or (node.head == "pow" and _is_whole(node.args[1])):
        for part in node.args:
            yield from _inside(part, name)
    else:
        yield node


def _is_whole(exponent: Node) -> bool:
    return exponent.head == "num" and exponent.value.denominator == 1


def _powers(inside: list[Node], name: str) -> list[int]:
    """Which powers of the least of them they are: of e^x and e^{2x}, 1 and 2. Raises Undecided."""
    if len(inside) == 1:
        return [1]
    if any(part.head != "pow" or part.args[0] != inside[0].args[0] for part in inside):
        raise Undecided
    exponents = [polynomial(part.args[1], name, {}) for part in inside]
    leading = [_fraction(each[each.degree()]) for each in exponents]
    least = min(range(len(inside)), key=lambda which: abs(leading[which]))
    ratios = [each / leading[least] for each in leading]
    for ratio, exponent in zip(ratios, exponents, strict=True):
        if ratio.denominator != 1 or ratio < 1 or exponent != exponents[least] * int(ratio):
            raise Undecided
    return list(map(int, ratios))


Undo = Callable[[Fraction], list[Fraction]]


def _undoing(kernel: Node) -> tuple[Undo, Node]:
    """(all arguments that give a value, the argument) of e^x, ln x, |x|, a root, a sine. Raises Undecided."""
    argument = kernel.args[-1]
    if kernel.head == "pow" and argument.head == "num" and argument.value.numerator == 1:
        degree = argument.value.denominator  # x^(1/2)
        return lambda value: [value**degree] if value >= 0 else [], kernel.args[0]
    name = kernel.value if kernel.head == "fn" and len(kernel.args) == 1 else kernel.head
    if name == "pow" and kernel.args[0].head == "num" and 0 < kernel.args[0].value != 1:
        return lambda value: _logarithm(value, ball_of(kernel.args[0].value).log()), argument
    if name == "root" and isinstance(kernel.value, int):
        return lambda value: [value**kernel.value] if value >= 0 or kernel.value % 2 else [], argument
    undo: dict[Any, Undo] = {
        "abs": lambda value: [value, -value] if value >= 0 else [],
        "exp": lambda value: _logarithm(value, arb(1)),
        "ln": lambda value: _exponential(value, arb(1)),
        "lg": lambda value: _exponential(value, ball_of(Fraction(10)).log()),
        "sin": lambda value: _turned(value, "asin", lambda angle: arb.pi() - angle),
        "cos": lambda value: _turned(value, "acos", lambda angle: -angle),
        "tan": lambda value: _turned(value, "atan", lambda angle: angle + arb.pi()),
        "sec": lambda value: undo["cos"](1 / value) if value else [],
        "csc": lambda value: undo["sin"](1 / value) if value else [],
    }
    if name not in undo:
        raise Undecided
    return undo[name], argument


def _logarithm(value: Fraction, of_base: Any) -> list[Fraction]:
    return [_middle(ball_of(value).log() / of_base)] if value > 0 else []


def _exponential(value: Fraction, factor: Any) -> list[Fraction]:
    if abs(value) > _MOST_EXPONENT:
        raise Undecided
    return [_middle((ball_of(value) * factor).exp())]


def _turned(value: Fraction, arc: str, mirrored: Callable[[Any], Any]) -> list[Fraction]:
    """The angles of a value from one turn below zero to one above."""
    if arc != "atan" and abs(value) > 1:
        return []
    angle = getattr(ball_of(value), arc)()
    turns = [2 * arb.pi() * steps for steps in (-1, 0, 1)]
    return [_middle(each + turn) for each in (angle, mirrored(angle)) for turn in turns]


def _middle(ball: Any) -> Fraction:
    """Raises Undecided for a number too large, or too near to zero, to be written out."""
    middle = ball.mid()
    if abs(int(middle.man_exp()[1])) > _MOST_BITS:
        raise Undecided
    return _fraction(middle.fmpq())


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))
