"""Catches: a product whose tiles leave out a row, a column or a term, or whose bits depend on the tiling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.fast.kernels.panels import LINES, PANEL, multiply_panels, packed
from k2repro.fast.kernels.tiles import multiply

SETTINGS = settings(derandomize=True, max_examples=100, deadline=None)
SIZE = st.integers(1, 75)


def drawn(rows: int, inner: int, columns: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    shapes = (rows, inner), (inner, columns), (rows, columns)
    left, right, out = (generator.standard_normal(shape, np.float32) for shape in shapes)
    return left, right, out


@SETTINGS
@given(SIZE, SIZE, SIZE, st.booleans(), st.booleans(), st.integers(0, 2**20))
def test_products_are_those_of_64_bit(rows, inner, columns, across, add, seed):
    """Catches a remainder after whole tiles that is left out, and a left matrix read along the wrong axis."""
    left, right, out = drawn(rows, inner, columns, seed)
    exact = left.astype(np.float64) @ right + (out if add else 0.0)
    multiply(out, left.T.copy().T if across else left, right, (0, rows), columns, (0, inner), add)
    assert np.allclose(out, exact, atol=1e-4)


@SETTINGS
@given(SIZE, SIZE, SIZE, st.data())
def test_only_what_was_asked_for_is_summed_and_written(rows, inner, columns, data):
    """Catches a tile that spills over: into other rows, other columns, or terms outside of the sum."""
    left, right, out = drawn(rows, inner, columns, 1)
    first = data.draw(st.integers(0, rows - 1))
    last = data.draw(st.integers(first + 1, rows))
    wide = data.draw(st.integers(1, columns))
    begin = data.draw(st.integers(0, inner - 1))
    expected = out.copy()
    expected[first:last, :wide] = left[first:last, begin:].astype(np.float64) @ right[begin:, :wide]
    multiply(out, left, right, (first, last), wide, (begin, inner), False)
    assert np.allclose(out, expected, atol=1e-4)
    outside = np.ones(out.shape, bool)
    outside[first:last, :wide] = False
    assert np.array_equal(out[outside], expected[outside])


@SETTINGS
@given(st.integers(1, 20), SIZE, SIZE)
def test_a_row_has_the_same_bits_in_any_tile(rows, inner, columns):
    """Catches a sum whose order depends on how many rows there are: samples would notice their neighbours."""
    left, right, together = drawn(rows, inner, columns, 2)
    multiply(together, left, right, (0, rows), columns, (0, inner), False)
    alone = np.empty_like(together)
    for row in range(rows):
        multiply(alone, left, right, (row, row + 1), columns, (0, inner), False)
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("twin", ["a term less", "the wrong way round"])
def test_wrong_twins_are_seen(twin: str):
    """Catches a comparison that cannot fail."""
    left, right, out = drawn(8, 20, 20, 3)
    exact = left.astype(np.float64) @ right
    if twin == "a term less":
        multiply(out, left, right, (0, 8), 20, (0, 19), False)
    else:
        multiply(out, left, right.T.copy(), (0, 8), 20, (0, 20), False)
    assert not np.allclose(out, exact, atol=1e-2)


@SETTINGS
@given(st.integers(1, 35), st.integers(1, 3 * LINES), SIZE, st.booleans())
def test_panels_give_the_bits_of_tiles(rows, inner, columns, add):
    """Catches a panel, a chunk of its lines or a row that is left out, and a sum in another order."""
    left, right, expected = drawn(rows, inner, columns, 3)
    panels = packed([right, 2 * right])
    found = np.zeros((rows, panels.shape[1] * PANEL), np.float32)
    found[:, :columns] = expected
    multiply(expected, left, right, (0, rows), columns, (0, inner), add)
    multiply_panels(found, left, panels[0], rows, add)
    assert np.array_equal(found[:, :columns], expected) and not found[:, columns:].any()
    multiply_panels(found, left, panels[1], rows, False)
    # Doubling is exact: the second matrix is not the first one.
    assert add or np.array_equal(found[:, :columns], 2 * expected)
