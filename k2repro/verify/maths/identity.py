"""Whether a difference is zero for all values of its variables: refuted by numbers, proved by exact ones."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from hashlib import sha256
from itertools import islice

from flint import ctx

from k2repro.verify.maths import bends
from k2repro.verify.maths import value as values
from k2repro.verify.maths.evaluate import Evaluator, Point, precision
from k2repro.verify.maths.formal import proved_zero
from k2repro.verify.maths.tree import Node, has_letters, minus, symbol, variables, walk
from k2repro.verify.maths.value import NotReal, Unclear, Undecided, Undefined

Names = frozenset[str]

_lock = threading.RLock()
_WHOLE_BY_NAME = frozenset("nkm")
_TRIES = 60
_SIZES = (1, 1, 3, 7, 40, Fraction(1, 8), Fraction(1, 16), Fraction(1, 64))
_PRIMES = [n for n in range(211, 800) if all(n % d for d in range(2, 29))][:64]
_FAR = 2  # the number of the draw that goes beyond all constants
_NUMERIC_POINTS = 8
_BEND_POINTS = 6
_MOST_CONSTANTS = 8
_EXACT_POINTS = 3
_PRECISIONS = (128, 512, 2048)
_LAST = 20_000
_LARGEST_SCALE = 500  # of constants beside variables that are whole numbers


def equal(one: Node, other: Node) -> bool:
    """Whether two expressions are the same value or function; raises Undecided, Undefined.

    2 ln x is ln x^2 where both have a value; but where the one says |x|, or speaks of whole numbers, the
    other must have one too.
    """
    if one == other:
        return True
    whole = whole_numbers(one)
    if not is_zero(minus(one, other), whole):
        return False
    if not _same_bends(one, other):
        raise Undecided
    absolute = any(part.head == "abs" and variables(part) for part in walk(one))
    return not (absolute or whole) or _as_wide(one, other, whole)


def _as_wide(one: Node, other: Node, whole: Names) -> bool:
    """Whether `other` has a value at all points tried where `one` has."""
    both = minus(one, other)
    points = _points(both, sha256(repr(both).encode()).hexdigest(), whole, fine=True)
    with _own_precision():
        precision(_PRECISIONS[0])
        tried = islice(points, _NUMERIC_POINTS)
        return all(_has_value(other, point) or not _has_value(one, point) for point in tried)


def _has_value(node: Node, point: Point) -> bool:
    try:
        Evaluator(point).value(node)
    except NotReal:
        return False
    except (Undefined, Unclear):
        return True
    return True


@contextmanager
def _own_precision() -> Iterator[None]:
    """flint's precision is one for all threads and callers: taken alone, and given back."""
    with _lock:
        before = ctx.prec
        try:
            yield
        finally:
            ctx.prec = before


@_own_precision()
def is_zero(node: Node, whole: Names = frozenset()) -> bool:
    """Whether an expression is zero wherever it is defined; raises Undecided, Undefined.

    whole: the variables that stand for whole numbers.
    """
    seed = sha256(repr(node).encode()).hexdigest()
    if not has_letters(node):
        point = Point(seed)
        if _numerically_not_zero(node, point):
            return False
        return _proof(node, point)
    numeric, exact = (_points(node, seed, whole, fine) for fine in (True, False))
    found = _at_several(numeric, _NUMERIC_POINTS, lambda point: not _numerically_not_zero(node, point))
    if found and not (_holds_at_constants(node, seed) and _holds_at_bends(node, seed, whole)):
        return False
    if found and _scale(node) > _LARGEST_SCALE and any(part.head in ("fact", "binom") for part in walk(node)):
        raise Undecided  # what begins beyond such a constant is out of reach
    return found and _at_several(exact, _EXACT_POINTS, lambda point: _proof(node, point))


def _holds_at_constants(node: Node, seed: str) -> bool:
    """Whether it is zero where all variables are a constant of the formula, where floors may jump."""
    cuts = [part for part in walk(node) if part.head in ("floor", "ceil", "abs") and variables(part)]
    constants = {part.value for cut in cuts for part in walk(cut) if part.head == "num" and part.value > 1}
    return _holds_at(
        node,
        (
            Point(seed, dict.fromkeys(variables(node), constant), real=True)
            for constant in sorted(constants)[:_MOST_CONSTANTS]
        ),
    )


def _holds_at_bends(node: Node, seed: str, whole: Names) -> bool:
    """Whether it is zero where a cut of it bends or jumps."""
    draw = next(_points(node, seed, whole, fine=False))
    return _holds_at(node, bends.points(node, draw, whole))


def _holds_at(node: Node, points: Iterable[Point]) -> bool:
    """Whether it is zero at all of these points where it has a value."""
    for point in points:
        try:
            if _numerically_not_zero(node, point):
                return False
        except (Undefined, Undecided):
            continue
    return True


def _same_bends(one: Node, other: Node) -> bool:
    """Whether no window can hide between bends that cannot be found."""
    draws = list(islice(_points(minus(one, other), "bends", frozenset(), fine=True), _BEND_POINTS))
    with _own_precision():
        return bends.hide_nothing(one, other, draws)


def _at_several(points: Iterator[Point], wanted: int, holds: Callable[[Point], bool]) -> bool:
    """Whether it holds at so many points; those where the expression has no value do not count."""
    found = 0
    for point in points:
        try:
            if not holds(point):
                return False
        except Undefined:
            continue
        found += 1
        if found == wanted:
            return True
    if found:
        return True
    raise Undecided


def _numerically_not_zero(node: Node, point: Point, precisions: tuple[int, ...] = _PRECISIONS) -> bool:
    for bits in precisions:
        precision(bits)
        try:
            value = Evaluator(point).value(node)
        except Unclear:
            continue
        if value.exact is not None:
            return value.exact != 0
        return values.excludes_zero(value.ball)
    raise Undecided


def _proof(node: Node, point: Point) -> bool:
    with suppress(Undecided):
        if proved_zero(node, point):
            return True
    # The stand-ins differ although the numbers seem not to: a difference too small to be seen, or an
    # identity that is not known here.
    if _numerically_not_zero(node, point, (_LAST,)):
        return False
    raise Undecided


@_own_precision()
def sign_at(node: Node) -> int:
    """1, -1 or 0 of a constant; raises Undecided, Undefined."""
    if is_zero(node):
        return 0
    for bits in (*_PRECISIONS, _LAST):
        precision(bits)
        try:
            return Evaluator(Point("sign")).sign(node)
        except Unclear:
            continue
    raise Undecided


def _points(node: Node, seed: str, whole: Names, fine: bool) -> Iterator[Point]:
    """Fine: with long fractions; else short ones, since exact powers of them are taken.

    Positive first, where roots and logarithms have values, then of both signs, then large and small.
    """
    names = variables(node)
    exponents, turning = _in_exponents(node), _in_turns(node)
    scale = _scale(node)
    complex_too = any(part.head == "sym" and part.value == "i" for part in walk(node))
    for number in range(_TRIES):
        draw = Point(f"{seed}|{fine}|{number}", real=not complex_too)
        for name in names:
            draw.at[name] = _draw(draw, name, name in whole, name in exponents, fine, number)
            if name in turning and not fine and name not in whole:
                draw.at[name] = Fraction(1 + draw.random(name, 4), _PRIMES[draw.random("turn", 6)])
            if number == _FAR and (fine or name in whole):
                draw.at[name] = _far(draw, name, name in whole, scale)
        yield draw


def _draw(draw: Point, name: str, whole: bool, exponent: bool, fine: bool, number: int) -> Fraction:
    negative = not whole and _is_minus(draw, name, number)
    if whole:
        value = Fraction(2 + draw.random(name, 4 + number % 3) + (number >= 4) * 20)
    elif exponent:
        below = (1 << 40) + 15 if fine else (1, 2, 3)[number % 3]
        value = Fraction(1 + draw.random(name, 41 + number % 3 if fine else 3), below)
    else:
        size = _SIZES[draw.random((name, "size"), 3)]
        below = (1 << 40) + 15 if fine else (7, 11, 13)[number % 3]
        value = Fraction(1 + draw.random(name, 40 if fine else 8), below) * size
    return -value if negative else value


def _scale(node: Node) -> Fraction:
    """The largest constant: what changes beyond it, such as |x - 1000|, must be seen."""
    sizes = [abs(part.value) for part in walk(node) if part.head == "num"]
    powers = [
        _power_of(part)
        for part in walk(node)
        if part.head == "pow" and all(each.head == "num" for each in part.args)
    ]
    return max([Fraction(10), *sizes, *powers])


def _power_of(node: Node) -> Fraction:
    base, exponent = (part.value for part in node.args)
    small = (
        exponent.denominator == 1 and exponent >= 0 and exponent * max(base.numerator, 1).bit_length() < 4000
    )
    return abs(base) ** int(exponent) if small else Fraction(0)


def _far(draw: Point, name: str, whole: bool, scale: Fraction) -> Fraction:
    """Beyond every constant of the expression."""
    value = 2 * int(scale) + 1 + draw.random((name, "far"), 6)
    return Fraction(value) if whole else Fraction(value * 1009, 1000)


def _is_minus(draw: Point, name: str, number: int) -> bool:
    """Even draws are positive, the first odd one is all negative, later ones are mixed."""
    if number % 2 == 0:
        return False
    return number == 1 or bool(draw.random((name, "sign"), 1))


def whole_numbers(node: Node) -> Names:
    """Variables that only make sense as whole numbers: in factorials, binomials, powers of -1, n in n pi."""
    found: set[str] = set()
    for part in walk(node):
        if part.head in ("fact", "binom") or (part.head == "fn" and part.value in ("gcd", "lcm")):
            found |= set(variables(part))
        if part.head == "pow" and _is_negative(part.args[0]):
            found |= set(variables(part.args[1]))
    return frozenset(found | (_in_turns(node) & _WHOLE_BY_NAME))


def _is_negative(node: Node) -> bool:
    return node.head == "neg" or (node.head == "num" and node.value < 0)


def _in_turns(node: Node) -> set[str]:
    """Variables in angles with pi: at simple fractions sin(6 pi x) is zero, so they get odd ones."""
    angles = (part for part in walk(node) if part.head == "fn" and symbol("\\pi") in walk(part))
    return {name for angle in angles for name in variables(angle)}


def _in_exponents(node: Node) -> set[str]:
    parts = (
        part.args[1] if part.head == "pow" else part for part in walk(node) if part.head in ("pow", "fn")
    )
    return {name for part in parts for name in variables(part)}


def same_sign(one: Node, other: Node, whole: Names = frozenset()) -> bool:
    """Whether two proportional expressions have the same sign, at the first point where both have one."""
    both = Node("mul", (one, other))
    seed = sha256(repr(both).encode()).hexdigest()
    with _own_precision():
        precision(_PRECISIONS[1])
        for point in _points(both, seed, whole, fine=True):
            try:
                return Evaluator(point).sign(both) > 0
            except (Undefined, Unclear):
                continue
    raise Undecided
