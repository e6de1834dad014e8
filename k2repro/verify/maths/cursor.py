"""A place among the tokens of an answer, and the numbers that stand there."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from k2repro.verify.maths.tokens import Token
from k2repro.verify.maths.tree import Node, Unreadable, number, symbol

_DEEPEST = 40  # brackets within brackets
_END = Token("end", "")


class Cursor:
    """The tokens of one answer, and how far they are read."""

    def __init__(self, tokens: list[Token], thousands: bool) -> None:
        self._tokens, self._at = tokens, 0
        self._thousands = thousands  # 1,000 is one number; else two
        self._depth = self._bars = self._brackets = 0
        self._set_at = -1  # the depth of the set that is read, where a colon begins its condition
        self._square = 0  # within [ or ], where a further [ may be the end of [1, 2[

    # Tokens

    @property
    def now(self) -> Token:
        """The next token, not yet used."""
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def ahead(self, steps: int) -> Token:
        """The token so many steps on."""
        return self._tokens[self._at + steps] if self._at + steps < len(self._tokens) else _END

    def take(self) -> Token:
        """The next token, used."""
        token = self.now
        self._at += 1
        return token

    def sees(self, *texts: str) -> bool:
        """Whether the next token is a sign or command of that text."""
        return self.now.kind in ("sym", "cmd", "row") and self.now.text in texts

    def skip(self, *texts: str) -> bool:
        """Use the next token if it is one of these."""
        if self.sees(*texts):
            self._at += 1
            return True
        return False

    def need(self, text: str) -> None:
        """Use the next token, which must be this one; raises Unreadable."""
        if not self.skip(text):
            raise Unreadable(f"{text} expected before {self.now.text}")

    @contextmanager
    def nested(self, brackets: int = 0) -> Iterator[None]:
        """One floor deeper, within so many brackets; raises Unreadable below _DEEPEST."""
        self._depth += 1
        self._brackets += brackets
        if self._depth > _DEEPEST:
            raise Unreadable("too deep")
        yield
        self._depth -= 1
        self._brackets -= brackets

    # Numbers

    def digits(self) -> str:
        """The digits that stand side by side."""
        digits = ""
        while self.now.kind == "digit" and not (digits and self.now.spaced):
            digits += self.take().text
        return digits

    def numeral(self) -> Node:
        """Digits with thousands, decimals, a repeating part, a base; 2 1/3."""
        digits = self.digits()
        while self._thousands and not self._brackets and 0 < len(digits.split(",")[0]) <= 3 and self._comma():
            self.take()
            digits += "," + self.digits()
        digits = digits.replace(",", "")
        if self.sees("_") and digits:
            self.take()
            return Node("based", (), (digits.lstrip("0"), joined(self.script())))
        if self.now.kind == "dot" and not self.now.spaced and self.ahead(1).kind != "dot":
            self.take()
            return self._decimals(digits)
        if self.now.text in ("e", "E") and not self.now.spaced and self._is_digit_at(1):
            return self._scaled(Fraction(int(digits)))
        if not digits:
            raise Unreadable(".")
        value = number(int(digits))
        if self.now.kind == "digit" and self.now.spaced:
            return self._two_part(value)
        return value

    def _comma(self) -> bool:
        """Whether `,ddd` follows, without spaces, and no fourth digit."""
        three = all(map(self._is_digit_at, (1, 2, 3))) and not self._is_digit_at(4)
        return self.now.text == "," and not self.now.spaced and three

    def _decimals(self, whole: str) -> Node:
        digits = self.digits() if not self.now.spaced else ""
        if not digits and not self.sees("overline", "dot", "("):
            raise Unreadable(".")
        value = Fraction(int(whole + digits or "0"), 10 ** len(digits))
        if again := self._repeated():
            value += Fraction(int(again), (10 ** len(again) - 1) * 10 ** len(digits))
        elif not digits:
            raise Unreadable(".")
        if self.now.kind == "letter" and self.now.text in "eE" and not self.now.spaced:
            return Node("mul", (number(value), symbol("e"))) if self._is_e_alone() else self._scaled(value)
        return number(value)

    def _repeated(self) -> str:
        r"""The digits that come again: \overline{27}, \dot{2}\dot{7}, (27)."""
        if self.sees("dot"):
            return self._dotted()
        closing = {"overline": "}", "(": ")"}.get(self.now.text, "")
        skipped = 2 if closing == "}" else 1
        opens = self.ahead(1).text == "{" if closing == "}" else closing and not self.now.spaced
        if not opens or self.ahead(skipped).kind != "digit":
            return ""
        start = self._at
        self._at += skipped
        again = self.digits()
        if self.skip(closing):
            return again
        self._at = start
        return ""

    def _dotted(self) -> str:
        """The digits from the first dot to the last, which may be the first."""
        first = self._dotted_digit()
        if not (self.sees("dot") or self.now.kind == "digit"):
            return first
        return first + self.digits() + self._dotted_digit()

    def _dotted_digit(self) -> str:
        self.need("dot")
        digit = joined(self.script())
        if not (len(digit) == 1 and digit.isdigit()):
            raise Unreadable("a dot over what is no digit")
        return digit

    def _is_e_alone(self) -> bool:
        signed = self.ahead(1).text in ("-", "+") and self._is_digit_at(2)
        return not (self._is_digit_at(1) or signed)

    def _is_digit_at(self, steps: int) -> bool:
        """Whether a digit stands there, without a space before it."""
        return self.ahead(steps).kind == "digit" and not self.ahead(steps).spaced

    def _scaled(self, value: Fraction) -> Node:
        self.take()
        sign = self.take().text if self.sees("-", "+") else "+"
        power = int(self.digits()[:5])
        if power > 400:
            raise Unreadable("a power of ten beyond 400")
        return number(value * Fraction(10) ** (-power if sign == "-" else power))

    def _two_part(self, whole: Node) -> Node:
        """2 1/3 as 7/3; two numbers side by side are unreadable."""
        top = self.digits()
        if not self.skip("/") or self.now.kind != "digit":
            raise Unreadable("two numbers")
        bottom = self.digits()
        if int(bottom) <= int(top):
            raise Unreadable("two numbers")
        return number(whole.value + Fraction(int(top), int(bottom)))

    def script(self) -> list[Token]:
        """The tokens of a subscript."""
        if not self.skip("{"):
            return [self.take()]
        taken, depth = [], 1
        while depth:
            token = self.take()
            if token.kind == "end":
                raise Unreadable("_{")
            depth += {"{": 1, "}": -1}.get(token.text, 0) if token.kind == "sym" else 0
            taken.append(token)
        return taken[:-1]


def joined(tokens: list[Token]) -> str:
    """The text of a subscript or of what is under a bar, without spaces."""
    if any(token.kind == "end" for token in tokens):
        raise Unreadable("the end")
    return "".join(token.text for token in tokens if token.text not in ("{", "}"))
