"""Replaying a trace: against a step-by-step loop over `predict`, and by what must always hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wafer_tables import trace_from_lengths

from k2repro.errors import K2ReproError
from k2repro.wafer.model.device_names import find_device
from k2repro.wafer.model.prediction import predict, predict_prefill
from k2repro.wafer.model.speculation import Speculation
from k2repro.wafer.replay import replayer
from k2repro.wafer.replay.replayer import Servers, replay, throughput_curve
from k2repro.wafer.replay.step_times import Server
from k2repro.wafer.replay.trace import CallLengths, Phase, Request, Stream, Trace, k2_think_answer_trace

SETTINGS = settings(deadline=None, derandomize=True, max_examples=25)
H100 = Server("k2-think", "H100-SXM", devices=4)
WAFER = Server("k2-think", "WSE-3", devices=3)
DESKTOP = replace(find_device("Ryzen-7950X-effective"), peak_tflops={"bf16": 2.0})
CPU = Server("Qwen2.5-0.5B", DESKTOP, precision="bf16", engine="torch CPU")
EAGER = Server("Qwen2.5-7B", "A100-80GB-SXM", engine="transformers")
SERVERS = st.sampled_from([H100, WAFER, CPU, EAGER])


@st.composite
def streams(draw, draft=0):
    """A short sequence with any accepted lengths the draft allows."""
    runs = draw(st.lists(st.tuples(st.integers(1, draft + 1), st.integers(1, 6)), min_size=1, max_size=3))
    return Stream(draw(st.integers(1, 3000)), tuple(runs))


@st.composite
def traces(draw):
    """A planner phase, a fan-out with or without a draft, a judge."""
    draft = draw(st.sampled_from([0, 3]))
    fan = draw(st.lists(streams(draft), min_size=1, max_size=4))
    return Trace(
        (
            Request(
                "r",
                "",
                (
                    Phase("plan", "planner", (draw(streams()),)),
                    Phase("solve", "solver", tuple(fan), draft),
                    Phase("judge-1", "judge", (draw(streams()),)),
                ),
            ),
        )
    )


def ask(server, batch, context, speculation=None):
    return predict(
        server.model,
        server.device,
        precision=server.precision,
        devices=server.devices,
        engine=server.engine,
        batch_size=batch,
        context_length=context,
        speculation=speculation,
    ).step_seconds


def by_loop(server, phase):
    """The decode seconds of a phase, one `predict` per step: slow and independent of the arrays."""
    contexts = [stream.prompt_tokens for stream in phase.streams]
    plans = [
        [tokens for tokens, times in stream.growth or stream.accepted for _ in range(times)]
        for stream in phase.streams
    ]
    draft = Speculation(1.0, phase.draft_tokens) if phase.draft_tokens else None
    seconds = 0.0
    for step in range(max(map(len, plans))):
        live = [i for i, plan in enumerate(plans) if step < len(plan)]
        seconds += ask(server, len(live), sum(contexts[i] for i in live) / len(live), draft)
        for i in live:
            contexts[i] += plans[i][step]
    return seconds


@SETTINGS
@given(traces(), SERVERS)
def test_a_replay_is_the_sum_of_its_steps(trace, server):
    """Catches array code that loses a step, a growing context, a finished sample or the draft."""
    timeline = replay(trace, server)
    for phase, timing in zip(trace.requests[0].phases, timeline.phases, strict=True):
        assert timing.decode_seconds == pytest.approx(by_loop(server, phase), rel=2e-3)
        mean = sum(stream.prompt_tokens for stream in phase.streams) / len(phase.streams)
        assert timing.prefill_seconds == pytest.approx(
            predict_prefill(
                server.model,
                server.device,
                prompt_tokens=mean,
                precision=server.precision,
                batch_size=len(phase.streams),
                devices=server.devices,
                engine=server.engine,
            ).seconds
        )


def frozen_context(streams):
    batch = ORIGINAL_GATHER(streams)
    return replace(batch, context=np.full_like(batch.context, batch.context[0]))


def full_batch(streams):
    batch = ORIGINAL_GATHER(streams)
    return replace(batch, live=np.full_like(batch.live, len(streams)))


def context_sum(streams):
    batch = ORIGINAL_GATHER(streams)
    return replace(batch, context=batch.context * batch.live)


ORIGINAL_GATHER = replayer._gather


@pytest.mark.parametrize("mutant", [frozen_context, full_batch, context_sum])
def test_the_loop_catches_wrong_twins(mutant, monkeypatch):
    """Catches a comparison so loose that a frozen context or an undying sample passes it."""
    phase = Phase(
        "solve", "solver", (Stream(5000, ((1, 100),), growth=((700, 100),)), Stream(9000, ((1, 30),)))
    )
    trace = Trace((Request("r", "", (phase,)),))
    expected = by_loop(H100, phase)
    assert replay(trace, H100).phases[0].decode_seconds == pytest.approx(expected, rel=1e-6)
    monkeypatch.setattr(replayer, "_gather", mutant)
    wrong = replay(trace, H100).phases[0].decode_seconds
    assert abs(wrong / expected - 1) > 2e-3


@SETTINGS
@given(traces(), SERVERS, st.sampled_from(["batch", "sequential"]))
def test_the_total_is_the_sum_of_its_phases(trace, server, policy):
    """Catches phases that overlap or leave gaps, and tokens that appear or vanish."""
    timeline = replay(trace, server, policy=policy)
    assert timeline.seconds == pytest.approx(timeline.phases[-1].end, rel=1e-9)
    assert timeline.seconds == pytest.approx(sum(timeline.breakdown().values()), rel=1e-9)
    assert timeline.tokens == trace.output_tokens
    for before, after in zip(timeline.phases, timeline.phases[1:], strict=False):
        assert after.start == pytest.approx(before.end, rel=1e-9)
    for phase in timeline.phases:
        assert phase.step_tokens.sum() == phase.tokens
        assert (np.diff(phase.step_ends) > 0).all()
        assert phase.step_ends[-1] == pytest.approx(phase.end, rel=1e-9)


@SETTINGS
@given(traces(), SERVERS)
def test_the_first_token_comes_before_the_last(trace, server):
    """Catches a time to first token that forgets the planner or counts from the wrong start."""
    timeline = replay(trace, server)
    first, last = timeline.time_to_first_token(), timeline.latency()
    plan = timeline.phases[0]
    assert plan.seconds < first.value <= last.value
    assert first.low <= first.value <= first.high
    assert last.low < last.value < last.high


@SETTINGS
@given(traces(), SERVERS)
def test_a_batch_is_never_slower_than_taking_turns(trace, server):
    """Catches batches that pay for the weights once per sequence."""
    together, in_turn = replay(trace, server), replay(trace, server, policy="sequential")
    assert together.seconds <= in_turn.seconds * (1 + 1e-9)
    if len(trace.requests[0].phases[1].streams) == 1:
        assert together.seconds == pytest.approx(in_turn.seconds)


@SETTINGS
@given(traces(), st.floats(1.0, 8.0))
def test_a_faster_device_is_never_slower(trace, factor):
    """Catches a time that grows with bandwidth, arithmetic or link speed."""
    slow = find_device("H100-SXM")
    fast = replace(
        slow,
        bandwidth_gbs=slow.bandwidth_gbs * factor,
        peak_tflops={key: value * factor for key, value in slow.peak_tflops.items()},
    )
    before = replay(trace, replace(H100, device=slow)).seconds
    assert replay(trace, replace(H100, device=fast)).seconds <= before * (1 + 1e-9)


def test_accepted_draft_tokens_save_time():
    """Catches a replay that pays one step per token although a step brought several."""
    plain = trace_from_lengths(1000, [4000])
    draft = Trace((Request("r", "", (Phase("solve", "solver", (Stream(1000, ((4, 1000),)),), 3),)),))
    rejected = Trace((Request("r", "", (Phase("solve", "solver", (Stream(1000, ((1, 4000),)),), 3),)),))
    seconds = {
        name: replay(trace, H100).phases[0].decode_seconds
        for name, trace in (("plain", plain), ("draft", draft), ("rejected", rejected))
    }
    assert seconds["plain"] / 4.2 < seconds["draft"] < seconds["plain"] / 3.5
    assert seconds["rejected"] >= seconds["plain"]


def test_a_draft_model_is_paid_for():
    """Catches drafts that cost nothing although their model was named."""
    trace = Trace((Request("r", "", (Phase("solve", "solver", (Stream(1000, ((3, 50),)),), 4),)),))
    free = replay(trace, H100).phases[0].decode_seconds
    named = replay(trace, replace(H100, draft="Qwen2.5-0.5B")).phases[0].decode_seconds
    ratio = replay(trace, replace(H100, draft_cost_ratio=0.1)).phases[0].decode_seconds
    one = predict("Qwen2.5-0.5B", "H100-SXM", devices=4, context_length=1075).step_seconds
    assert named - free == pytest.approx(50 * 4 * one, rel=0.01)
    # The cost of a draft is counted in target steps of one token (theorem 3.8), not in longer passes.
    plain = predict(H100.model, "H100-SXM", devices=4, engine=H100.engine, context_length=1075).step_seconds
    assert ratio - free == pytest.approx(50 * 4 * 0.1 * plain, rel=0.01)


def test_planner_and_judge_run_where_they_are_told():
    """Catches a judge that is timed on the solver's device."""
    trace = k2_think_answer_trace(
        samples=[CallLengths(500, 300)] * 3,
        topics=CallLengths(200, 50),
        plan=CallLengths(200, 80),
        judge=CallLengths(900, 40),
    )
    timeline = replay(trace, Servers(WAFER, planner=EAGER))
    assert [phase.server for phase in timeline.phases] == [
        EAGER.describe(),
        EAGER.describe(),
        WAFER.describe(),
        EAGER.describe(),
        EAGER.describe(),
    ]
    own_judge = replay(trace, Servers(WAFER, planner=EAGER, judge=H100))
    assert own_judge.phases[-1].server == H100.describe()
    assert own_judge.phases[0].server == EAGER.describe()


def test_energy_is_power_times_time_or_unknown():
    """Catches joules of one card for several, and a zero where the power is not known."""
    trace = trace_from_lengths(100, [50])
    timeline = replay(trace, H100)
    assert timeline.joules == pytest.approx(4 * 700 * timeline.seconds)
    unknown_power = replace(find_device("H100-SXM"), tdp_w=None)
    assert replay(trace, replace(H100, device=unknown_power)).joules is None


def test_more_users_raise_throughput_and_wait_longer():
    """Catches copies that are counted in tokens but not in time, or the other way round."""
    points = throughput_curve(trace_from_lengths(500, [200, 150]), H100, [1, 2, 8, 32])
    rates = [point.tokens_per_second for point in points]
    waits = [point.latency_seconds for point in points]
    assert rates == sorted(rates) and waits == sorted(waits)
    assert rates[1] < 2 * rates[0] and rates[-1] > 4 * rates[0]
    energy = [point.joules_per_token for point in points]
    assert energy == sorted(energy, reverse=True)


def test_a_curve_ends_where_memory_ends():
    """Catches a throughput that grows on although the caches no longer fit."""
    server = Server("k2-think", "H100-SXM", devices=2)
    points = throughput_curve(trace_from_lengths(30_000, [200]), server, [1, 2, 4, 64, 256])
    assert 1 <= len(points) < 5
    with pytest.raises(K2ReproError, match="does not fit"):
        throughput_curve(trace_from_lengths(30_000, [200]), server, [256])


def test_a_trace_that_does_not_fit_says_what_it_needs():
    """Catches a replay of weights and caches that no such device can hold."""
    with pytest.raises(K2ReproError, match="needs 3"):
        replay(trace_from_lengths(1000, [64_000] * 3), Server("k2-think", "WSE-3"))
    # It starts to fit too little only late in the decode: the fullest moment counts.
    with pytest.raises(K2ReproError, match="does not fit"):
        replay(trace_from_lengths(10, [200_000]), Server("k2-think", "H100-SXM"))


def test_bad_arguments_are_named():
    """Catches typos that silently mean the default."""
    trace = trace_from_lengths(10, [5])
    for call, rule in (
        (lambda: replay(trace, H100, policy="bach"), "batch"),
        (lambda: replay(trace, H100, copies=0), "copies"),
        (lambda: Server("k2-think", "WSE-3", draft_cost_ratio=-1.0), "negative"),
        (lambda: replay(trace, H100).tokens_over_time(0), "points"),
        (
            lambda: replay(Trace((Request("r", "", (Phase("solve", "solver", (Stream(3, ()),)),)),)), H100),
            "no time",
        ),
    ):
        with pytest.raises(K2ReproError, match=rule):
            call()


def test_tokens_over_time_holds_every_token():
    """Catches bins that drop the last token or count a phase in the wrong place."""
    timeline = replay(
        k2_think_answer_trace(
            samples=[CallLengths(500, 3000)] * 3,
            topics=None,
            plan=CallLengths(200, 800),
            judge=CallLengths(900, 400),
        ),
        H100,
    )
    times, rates = timeline.tokens_over_time(64)
    width = timeline.seconds / 64
    assert rates.sum() * width == pytest.approx(timeline.tokens, rel=1e-6)
    solve = timeline.phases[1]
    inside = (times > solve.start + solve.prefill_seconds + width) & (times < solve.end - width)
    assert rates[inside].mean() == pytest.approx(solve.tokens_per_second, rel=0.02)


def test_requests_follow_each_other():
    """Catches a second request that starts at zero again."""
    one = trace_from_lengths(10, [5]).requests[0]
    trace = Trace((one, replace(one, id="r2")))
    timeline = replay(trace, H100)
    assert timeline.requests() == ["request-1", "r2"]
    first, second = timeline.phases
    assert second.start == pytest.approx(first.end) == pytest.approx(timeline.seconds / 2)
