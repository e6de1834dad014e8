"""`k2repro measure`: predicts before it measures, resumes, and writes rows that can be scored."""

import csv
import importlib.resources
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from k2repro.errors import K2ReproError
from k2repro.measure import bandwidth, report
from k2repro.measure.bandwidth import Bandwidth, ReadProbe
from k2repro.measure.caches import CpuCache, Knee
from k2repro.measure.costs import GlueCost, LinearCost, ProductCost
from k2repro.measure.gemm import MatrixRates
from k2repro.measure.jobs import run_job
from k2repro.measure.ladder import measured_shapes
from k2repro.measure.machine import MeasuredMachine, load_machine
from k2repro.measure.neighbours import Neighbours, busy_seconds
from k2repro.measure.render import render_measurement
from k2repro.measure.report import measure_machine
from k2repro.measure.rows import EXTRA, SCHEMA, append_row, read_table, write_table
from k2repro.measure.timing import Timing
from k2repro.measure.worker import run_in_process
from k2repro.processes import thread_variables
from k2repro.wafer.calibration.rates import read_rates
from k2repro.wafer.model.prediction import predict


def product(kernel, width):
    memory = LinearCost(5e-6, 1e-9, 1e-9, 3e-11)
    return ProductCost(kernel, width, memory, memory, 0.0, ((1e7, 0.3), (6e7, 1.0)))


class FakeRunner:
    """Answers every job at once; decodes take `slower` times the step that was predicted."""

    def __init__(self, out, slower=1.0, bf16=250.0, fail_at=None, others=0.01):
        self.out, self.slower, self.bf16, self.fail_at = out, slower, bf16, fail_at
        self.others = others
        self.jobs = []

    def __call__(self, request, threads, tell):
        self.jobs.append(request["job"])
        tell("at work")
        return getattr(self, "_" + request["job"])(request)

    def _bandwidth(self, request):
        return {
            "bandwidth": [asdict(Bandwidth("read (sum)", size, 40.0, 38.0)) for size in request["megabytes"]]
        }

    def _curve(self, request):
        return {"curve": [[size, 90.0 if size < 2e7 else 30.0] for size in request["sizes"]]}

    def _matrix_rates(self, request):
        return {
            "size": request["size"],
            "fp32_gflops": 100.0,
            "bf16_gflops": self.bf16,
            "flags": ["avx512_bf16"],
        }

    def _costs(self, request):
        width = request["bytes_per_weight"]
        name = "numpy-columns" if width == 4 else "torch-bag"
        return {"products": [asdict(product(name, width))], "glue": asdict(GlueCost(2e-5, 1e-9, 5e-6))}

    def _decode(self, request):
        if len([job for job in self.jobs if job == "decode"]) == self.fail_at:
            raise K2ReproError("no memory")
        lines = read_table(self.out / "predictions.csv", ("id",))
        shapes = len(measured_shapes(quick=True))
        assert len(lines) == shapes * (2 if self.bf16 > 125 else 1)
        line = next(
            line
            for line in lines
            if line["model"] == request["shape"]["name"] and line["precision"] == request["precision"]
        )
        rate = float(line["predicted_tok_s"]) / self.slower
        width = 4 if request["precision"] == "fp32" else 2
        shape = next(s for s in measured_shapes() if s.name == request["shape"]["name"])
        return {
            "rates": [rate, 0.8 * rate, 0.9 * rate],
            "reads_gbs": [40.0, 40.0, 20.0],
            "read_bytes": shape.decode_parameters * width,
            "kernels": {"numpy-rows": 5},
            "others_cores": self.others,
        }


def measure(out, runner, **options):
    return measure_machine(out, threads=2, quick=True, run=runner, **options)


def test_every_prediction_is_on_file_before_the_first_decode(tmp_path):
    """Catches predictions that are made, or adjusted, after a rate is known.

    The runner itself looks for all predictions whenever it is asked to decode.
    """
    runner = FakeRunner(tmp_path, slower=1.25)
    found = measure(tmp_path, runner)
    assert runner.jobs[-1] == "decode" and runner.jobs.count("decode") == 8
    assert runner.jobs.index("decode") == len(runner.jobs) - 8
    assert all(float(row["error_percent"]) == pytest.approx(25, abs=0.1) for row in found.rows)
    assert found.median_error_percent == pytest.approx(25, abs=0.1)
    for row in found.rows:
        assert row["predicted_at"] <= row["measured_at"]


def test_predictions_come_from_the_emulator(tmp_path):
    """Catches a second predictor beside `predict`, with which the error bar would be another's."""
    found = measure(tmp_path, FakeRunner(tmp_path))
    shape = measured_shapes()[1]
    row = next(row for row in found.rows if row["model"] == shape.name)
    device = found.machine.device(shape, row["precision"])
    expected = predict(
        shape, device, precision=row["precision"], context_length=64, engine="k2repro CPU decoder"
    )
    assert float(row["predicted_tok_s"]) == pytest.approx(expected.tokens_per_second, rel=1e-3)
    seconds = found.machine.step_seconds(shape, row["precision"])
    assert 1 / expected.tokens_per_second == pytest.approx(seconds, rel=0.02)


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path):
    """Catches minutes of measuring that end in a folder that was never there."""
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    runner = FakeRunner(tmp_path)
    with pytest.raises(K2ReproError, match="cannot write into .*--out"):
        measure(tmp_path / "file", runner)
    assert runner.jobs == []


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    """Catches finished rows that are lost, measured again, or predicted again."""
    broken = FakeRunner(tmp_path, fail_at=4)
    with pytest.raises(K2ReproError, match="no memory"):
        measure(tmp_path, broken)
    rows = read_table(tmp_path / "rates.csv", SCHEMA)
    predictions = (tmp_path / "predictions.csv").read_text()
    assert len(rows) == 3
    second = FakeRunner(tmp_path)
    found = measure(tmp_path, second)
    assert second.jobs == ["decode"] * 5
    assert (tmp_path / "predictions.csv").read_text() == predictions
    assert read_table(tmp_path / "rates.csv", SCHEMA)[:3] == rows
    third = FakeRunner(tmp_path)
    assert measure(tmp_path, third).rows == found.rows and third.jobs == []


def test_a_machine_measured_anew_is_predicted_and_decoded_anew(tmp_path):
    """Catches new predictions that are held against old rates."""
    measure(tmp_path, FakeRunner(tmp_path))
    (tmp_path / "machine-2t-quick.json").unlink()
    second = FakeRunner(tmp_path, bf16=260.0)
    found = measure(tmp_path, second)
    assert second.jobs.count("decode") == 8
    assert len(read_table(tmp_path / "rates.csv", SCHEMA)) == 8
    assert len({row["machine"] for row in found.rows}) == 1


def test_rows_have_the_columns_of_the_shipped_table_and_can_be_read(tmp_path):
    """Catches a renamed column, a rate per millisecond, bytes in the wrong unit."""
    measure(tmp_path, FakeRunner(tmp_path))
    data = importlib.resources.files("k2repro.wafer").joinpath("data/decode_rates.csv")
    shipped = next(csv.reader(data.read_text("utf-8").splitlines()))
    with (tmp_path / "rates.csv").open() as file:
        assert next(csv.reader(file)) == [*shipped, *EXTRA]
    assert tuple(shipped) == SCHEMA
    table = read_rates(tmp_path / "rates.csv")
    assert len(table.rates) == 8 and not table.refused
    for rate in table.rates:
        assert rate.device.device_class == "cpu" and rate.engine.known
        width = 4 if rate.precision.name == "fp32" else 2
        shape = next(s for s in measured_shapes() if s.name == rate.model)
        assert rate.weight_read_gb == pytest.approx(shape.decode_parameters * width / 1e9, rel=1e-3)
        assert rate.tokens_per_second * rate.weight_read_gb < rate.bandwidth_gbs


def test_emulated_bf16_is_not_measured(tmp_path):
    """Catches rows of a precision that the hardware does not have."""
    found = measure(tmp_path, FakeRunner(tmp_path, bf16=110.0))
    assert {row["precision"] for row in found.rows} == {"fp32"}
    assert "emulated" in render_measurement(found)
    with pytest.raises(K2ReproError, match="bf16"):
        found.machine.device(measured_shapes()[0], "bf16")


def test_the_share_of_read_is_taken_run_by_run(tmp_path):
    """Catches the best decode divided by the worst read, which flatters a noisy machine."""
    found = measure(tmp_path, FakeRunner(tmp_path))
    row = found.rows[0]
    rate, read = float(row["tok_s_per_user"]), float(row["weight_read_gb"])
    shares = sorted([rate * read / 40, 0.8 * rate * read / 40, 0.9 * rate * read / 20])
    assert float(row["share_of_read_percent"]) == pytest.approx(100 * shares[1], rel=2e-3)
    assert float(row["roofline_fraction"]) == pytest.approx(rate * read / 40, rel=2e-3)


def test_the_read_beside_a_decode_waits_until_other_threads_sleep(monkeypatch):
    """Catches decodes above 100 % of the read: threads of a BLAS that still spin take the reader's cores."""
    order = []
    monkeypatch.setattr(bandwidth.time, "sleep", lambda seconds: order.append(("sleep", seconds)))
    timing = Timing(1.0, 1.0, 5)
    monkeypatch.setattr(bandwidth, "time_call", lambda call, *, runs: order.append("read") or timing)
    ReadProbe(0.004).gbs()
    assert order == [("sleep", bandwidth.SETTLE_SECONDS), "read"]
    assert bandwidth.SETTLE_SECONDS >= 0.05


def test_a_model_that_does_not_fit_is_left_out_and_said(tmp_path, monkeypatch):
    """Catches a machine that is driven into swap, and a ladder that shrinks without a word."""
    monkeypatch.setattr(report, "available_bytes", lambda: 500_000_000)
    found = measure(tmp_path, FakeRunner(tmp_path))
    assert {row["model"] for row in found.rows} == {s.name for s in measured_shapes()[:3]} | {
        "Qwen2-shape-150M"
    }
    assert len(found.skipped) == 1 and "Qwen2-shape-150M in fp32 needs 0.8 GB" in found.skipped[0]
    assert found.skipped[0] in render_measurement(found)


def test_progress_counts_to_the_end(tmp_path):
    """Catches a progress bar that stops short or runs over."""
    seen = []
    measure(
        tmp_path, FakeRunner(tmp_path), progress=lambda done, total, text: seen.append((done, total, text))
    )
    learning = [done for done, total, _ in seen if total == report.LEARNING_STEPS]
    decoding = [(done, total) for done, total, _ in seen if total != report.LEARNING_STEPS]
    assert learning == sorted(learning) and max(learning) < report.LEARNING_STEPS
    assert decoding == sorted(decoding) and decoding[-1][0] == decoding[-1][1]


def test_the_text_shows_predicted_beside_measured(tmp_path):
    """Catches a summary whose median is not that of its rows."""
    found = measure(tmp_path, FakeRunner(tmp_path, slower=1.1))
    text = render_measurement(found)
    assert text.count("+10.0%") == 8
    assert "beforehand: 10.0 % (8 rows)" in text
    assert "Qwen2-shape-150M in fp32 decodes at" in text


def test_a_busy_machine_is_said(tmp_path):
    """Catches errors that are blamed on the emulator although a neighbour took a core."""
    quiet = measure(tmp_path / "quiet", FakeRunner(tmp_path / "quiet"))
    assert "quiet machine" not in render_measurement(quiet)
    busy = measure(tmp_path / "busy", FakeRunner(tmp_path / "busy", others=0.9))
    assert "used up to 0.9 cores" in render_measurement(busy)
    unknown = measure(tmp_path / "mac", FakeRunner(tmp_path / "mac", others=None))
    assert unknown.rows[0]["others_cores"] == ""
    assert "cores meanwhile" not in render_measurement(unknown)


def test_idle_time_is_not_work():
    """Catches idle ticks counted as busy, which would call every machine busy."""
    text = "cpu  100 10 50 9999 77 3 2 5 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    assert busy_seconds(text, 100.0) == pytest.approx(1.7)
    assert busy_seconds("cpu 100 10 50 9999\n", 100.0) == pytest.approx(1.6)


def test_own_work_is_not_a_neighbour():
    """Catches a decoder that calls itself a busy neighbour."""
    watch = Neighbours(0.0, 0.0, 0.0)
    assert watch.cores() >= 0.0
    found = Neighbours.watch()
    assert found is None or found.cores() >= 0.0


def test_a_machine_file_comes_back_or_is_refused(tmp_path):
    """Catches tuples that come back as lists, and a damaged file that is half read."""
    machine = MeasuredMachine(
        "cpu",
        2,
        25.0,
        "2026-11-24T00:00:00+00:00",
        True,
        40.0,
        (Bandwidth("read (sum)", 400, 40, 39),),
        (CpuCache(3, "Unified", 1 << 25, 2),),
        ((1e6, 90.0),),
        (Knee(1e7, 90.0, 30.0),),
        MatrixRates(512, 100.0, 250.0, ("amx_bf16",)),
        {"fp32": (product("numpy-rows", 4.0),)},
        {"fp32": GlueCost(1e-5, 0.0, 1e-6, ((1e6, 0.5),))},
    )
    path = machine.save(tmp_path / "machine.json")
    assert load_machine(path) == machine
    values = json.loads(path.read_text())
    for broken in ({**values, "format": 99}, {k: v for k, v in values.items() if k != "glue"}, []):
        path.write_text(json.dumps(broken))
        with pytest.raises(K2ReproError, match="measure again"):
            load_machine(path)


def test_a_cached_model_is_predicted_faster_per_byte():
    """Catches a prediction that reads a cached model at the speed of memory."""
    machine = MeasuredMachine(
        "cpu",
        1,
        25.0,
        "",
        True,
        40.0,
        (),
        (),
        (),
        (),
        MatrixRates(512, 100.0, 250.0, ()),
        {"fp32": (product("numpy-rows", 4.0),)},
        {"fp32": GlueCost(1e-5, 0.0, 1e-6)},
    )
    small, large = measured_shapes()[0], measured_shapes()[-1]
    assert machine.device(small, "fp32").bandwidth_gbs > machine.device(large, "fp32").bandwidth_gbs
    tiny = replace(small, layers=2, vocab=512)
    assert machine.device(tiny, "fp32").bandwidth_gbs == pytest.approx(1 / 0.3 / 3e-11 / 1e9)


def test_strange_tables_and_threads_are_refused(tmp_path):
    """Catches a user's file that is overwritten because it has the same name."""
    (tmp_path / "rates.csv").write_text("a,b\n1,2\n")
    with pytest.raises(K2ReproError, match="lacks the column"):
        append_row(tmp_path / "rates.csv", {"id": "x"})
    assert (tmp_path / "rates.csv").read_text() == "a,b\n1,2\n"
    for call in (lambda: measure_machine(tmp_path, threads=0), lambda: thread_variables(0)):
        with pytest.raises(K2ReproError, match="threads = 0"):
            call()


def test_a_row_replaces_the_row_of_its_id(tmp_path):
    """Catches a table in which one model is measured twice."""
    path = tmp_path / "rates.csv"
    for rate in ("1", "2"):
        append_row(path, {**dict.fromkeys((*SCHEMA, *EXTRA), ""), "id": "a", "tok_s_per_user": rate})
    assert [row["tok_s_per_user"] for row in read_table(path, SCHEMA)] == ["2"]
    write_table(path, ("id",), [])
    assert path.read_text() == "id\n"


def test_a_decode_job_measures_a_real_model(tmp_path):
    """Catches a job whose result lacks what the row needs."""
    shape = replace(measured_shapes()[0], name="tiny", layers=2, vocab=2048)
    found = run_job(
        {
            "job": "decode",
            "shape": asdict(shape),
            "precision": "fp32",
            "products": [asdict(product("numpy-columns", 4.0))],
            "context": 8,
            "tokens": 3,
            "runs": 2,
            "probe_megabytes": 8,
        }
    )
    assert found["read_bytes"] == 4 * shape.decode_parameters
    assert found["kernels"] == {"numpy-columns": 9}
    assert len(found["rates"]) == len(found["reads_gbs"]) == 2
    assert min(found["rates"]) > 0


def test_a_process_of_its_own_has_its_own_threads(tmp_path):
    """Catches a thread count that is set after the BLAS has read its own."""
    told = []
    found = run_in_process({"job": "curve", "sizes": [4_000_000], "runs": 1}, 1, told.append)
    assert found["curve"][0][0] == 4_000_000 and told
    assert thread_variables(3)["OPENBLAS_NUM_THREADS"] == "3"
    with pytest.raises(K2ReproError, match="unknown measurement 'curv'"):
        run_in_process({"job": "curv"}, 1)


def test_a_dying_process_is_an_error_with_a_cause():
    """Catches an empty result when a measurement is killed for its memory."""
    with pytest.raises(K2ReproError, match="ended with code 1"):
        run_in_process({"job": "curve"}, 1)


def test_importing_the_room_does_not_import_torch():
    """Catches a slow `k2repro --help`: the room loads torch only when it measures."""
    source = Path(report.__file__).parent
    for path in source.glob("*.py"):
        top = [line for line in path.read_text().splitlines() if line.startswith(("import", "from"))]
        assert not any("torch" in line for line in top), path.name
