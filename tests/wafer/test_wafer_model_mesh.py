"""The wafer: fitted on WSE-2 only, right on WSE-3, slower with more cores."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wafer_tables import shipped_table

from k2repro.errors import K2ReproError
from k2repro.wafer import find_device, find_shape, predict
from k2repro.wafer.calibration.flags import wafer_seconds
from k2repro.wafer.calibration.mesh_fit import fit_mesh, leave_one_model_out, mesh_region
from k2repro.wafer.model.mesh import (
    MeshParameters,
    best_cores_per_layer,
    layer_seconds,
    load_mesh_parameters,
    minimum_wafers,
    place,
)


def wse2_rows():
    return [row for row in shipped_table().rates if row.device.name == "WSE-2"]


def no_draft_wse3_rows():
    return [
        row
        for row in shipped_table().rates
        if row.device.name == "WSE-3" and not row.speculative and row.shape_known
    ]


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


def test_both_published_wse3_rates_are_predicted():
    """Parameters that do not carry over: WSE-3 without a draft within 20 per cent, never fitted."""
    rows = no_draft_wse3_rows()
    assert sorted(row.tokens_per_second for row in rows) == [450, 1800]
    for row in rows:
        assert 1 / wafer_seconds(row) == pytest.approx(row.tokens_per_second, rel=0.20)


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
    """The article's reasoning: K2-Think on two wafers is 1,000 times below the bandwidth roofline."""
    found = predict("k2-think", "WSE-3", devices=2)
    assert found.roofline_tokens_per_second > 300_000
    assert 500 < found.tokens_per_second < 800


def test_requests_pipeline_through_the_layers():
    """One request at a time on a wafer: up to one per layer decode at full speed together."""
    one, many, crowd = (
        predict("Llama-3.1-8B", "WSE-3", batch_size=n, context_length=256) for n in (1, 32, 64)
    )
    assert many.tokens_per_second == one.tokens_per_second
    assert many.aggregate_tokens_per_second == pytest.approx(32 * one.tokens_per_second)
    assert crowd.tokens_per_second == pytest.approx(one.tokens_per_second / 2)
