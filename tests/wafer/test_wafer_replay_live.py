"""The live race and the text of the commands; no test waits for a clock."""

import json

import numpy as np
import pytest

from k2repro.errors import K2ReproError
from k2repro.wafer.commands import Hardware, emulate, parse_lane, race, replay_file
from k2repro.wafer.model.names import find_config
from k2repro.wafer.model.prediction import predict
from k2repro.wafer.replay.live import Lane, draw_frame, lane_at_rate, race_frames, run_race
from k2repro.wafer.replay.trace import CallLengths, k2_think_answer_trace
from k2repro.wafer.replay.trace_file import write_trace


class FakeTime:
    """A clock that moves when somebody sleeps, and by `cost` whenever it is read."""

    def __init__(self, cost=0.0):
        self.now, self.cost, self.slept = 100.0, cost, []

    def clock(self):
        self.now += self.cost
        return self.now

    def sleep(self, seconds):
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds


LANES = [lane_at_rate("slow", 20, 100), lane_at_rate("fast", 2000, 100)]


def test_a_race_shows_what_the_clock_says():
    """Catches counts that follow the number of frames drawn instead of the time that passed."""
    fake = FakeTime()
    frames = list(run_race(LANES, seconds=2.0, frames_per_second=10, clock=fake.clock, sleep=fake.sleep))
    assert [round(frame.seconds, 6) for frame in frames] == [round(0.1 * i, 6) for i in range(21)]
    for frame in frames:
        assert frame.counts[0] == pytest.approx(20 * frame.seconds, abs=1.0001)
        assert frame.counts[1] == min(100, round(2000 * frame.seconds))
    assert frames[-1].finished == (False, True)


def test_a_slow_terminal_skips_frames_and_stays_in_time():
    """Catches a race that runs late by the time that drawing takes."""
    fake = FakeTime(cost=0.04)
    frames = list(run_race(LANES, seconds=2.0, frames_per_second=50, clock=fake.clock, sleep=fake.sleep))
    assert len(frames) < 60
    assert fake.now - 100.0 < 2.5
    assert frames[-1].seconds == 2.0 and frames[-1].counts[0] == 40


def test_a_race_ends_when_all_have_finished():
    """Catches a reader who waits for an empty stage."""
    fake = FakeTime()
    frames = list(run_race([lane_at_rate("a", 100, 10)], seconds=60, clock=fake.clock, sleep=fake.sleep))
    assert frames[-1].seconds == pytest.approx(0.1, abs=0.06)
    assert all(frames[-1].finished)


def test_frames_without_a_clock_are_those_of_the_race():
    """Catches an animation that differs from the live race."""
    fake = FakeTime()
    live = list(run_race(LANES, seconds=1.0, frames_per_second=8, clock=fake.clock, sleep=fake.sleep))
    assert race_frames(LANES, seconds=1.0, frames_per_second=8) == live


def test_lanes_and_races_refuse_nonsense():
    """Catches zero rates and falling times, which would hang or run backwards."""
    for call, rule in (
        (lambda: lane_at_rate("x", 0.0, 5), "above zero"),
        (lambda: lane_at_rate("x", float("nan"), 5), "above zero"),
        (lambda: lane_at_rate("x", 5, 0), "above zero"),
        (lambda: Lane("x", np.array([1.0, 0.5])), "never falls"),
        (lambda: Lane("x", np.array([])), "non-empty"),
        (lambda: race_frames([], seconds=1, frames_per_second=1), "at least one lane"),
        (lambda: race_frames(LANES, seconds=0, frames_per_second=1), "above zero"),
    ):
        with pytest.raises(K2ReproError, match=rule):
            call()


def test_a_drawn_frame_names_every_lane():
    """Catches a picture whose bars do not belong to its counts."""
    text = draw_frame(LANES, race_frames(LANES, seconds=1.0, frames_per_second=1)[-1], width=10)
    assert text.splitlines() == [
        "slow  [##........]      20 of 100  20 tok/s",
        "fast  [##########]     100 of 100  done in 0.1 s",
        "   1.0 s",
    ]


def test_lanes_are_rates_or_predictions():
    """Catches a lane whose label and speed come from different predictions."""
    assert parse_lane("200", 50).times[-1] == pytest.approx(0.25)
    lane = parse_lane("k2-think@WSE-3x3", 1000)
    rate = predict("k2-think", "WSE-3", devices=3, context_length=500).tokens_per_second
    assert 1000 / lane.times[-1] == pytest.approx(rate)
    assert lane.name.startswith("k2-think@WSE-3x3")
    for text, rule in (("fast", "neither a rate"), ("-5", "above zero"), ("k2-think@Abacus", "device")):
        with pytest.raises(K2ReproError, match=rule):
            parse_lane(text, 100)


def test_the_race_command_redraws_in_place():
    """Catches a picture that scrolls: every redraw must go up by the lines it wrote."""
    fake, written = FakeTime(), []
    last = race(
        ["20", "2000"], tokens=100, seconds=0.3, write=written.append, clock=fake.clock, sleep=fake.sleep
    )
    lines = last.count("\n") + 1
    assert written[-1] == last + "\n"
    assert all(text == "\x1b[1A\x1b[2K" * lines for text in written[1::2])
    for tokens in (0, 10**17):
        with pytest.raises(K2ReproError, match="a race is run over 1 to 10,000,000"):
            race(["20"], tokens=tokens, write=written.append)


def test_emulate_prints_what_predict_says():
    """Catches text that shows another interval, bound or device count than the prediction."""
    found = predict("k2-think", "H100-SXM", devices=8, batch_size=4, context_length=2048)
    text = emulate("k2-think", Hardware("H100-SXM", devices=8), batch=4, context=2048)
    assert f"{found.tokens_per_second:.0f} tok/s per sequence" in text
    assert f"{found.aggregate_tokens_per_second:,.0f} tok/s of the whole batch" in text
    assert f"waits for {found.bound}" in text
    shares = [float(line.split()[-2]) for line in text.splitlines() if line.endswith(" %")]
    assert sum(shares) == pytest.approx(100, abs=0.6)
    values = json.loads(emulate("k2-think", Hardware("8xH100"), batch=4, context=2048, as_json=True))
    assert values["tokens_per_second"] == found.tokens_per_second
    assert sum(values["breakdown"].values()) == pytest.approx(values["step_seconds"])


def test_emulate_reads_a_config_file(tmp_path):
    """Catches a model path that is looked up as a name."""
    from k2repro.architecture import ModelConfig

    config = ModelConfig.preset("k2-think")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config.to_dict()))
    assert find_config(str(path)).decode_parameters == find_config("k2-think").decode_parameters


def test_emulate_says_how_many_devices_are_missing():
    """Catches a rate for a model that does not fit its device."""
    with pytest.raises(K2ReproError, match="it needs 2"):
        emulate("k2-think", Hardware("WSE-3"))


@pytest.fixture
def trace_path(tmp_path):
    trace = k2_think_answer_trace(
        samples=[CallLengths(500, 900)] * 3,
        topics=CallLengths(200, 50),
        plan=CallLengths(200, 80),
        judge=CallLengths(900, 40),
    )
    return write_trace(trace, tmp_path / "answer.jsonl")


def test_replay_file_prints_latency_and_parts(trace_path):
    """Catches a report whose parts do not add up to its latency."""
    values = json.loads(
        replay_file(trace_path, model="k2-think", hardware=Hardware("WSE-3", devices=3), as_json=True)
    )
    assert sum(values["breakdown"].values()) == pytest.approx(values["seconds"])
    assert values["latency"]["low"] < values["seconds"] < values["latency"]["high"]
    assert values["tokens"] == 3 * (900 + 50 + 80) + 2 * 40
    text = replay_file(trace_path, model="k2-think", hardware=Hardware("WSE-3", devices=3))
    assert "solve: decode" in text and "first solver token" in text


def test_replay_file_takes_another_planner(trace_path):
    """Catches planner options that are accepted and then ignored."""
    text = replay_file(
        trace_path,
        model="k2-think",
        hardware=Hardware("WSE-3", devices=3),
        planner_model="Qwen2.5-7B",
        planner_device="H100-SXM",
    )
    assert "Qwen2.5-7B on 1 x H100-SXM" in text and "Qwen2.5-32B on 3 x WSE-3" in text


def test_replay_file_names_the_broken_line(trace_path):
    """Catches an error that leaves the reader to search a file of ten thousand lines."""
    lines = trace_path.read_text().splitlines()
    lines[2] = lines[2].replace("planner", "planer")
    trace_path.write_text("\n".join(lines))
    with pytest.raises(K2ReproError, match="answer.jsonl, line 3: unknown role 'planer'"):
        replay_file(trace_path, model="k2-think", hardware=Hardware("WSE-3", devices=3))
