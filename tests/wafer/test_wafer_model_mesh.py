"""The wafer: fitted on WSE-2 only, right on WSE-3, slower with more cores."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wafer_tables import shipped_table

from k2repro.errors import K2ReproError
from k2repro.wafer import Speculation, find_device, find_shape, load_rates, predict
from k2repro.wafer.calibration.flags import predict_rate
from k2repro.wafer.calibration.mesh_fit import fit_mesh, leave_one_model_out, mesh_region, mesh_side
from k2repro.wafer.model.mesh import (
    SMALLEST_SIDE,
    MeshParameters,
    best_cores_per_layer,
    best_placement,
    even_placement,
    layer_seconds,
    load_mesh_parameters,
    minimum_wafers,
    place,
)


def wse2_rows():
    return [row for row in shipped_table().rates if row.device.name == "WSE-2"]


def no_draft_wse3_rows():
    """The two rates of which the vendor says that no draft was used."""
    return [
        row
        for row in load_rates("decode_rates.csv").rates
        if row.device.name == "WSE-3" and not row.speculative and row.shape.experts is None
    ]


def by_public_predict(row, **asked):
    """A row through the function that everybody calls, on the mesh that the row names."""
    return predict(
        row.model,
        row.hardware,
        precision=row.precision.name,
        context_length=row.mean_context,
        devices=row.n_devices,
        check_fit=False,
        **asked,
    )


def test_wafer_rows_go_through_the_public_predict():
    """Scoring with one placement and predicting with another: all twelve rows, median within 5 %."""
    errors = []
    for row in wse2_rows():
        found = by_public_predict(row, mesh_side=mesh_side(row))
        assert found.low <= row.tokens_per_second <= found.high, row.id
        assert found.step_seconds == pytest.approx(predict_rate(row).step_seconds, rel=1e-12)
        errors.append(abs(found.tokens_per_second / row.tokens_per_second - 1))
    assert np.median(errors) <= 0.05


def test_without_a_mesh_the_declared_placement_meets_the_best_rows():
    """A placement that contradicts its data: each model's fastest row, asked without naming its mesh."""
    for model in sorted({row.model for row in wse2_rows()}):
        best = max((row for row in wse2_rows() if row.model == model), key=lambda row: row.tokens_per_second)
        found = by_public_predict(best)
        assert found.tokens_per_second == pytest.approx(best.tokens_per_second, rel=0.05)
        assert found.low <= best.tokens_per_second <= found.high


def test_another_placement_for_predictions_is_caught():
    """Wrong twin: every layer in a region of its own, all cores used, misses 13B by half."""
    row = next(row for row in wse2_rows() if row.model == "Llama-2-13B")
    even = even_placement(row.shape, 850_000, 1, context_length=row.mean_context)
    seconds = row.shape.layers * sum(layer_seconds(even.region, load_mesh_parameters()).values())
    assert 1 / seconds < 0.6 * row.tokens_per_second


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(1, 64), st.floats(0.5, 0.99), st.sampled_from(["k2-think", "Llama-3.1-70B"]))
def test_a_draft_costs_its_verification_on_the_mesh(tokens, acceptance, model):
    """Draft tokens for free on a wafer: a pass that checks more tokens takes longer, each by one load."""
    asked = {"devices": 4, "context_length": 4096}
    plain = predict(model, "WSE-3", **asked)
    drafted = predict(model, "WSE-3", speculation=Speculation(acceptance, tokens), **asked)
    weights = plain.breakdown["load"]
    assert plain.step_seconds < drafted.step_seconds <= plain.step_seconds + 1.001 * tokens * weights
    assert drafted.breakdown["verify"] == pytest.approx(drafted.step_seconds - plain.step_seconds)
    free = plain.tokens_per_second * drafted.tokens_per_step
    assert drafted.tokens_per_second < free


def test_a_free_draft_is_caught():
    """Wrong twin: 64 draft tokens at acceptance .99 would make 50,000 tokens a second for nothing."""
    draft = Speculation(0.99, 64)
    plain, drafted = (
        predict("k2-think", "WSE-3", devices=3, context_length=16_000, speculation=s) for s in (None, draft)
    )
    assert plain.tokens_per_second * draft.expected_tokens > 50_000
    assert drafted.tokens_per_second < 5_000


@pytest.mark.parametrize(
    ("model", "wafers", "published"),
    [("Llama-3.1-70B", 4, 2100), ("Llama-3.1-405B", 21, 969), ("Qwen3-32B", 2, 2600), ("k2-think", 3, 2000)],
)
def test_published_rates_with_drafts_lie_in_their_band(model, wafers, published):
    """A band that excludes what was measured: four draft tokens at the usual acceptance of .8."""
    found = predict(
        model, "WSE-3", devices=wafers, context_length=4096, speculation=Speculation(0.8, 4), check_fit=False
    )
    assert found.low <= published <= found.high


def test_leaving_a_model_out_stays_within_three_per_cent():
    """A form that only interpolates: every model is predicted from the other three."""
    errors = np.abs(np.array(list(leave_one_model_out(wse2_rows()).values())) - 1)
    assert len(errors) == 12
    assert np.median(errors) <= 0.03
    assert errors.max() <= 0.06


def test_a_mesh_without_hops_is_caught():
    """A wafer as pure bandwidth: without the hop term the error grows several times."""
    columns = np.array([[1.0, mesh_region(row).kilobytes_per_core] for row in wse2_rows()])
    seconds = np.array([1 / (row.tokens_per_second * row.shape.layers) for row in wse2_rows()])
    twin = np.linalg.lstsq(columns / seconds[:, None], np.ones(len(seconds)))[0]
    error = np.median(np.abs(columns @ twin / seconds - 1))
    right = np.median(
        [
            abs(
                sum(layer_seconds(mesh_region(row), load_mesh_parameters()).values())
                * row.tokens_per_second
                * row.shape.layers
                - 1
            )
            for row in wse2_rows()
        ]
    )
    assert error > 3 * right


def test_published_wse3_rates_lie_in_the_band_and_not_within_a_fifth():
    """A claim kept by changing the placement: one rule for both wafers over-predicts WSE-3, and says so."""
    rows = no_draft_wse3_rows()
    assert sorted(row.tokens_per_second for row in rows) == [450, 1800]
    for row in rows:
        found = by_public_predict(row)
        assert found.low <= row.tokens_per_second <= found.high
        assert 1.4 < found.tokens_per_second / row.tokens_per_second < 2.0


def test_the_mesh_refuses_rows_of_another_wafer():
    """WSE-3 leaking into the fit: one such row is refused by name."""
    with pytest.raises(K2ReproError, match="WSE-3"):
        fit_mesh([*wse2_rows(), no_draft_wse3_rows()[0]])


def test_the_fit_recovers_known_parameters():
    """A swapped column: rates made from known parameters give them back."""
    truth = MeshParameters(5e-6, 1.2e-8, 6e-7)
    rows = [
        replace(
            row,
            tokens_per_second=1 / (row.shape.layers * sum(layer_seconds(mesh_region(row), truth).values())),
        )
        for row in wse2_rows()
    ]
    found = fit_mesh(rows)
    for name, value in vars(truth).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(("model", "wafers"), [("Llama-3.1-8B", 1), ("Llama-3.1-70B", 4), ("k2-think", 2)])
def test_minimum_wafer_counts(model, wafers):
    """Capacity in the wrong unit: 16-bit weights need 1 wafer for 8B, 4 for 70B, 2 for K2-Think."""
    capacity = find_device("WSE-3").capacity_gb * 1e9
    assert minimum_wafers(find_shape(model), capacity) == wafers
    assert predict(model, "WSE-3", devices=wafers, context_length=512).fits
    if wafers > 1:
        with pytest.raises(K2ReproError, match=f"it needs {wafers}"):
            predict(model, "WSE-3", devices=wafers - 1, context_length=512)


@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Llama-2-13B"])
def test_more_cores_decode_slower(model):
    """Trap 5, a model where more hardware always helps: 660 x 660 cores are slower than 420 x 420."""
    seconds = [
        sum(layer_seconds(place(find_shape(model), side**2), load_mesh_parameters()).values())
        for side in (420, 540, 660)
    ]
    assert seconds == sorted(seconds)
    assert seconds[2] > 1.15 * seconds[0]


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.sampled_from(["Llama-3.1-8B", "Llama-3.1-70B", "k2-think"]), st.floats(0.2, 5.0))
def test_the_best_region_is_the_best(model, factor):
    """A wrong optimum: no other number of cores per layer is faster than the closed form."""
    shape, parameters = find_shape(model), load_mesh_parameters()
    best = best_cores_per_layer(shape, parameters)

    def seconds(cores: float) -> float:
        return sum(layer_seconds(place(shape, cores), parameters).values())

    assert seconds(best) <= seconds(best * factor) * (1 + 1e-12)


def test_bandwidth_alone_is_off_by_hundreds():
    """The article's reasoning: K2-Think on two wafers is hundreds of times below the bandwidth roofline."""
    found = predict("k2-think", "WSE-3", devices=2)
    assert found.roofline_tokens_per_second > 300_000
    assert found.roofline_tokens_per_second > 200 * found.tokens_per_second


def test_requests_pipeline_through_the_regions():
    """One request at a time on a wafer: up to one per region decode at full speed together."""
    one, many, crowd = (
        predict("Llama-3.1-8B", "WSE-3", batch_size=n, context_length=256) for n in (1, 5, 10)
    )
    assert many.tokens_per_second == one.tokens_per_second
    assert many.aggregate_tokens_per_second == pytest.approx(5 * one.tokens_per_second)
    assert crowd.tokens_per_second == pytest.approx(one.tokens_per_second / 2)


def test_a_placement_holds_what_it_says():
    """Regions that overlap or overflow: all layers are dealt out, inside the memory of their cores."""
    placed = best_placement(find_shape("k2-think"), 900_000, 2, context_length=16_000)
    assert placed.fits
    assert placed.regions * placed.layers_per_region >= 64
    assert placed.regions * placed.region.cores <= 2 * 900_000
    assert placed.region.side >= SMALLEST_SIDE


def test_eight_bit_weights_halve_the_memory_and_not_the_load():
    """Bytes charged where multiplications are: K2-Think fits one wafer in 8 bit, at the same load."""
    wide = predict("k2-think", "WSE-3", devices=2)
    narrow = predict("k2-think", "WSE-3", precision="fp8")
    assert narrow.breakdown["load"] == pytest.approx(wide.breakdown["load"], rel=0.01)
