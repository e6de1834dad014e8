"""Logarithms, arcs and powers by what they have in common: primes, Gaussian primes, one another.

With them the proof that a value is zero: exactly, or below the least that it could be if it were not.
"""

from fractions import Fraction
from typing import Any

from flint import acb, arb, fmpq, fmpz

from k2repro.verify.maths import value as values
from k2repro.verify.maths.angles import divisible, rational_near, small_ratio, two_squares
from k2repro.verify.maths.evaluate import Point, precision
from k2repro.verify.maths.standins import Restart, StandIns
from k2repro.verify.maths.terms import ONE, PI, Terms, constant, kernel, plus, scaled, times
from k2repro.verify.maths.tree import Node, minus, number, symbol
from k2repro.verify.maths.value import Unclear, Undecided, Undefined, Value, rational

_LARGEST_FACTORED = 10**22
_CAP_BITS = 150_000


class Formal(StandIns):
    """All functions of the grammar by stand-ins."""

    def function(self, name: str, node: Node) -> Value:
        if name in ("sin", "cos"):
            return self.angle(self.terms(node))[name == "sin"]
        if name == "ln":
            return self._value_of(self.log_terms(node))
        return self._value_of(self._arc_terms(name, node))

    def _value_of(self, terms: Terms) -> Value:
        total = rational(0)
        for product, factor in terms.items():
            part = rational(factor)
            for name, exponent in product:
                part = part * self._kernel_value(name) ** exponent
            total = total + part
        return total

    def _kernel_value(self, name: Any) -> Value:
        if name == "pi":
            return self.pi()
        if isinstance(name, tuple):
            return self.near(name, self.kernel_ball(name))
        if name == "i":
            return self.i()
        if name.head == "fn" and name.value in ("ln", "arctan"):
            return self.near(name, self.kernel_ball(name))
        return self.value(name)

    def any_power(self, base: Node, exponent: Node) -> Value:
        if self.is_e(base):
            return self.exp(exponent)
        if self.value(exponent).is_rational:
            raise Undecided  # a root of a very high degree
        product = times(self.log_terms(base), self.terms(exponent))
        if product is None:
            raise Undecided
        return self.exp_terms(product)

    # Logarithms

    def log_terms(self, node: Node) -> Terms:
        """ln of a positive value: of primes, where it is a product of rational numbers and their powers."""
        if self.sign(node) <= 0:
            raise Undefined
        value = self.value(node)
        if value.is_rational:
            assert value.exact is not None
            return self._log_of_rational(value.exact)
        if node.head in ("mul", "div") and all(self.sign(part) > 0 for part in node.args):
            left, right = (self.log_terms(part) for part in node.args)
            return plus(left, right if node.head == "mul" else scaled(right, Fraction(-1)))
        if node.head == "root" and self.sign(node.args[0]) > 0:
            return scaled(self.log_terms(node.args[0]), Fraction(1, node.value))
        if node.head == "pow" and self.sign(node.args[0]) > 0:
            base = {ONE: Fraction(1)} if self.is_e(node.args[0]) else self.log_terms(node.args[0])
            product = times(base, self.terms(node.args[1]))
            if product is not None:
                return product
        if node.head == "fn" and node.value == "exp":
            return self.terms(node.args[0])
        if node.head == "sym" and node.value == "e":
            return constant(Fraction(1))
        return self._log_of_algebraic(node) if not value.formal else kernel(Node("fn", (node,), "ln"))

    def _log_of_rational(self, value: Fraction) -> Terms:
        if value.numerator > _LARGEST_FACTORED or value.denominator > _LARGEST_FACTORED:
            return kernel(Node("fn", (number(value),), "ln"))
        total: Terms = {}
        for part, sign in ((value.numerator, 1), (value.denominator, -1)):
            for prime, exponent in fmpz(part).factor() if part > 1 else []:
                total = plus(total, scaled(kernel(("log", int(prime))), Fraction(sign * int(exponent))))
        return total

    def _log_of_algebraic(self, node: Node) -> Terms:
        """Also by way of earlier ones: ln(2 - sqrt 3) is -ln(2 + sqrt 3)."""
        ball = values.real(self.value(node).ball).log()
        for other, known in self.logs:
            ratio = small_ratio(ball, known)
            if ratio and self._same_power(node, ratio.denominator, other, ratio.numerator):
                return scaled(kernel(Node("fn", (other,), "ln")), ratio)
            for sign in (1, -1):
                rest = rational_near((ball + known * sign).exp(), 10_000)
                partner = Node("pow", (other, number(-sign)))
                if rest and self._same_power(node, 1, Node("mul", (number(rest), partner)), 1):
                    more = scaled(kernel(Node("fn", (other,), "ln")), Fraction(-sign))
                    return plus(self._log_of_rational(rest), more)
        self.logs.append((node, ball))
        return kernel(Node("fn", (node,), "ln"))

    def _same_power(self, one: Node, power: int, other: Node, other_power: int) -> bool:
        left, right = Node("pow", (one, number(power))), Node("pow", (other, number(other_power)))
        return proved_zero(minus(left, right), self.point)

    # Arcs

    def _arc_terms(self, name: str, node: Node) -> Terms:
        value = self.value(node)
        if not values.is_real(value.ball):
            raise Undecided
        if not value.formal:
            special = self._rational_turn(name, node)
            if special is not None:
                return {PI: special} if special else {}
        if name == "arccos":
            return plus({PI: Fraction(1, 2)}, scaled(self._arc_terms("arcsin", node), Fraction(-1)))
        if name == "arcsin":
            square = Node("pow", (node, number(2)))
            below = Node("root", (minus(number(1), square),), 2)
            return self._arc_terms("arctan", Node("div", (node, below)))
        if value.is_rational:
            assert value.exact is not None
            return self._gaussian(value.exact)
        return self._arc_of_algebraic(node) if not value.formal else kernel(Node("fn", (node,), "arctan"))

    def _arc_of_algebraic(self, node: Node) -> Terms:
        """Also by way of earlier ones: the same, the opposite, the one over it."""
        ball = values.real(self.value(node).ball)
        for other, known in self.arcs:
            arc = kernel(Node("fn", (other,), "arctan"))
            if (ball - known).contains(0) and self._same_power(node, 1, other, 1):
                return arc
            if (ball + known).contains(0) and self._same_power(node, 1, Node("neg", (other,)), 1):
                return scaled(arc, Fraction(-1))
            if (ball * known - 1).contains(0) and self._same_power(node, 1, other, -1):
                quarter = Fraction(1, 2) if ball > 0 else Fraction(-1, 2)
                return plus({PI: quarter}, scaled(arc, Fraction(-1)))
        self.arcs.append((node, ball))
        return kernel(Node("fn", (node,), "arctan"))

    def _rational_turn(self, name: str, node: Node) -> Fraction | None:
        """The arc as a multiple of pi, if it is one; proved by its cosine or tangent."""
        ball = self.numeric.function(name, node).ball / arb.pi()
        turn = rational_near(ball, 120)
        if turn is None:
            return None
        angle = Node("mul", (number(turn), symbol("\\pi")))
        back = Node("fn", (angle,), {"arcsin": "sin", "arccos": "cos", "arctan": "tan"}[name])
        return turn if proved_zero(minus(back, node), self.point) else None

    def _gaussian(self, tangent: Fraction) -> Terms:
        """arctan(a/b) as angles of Gaussian primes, which no two products share, and multiples of pi/4."""
        a, b = tangent.numerator, tangent.denominator
        if a * a + b * b > _LARGEST_FACTORED:
            return kernel(Node("fn", (number(tangent),), "arctan"))
        total: Terms = {}
        for prime, power in fmpz(a * a + b * b).factor():
            if int(prime) == 2:
                continue
            c, d = two_squares(int(prime))
            # (b + ai) / (c + di)^power is whole when c + di is the factor, else its conjugate is.
            forward = divisible(b, a, c, d, int(power))
            total = plus(
                total, scaled(kernel(("prime angle", c, d)), Fraction(int(power) if forward else -int(power)))
            )
        rest = arb(fmpq(a, b)).atan()
        for product, factor in total.items():
            rest = rest - self.kernel_ball(product[0][0]) * int(factor)
        quarters = (rest * 4 / arb.pi() + arb(fmpq(1, 2))).floor().unique_fmpz()
        if quarters is None:
            raise Unclear
        return plus(total, {PI: Fraction(int(quarters), 4)} if int(quarters) else {})


def proved_zero(node: Node, point: Point) -> bool:
    """Whether the value at the point is exactly zero; raises Undecided, Undefined.

    The value must have been found to be near zero, or a "no" may be that of the stand-ins.
    """
    units: dict[Any, int] = {}
    bits = 192
    for _ in range(14):
        precision(bits)
        evaluator = Formal(point, units)
        try:
            value = evaluator.value(node)
        except Restart:
            continue
        except Unclear:
            bits *= 2
            if bits > _CAP_BITS:
                raise Undecided from None
            continue
        if value.exact is not None:
            return value.exact == 0
        if values.excludes_zero(value.ball):
            return False
        need = (evaluator.degree() - 1) * max(value.u, 0.0) + max(value.l, 0.0) + 8
        if not need < _CAP_BITS:
            raise Undecided
        if acb(value.ball).abs_upper() < arb(2) ** -int(need):
            return True
        bits = max(2 * bits, int(need) + 64) if bits < need + 64 else 2 * bits
        if bits > 4 * _CAP_BITS:
            raise Undecided
    raise Undecided
