"""What stands under answers_equal: the grammar means what mathematics means, and a proof is one."""

import math
import random
from fractions import Fraction

import pytest
import verify_answer_engines as engines
import verify_answer_space as space
from hypothesis import given, settings
from hypothesis import strategies as st
from verify_answer_tables import pairs

from k2repro.verify import compare_answers
from k2repro.verify.maths import bends, identity
from k2repro.verify.maths.evaluate import Evaluator, Point, precision
from k2repro.verify.maths.polynomials import polynomial
from k2repro.verify.maths.statements import parse
from k2repro.verify.maths.tokens import tokens
from k2repro.verify.maths.tree import Unreadable, minus
from k2repro.verify.maths.typography import plain
from k2repro.verify.maths.value import Undecided, Undefined
from k2repro.verify.maths.zeros import crossings, zeros


def in_floats(tree: space.Tree, at: dict[str, float]) -> complex:
    """The value of a test tree in Python's own arithmetic, without a text in between."""
    parts = [in_floats(part, at) for part in tree.parts]
    if tree.kind in ("int", "decimal"):
        return complex(float(str(tree.value)))
    if tree.kind == "name":
        return complex(math.pi if tree.value == "\\pi" else at[str(tree.value)])
    if tree.kind == "sum":
        return sum(part if sign == "+" else -part for sign, part in zip(str(tree.value), parts, strict=True))
    if tree.kind in ("product", "times"):
        return math.prod(parts)
    if tree.kind == "quot":
        return parts[0] / parts[1]
    if tree.kind == "power":
        return parts[0] ** int(parts[1].real)
    if tree.kind == "root":
        return parts[0] ** 0.5
    if tree.kind == "log":
        return complex(math.log(parts[0].real) / math.log(int(str(tree.value))))
    name = {"ln": "log", "arctan": "atan"}.get(str(tree.value), str(tree.value))
    return complex(getattr(math, name)(parts[0].real))


def test_texts_are_read_as_the_values_that_they_were_written_from():
    """Catches a precedence, an argument of a function or a mixed number that is read otherwise than meant."""
    rng = random.Random(23)
    compared = 0
    for _ in range(500):
        tree = space.value(rng)
        at = {name: Fraction(rng.randint(1, 90), 64) for name in space.LETTERS}
        try:
            wanted = in_floats(tree, {name: float(value) for name, value in at.items()})
            precision(96)
            found = Evaluator(Point("test", at)).value(parse(space.form(tree, rng))).ball
        except (ValueError, Undefined):  # a logarithm of a negative number
            continue
        assert abs(complex(found) - wanted) <= 1e-9 * max(1.0, abs(wanted)), space.form(tree, rng)
        compared += 1
    assert compared > 400


IDENTITIES = [
    (r"\sqrt[3]{2+\sqrt{5}}+\sqrt[3]{2-\sqrt{5}}", "1"),
    (r"\sqrt{(\pi-4)^2}", r"4-\pi"),
    (r"e^{i\pi}", "-1"),
    (r"\arctan 1+\arctan 2+\arctan 3", r"\pi"),
    (r"4\arctan\frac15-\arctan\frac1{239}", r"\frac{\pi}{4}"),
    (r"\tan\frac{3\pi}{11}+4\sin\frac{2\pi}{11}", r"\sqrt{11}"),
    (r"\cos\frac{\pi}{7}-\cos\frac{2\pi}{7}+\cos\frac{3\pi}{7}", r"\frac12"),
    (r"\ln(\sqrt{2}+1)", r"-\ln(\sqrt2-1)"),
    (r"\sqrt{2}^{\sqrt{2}}", r"2^{\frac{\sqrt2}{2}}"),
    (r"\sin 3x", r"3\sin x-4\sin^3 x"),
    (r"\cosh^2 x-\sinh^2 x", "1"),
    (r"\binom{n+1}{k+1}", r"\binom{n}{k}+\binom{n}{k+1}"),
    (r"\frac{1}{1+e^{-x}}", r"\frac{e^x}{e^x+1}"),
    (r"8^{x/3}", "2^x"),
]


@pytest.mark.parametrize(("one", "other"), IDENTITIES)
def test_identities_are_proved_and_their_near_misses_refuted(one, other):
    """Catches a theorem that has no proof here, and a "proof" of what is off by 10^-60."""
    left, right = parse(one), parse(other)
    assert identity.equal(left, right)
    off = parse("10^{-60}")
    assert not identity.equal(left, minus(right, off))


@given(st.integers(2, 60), st.integers(2, 60), st.integers(1, 400), st.sampled_from(["+", "-"]))
@settings(deadline=None, max_examples=60)
def test_no_distance_is_too_small_to_be_seen(a, b, exponent, sign):
    """Catches an equality by so many digits: any difference counts, however small."""
    surd = rf"\sqrt{{{a}}}+\sqrt[3]{{{b}}}" if a != b else rf"\sqrt{{{a}}}+\pi"
    assert identity.equal(parse(surd), parse(f"{surd}+0.0"))
    assert not identity.equal(parse(surd), parse(rf"{surd}{sign}10^{{-{exponent}}}"))


def test_a_proof_is_not_taken_from_the_numbers():
    """Catches equality by digits alone: here they agree to 20,000 bits, and nothing can be proved."""
    one, other = parse(r"\pi"), parse(r"\pi+\frac{1}{9^{9^{9}}}")
    with pytest.raises(Undecided):
        identity.equal(one, other)


UNREADABLE = [
    "12 13", "x2", "1+", "\\frac{1}", "(1", "1)", "\\foo", "x==1", "a\\neq=1", "0q", "\\int x", "12 or",
    "\\sqrt12", "(1 or 2)", "x^{2}^{3}",
    "\\sin(x,y)", "\\max\\{x|3\\}", "f(x,)=x", "x\\in 3", "x\\in n!",
    "\u0430", "", "(" * 42 + "x" + ")" * 42,
]  # fmt: skip


OPENED = {
    "\\max": ("(", ")"), "\\max ": ("\\{", "\\}"), "f": ("(", ")"), "\\sin": ("[", "]"), "2": ("(", ")"),
    "": ("|", "|"),
    " ": ("\\lfloor ", "\\rfloor"), "  ": ("\\lceil ", "\\rceil"), "x^": ("{", "}"), "\\sqrt": ("{", "}"),
    "   ": ("\\langle ", "\\rangle"), "    ": ("\\{", "\\}"), "\\binom{n}": ("{", "}"),
}  # fmt: skip
CLOSERS = [")", "]", "[", "}", "|", "\\}", "\\rangle", "\\rfloor", "\\rceil"]
MATRICES = [r"(\begin{matrix}1\\2\end{matrix}%s", r"[\begin{array}{c}1\\2\end{array}%s"]


@pytest.mark.parametrize(("before", "opener", "right"), [(name, *pair) for name, pair in OPENED.items()])
def test_every_bracket_is_closed_by_its_own(before, opener, right):
    """Catches \\max(x, y], which was read as \\max(x, y): a bracket that any other closes."""
    inside = "x,y" if "max" in before or opener == "\\langle " else "x"
    parse(before + opener + inside + right)
    for closer in CLOSERS:
        if closer != right:
            with pytest.raises(Unreadable):
                parse(before + opener + inside + closer)


@pytest.mark.parametrize("matrix", MATRICES)
def test_the_brackets_of_a_matrix_are_of_one_kind(matrix):
    """Catches a matrix whose brackets are thrown away before anyone looks at them."""
    own = {"(": ")", "[": "]"}[matrix[0]]
    parse(matrix % own)
    for closer in CLOSERS:
        if closer != own:
            with pytest.raises(Unreadable):
                parse(matrix % closer)


SOLVED = {
    "(x-1)(x^2-2)": [-(2**0.5), 1, 2**0.5],
    "(e^x-999)(e^x-1001)": [math.log(999), math.log(1001)],
    "e^{2x}-2000e^x+999999": [math.log(999), math.log(1001)],
    "2^{3x}-5": [math.log2(5) / 3],
    r"\ln(x-1)-2": [1 + math.exp(2)],
    r"\sqrt{x}-99": [9801],
    "|x-2|-3": [-1, 5],
    r"\frac{x-\pi}{e^x-y}": [math.log(7), math.pi],
    "e^x+1": [],
    r"2\cos x-1": [-2 * math.pi - math.pi / 3, -2 * math.pi + math.pi / 3, -math.pi / 3]
    + [math.pi / 3, 2 * math.pi - math.pi / 3, 2 * math.pi + math.pi / 3],
}


@pytest.mark.parametrize(("formula", "wanted"), SOLVED.items())
def test_zeros_are_found_where_they_are(formula, wanted):
    """Catches a zero that is lost, a logarithm of the wrong base, and a place that is none."""
    found = zeros(parse(formula), "x", {"y": Fraction(7)})
    assert list(map(float, found)) == pytest.approx(sorted(wanted))


def test_what_cannot_be_solved_is_said_to_be_so_and_tried():
    """Catches "no zeros" for a formula that nobody solved: its bends would count as known."""
    formula = parse("(x e^x-999)(x e^x-1001)")
    assert zeros(formula, "x", {}) is None
    places = list(map(float, crossings(formula, "x", {})))
    assert [place * math.exp(place) for place in places] == pytest.approx([999, 1001])


WINDOW = ("|(e^x-999)(e^x-1001)|", "(e^x-999)(e^x-1001)")


def test_without_the_places_where_signs_change_a_window_is_paid(monkeypatch):
    """The wrong twin: as long as nobody looks at the zeros, all points that are tried agree."""
    one, other = map(parse, WINDOW)
    assert not identity.equal(one, other)
    monkeypatch.setattr(bends, "crossings", lambda *_: [])
    assert identity.equal(one, other)


@pytest.mark.parametrize("text", UNREADABLE)
def test_nothing_is_skipped(text):
    """Catches a text of which a part is read and the rest is thrown away."""
    with pytest.raises(Unreadable):
        parse(text)


def test_the_table_of_engines_is_ours():
    """Catches numbers in answer_engines.csv that do not hold for ours, and tables that any would pass."""
    rows = engines.recorded()
    assert set(rows) == set(engines.ENGINES)
    cases = [row for table in engines.COMPARED for row in pairs(table)]
    verdicts = [
        (row["verdict"] == "equal", compare_answers(row["gold"], row["answer"]).equal) for row in cases
    ]
    own = rows["k2repro"]
    assert int(own["pairs"]) == len(cases)
    assert int(own["false_accepts"]) == sum(paid and not right for right, paid in verdicts)
    assert int(own["false_rejects"]) == sum(right and not paid for right, paid in verdicts)
    for name, row in rows.items():
        if name != "k2repro":
            assert int(row["false_accepts"]) > int(own["false_accepts"])
            assert int(row["false_rejects"]) > int(own["false_rejects"])


RAISED = str.maketrans("0123456789-+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@given(st.integers(-999, 999), st.sampled_from("٠०０𝟎"))
def test_characters_in_place_of_latex_are_the_number_that_they_show(number, zero):
    """Catches raised digits one by one (x^{1}^{2}), a lost sign, a digit of another script left unread."""
    assert plain(f"x{str(number).translate(RAISED)}") == f"x^{{{number}}}"
    assert plain(f"a{str(abs(number)).translate(LOWERED)}") == f"a_{{{abs(number)}}}"
    assert plain(f"√{abs(number)}") == f"\\sqrt{{{abs(number)}}}"
    digits = "".join(chr(ord(zero) + int(digit)) for digit in str(abs(number)))
    assert plain(digits) == str(abs(number))


@pytest.mark.parametrize("mark", ["②", "Ⅻ", "十", "☃", "ɑ", "С", "№", "‰", "½½ⅽ"])
def test_characters_that_only_look_like_it_are_unreadable(mark):
    """Catches a character that is dropped, or taken for the one that it resembles."""
    with pytest.raises(Unreadable):
        tokens(plain(mark))


@pytest.mark.parametrize("floors", [4, 8])
def test_a_tower_of_powers_is_not_multiplied_out(floors):
    """Catches |x - 9^24^24...| whose billions of digits stop the whole training run."""
    tower = "9"
    for _ in range(floors):
        tower = f"({tower})^{{24}}"
    with pytest.raises(Undecided):
        polynomial(parse(f"x-{tower}"), "x", {})
    assert not compare_answers("|x-1|", f"|x-{tower}|").equal


def test_a_polynomial_keeps_its_coefficients():
    """Catches a limit that an ordinary formula meets, and a sign, a quotient or a value that is lost."""
    found = polynomial(parse(r"\frac{(x-3)^2}{2}-y x^3+10^{20}"), "x", {"y": Fraction(1, 3)})
    wanted = [10**20 + Fraction(9, 2), -3, Fraction(1, 2), Fraction(-1, 3)]
    assert [Fraction(int(each.p), int(each.q)) for each in found.coeffs()] == wanted
