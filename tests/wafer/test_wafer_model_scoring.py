"""The bars of the emulator, and the honesty of leaving out: nothing leaks, widths included."""

import tomllib
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from wafer_tables import csv_lines, fitting_sample, median_error, overall, shipped_report

from k2repro.wafer.calibration import fit, widths
from k2repro.wafer.calibration.fit import fit_parameters, log_residuals, make_sample
from k2repro.wafer.calibration.freeze import main, render
from k2repro.wafer.calibration.held_out import forecast_held_out
from k2repro.wafer.calibration.rates import parse_rates
from k2repro.wafer.calibration.score import measure_errors, score_table
from k2repro.wafer.model.intervals import load_widths
from k2repro.wafer.model.parameters import NAMES, PRIORS, Parameters, load_parameters, prior_logs
from k2repro.wafer.model.roofline import step_seconds

HELD_OUT = ["leave one source out", "leave one hardware out"]


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_error_reaches_its_bar(name):
    """An emulator that only knows its own rows: at most 9 % median error, 75 % of rows within 20 %."""
    score = overall(name)
    assert score.rows == 648
    assert score.median_error <= 0.09
    assert score.within_20_percent >= 0.75


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_intervals_cover_what_they_say(name):
    """Intervals that are too sure or say nothing: 80 % intervals cover 75 to 85 % of held-out rows."""
    assert 0.75 <= overall(name).coverage <= 0.85


def test_it_beats_the_published_formulas_side_by_side():
    """A comparison on other rows: same 648 rows, published formulas far behind, our simple model behind."""
    found = {score.name: score for score in shipped_report().baselines}
    ours = overall("leave one source out")
    assert {score.rows for score in found.values()} == {648}
    assert found["plain roofline"].median_error > 1.0
    assert found["LLM-Viewer formulas"].median_error > 10 * ours.median_error
    simple = found.pop("simple model, leave one source out")
    assert simple.median_error > ours.median_error
    assert min(s.median_error for s in found.values()) > 4 * ours.median_error


def leaky_forecast(sample, labels):
    """Wrong twin: parameters of all rows are called held out."""
    everything = fit_parameters(sample)
    return sample.rates * np.exp(log_residuals(sample, everything)), labels


@pytest.mark.parametrize("source", ["Qwen3 SGLang", "gpt-fast"])
def test_a_held_out_source_does_not_touch_its_own_prediction(source):
    """A leak: tripling a source's rates must not move its own held-out predictions or intervals."""
    sample = fitting_sample()
    held = sample.sources == source
    tripled = replace(sample, rates=np.where(held, 3 * sample.rates, sample.rates))
    keep = np.isin(sample.sources, [source, "Qwen2.5 vLLM", "WaferLLM A100", "Apple #4167"])
    before = forecast_held_out(sample.keep(keep), sample.sources[keep], 20)
    after = forecast_held_out(tripled.keep(keep), sample.sources[keep], 20)
    mine = held[keep]
    assert np.allclose(before.rates[mine], after.rates[mine], rtol=1e-4)
    assert np.allclose(before.half_widths[mine], after.half_widths[mine], rtol=1e-3)
    leaked = leaky_forecast(sample.keep(keep), None)[0][mine]
    leaked_after = leaky_forecast(tripled.keep(keep), None)[0][mine]
    assert np.median(np.abs(leaked_after / leaked - 1)) > 0.02


def test_a_leak_would_look_better_than_the_truth():
    """A leave-one-out that refits nothing: it reports a smaller error than leaving out does."""
    sample = fitting_sample()
    scored = np.array([row.purpose == 1 for row in sample.rows])
    leaked = leaky_forecast(sample, sample.sources)[0]
    assert median_error(leaked[scored], sample.rates[scored]) < overall("leave one source out").median_error


def test_the_frozen_file_is_what_the_script_writes():
    """Parameters edited by hand: the fit on the shipped rows gives the shipped file again."""
    shipped = resources.files("k2repro.wafer").joinpath("data/parameters.toml").read_text("utf-8")
    ours, theirs = tomllib.loads(render("2026-11-29")), tomllib.loads(shipped)
    assert ours["fitted_on"] == theirs["fitted_on"]
    for section in ("roofline", "mesh", "simple"):
        for name, value in theirs[section].items():
            assert ours[section][name] == pytest.approx(value, rel=1e-3), name


def test_the_frozen_file_lists_no_wse3_row():
    """WSE-3 fitted after all: no list of fitted rows holds one, and the lists are complete."""
    frozen = tomllib.loads(
        resources.files("k2repro.wafer").joinpath("data/parameters.toml").read_text("utf-8")
    )
    fitted = frozen["fitted_on"]
    assert len(fitted["rows"]) == fitted["row_count"] == len(fitting_sample().rows)
    assert len(fitted["mesh_rows"]) == 12
    assert not {"1200", "1201", "1204", "1205"} & {*fitted["rows"], *fitted["mesh_rows"]}


def test_freeze_wants_a_date(capsys):
    """A file stamped by the clock: without a date nothing is written."""
    assert main([]) == 2
    assert main(["tomorrow"]) == 2
    assert "YYYY-MM-DD" in capsys.readouterr().err


def test_the_fit_recovers_planted_parameters():
    """A gradient with the wrong sign: rates made from shifted parameters are explained by the fit."""
    sample = fitting_sample()
    centre, _ = prior_logs()
    shift = np.zeros(len(NAMES))
    shift[NAMES.index("memory.efficiency")] = -0.15
    shift[NAMES.index("layer.serving")] = 0.5
    planted = Parameters(centre + shift)
    rates = 1 / step_seconds(sample.work, planted)
    found = fit_parameters(replace(sample, rates=rates))
    assert np.median(np.abs(log_residuals(replace(sample, rates=rates), found))) < 0.02
    moved = found.log_values - centre
    assert moved[NAMES.index("memory.efficiency")] == pytest.approx(-0.15, abs=0.06)
    assert moved[NAMES.index("layer.serving")] == pytest.approx(0.5, abs=0.25)


def test_a_parameter_without_rows_stays_at_its_prior():
    """A free parameter drifting on noise: nothing decodes with PyTorch on a CPU in the table."""
    values = load_parameters().as_dict()
    prior = next(p for p in PRIORS if p.name == "layer.torch_cpu")
    assert values[prior.name] == pytest.approx(prior.value, rel=1e-3)


def test_frozen_parameters_are_physically_sensible():
    """A share above one or a negative time: every share lies below 1, every time above 0."""
    for prior in PRIORS:
        value = load_parameters().as_dict()[prior.name]
        assert value > 0
        if "efficiency" in prior.name or prior.name.startswith(("prefill", "decode")):
            assert value < 1, prior.name


def test_one_large_source_does_not_decide_alone(monkeypatch):
    """Rows counted one by one: repeating the largest source four times moves the fit less here."""
    sample = fitting_sample()
    mine = np.flatnonzero(sample.sources == "Argonne")
    rows = [sample.rows[i] for i in [*range(len(sample.rows)), *np.tile(mine, 3)]]

    def movement() -> float:
        moved = fit_parameters(make_sample(rows)).log_values - fit_parameters(sample).log_values
        return float(np.abs(moved).sum())

    ours = movement()
    monkeypatch.setattr(fit, "SOURCE_POWER", 1.0)
    assert ours < 0.85 * movement()


def test_new_things_get_wider_intervals():
    """Certainty about what was never seen: unknown sources, engines and devices widen in order."""
    known = load_widths()
    seen = {"source_known": True, "engine_known": True, "device_known": True}
    for family in known.new_source:
        certain = known.choose(family, **seen)
        assert certain == pytest.approx(known.known_source[family])
        assert known.choose(family, **{**seen, "engine_known": False}) > certain
        assert known.choose(family, **{**seen, "device_known": False}) > certain
    assert known.choose("never calibrated", **seen) == max(known.known_source.values())


def test_weighted_quantile_counts_weights():
    """A quantile that ignores weights: nine tenths of the weight sit on the small value."""
    values, weights = np.array([3.0, 1.0]), np.array([1.0, 9.0])
    assert widths.weighted_quantile(values, weights, 0.8) == 1.0
    assert widths.weighted_quantile(values, np.ones(2), 0.8) == 3.0


def test_errors_are_counted_as_stated():
    """Error relative to the prediction: 50 for 100 is 50 %, 200 for 100 is 100 %."""
    score = measure_errors("x", np.array([50.0, 200, 100]), np.full(3, 100.0), np.full(3, 0.7))
    assert score.median_error == pytest.approx(0.5)
    assert score.within_20_percent == pytest.approx(1 / 3)
    assert score.coverage == pytest.approx(1.0)


def test_a_file_with_one_source_is_predicted_without_it():
    """Leaving out the only source: shipped rows of other sources still predict it, and nothing of it does."""
    rows = csv_lines(
        {"tok_s_per_user": "85"},
        {"tok_s_per_user": "90", "hardware": "H100-SXM", "bandwidth_gbs_per_device": "3350"},
    )
    report = score_table(parse_rates(rows, "small.csv"), "small.csv")
    by_name = {score.name: score for score in report.overall}
    assert by_name["frozen"].rows == 2
    assert by_name["frozen, sources not fitted"].rows == 2
    assert by_name["leave one source out"].rows == 2
    assert by_name["leave one hardware out"].rows == 2
