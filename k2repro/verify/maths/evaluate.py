"""The value of a tree at a point: numerically, or with stand-ins for its transcendental numbers.

Numerically everything is a ball. For a proof that two values are equal, pi, e, logarithms and angles stand
as rational numbers close to them, the same wherever the same number occurs: what then is left is algebraic
and can be zero exactly, and if it is, so is the real difference, since only identities have been used.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from hashlib import sha256
from typing import Any

from flint import acb, arb, ctx

from k2repro.verify.maths import value as values
from k2repro.verify.maths import whole_numbers
from k2repro.verify.maths.tree import Node, has_letters, number, rebuilt, walk
from k2repro.verify.maths.value import NotReal, Unclear, Undecided, Undefined, Value, rational

_I = Node("sym", value="i")


@dataclass
class Point:
    """Where to evaluate. seed: of the stand-ins and of unknown functions; real: no complex values."""

    seed: str
    at: dict[str, Fraction] = field(default_factory=dict)
    real: bool = False

    def random(self, key: object, bits: int = 24) -> int:
        """A number below 2^bits, the same for the same key."""
        return int.from_bytes(sha256(f"{self.seed}|{key!r}".encode()).digest()[:16], "big") % (1 << bits)


class Evaluator:
    """Balls at the precision that is set in flint's context."""

    formal = False

    def __init__(self, point: Point, widen: int | None = None) -> None:
        self.point = point
        self.widen = widen  # log2 of the relative error added to transcendental functions
        self.order = 4 if not point.real else 1  # of the roots of unity met
        self.radicals: dict[Any, int] = {}
        self._known: dict[int, tuple[Node, Value]] = {}  # by id; the node is kept, or its id could return

    def value(self, node: Node) -> Value:
        """The value; raises Undefined, Unclear or Undecided."""
        if id(node) not in self._known:
            method: Callable[[Node], Value] = getattr(self, "_" + node.head, self._unknown)
            self._known[id(node)] = node, method(node)
        return self._known[id(node)][1]

    def degree(self) -> float:
        """Of the field that holds all values met."""
        return math.prod(self.radicals.values()) * whole_numbers.euler_phi(self.order)

    def _unknown(self, node: Node) -> Value:
        raise Undecided(node.head)

    # Arithmetic

    def _num(self, node: Node) -> Value:
        return rational(node.value)

    def _add(self, node: Node) -> Value:
        total = self.value(node.args[0])
        for part in node.args[1:]:
            total = total + self.value(part)
        return total

    def _mul(self, node: Node) -> Value:
        return self.value(node.args[0]) * self.value(node.args[1])

    def _div(self, node: Node) -> Value:
        return self.value(node.args[0]) / self.value(node.args[1])

    def _neg(self, node: Node) -> Value:
        return -self.value(node.args[0])

    def _percent(self, node: Node) -> Value:
        return self.value(node.args[0]) * rational(Fraction(1, 100))

    def _degree(self, node: Node) -> Value:
        return self.value(node.args[0]) * (self.pi() * rational(Fraction(1, 180)))

    def _pow(self, node: Node) -> Value:
        base, exponent = node.args
        power = self.value(exponent)
        if not power.is_rational:
            return self.any_power(base, exponent)
        exact = power.exact
        assert exact is not None
        if exact.denominator == 1:
            return self.value(base) ** exact.numerator
        if has_letters(exponent) and values.is_real(self.value(base).ball) and self.sign(base) < 0:
            raise NotReal  # (-1)^n speaks of whole n only
        if self.is_e(base):
            return self.exp(exponent)
        if exact.denominator > 60:
            return self.any_power(base, exponent)
        return self.root(base, exact.denominator) ** exact.numerator

    def _root(self, node: Node) -> Value:
        return self.root(node.args[0], node.value)

    def root(self, node: Node, degree: int) -> Value:
        """The real root, or the principal one of what is not real."""
        inside = self.value(node)
        key = (degree, inside.exact if inside.is_rational else node)
        if inside.exact == 0:
            return inside
        if not values.is_real(inside.ball):
            return self._complex_root(inside, degree, key)
        sign = self.sign(node)
        if sign > 0:
            return self._positive_root(inside, degree, key)
        opposite = -inside
        positive = self._positive_root(
            opposite, degree, ("-", key) if not inside.is_rational else (degree, opposite.exact)
        )
        if degree % 2:
            return -positive
        if self.point.real or degree != 2:
            raise NotReal
        return positive * self.i()

    def _positive_root(self, inside: Value, degree: int, key: Any) -> Value:
        if inside.exact is not None:
            exact = values.exact_root(inside.exact, degree)
            if exact is not None:
                return rational(exact, inside.formal)
        ball = values.real(inside.ball).root(degree) if degree > 2 else values.real(inside.ball).sqrt()
        return self._radical(inside, degree, key, ball)

    def _complex_root(self, inside: Value, degree: int, key: Any) -> Value:
        if self.point.real:
            raise Undefined
        if inside.formal:
            raise Undecided
        if inside.ball.imag.contains(0) and not inside.ball.real > 0:
            raise Unclear
        return self._radical(inside, degree, key, values.finite(inside.ball.root(degree)))

    def _radical(self, inside: Value, degree: int, key: Any, ball: Any) -> Value:
        self.radicals[key] = degree
        u = (inside.u + (degree - 1) * inside.l) / degree
        return Value(None, values.finite(ball), u, inside.l, inside.formal)

    def sign(self, node: Node) -> int:
        """1, -1 or 0 of a real value; raises Unclear."""
        inside = self.value(node)
        if inside.is_rational:
            assert inside.exact is not None
            return (inside.exact > 0) - (inside.exact < 0)
        ball = values.real(inside.ball)
        if not values.is_real(inside.ball):
            raise Undefined
        if ball.contains(0):
            raise Unclear
        return 1 if ball > 0 else -1

    # Symbols

    def _sym(self, node: Node) -> Value:
        name = node.value
        if name == "\\pi":
            return self.pi()
        if name == "e":
            return self.exp(number(1))
        if name == "i":
            return self.i()
        if name in self.point.at:
            return rational(self.point.at[str(name)])
        return self._any(name)

    def _based(self, node: Node) -> Value:
        return self._any(node.value)

    def _any(self, key: object) -> Value:
        """Any number, the same for the same key."""
        return rational(Fraction(self.point.random(key) + 3, 1 << 12))

    def _apply(self, node: Node) -> Value:
        """An unknown function: any number, the same for the same argument."""
        parts = [self.value(part) for part in node.args]
        if not all(part.is_rational for part in parts):
            raise Undecided
        return self._any((node.value, [part.exact for part in parts]))

    def pi(self) -> Value:
        """The circle's number."""
        return self.transcendental(arb.pi())

    def i(self) -> Value:
        """The imaginary unit."""
        self.order = math.lcm(self.order, 4)
        return Value(None, acb(0, 1))

    def transcendental(self, ball: Any) -> Value:
        """A ball of which only the numerical value counts."""
        if self.widen is not None:
            width = arb(0, arb(2) ** self.widen) * (1 + abs(ball))
            ball = ball + (width if isinstance(ball, arb) else acb(width, width))
        return Value(None, values.finite(ball), formal=True)

    # Functions

    def _fn(self, node: Node) -> Value:
        name = str(node.value)
        if name in ("max", "min", "gcd", "lcm"):
            return rational(whole_numbers.of_rationals(name, [self.value(part) for part in node.args]))
        if len(node.args) != 1:
            raise Undecided
        inside = node.args[0]
        if name in ("sec", "csc"):
            return self.function({"sec": "cos", "csc": "sin"}[name], inside).inverse()
        if name in ("tan", "cot"):
            above, below = ("sin", "cos") if name == "tan" else ("cos", "sin")
            return self.function(above, inside) / self.function(below, inside)
        if name in ("sinh", "cosh", "tanh"):
            return self._hyperbolic(name, inside)
        if name in ("log", "lg"):
            return self.function("ln", inside) / self._base_of(name)
        if name == "arccot":
            return self.pi() * rational(Fraction(1, 2)) - self.function("arctan", inside)
        if name == "exp":
            return self.exp(inside)
        return self.function(name, inside)

    def _base_of(self, name: str) -> Value:
        """The logarithm of the base: 10 for lg; any number for log, which means two things."""
        if name == "lg":
            return self.function("ln", number(10))
        return rational(Fraction(self.point.random("the base of log") + 5, 1 << 20))

    def _hyperbolic(self, name: str, inside: Node) -> Value:
        up, down = self.exp(inside), self.exp(Node("neg", (inside,)))
        half = rational(Fraction(1, 2))
        sine = half * (up - down)
        cosine = half * (up + down)
        return {"sinh": sine, "cosh": cosine}.get(name) or sine / cosine

    def is_e(self, node: Node) -> bool:
        """Whether the node is Euler's number."""
        return node.head == "sym" and node.value == "e"

    def exp(self, node: Node) -> Value:
        """e to the power of the node."""
        return self.transcendental(self.value(node).ball.exp())

    def any_power(self, base: Node, exponent: Node) -> Value:
        """A power whose exponent is not rational."""
        if self.is_e(base):
            return self.exp(exponent)
        if self.sign(base) <= 0:
            raise NotReal
        return self.transcendental((self.value(base).ball.log() * self.value(exponent).ball).exp())

    def function(self, name: str, node: Node) -> Value:
        """sin, cos, ln, arcsin, arccos or arctan."""
        ball = self.value(node).ball
        if name in ("sin", "cos"):
            return self.transcendental(getattr(ball, name)())
        if not values.is_real(ball):
            raise Undecided
        if name == "ln" and self.sign(node) <= 0:
            raise NotReal
        if name in ("arcsin", "arccos") and not abs(ball) < 1:
            if abs(ball) > 1:
                raise Undefined
            if self.value(node).exact not in (1, -1):
                raise Unclear
        method = {"ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan"}[name]
        return self.transcendental(getattr(ball, method)())

    # Whole numbers

    def _abs(self, node: Node) -> Value:
        inside = self.value(node.args[0])
        if inside.exact == 0:
            return inside
        if not values.is_real(inside.ball):
            return self._modulus(node.args[0])
        return inside if self.sign(node.args[0]) > 0 else -inside

    def _modulus(self, node: Node) -> Value:
        """|z| as the root of z times its conjugate, which is z with -i for i where all else is real."""
        turned = rebuilt(node, lambda part: Node("neg", (part,)) if part == _I else None)
        if any(part.head in ("root", "pow", "apply") and _I in walk(part) for part in walk(node)):
            raise Undecided
        return self.root(Node("mul", (node, turned)), 2)

    def _floor(self, node: Node) -> Value:
        inside = self.value(node.args[0])
        if inside.is_rational:
            assert inside.exact is not None
            return rational(math.floor(inside.exact))
        return rational(self.whole(node.args[0]))

    def _ceil(self, node: Node) -> Value:
        return -self._floor(Node("floor", (Node("neg", node.args),)))

    def whole(self, node: Node) -> int:
        """The whole number below a value; raises Unclear near one."""
        ball = self.value(node).ball
        if not values.is_real(ball):
            raise Undefined
        found = values.real(ball).floor().unique_fmpz()
        if found is None:
            raise Unclear
        return int(found)

    def _fact(self, node: Node) -> Value:
        inside = self.value(node.args[0])
        exact = whole_numbers.factorial(inside)
        if exact is not None:
            return rational(exact)
        # too large, or not of a whole number
        return self.transcendental((inside + rational(1)).ball.gamma())

    def _binom(self, node: Node) -> Value:
        above, below = node.args
        found = whole_numbers.binomial(self.value(above), self.value(below))
        return self.transcendental(found) if isinstance(found, arb) else rational(found)


def precision(bits: int) -> None:
    """Set the working precision of all balls."""
    ctx.prec = bits
