"""Stand-ins: the same tree with pi, e, logarithms and angles as rational numbers near them."""

import math
from fractions import Fraction
from typing import Any

from flint import arb, fmpq

from k2repro.verify.maths import value as values
from k2repro.verify.maths.angles import EXACT, ball_of, from_half, is_odd, magnitude, multiple, turned
from k2repro.verify.maths.evaluate import Evaluator, Point
from k2repro.verify.maths.terms import (
    I_PI,
    PI,
    Product,
    Terms,
    constant,
    inverted,
    is_real,
    kernel,
    plus,
    scaled,
    times,
)
from k2repro.verify.maths.tree import Node, number
from k2repro.verify.maths.value import Unclear, Undecided, Undefined, Value, rational

_NEAR = 44  # bits in which a stand-in agrees with its number, less a few that are drawn
_WIDE = -26  # more than stand-ins are off, powers of them included


class Restart(Exception):
    """A stand-in must be drawn anew, for a finer unit."""


class StandIns(Evaluator):
    """units: into how many parts each argument of exp and angle is divided, kept from one try to the next."""

    formal = True

    def __init__(self, point: Point, units: dict[Any, int]) -> None:
        super().__init__(point)
        self._units = units
        self.numeric = Evaluator(point)
        self._wide = Evaluator(point, widen=_WIDE)
        self.logs: list[tuple[Node, Any]] = []
        self.arcs: list[tuple[Node, Any]] = []

    # Stand-ins

    def near(self, key: Any, ball: Any) -> Value:
        """A rational number near a real one, drawn from the point's seed."""
        middle = values.real(ball).mid()
        shift = _NEAR - magnitude(middle)
        scaled_up = (middle * arb(2) ** shift).floor().unique_fmpz()
        if scaled_up is None:
            raise Unclear
        drawn = int(scaled_up) + self.point.random(key, 6)
        return rational(Fraction(drawn) / Fraction(2) ** shift, formal=True)

    def pi(self) -> Value:
        return self.near("pi", arb.pi())

    def sign(self, node: Node) -> int:
        """As the true value has it, which must not change between the number and its stand-in."""
        inside = self.value(node)
        if not inside.formal:
            return super().sign(node)
        ball = self._wide.value(node).ball
        if not values.is_real(ball):
            raise Undefined
        if ball.contains(0):
            raise Undecided
        return 1 if values.real(ball) > 0 else -1

    def whole(self, node: Node) -> int:
        return self.numeric.whole(node)

    def transcendental(self, ball: Any) -> Value:
        raise Undecided

    # Sums of products

    def terms(self, node: Node) -> Terms:
        """The node as a sum of rational multiples of products of kernels."""
        value = self.value(node)
        if value.is_rational:
            assert value.exact is not None
            return constant(value.exact)
        method = getattr(self, "_terms_" + node.head, None)
        return (method(node) if method else None) or kernel(node)

    def _terms_sym(self, node: Node) -> Terms:
        name = {"\\pi": "pi"}.get(str(node.value), node.value)
        return kernel(name if name in ("pi", "i") else node)

    def _terms_add(self, node: Node) -> Terms:
        total: Terms = {}
        for part in node.args:
            total = plus(total, self.terms(part))
        return total

    def _terms_neg(self, node: Node) -> Terms:
        return scaled(self.terms(node.args[0]), Fraction(-1))

    def _terms_mul(self, node: Node) -> Terms | None:
        return times(self.terms(node.args[0]), self.terms(node.args[1]))

    def _terms_div(self, node: Node) -> Terms | None:
        below = inverted(self.terms(node.args[1]))
        return times(self.terms(node.args[0]), below) if below else None

    def _terms_degree(self, node: Node) -> Terms | None:
        return times(self.terms(node.args[0]), {PI: Fraction(1, 180)})

    def _terms_pow(self, node: Node) -> Terms | None:
        base, power = node.args[0], self.value(node.args[1])
        if not power.is_rational or power.exact not in (2, 3):
            return None
        found = self.terms(base)
        product: Terms | None = found
        for _ in range(int(power.exact) - 1):
            product = times(product, found) if product else None
        return product

    def _terms_fn(self, node: Node) -> Terms | None:
        return self.log_terms(node.args[0]) if node.value == "ln" else None

    # exp and angles

    def _steps(self, key: Any, factor: Fraction) -> int:
        """How many units of a kernel a multiple is; raises Restart when the unit is too coarse."""
        unit = self._units.setdefault(key, 1)
        if unit % factor.denominator:
            self._units[key] = math.lcm(unit, factor.denominator)
            raise Restart
        return factor.numerator * (unit // factor.denominator)

    def exp(self, node: Node) -> Value:
        return self.exp_terms(self.terms(node))

    def exp_terms(self, terms: Terms) -> Value:
        """e to a sum of terms: a product of powers of stand-ins."""
        result = rational(1)
        for product, factor in terms.items():
            result = result * self._exp_term(product, factor)
        return result

    def _exp_term(self, product: Product, factor: Fraction) -> Value:
        if len(product) == 1 and isinstance(product[0][0], tuple) and product[0][1] == 1:
            return self._power_of_prime(product[0][0][1], factor)
        if not is_real(product):
            if product == I_PI:
                cosine, sine = self._turn(factor)
            elif ("i", 1) in product:
                cosine, sine = self.angle({tuple(each for each in product if each != ("i", 1)): factor})
            else:
                raise Undecided
            return cosine + sine * self.i()
        if is_odd(factor):
            value = self.near(
                ("exp", product, abs(factor)), (self._ball(product) * ball_of(abs(factor))).exp()
            )
            return value if factor > 0 else value.inverse()
        steps = self._steps(product, factor)
        ball = (self._ball(product) / self._units[product]).exp()
        return self.near(("exp", product), ball) ** steps

    def _power_of_prime(self, prime: int, factor: Fraction) -> Value:
        root = self.root(number(prime), factor.denominator) if factor.denominator > 1 else rational(prime)
        return root**factor.numerator

    def _ball(self, product: Product) -> Any:
        """The true value of a product of kernels."""
        ball = arb(1)
        for name, exponent in product:
            ball = ball * self.kernel_ball(name) ** exponent
        return ball

    def kernel_ball(self, name: Any) -> Any:
        """The true value of a kernel."""
        if name == "pi":
            return arb.pi()
        if isinstance(name, tuple):
            return arb(name[1]).log() if name[0] == "log" else arb(fmpq(name[2], name[1])).atan()
        ball = self.numeric.value(name).ball
        if not values.is_real(ball):
            raise Undecided
        return values.real(ball)

    def _turn(self, factor: Fraction) -> tuple[Value, Value]:
        """Cosine and sine of a rational multiple of pi."""
        factor %= 2
        if factor.denominator > 5000:
            raise Undecided
        order = math.lcm(self.order, 4, 2 * factor.denominator)
        found = []
        for name in ("cos", "sin"):
            exact = EXACT[name].get(factor)
            if exact is not None:
                found.append(rational(exact))
                continue
            self.order = order
            ball = getattr(arb, f"{name}_pi_fmpq")(fmpq(factor.numerator, factor.denominator))
            found.append(Value(None, ball, 1.0, 1.0))
        return found[0], found[1]

    def angle(self, terms: Terms) -> tuple[Value, Value]:
        """Cosine and sine of a sum of terms."""
        cosine, sine = rational(1), rational(0)
        for product, factor in terms.items():
            more = self._turn(factor) if product == PI else self._angle_term(product, factor)
            cosine, sine = turned(cosine, sine, *more)
        return cosine, sine

    def _angle_term(self, product: Product, factor: Fraction) -> tuple[Value, Value]:
        if not is_real(product):
            raise Undecided
        if len(product) == 1 and isinstance(product[0][0], tuple) and product[0][0][0] == "prime angle":
            tangent = rational(Fraction(product[0][0][2], product[0][0][1]))  # the true one
            return self._multiple_of_true_angle(tangent, factor)
        if is_odd(factor):
            ball = self._ball(product) * ball_of(abs(factor))
            half = self.near(("tan", product, abs(factor)), (ball / 2).tan())
            return multiple(*from_half(half), 1 if factor > 0 else -1)
        steps = self._steps(("angle", product), factor)
        ball = self._ball(product) / self._units[("angle", product)]
        half = self.near(("tan", product), (ball / 2).tan())
        return multiple(*from_half(half), steps)

    def _multiple_of_true_angle(self, tangent: Value, factor: Fraction) -> tuple[Value, Value]:
        if factor.denominator != 1 or abs(factor.numerator) > 200:
            raise Undecided
        assert tangent.exact is not None
        square = 1 + tangent.exact**2
        cosine = self.root(number(1 / square), 2)
        return multiple(cosine, cosine * tangent, factor.numerator)

    def log_terms(self, node: Node) -> Terms:
        """The logarithm as a sum of terms."""
        raise NotImplementedError
