r"""Answers as a whole: values, lists, tuples, intervals, sets, matrices, equations, inequalities."""

import re

from k2repro.verify.maths.parser import Expressions
from k2repro.verify.maths.tokens import LOGIC, Token, tokens
from k2repro.verify.maths.tree import Node, Unreadable, is_expression, may_have_members, symbol

_RELATIONS = {"=": "=", "<": "<", ">": ">", "leq": "<=", "geq": ">=", "neq": "!=", "in": "in", "equiv": "=="}
_MATRICES = dict.fromkeys(("pmatrix", "bmatrix", "matrix", "array"), "()")
_MATRICES |= dict.fromkeys(("vmatrix", "Vmatrix"), "||")
_CALCULATIONS = frozenset({"add", "mul", "div", "pow", "neg", "fact", "fn", "apply"})
_SEPARATOR = re.compile(r"[,;]?\s*(?:or|and)\s*,?")


class Statements(Expressions):
    """The grammar above expressions."""

    def whole(self) -> Node:
        """The one statement that all of the tokens are; raises Unreadable."""
        found = self._items()
        if self.now.kind != "end":
            raise Unreadable(self.now.text)
        return found

    def _items(self) -> Node:
        """One item, or several between separators."""
        items = [self._item()]
        joints: set[str] = set()
        while self._separator(joints):
            items.append(self._item())
        joint = next(iter(joints - {","}), ",") if len(joints - {","}) < 2 else "mixed"
        return items[0] if len(items) == 1 else Node("list", tuple(items), joint)

    def _separator(self, joints: set[str]) -> bool:
        start = self._at
        while self.sees(",", ";", "or", "and") or (
            self.now.kind == "text" and _SEPARATOR.fullmatch(self.now.text)
        ):
            token = self.take()
            word = next((each for each in ("or", "and") if each in token.text), ",")
            if self._at - start > (2 if word != "," else 1):
                raise Unreadable("two separators")
            joints.add(word)
            if word != ",":
                break
        return self._at > start

    def _item(self) -> Node:
        parts, relations = [self._defined() or self._side()], []
        while self.now.kind in ("sym", "cmd") and self.now.text in _RELATIONS:
            relations.append(_RELATIONS[self.take().text])
            parts.append(self._side())
            if relations[-1] == "in" and not may_have_members(parts[-1]):
                raise Unreadable("a member of what is no set")
        if self.now.text == ":" and not relations and self._set_at != self._depth:
            return self._ratio(parts[0])
        found = Node("rel", tuple(parts), tuple(relations)) if relations else parts[0]
        if self.sees("pmod", "mod") or (self.sees("(") and self.ahead(1).text in ("mod", "bmod")):
            return Node("mod", (found, self._modulus()))
        return found

    def _defined(self) -> Node | None:
        """P(x) before an equals sign, where P is a function; elsewhere P(x) may be a product."""
        start = self._at
        if self.now.kind != "letter":
            return None
        if segment := self._segment():
            return segment
        name = self._name_only()
        parts = []
        if self.now.text == "(" and not self.now.spaced:
            self.take()
            more = True
            while more and self.now.kind == "letter":
                parts.append(symbol(self._name_only()))
                more = self.skip(",") or self.now.kind == "letter"
            if parts and not more and self.skip(")") and self.sees("="):
                return Node("apply", tuple(parts), name)
        self._at = start
        return None

    def _segment(self) -> Node | None:
        """AB before an equals sign: a distance, not a product."""
        start, name = self._at, ""
        while self.now.kind == "letter" and self.now.text.isupper() and not (name and self.now.spaced):
            name += self.take().text
        if 2 <= len(name) <= 3 and self.sees("=") and name not in LOGIC:
            return symbol(name)
        self._at = start
        return None

    def _ratio(self, first: Node) -> Node:
        parts = [first]
        while self.skip(":"):
            parts.append(self._side())
        return Node("ratio", tuple(parts))

    def _modulus(self) -> Node:
        if self.skip("pmod"):
            return self._argument()
        if self.skip("mod"):
            return self.expression()
        self._at += 2
        modulus = self.expression()
        self.need(")")
        return modulus

    def _side(self) -> Node:
        """A value or a set: unions bind weaker than sums."""
        start = self._at
        left = self._checked()
        while self.sees("cup", "cap", "setminus"):
            head = {"cup": "union", "cap": "meet", "setminus": "minus"}[self.take().text]
            left = Node(head, (left, self._checked()))
        if left.head != "matrix" and self._is_one_bracket(start):
            return Node("tuple", (left,), "[]")
        return left

    def _checked(self) -> Node:
        """A sum whose parts are values, or one structure."""
        found = _reals_without(self.expression())
        if not is_expression(found) and found.head in _CALCULATIONS:
            raise Unreadable("a structure within a calculation")
        return found

    def _is_one_bracket(self, start: int) -> bool:
        """Whether the tokens since `start` are [x], which is not x."""
        if self._tokens[start].text != "[" or self._tokens[self._at - 1].text != "]":
            return False
        depth = 0
        for at in range(start, self._at):
            text = self._tokens[at].text if self._tokens[at].kind == "sym" else ""
            depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(text, 0)
            if text in (",", ";") and depth == 1:
                return False
            if depth == 0 and at < self._at - 1:
                return False
        return True

    def bracketed(self) -> Node:
        """(x) and {x} are x; (x, y) a tuple or an open interval; {x, y} a set."""
        opening = self.take().text
        if opening == "{":
            with self.nested():
                return self._group()
        with self.nested(brackets=1):
            bars, self._bars = self._bars, 0
            self._square += opening == "["
            inside = self._items()
            self._square -= opening == "["
            self._bars = bars
            closing = self.take().text
            if closing not in (")", "]", "["):
                raise Unreadable(closing or "the end")
        if inside.head == "list":
            if inside.value != ",":
                raise Unreadable("words within brackets")
            return Node("tuple", inside.args, opening + (")" if closing == "[" else closing))
        if opening + closing in ("()", "[]"):
            return inside
        raise Unreadable("brackets of two kinds around one value")

    def _group(self) -> Node:
        inside = self._items()
        if self.skip("choose"):
            inside = Node("binom", (inside, self._items()))
        elif self.skip("over"):
            inside = Node("div", (inside, self._items()))
        self.need("}")
        return Node("set", inside.args) if inside.head == "list" else inside

    def _primary(self) -> Node:
        # ]0,1[ is the open interval in the French notation.
        if self.sees("]"):
            return self._french()
        return super()._primary()

    def _french(self) -> Node:
        self.take()
        self._square += 1
        low = self.expression()
        if not (self.skip(",") or self.skip(";")):
            raise Unreadable("]")
        high = self.expression()
        self._square -= 1
        closing = self.take().text
        if closing not in ("]", "["):
            raise Unreadable(closing)
        return Node("tuple", (low, high), "(" + ("]" if closing == "]" else ")"))

    def special(self, name: str) -> Node:
        """Sets in braces, matrices."""
        if name == "\\{":
            return self._set()
        if name == "begin":
            return self._matrix()
        if name == "langle":
            return self._vector()
        raise Unreadable(f"\\{name}")

    def _vector(self) -> Node:
        r"""\langle 1, 2 \rangle"""
        with self.nested(brackets=1):
            inside = self._items()
            self.need("rangle")
        return Node("tuple", inside.args if inside.head == "list" else (inside,), "<>")

    def _set(self) -> Node:
        with self.nested(brackets=1):
            if self.skip("\\}"):
                return Node("empty")
            bars, self._bars = self._bars, 1  # in {x | x > 1} the bar separates
            outer, self._set_at = self._set_at, self._depth
            inside = self._items()
            if self.skip("|", ":", "mid"):
                found = Node("builder", (inside, self._items()))
            else:
                found = Node("set", inside.args if inside.head == "list" else (inside,))
            self._bars, self._set_at = bars, outer
            if not self.skip("\\}"):
                raise Unreadable("\\{")
        return found

    def _matrix(self) -> Node:
        name = "".join(token.text for token in self.script())
        if name not in _MATRICES:
            raise Unreadable(f"\\begin{{{name}}}")
        if name == "array":
            self.script()
        with self.nested():
            rows = [[self.expression()]]
            while self.sees("&", "row"):
                if self.skip("&"):
                    rows[-1].append(self.expression())
                elif self.skip("row") and not self.sees("end"):
                    rows.append([self.expression()])
            self.need("end")
        if "".join(token.text for token in self.script()) != name or len({len(row) for row in rows}) != 1:
            raise Unreadable("\\end")
        cells = tuple(cell for row in rows for cell in row)
        return Node("matrix", cells, (len(rows[0]), _MATRICES[name]))


def _reals_without(node: Node) -> Node:
    r"""\mathbb{R} - \{1\} is a difference of sets."""
    if node.head == "add" and len(node.args) == 2 and node.args[0] == symbol("\\mathbb{R}"):
        second = node.args[1]
        if second.head == "neg" and second.args[0].head == "set":
            return Node("minus", (node.args[0], second.args[0]))
    return node


def parse(text: str, *, thousands: bool = True) -> Node:
    r"""The statement that `text` is.

    thousands: whether 100,200 is one number. Raises Unreadable when any part of the text is left over.

    >>> parse(r"(1, 2]").value, parse("x=1").value
    ('(]', ('=',))
    """
    found: list[Token] = tokens(text)
    if not found:
        raise Unreadable("nothing")
    try:
        return Statements(found, thousands).whole()
    except RecursionError:
        raise Unreadable("too deep") from None
