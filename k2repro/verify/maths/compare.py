"""Whether two statements say the same: values by identity, structures member by member."""

from collections.abc import Callable
from contextlib import suppress

from k2repro.verify.maths import identity, sets
from k2repro.verify.maths.pieces import brings_pieces
from k2repro.verify.maths.said import Said, said
from k2repro.verify.maths.tree import Node, is_expression, minus, rebuilt, symbol, variables, walk
from k2repro.verify.maths.value import Undecided, Undefined

_MOST_MEMBERS = 24
_SETS = frozenset({"union", "meet", "minus", "empty", "set", "rel"})


def same(gold: Node, answer: Node) -> bool:
    """Whether `answer` says what `gold` says; raises Undecided."""
    if brings_pieces(gold, answer):
        return False
    answer = _in_letter_of(gold, answer)
    one, other = said(gold), said(answer)
    try:
        if one.names and other.names:
            return _both_named(one, other)
        if one.names or other.names:
            found = _curve(gold, answer, one)
            if found is not None:
                return found
        if len(set(one.names)) > 1 or len(set(other.names)) > 1:
            return _in_order(one, other)
        if _bound_elsewhere(one, other) or _bound_elsewhere(other, one):
            return False
        return _same(one.whole, other.whole)
    except Undefined:
        return False


def _in_letter_of(gold: Node, answer: Node) -> Node:
    """f(y) = y + 1 as f(x) = x + 1: the letter is free to choose, if it catches no other."""
    if not (gold.head == answer.head == "rel" and gold.args[0].head == answer.args[0].head == "apply"):
        return answer
    letters = [each.args[0].args for each in (gold, answer)]
    if any(len(parts) != 1 or parts[0].head != "sym" for parts in letters):
        return answer
    wanted, given = letters[0][0], letters[1][0]
    bound = str(wanted.value) in variables(gold.args[1])  # else it names an object: P(A) is not P(B)
    if not bound or str(wanted.value) in variables(answer):
        return answer
    return rebuilt(answer, lambda part: wanted if part == given else None)


def _bound_elsewhere(one: Said, other: Said) -> bool:
    """b in [1, 2] against 1 < a < 2: a condition on another variable."""
    conditions = sets.names(other.whole)
    return bool(one.names and conditions) and set(one.names) != conditions


def _both_named(one: Said, other: Said) -> bool:
    if len(set(one.names)) == len(set(other.names)) == 1:
        if one.names[0] == other.names[0] and _same(one.whole, other.whole):
            return True
    elif sorted(one.names) == sorted(other.names) and len(set(one.names)) == len(one.names):
        found = dict(zip(other.names, other.parts, strict=True))
        return all(_same(part, found[name]) for name, part in zip(one.names, one.parts, strict=True))
    # y = 2x + 1 and x = (y - 1)/2 are one line.
    equations = [_equations(each) for each in (one, other)]
    return _matched(equations[0], equations[1], _same_relation)


def _curve(gold: Node, answer: Node, wanted: Said) -> bool | None:
    """y = 2x + 1 against 2x - y + 1 = 0; None where it is not a matter of two equations.

    x = 5 is not answered by 2x = 10, which is still to be solved.
    """
    if not (gold.head == answer.head == "rel" and gold.value == answer.value == ("=",)):
        return None
    if any(part.head == "pm" for each in (gold, answer) for part in walk(each)):
        return None
    solved = wanted.names and not any(variables(part) for part in wanted.parts)
    return not solved and _same_relation(gold, answer)


def _equations(said: Said) -> list[Node]:
    return [
        Node("rel", (symbol(name), part), ("=",))
        for name, part in zip(said.names, said.parts, strict=True)
        if is_expression(part)
    ]


def _in_order(one: Said, other: Said) -> bool:
    """a = 3, b = 4 against 3, 4 or (3, 4): values without names stand in the order of the names."""
    named, bare = (one, other.whole) if one.names else (other, one.whole)
    if bare.head != "list" and not (bare.head == "tuple" and bare.value == "()"):
        return False
    return list(named.names) == sorted(set(named.names)) and _pairwise(named.parts, bare.args)


def _same(gold: Node, answer: Node) -> bool:
    if gold == answer:
        return True
    if is_expression(gold) and is_expression(answer):
        return _same_value(gold, answer)
    if gold.head in ("list", "set") and answer.head in ("list", "set"):
        if _is_condition(gold) or _is_condition(answer):
            if gold.value != answer.value:
                return False
            if _same_set(gold, answer):
                return True
        return _matched(list(gold.args), list(answer.args), _same)
    if gold.head in ("tuple", "matrix", "ratio") and gold.head == answer.head:
        # (1, 2) and \\langle 1, 2 \\rangle are one vector.
        alike = gold.value == answer.value or {gold.value, answer.value} == {"()", "<>"}
        return alike and _pairwise(gold.args, answer.args)
    if gold.head == answer.head == "rel" and _same_relation(gold, answer):
        return True
    if gold.head == answer.head == "mod":
        return _same(gold.args[1], answer.args[1]) and _same(gold.args[0], answer.args[0])
    return _same_set(gold, answer)


def _same_value(gold: Node, answer: Node) -> bool:
    if any(part.head == "inf" for each in (gold, answer) for part in walk(each)):
        return False  # the same infinity is the same node
    if "based" in (gold.head, answer.head):
        return False
    return identity.equal(gold, answer)


def _pairwise(left: tuple[Node, ...], right: tuple[Node, ...]) -> bool:
    return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))


def _matched(left: list[Node], right: list[Node], alike: Callable[[Node, Node], bool]) -> bool:
    """Whether the members are the same ones, each as often, in any order."""
    if len(left) != len(right) or not left or len(left) > _MOST_MEMBERS:
        return False
    open_ = list(right)
    for member in left:
        found = next((each for each in open_ if alike(member, each)), None)
        if found is None:
            return False
        open_.remove(found)
    return True


def _is_condition(node: Node) -> bool:
    return node.head == "list" and all(part.head == "rel" and part.value != ("=",) for part in node.args)


def _same_set(gold: Node, answer: Node) -> bool:
    one, other = _as_set(gold), _as_set(answer)
    if one is None or other is None:
        return False
    if len(sets.names(one) | sets.names(other)) > 1:
        return False
    try:
        return sets.same_sets(one, other)
    except sets.NoSet:
        return _same_pieces(one, other)


def _as_set(node: Node) -> Node | None:
    """A node that is a set or can be read as one; a tuple is an interval here."""
    if node.head == "builder":
        return _condition(node)
    interval = node.head == "tuple" and len(node.args) == 2
    is_set = interval or node == sets.REALS or node.head in _SETS or _is_condition(node)
    return node if is_set else None


def _condition(node: Node) -> Node | None:
    """{x | condition on x} as its condition."""
    left, condition = node.args
    inside = left.args[1] if left.head == "rel" and left.value == ("in",) else None
    name = left.args[0] if inside is not None else left
    if name.head != "sym" or inside not in (None, sets.REALS):
        return None
    if sets.names(condition) != {str(name.value)}:
        return None
    if condition.head == "list":
        condition = Node("list", condition.args, "and" if condition.value == "," else condition.value)
    return condition if condition.head in ("rel", "list") else None


def _same_pieces(one: Node, other: Node) -> bool:
    """Sets with variables in them: the same parts, in any order where order does not matter."""
    if one.head != other.head or one.head not in ("union", "meet", "minus"):
        return False
    if one.head == "minus":
        return _pairwise(one.args, other.args)
    return _matched(sets.flat(one), sets.flat(other), _same)


def _same_relation(gold: Node, answer: Node) -> bool:
    """Equations and inequalities that are one another times a constant; chains member by member."""
    one, other = _forward(gold), _forward(answer)
    if one.value != other.value:
        return False
    with suppress(Undecided, Undefined):
        if _pairwise(one.args, other.args):
            return True
    relations = one.value
    assert isinstance(relations, tuple)
    if len(relations) > 1:
        return set(relations) == {"="} and _matched(list(one.args), list(other.args), _same)
    if relations[0] not in ("=", "!=", "<", "<="):
        return False
    if not all(is_expression(part) for part in (*one.args, *other.args)):
        return False
    return _proportional(minus(*one.args), minus(*other.args), positive=relations[0] in ("<", "<="))


def _forward(node: Node) -> Node:
    """A chain of inequalities written upwards."""
    relations = node.value
    assert isinstance(relations, tuple)
    if set(relations) <= {">", ">="}:
        turned = tuple({">": "<", ">=": "<="}[sign] for sign in reversed(relations))
        return Node("rel", tuple(reversed(node.args)), turned)
    return node


def _proportional(one: Node, other: Node, positive: bool) -> bool:
    """Whether one = c * other for a constant c that is not zero (or above zero).

    Then one(x) other(y) = other(x) one(y) for all x and y, and neither is zero everywhere.
    """
    names = variables(one)
    if names != variables(other) or not names:
        return False
    there = [rebuilt(each, _elsewhere) for each in (one, other)]
    whole = identity.whole_numbers(one)
    whole_there = whole | identity.whole_numbers(there[0])
    if identity.is_zero(one, whole) or identity.is_zero(other, whole):
        return False
    crossed = minus(Node("mul", (one, there[1])), Node("mul", (other, there[0])))
    return identity.is_zero(crossed, whole_there) and (not positive or identity.same_sign(one, other, whole))


def _elsewhere(node: Node) -> Node | None:
    if node.head == "sym" and node.value not in ("e", "i", "\\pi"):
        return symbol(f"{node.value} there")
    return None
