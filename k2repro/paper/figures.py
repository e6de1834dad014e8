"""Series behind the paper's figures, as typed points; what was not readable stays absent.

Figure 1 is a scatter read off a picture; Figures 2 and 3 exist only as single levels that other texts
quote, so their points have no x; Figure 4 is eight curves digitised from a screenshot.
"""

from dataclasses import dataclass

from k2repro.errors import K2ReproError, unknown
from k2repro.paper.facts import Fact, FactBook
from k2repro.paper.loading import load_facts

FIGURE_1 = "fig1_math_composite_scatter"
SCALARS = "fig2_3_4_scalars"
FIGURE_4 = "fig4_rl_curves"
# Facts that give a level of Figures 2 and 3, and the tier of mini-K2 that stands beside its benchmark.
PLATEAUS = {
    "tier-1": f"{SCALARS}/Fig 2 SFT pass@1/AIME 2024 plateau",
    "tier-2": f"{SCALARS}/Fig 2 SFT pass@1/AIME 2025 plateau",
}
SATURATION = f"{SCALARS}/Fig 3 pass@k/AIME 2024 saturation (SFT)"


@dataclass(frozen=True)
class FigurePoint:
    """One point of a figure: label, x (None where no source gives it), and the fact that holds y."""

    label: str
    x: float | None
    y: float
    fact: Fact


@dataclass(frozen=True)
class FigureSeries:
    """One line or cloud of a figure."""

    name: str
    points: tuple[FigurePoint, ...]

    @property
    def xs(self) -> list[float | None]:
        return [point.x for point in self.points]

    @property
    def ys(self) -> list[float]:
        return [point.y for point in self.points]

    @property
    def start(self) -> FigurePoint:
        return self.points[0]

    @property
    def last(self) -> FigurePoint:
        return self.points[-1]

    @property
    def peak(self) -> FigurePoint:
        """The highest point, the earliest of equals."""
        return max(self.points, key=lambda point: point.y)


def figure_series(n: int, book: FactBook | None = None) -> tuple[FigureSeries, ...]:
    """The series of Figure `n` (1 to 4); raises K2ReproError for any other."""
    book = book or load_facts()
    if n == 1:
        return (_scatter(book),)
    if n in (2, 3):
        return (_levels(n, book),)
    if n == 4:
        return tuple(curve(name, book) for name in dict.fromkeys(f.row for f in book.in_table(FIGURE_4)))
    raise unknown("figure", n, map(str, range(1, 5)))


def curve(name: str, book: FactBook) -> FigureSeries:
    """One curve of Figure 4 by its row name, not traced; raises K2ReproError for unknown names."""
    facts = [fact for fact in book.in_table(FIGURE_4) if fact.row == name]
    if not facts:
        raise unknown("curve of Figure 4", name, {f.row for f in book.in_table(FIGURE_4)})
    points = [
        FigurePoint(fact.column, float(fact.column), float(fact.printed), fact)
        for fact in sorted(facts, key=lambda fact: float(fact.column))
    ]
    return FigureSeries(name, tuple(points))


def _scatter(book: FactBook) -> FigureSeries:
    score, size = "Math Composite", "Total parameters"
    facts = [fact for fact in book.in_table(FIGURE_1) if fact.column == score]
    points = tuple(
        FigurePoint(fact.row, book.number(f"{FIGURE_1}/{fact.row}/{size}"), book.number(fact.key), fact)
        for fact in facts
    )
    return FigureSeries(score, points)


def _levels(n: int, book: FactBook) -> FigureSeries:
    facts = [fact for fact in book.in_table(SCALARS) if fact.row.startswith(f"Fig {n} ")]
    if not facts:
        raise K2ReproError(f"no level of Figure {n} is recorded")
    points = tuple(FigurePoint(fact.column, None, book.number(fact.key), fact) for fact in facts)
    return FigureSeries(facts[0].row.removeprefix(f"Fig {n} "), points)
