r"""Expressions: what stands between two commas or relation signs. Recursive descent, one method a rule.

Every token must be used. What benchmarks leave out is read as they mean it: `2xy` is a product, `1\frac12`
a mixed number, `\sin 2x` takes `2x`, `1/2x` is read from the left.
"""

from k2repro.verify.maths.cursor import Cursor, joined
from k2repro.verify.maths.tokens import FUNCTIONS, GREEK
from k2repro.verify.maths.tree import Node, Unreadable, is_expression, number, symbol

_APPLIED = frozenset("fghFGH")  # letters that are functions when a bracket follows at once
_STARTS = (
    FUNCTIONS
    | GREEK
    | {"frac", "sqrt", "pi", "infty", "binom", "lfloor", "lceil", "overline", "bar", "vec", "hat", "tilde"}
    | {"\\{", "mathbb", "emptyset", "begin", "ldots", "mathcal", "angle", "triangle", "langle"}
)
_OF_SEVERAL = frozenset({"max", "min", "gcd", "lcm"})
_NULLARY = {"pi": symbol("\\pi"), "infty": Node("inf"), "emptyset": Node("empty"), "ldots": symbol("\\ldots")}
_NUMBER_SETS = frozenset("RZNQ")
_DECORATED = frozenset({"overline", "bar", "vec", "hat", "tilde", "mathcal", "overrightarrow"})


class Expressions(Cursor):
    """Sums, products, powers, functions."""

    # Sums and products

    def expression(self) -> Node:
        """Terms with signs between them."""
        terms = [self._signed()]
        while self.sees("+", "-", "pm", "mp"):
            sign = self.take().text
            terms.append(_with_sign(sign, self._product()))
        return terms[0] if len(terms) == 1 else Node("add", tuple(terms))

    def _signed(self) -> Node:
        if self.sees("+", "-", "pm", "mp"):
            sign = self.take().text
            inside = self._product()
            if not is_expression(inside):
                raise Unreadable("a sign before a structure")
            return _with_sign(sign, inside)
        return self._product()

    def _product(self) -> Node:
        left = self._factor()
        while True:
            if self.skip("*"):
                left = _times(left, self._after_operator())
            elif self.skip("/"):
                left = Node("div", (left, self._after_operator()))
            elif self._starts_factor() or self._starts_second_factorial():
                left = _beside(left, self._factor())
            else:
                return left

    def _after_operator(self) -> Node:
        if self.sees("-", "+"):
            sign = self.take().text
            return _with_sign(sign, self._factor())
        return self._factor()

    def _starts_factor(self) -> bool:
        token = self.now
        # A number stands before the other factors: `1 2`, `x2` and `\sqrt{2}3` are slips, and so is `x{2}`.
        if token.kind == "letter":
            return True
        if token.kind == "cmd":
            return token.text in _STARTS
        return token.kind == "sym" and self._opens(token.text)

    def _starts_second_factorial(self) -> bool:
        """3!7! is a product; 3!7 is a slip."""
        if not (self._at and self._tokens[self._at - 1].text == "!"):
            return False
        steps = 0
        while self.ahead(steps).kind == "digit":
            steps += 1
        return bool(steps) and self.ahead(steps).text == "!"

    def _opens(self, sign: str) -> bool:
        if sign == "[":
            return not self._square
        if sign == "{":
            return self.ahead(1).kind not in ("digit", "dot")
        if sign == "(":
            return self.ahead(1).text not in ("mod", "bmod")
        return sign == "|" and not self._bars

    def _factor(self) -> Node:
        base = self._primary()
        while True:
            if self.sees("^"):
                self.take()
                base = self._power(base)
            elif self.skip("!"):
                base = Node("fact", (base,))
            elif self.skip("%"):
                base = Node("percent", (base,))
            else:
                return base

    def _power(self, base: Node) -> Node:
        if self.skip("circ", "degree"):
            return Node("degree", (base,))
        if self.sees("{") and self.ahead(1).text in ("circ", "degree") and self.ahead(2).text == "}":
            self._at += 3
            return Node("degree", (base,))
        exponent = self._exponent()
        if not is_expression(exponent):
            raise Unreadable("an exponent is a value")
        return Node("pow", (base, exponent))

    def _exponent(self) -> Node:
        if self.sees("-", "+"):
            sign = self.take().text
            return _with_sign(sign, self._exponent())
        if self.now.kind == "digit":
            power = self.numeral()
        elif self.sees("{") or self.sees("("):
            in_braces = self.sees("{")
            power = self._primary()
            if in_braces and self.sees("^"):
                raise Unreadable("two exponents")
        else:
            power = self._argument()
        if self.skip("^"):
            return Node("pow", (power, self._exponent()))
        return power

    # Values

    def _primary(self) -> Node:
        token = self.now
        if token.kind in ("digit", "dot"):
            return self.numeral()
        if token.kind == "letter":
            return self._named(self.take().text)
        if token.kind == "cmd":
            return self._command()
        if token.kind == "sym" and token.text in ("(", "[", "{"):
            return self.bracketed()
        if token.kind == "sym" and token.text == "|":
            return self._absolute()
        raise Unreadable(token.text or "the end")

    def bracketed(self) -> Node:
        """A group, tuple, interval or set; what a comma means is known one floor up."""
        raise NotImplementedError

    def _in_brackets(self) -> Node:
        """What a function takes; (x, y] is an interval, not two arguments, and so is [x, y] in brackets."""
        own = "[]" if self.sees("[") else "()"
        inside = self.bracketed()
        if inside.head == "tuple" and inside.value != own:
            raise Unreadable("brackets of two kinds around arguments")
        return inside

    def _absolute(self) -> Node:
        self.need("|")
        with self.nested():
            self._bars += 1
            inside = self.expression()
            self.need("|")
            self._bars -= 1
        return Node("abs", (inside,))

    # Names

    def _named(self, name: str) -> Node:
        """A name with its subscript and primes; f(x)."""
        name = self._with_marks(name)
        applied = self.now.text == "(" and not self.now.spaced and self.now.kind == "sym"
        if applied and name[0] in _APPLIED and (len(name) == 1 or name[1] in "_'"):
            inside = self._in_brackets()
            parts = inside.args if inside.head == "tuple" else (inside,)
            return Node("apply", parts, name)
        return symbol(name)

    def _name_only(self) -> str:
        return self._with_marks(self.take().text)

    def _with_marks(self, name: str) -> str:
        while self.sees("_", "'") or (self.sees("^") and self.ahead(1).text == "prime"):
            mark = self.take().text
            if mark == "_":
                name += "_{" + joined(self.script()) + "}"
            else:
                name += "'"
                self.skip("prime")
        return name

    # Commands

    def _argument(self) -> Node:
        """What a command takes: a group, or one digit, letter or command."""
        if self.skip("{"):
            with self.nested():
                inside = self.expression()
                self.need("}")
            return inside
        if self.now.kind == "digit":
            return number(int(self.take().text))
        if self.now.kind == "letter":
            return symbol(self.take().text)
        if self.now.kind == "cmd":
            return self._command()
        raise Unreadable(self.now.text or "the end")

    def _command(self) -> Node:
        name = self.take().text
        if name in ("frac", "binom"):
            above, below = self._argument(), self._argument()
            return Node("div" if name == "frac" else "binom", (above, below))
        if name == "sqrt":
            return self._root()
        if name in ("angle", "triangle"):
            return symbol(f"\\{name}{{{self._corners()}}}")
        if name in _NULLARY:
            return _NULLARY[name]
        if name in GREEK:
            return self._named("\\" + name)
        if name in FUNCTIONS:
            return self._function(name)
        if name in ("lfloor", "lceil"):
            inside = self.expression()
            self.need("rfloor" if name == "lfloor" else "rceil")
            return Node("floor" if name == "lfloor" else "ceil", (inside,))
        if name in _NUMBER_SETS:
            return symbol(f"\\mathbb{{{name}}}")
        if name in _DECORATED or name == "mathbb":
            return self._named(f"\\{name}{{{joined(self.script())}}}")
        return self.special(name)

    def _corners(self) -> str:
        """The points after \\angle, in their order."""
        if self.sees("{"):
            return joined(self.script())
        found = ""
        while self.now.kind == "letter":
            found += self.take().text
        return found

    def special(self, name: str) -> Node:
        """A command that makes a structure; known one floor up."""
        raise Unreadable(f"\\{name}")

    def _root(self) -> Node:
        degree = 2
        if self.skip("["):
            degree = int(self.digits() or 0)
            self.need("]")
            if not 2 <= degree <= 60:
                raise Unreadable("the degree of a root")
        if self.sees("("):
            return Node("root", (self.bracketed(),), degree)
        following = self.ahead(1)
        if self.now.kind == "digit" and following.kind in ("digit", "dot") and not following.spaced:
            # \\sqrt12 has one digit under the root, sqrt12 two.
            raise Unreadable("\\sqrt before several digits")
        return Node("root", (self._argument(),), degree)

    def _function(self, name: str) -> Node:
        base = None
        if name == "log" and self.skip("_"):
            base = self._argument()
            if base == number(1):
                raise Unreadable("a logarithm of base 1")
        power = None
        if self.sees("^"):
            self.take()
            power = self._exponent()
        in_braces = name in _OF_SEVERAL and self.sees("\\{")
        inside = self._command() if in_braces else self._function_argument()
        if in_braces and inside.head != "set":
            raise Unreadable("no members")
        if inside.head == "tuple" and name not in _OF_SEVERAL:
            raise Unreadable("several arguments of a function of one")
        if base is not None:
            inside = Node("div", (Node("fn", (inside,), "ln"), Node("fn", (base,), "ln")))
        elif name == "cis":
            cosine, sine = (Node("fn", (inside,), part) for part in ("cos", "sin"))
            inside = Node("add", (cosine, Node("mul", (symbol("i"), sine))))
        else:
            inside = Node("fn", inside.args if inside.head == "tuple" or in_braces else (inside,), name)
        if power is None:
            return inside
        if power == Node("neg", (number(1),)) and name in ("sin", "cos", "tan"):
            return Node("fn", inside.args, "arc" + name)
        return Node("pow", (inside, power))

    def _function_argument(self) -> Node:
        if self.sees("(", "{", "["):
            inside = self._in_brackets()
            if not (self.sees("^") and self.ahead(1).text in ("circ", "degree")):
                return inside
            self._at += 2
            return Node("degree", (inside,))
        if self.sees("|"):
            return self._absolute()
        if self.now.kind == "cmd" and self.now.text in FUNCTIONS:
            return self._command()
        result = self._factor()
        while self._starts_factor() and not (self.now.text in FUNCTIONS or self.sees("(", "[", "|")):
            result = _beside(result, self._factor())
        if not is_expression(result):
            raise Unreadable("a structure after a function")
        return result


def _with_sign(sign: str, node: Node) -> Node:
    if sign in ("pm", "mp"):
        return Node("pm", (node,), 1 if sign == "pm" else -1)
    return node if sign == "+" else Node("neg", (node,))


def _beside(left: Node, right: Node) -> Node:
    """A product without a sign, or a mixed number; nobody writes 1x for x."""
    if mixed := _mixed(left, right):
        return mixed
    if left == number(1):
        raise Unreadable("one times something")
    return _times(left, right)


def _times(left: Node, right: Node) -> Node:
    """A product; nothing hides behind a factor that is written as zero."""
    if any(part.head == "num" and part.value == 0 for part in (left, right)):
        raise Unreadable("zero times something")
    return Node("mul", (left, right))


def _mixed(left: Node, right: Node) -> Node | None:
    r"""1\frac{1}{2} is one and a half."""
    if right.head == "percent":
        inside = _mixed(left, right.args[0])
        return Node("percent", (inside,)) if inside else None
    if left.head == "num" and right.head == "div" and all(part.head == "num" for part in right.args):
        whole, top, bottom = (part.value for part in (left, *right.args))
        if whole.denominator == top.denominator == bottom.denominator == 1 and 0 < top < bottom:
            return number(whole + top / bottom)
    return None
