"""Costs, caches, bandwidth, clocks: what is fitted comes back, what is noise does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.measure import calibrate
from k2repro.measure.bandwidth import Bandwidth, best_read, measure_bandwidth
from k2repro.measure.caches import CpuCache, bandwidth_curve, declared_caches, find_knees, parse_size
from k2repro.measure.calibrate import calibration_shape, chooser, measure_costs, profile_steps
from k2repro.measure.costs import (
    GlueCost,
    LinearCost,
    ProductCost,
    cheapest,
    fit_costs,
    fit_regimes,
    head_product,
    layer_products,
    of_one_pool,
    read_curve,
)
from k2repro.measure.gemm import MatrixRates, bf16_flags, measure_matrix_rates, processor_name
from k2repro.measure.ladder import measured_shapes
from k2repro.measure.matvec import KERNELS, NumpyColumns, NumpyRows
from k2repro.measure.timing import time_call, time_short_call
from k2repro.measure.weights import random_matrices

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40)
SIZES = [(rows, columns) for rows in (64, 300, 1000, 5000) for columns in (64, 300, 1000, 2000)]
BYTES = [4.0 * rows * columns for rows, columns in SIZES]


def seconds_of(cost):
    return [cost.overhead(*size) + cost.per_byte * read for size, read in zip(SIZES, BYTES, strict=True)]


COSTS = st.builds(
    LinearCost,
    st.floats(1e-6, 1e-4),
    st.sampled_from([0.0, 1e-8, 9e-8]),
    st.sampled_from([0.0, 2e-8]),
    st.floats(1e-11, 1e-10),
)


@SETTINGS
@given(COSTS)
def test_a_fit_gives_the_costs_back(cost):
    """Catches a fit that trades bytes for rows, which predicts other shapes wrongly."""
    found, error = fit_costs(SIZES, BYTES, seconds_of(cost))
    assert error < 1e-12
    assert vars(found) == pytest.approx(vars(cost), rel=1e-4, abs=1e-13)


@SETTINGS
@given(COSTS, st.integers(0, 50))
def test_noise_never_makes_a_cost_negative(cost, seed):
    """Catches negative overheads, with which a small model takes less than no time."""
    noise = np.random.default_rng(seed).lognormal(0, 0.3, len(SIZES))
    found, _ = fit_costs(SIZES, BYTES, list(np.array(seconds_of(cost)) * noise))
    assert min(vars(found).values()) >= 0


def test_two_regimes_are_found_and_one_is_not_split():
    """Catches a BLAS that goes from one thread to two being averaged, and noise being split."""
    slow, fast = LinearCost(2e-6, 0, 1e-8, 5e-11), LinearCost(9e-6, 0, 1e-8, 2.5e-11)
    seconds = [
        one if np.prod(size) < 400_000 else two
        for size, one, two in zip(SIZES, seconds_of(slow), seconds_of(fast), strict=True)
    ]
    small, large, split = fit_regimes(SIZES, BYTES, seconds)
    assert 320_000 <= split <= 640_000
    assert small.per_byte == pytest.approx(5e-11) and large.per_byte == pytest.approx(2.5e-11)
    noisy = np.array(seconds_of(slow)) * np.random.default_rng(0).lognormal(0, 0.05, len(SIZES))
    one, other, split = fit_regimes(SIZES, BYTES, list(noisy))
    assert one == other and split == 0


def test_four_costs_need_four_sizes():
    """Catches an underdetermined fit that looks perfect."""
    with pytest.raises(K2ReproError, match="at least four"):
        fit_costs(SIZES[:3], BYTES[:3], [1.0, 2.0, 3.0])


def test_a_curve_ends_at_memory():
    """Catches cache speed for models that are larger than every measured footprint."""
    curve = ((1e6, 0.25), (4e6, 0.75))
    assert read_curve(curve, 5e5) == 0.25
    assert read_curve(curve, 2e6) == pytest.approx(0.5)
    assert read_curve(curve, 4e6) == 1.0
    assert read_curve((), 1.0) == 1.0


def test_the_cheapest_kernel_depends_on_the_matrix():
    """Catches one kernel for all matrices where rows and columns cost differently."""
    rows = ProductCost("rows", 4, LinearCost(0, 5e-8, 0, 4e-11), LinearCost(0, 5e-8, 0, 4e-11), 0)
    columns = ProductCost("columns", 4, LinearCost(0, 0, 5e-8, 4e-11), LinearCost(0, 0, 5e-8, 4e-11), 0)
    assert cheapest((rows, columns), (100, 9000), 1e9).kernel == "rows"
    assert cheapest((rows, columns), (9000, 100), 1e9).kernel == "columns"
    used = {}
    choose = chooser((ProductCost("numpy-rows", 4, rows.small, rows.small, 0),), "fp32", 1e9, used)
    assert isinstance(choose(np.ones((4, 3), np.float32)), NumpyRows)
    assert used == {"numpy-rows": 1}


def test_a_model_keeps_to_one_thread_pool():
    """Catches kernels of two thread pools in one model: each waits by taking the other's cores."""

    def cost(name: str, per_row: float, per_column: float) -> ProductCost:
        linear = LinearCost(0, per_row, per_column, 4e-11)
        return ProductCost(name, 4, linear, linear, 0)

    shape = measured_shapes()[0]
    mixed = (cost("numpy-columns", 0, 5e-8), cost("numpy-rows", 5e-8, 0), cost("torch-bag", 1e-7, 0))
    # One size each would take another pool: the bag wins nowhere, rows and columns both do.
    assert {each.kernel for each in of_one_pool(mixed, shape, 1e9)} == {"numpy-columns", "numpy-rows"}
    fast = (*mixed[:2], cost("torch-bag", 1e-9, 1e-9))
    assert [each.kernel for each in of_one_pool(fast, shape, 1e9)] == ["torch-bag"]


def test_products_are_all_that_a_step_reads():
    """Catches a matrix that is forgotten in the prediction."""
    for shape in measured_shapes():
        elements = sum(rows * columns for rows, columns in layer_products(shape)) * shape.layers
        rows, columns = head_product(shape)
        assert elements + rows * columns == shape.decode_parameters


def test_the_ladder_spans_what_was_asked():
    """Catches a quick ladder that passes for the full one."""
    sizes = [shape.parameters for shape in measured_shapes()]
    assert sizes == sorted(sizes) and 9e6 < sizes[0] < 11e6 and 1.4e9 < sizes[-1] < 1.6e9
    assert measured_shapes(quick=True) == measured_shapes()[:4]
    assert not {shape.hidden for shape in measured_shapes()} & {w[0] for w in calibrate.WIDTHS}


def test_a_profile_counts_every_product_once():
    """Catches time that is counted twice, or as work between the matrices."""
    shape = calibration_shape((64, 1, 128, 300), 2e6, 4.0)
    assert 1.5e6 < 4 * shape.decode_parameters < 2.5e6
    draw = random_matrices(np.random.default_rng(0))
    seen = []

    def kernel(weight):
        product = NumpyColumns(weight)
        seen.append(weight.shape)
        return product

    profile = profile_steps(shape, kernel, draw, context=4, steps=3)
    assert set(profile.products) == {*layer_products(shape), head_product(shape)}
    assert len(seen) == 4 * shape.layers + 1
    assert all(seconds > 0 for seconds in profile.products.values())
    assert profile.rest_per_layer > 0


def test_costs_of_a_precision_predict_its_own_products(monkeypatch):
    """Catches costs whose curve, kernels or glue belong to another precision."""
    monkeypatch.setattr(calibrate, "_LEAST_MEMORY", 3_000_000)
    monkeypatch.setattr(
        calibrate, "QUICK_WIDTHS", ((64, 1, 128, 200), (128, 2, 320, 640), (192, 3, 512, 100))
    )
    told = []
    costs, glue = measure_costs(
        KERNELS["bf16"],
        bytes_per_weight=2.0,
        cache_bytes=400_000,
        context=8,
        draw=random_matrices(np.random.default_rng(0)),
        quick=True,
        tell=told.append,
    )
    assert [cost.kernel for cost in costs] == list(KERNELS["bf16"])
    assert all(cost.bytes_per_weight == 2.0 and len(cost.curve) == 6 for cost in costs)
    for cost in costs:
        relative = [value for _, value in cost.curve]
        assert relative == sorted(relative) and 0 < relative[0] <= relative[-1] <= 1
    assert glue.per_layer + glue.per_value > 0 and len(glue.curve) == 6
    assert any("width 128" in text for text in told)


def test_glue_grows_with_the_width_and_shrinks_in_cache():
    """Catches glue that is charged per step or at memory speed for a cached model."""
    glue = GlueCost(1e-5, 1e-9, 3e-6, ((1e6, 0.5), (2e6, 1.0)))
    small, large = measured_shapes()[0], measured_shapes()[-1]
    assert glue.layer_seconds(large, 1e9) > glue.layer_seconds(small, 1e9)
    assert glue.layer_seconds(small, 5e5) == pytest.approx(0.5 * glue.layer_seconds(small, 1e9))


class FakeClock:
    """Time passes by what the timed function costs."""

    def __init__(self, costs):
        self.now, self.costs = 0.0, iter(costs)

    def clock(self):
        return self.now

    def work(self):
        self.now += next(self.costs)


def test_the_warm_up_is_not_timed():
    """Catches a first call (page faults, compilation) in the median."""
    fake = FakeClock([9.0, 2.0, 1.0, 3.0])
    timing = time_call(fake.work, runs=3, clock=fake.clock)
    assert (timing.best, timing.median, timing.runs) == (1.0, 2.0, 3)
    with pytest.raises(K2ReproError, match="at least 1"):
        time_call(fake.work, runs=0)


def test_short_calls_are_repeated_within_a_run():
    """Catches a repeated call whose time is not divided by its repeats."""
    fake = FakeClock([1e-4] * 1000)
    timing = time_short_call(fake.work, runs=2, per_run=2e-3, clock=fake.clock)
    assert timing.best == pytest.approx(1e-4)


def sysfs(tmp_path, rows):
    for index, (level, kind, size, shared) in enumerate(rows):
        folder = tmp_path / "cpu0" / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)):
            (folder / name).write_text(f"{text}\n")
    return tmp_path


def test_declared_caches_are_read(tmp_path):
    """Catches instruction caches, K for M, and a shared list that is counted as a range end."""
    root = sysfs(
        tmp_path,
        [
            (1, "Data", "32K", "0"),
            (1, "Instruction", "32K", "0"),
            (3, "Unified", "32M", "0-1,4-7"),
            (2, "Unified", "1024K", "0"),
        ],
    )
    assert declared_caches(root) == [
        CpuCache(1, "Data", 32 << 10, 1),
        CpuCache(2, "Unified", 1 << 20, 1),
        CpuCache(3, "Unified", 32 << 20, 6),
    ]
    assert declared_caches(tmp_path / "nothing") == []
    with pytest.raises(K2ReproError, match="12 apples"):
        parse_size("12 apples")


def levels(*parts):
    sizes = np.geomspace(1e5, 1e9, sum(count for _, count in parts))
    values = np.concatenate([np.full(count, gbs) for gbs, count in parts])
    return list(zip(sizes.tolist(), values.tolist(), strict=True))


def test_knees_are_where_bandwidth_falls():
    """Catches a cache size that is off by a level or sits behind the fall."""
    curve = levels((95.0, 6), (60.0, 7), (30.0, 8))
    noisy = [
        (size, gbs * factor)
        for (size, gbs), factor in zip(curve, np.random.default_rng(0).normal(1, 0.02, 21), strict=True)
    ]
    for found in (find_knees(curve), find_knees(noisy)):
        assert [knee.size_bytes for knee in found] == [curve[5][0], curve[12][0]]
        assert found[1].after_gbs == pytest.approx(30, rel=0.05)
    assert find_knees(levels((30.0, 12))) == []
    assert find_knees(levels((30.0, 6), (90.0, 6))) == []
    assert find_knees(curve[:3]) == []


def test_a_real_curve_has_points():
    """Catches a curve of empty calls: sizes that take as long as nothing are left out."""
    curve = bandwidth_curve([64, 4_000_000, 8_000_000], runs=2)
    assert [size for size, _ in curve] == [4_000_000, 8_000_000]
    assert all(0.1 < gbs < 5000 for _, gbs in curve)


def test_bandwidth_counts_the_bytes_of_stream():
    """Catches a triad that is counted as two arrays, or gigabytes of 2^30."""
    results = {result.kernel: result for result in measure_bandwidth(4.0, runs=2)}
    assert set(results) == {"read (sum)", "read (dot)", "copy", "triad"}
    assert all(result.best_gbs >= result.median_gbs > 0 for result in results.values())
    with pytest.raises(K2ReproError, match="positive"):
        measure_bandwidth(0.0, runs=1)


def test_only_reads_from_memory_count_as_read_bandwidth():
    """Catches the bandwidth of a cache, or of writes, as the roof of decoding."""
    results = [
        Bandwidth("read (sum)", 8, 200, 190),
        Bandwidth("read (sum)", 400, 30, 29),
        Bandwidth("read (dot)", 400, 31, 28),
        Bandwidth("triad", 400, 40, 39),
    ]
    assert best_read(results, 128).best_gbs == 31
    with pytest.raises(K2ReproError, match="stay in cache"):
        best_read(results, 1000)


@pytest.mark.parametrize(("fp32", "bf16", "real"), [(100, 240, True), (100, 90, False), (100, 110, False)])
def test_bf16_is_real_when_it_is_faster(fp32, bf16, real):
    """Catches emulated bf16 that is measured as if the hardware multiplied it."""
    assert MatrixRates(512, fp32, bf16, ("avx512_bf16",)).bf16_is_real is real


def test_processor_texts_are_read():
    """Catches flags found in other lines and words that only contain a flag."""
    text = "model name\t: Some CPU\nflags\t\t: fpu avx512_bf16 avx512_bf16x\nbugs\t: amx_bf16\n"
    assert bf16_flags(text) == ("avx512_bf16",)
    assert processor_name(text) == "Some CPU"
    assert bf16_flags("Features\t: fp bf16 i8mm\n") == ("bf16",)


def test_matrix_rates_are_measured():
    """Catches rates in FLOP/s instead of GFLOP/s: a core does between 1 and 100,000."""
    rates = measure_matrix_rates(128, runs=2)
    assert 0.1 < rates.fp32_gflops < 1e5 and 0.1 < rates.bf16_gflops < 1e6
