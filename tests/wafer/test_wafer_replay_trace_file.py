"""The trace file: what is written is read, and a broken line is named."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wafer_tables import trace_from_lengths

from k2repro.errors import K2ReproError
from k2repro.wafer.replay.trace import (
    STOP_REASONS,
    CallLengths,
    Phase,
    Request,
    Stream,
    Trace,
    decode_runs,
    k2_think_answer_trace,
    plain_stream,
)
from k2repro.wafer.replay.trace_events import extend_runs
from k2repro.wafer.replay.trace_file import parse_trace, read_trace, trace_events, write_trace
from k2repro.wafer.replay.trace_writer import TraceWriter

SETTINGS = settings(deadline=None, derandomize=True, max_examples=60)
LINES = [
    {"event": "trace", "format": "k2repro-trace", "version": 1},
    {"event": "request", "request": "r1"},
    {
        "event": "call",
        "request": "r1",
        "phase": "plan",
        "role": "planner",
        "prompt_tokens": 9,
        "output_tokens": 4,
    },
    {"event": "fan_out", "request": "r1", "phase": "solve", "samples": 2, "draft_tokens": 2},
    {"event": "sample", "request": "r1", "phase": "solve", "sample": 0, "prompt_tokens": 10},
    {"event": "sample", "request": "r1", "phase": "solve", "sample": 1, "prompt_tokens": 10},
    {"event": "steps", "request": "r1", "phase": "solve", "sample": 1, "accepted": [[1, 5]]},
    {"event": "steps", "request": "r1", "phase": "solve", "sample": 0, "accepted": [[3, 2], [1, 1]]},
    {"event": "stop", "request": "r1", "phase": "solve", "sample": 0, "reason": "eos"},
    {"event": "steps", "request": "r1", "phase": "solve", "sample": 1, "accepted": [[1, 2]]},
    {"event": "stop", "request": "r1", "phase": "solve", "sample": 1, "reason": "length"},
    {"event": "end", "requests": 1},
]


def parse(lines, **options):
    return parse_trace([json.dumps(line) for line in lines], **options)


def merged(found):
    """Runs without equal neighbours, as a file brings them."""
    known = []
    extend_runs(known, found)
    return tuple(known)


def runs(low):
    pairs = st.tuples(st.integers(low, 3), st.integers(1, 40))
    return st.lists(pairs, min_size=1, max_size=5).map(merged)


@st.composite
def traces(draw):
    """Any trace of planner calls, a fan-out with drafts and own growth, and judge calls."""

    def stream(draft):
        accepted = draw(runs(1)) if draft else ((1, draw(st.integers(1, 90))),)
        steps = sum(times for _, times in accepted)
        growth = ((draw(st.integers(1, 4)), steps),) if draw(st.booleans()) else None
        if growth == accepted:
            growth = None
        return Stream(draw(st.integers(0, 50)), accepted, draw(st.sampled_from(STOP_REASONS)), growth)

    def request(name):
        phases = [Phase("plan", "planner", tuple(plain_stream(3, 4) for _ in range(2)))]
        draft = draw(st.integers(0, 2))
        count = draw(st.integers(1, 3))
        phases.append(Phase("solve", "solver", tuple(stream(draft) for _ in range(count)), 2 if draft else 0))
        phases += [
            Phase(f"judge-{i}", "judge", (plain_stream(8, 2, "stop_string"),))
            for i in range(draw(st.integers(0, 2)))
        ]
        return Request(name, draw(st.text(max_size=4)), tuple(phases))

    count = draw(st.integers(1, 3))
    return Trace(tuple(request(f"r{i}") for i in range(count)), "test", {"seed": "0"})


@SETTINGS
@given(traces())
def test_writing_and_reading_gives_the_same_trace(trace):
    """Catches any field of the procedure that the file format silently drops."""
    assert parse([*trace_events(trace)]) == trace


def test_interleaved_steps_belong_to_their_sample():
    """Catches steps that are added to the sample that wrote last, not to the one they name."""
    solve = parse(LINES).requests[0].phases[1]
    assert [stream.output_tokens for stream in solve.streams] == [7, 7]
    assert [stream.accepted for stream in solve.streams] == [((3, 2), (1, 1)), ((1, 7),)]
    assert solve.streams[1].stop == "length"


def replaced(index, **changes):
    line = {**LINES[index], **changes}
    return [*LINES[:index], {k: v for k, v in line.items() if v is not None}, *LINES[index + 1 :]]


BROKEN = {
    "version": (replaced(0, version=2), 1, "version 2"),
    "no header": (LINES[1:], 1, "first line"),
    "unknown event": (replaced(2, event="cal"), 3, "call"),
    "misspelt key": (replaced(6, acepted=[[1, 1]]), 7, "accepted"),
    "missing key": (replaced(2, output_tokens=None), 3, "output_tokens"),
    "float tokens": (replaced(2, prompt_tokens=9.5), 3, "must be an int"),
    "true is no number": (replaced(2, prompt_tokens=True), 3, "must be an int"),
    "other request": (replaced(2, request="r2"), 3, "r2"),
    "role": (replaced(2, role="critic"), 3, "critic"),
    "no output": (replaced(2, output_tokens=0), 3, "at least 1"),
    "sample outside": (replaced(4, sample=2), 5, "0 .. 1"),
    "sample twice": (replaced(5, sample=0), 6, "twice"),
    "zero tokens": (replaced(6, accepted=[[0, 5]]), 7, "at least one token"),
    "empty run": (replaced(6, accepted=[[1, 0]]), 7, "at least one step"),
    "runs that are no pairs": (replaced(6, accepted=[1, 5]), 7, "pairs"),
    "more than the draft allows": (replaced(6, accepted=[[4, 1]]), 7, "more than 3"),
    "growth of other length": (replaced(6, growth=[[1, 4]]), 7, "growth"),
    "broken counter": (replaced(6, accepted=[[1, 10**9]]), 7, "broken counter"),
    "stop reason": (replaced(8, reason="eso"), 9, "'eos'"),
    "steps after the stop": (replaced(9, sample=0), 10, "has stopped"),
    "steps before the sample": ([*LINES[:4], *LINES[6:]], 5, "has not started"),
    "a sample that never stops": ([*LINES[:10], LINES[11]], 11, "did not stop"),
    "lines are missing": (replaced(11, requests=2), 12, "lines are missing"),
    "cut off": (LINES[:-1], 11, "without the event 'end'"),
    "after the end": ([*LINES, LINES[1]], 13, "after the end"),
    "phase twice": ([*LINES[:4], *LINES[3:]], 5, "already opened"),
    "call in a fan-out": ([*LINES[:4], {**LINES[2], "phase": "solve"}], 5, "mixes"),
    "fan-out missing": (replaced(3, phase="other"), 5, "no fan_out"),
    "request twice": ([*LINES[:11], LINES[1], LINES[11]], 12, "twice"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_trace_names_line_and_rule(case):
    """Catches broken traces that replay as something else, and errors that do not say where."""
    lines, number, rule = BROKEN[case]
    with pytest.raises(K2ReproError) as error:
        parse(lines, name="t.jsonl")
    assert f"t.jsonl, line {number}:" in str(error.value)
    assert rule in str(error.value)


@pytest.mark.parametrize("text", ["{", "[1]", "null", '{"event": 3}', "\x00"])
def test_a_line_that_is_no_event_is_refused(text):
    """Catches a decoder error that escapes as something else than the one user-facing error."""
    with pytest.raises(K2ReproError, match="line 2"):
        parse_trace([json.dumps(LINES[0]), text, json.dumps(LINES[1])])


def test_a_killed_run_gives_its_complete_requests(tmp_path):
    """Catches a partial read that invents an end for the request that was running."""
    lines = [
        *(json.dumps(line) for line in LINES[:11]),
        json.dumps({"event": "request", "request": "r2"}),
        '{"event": "fan_out", "requ',
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines))
    assert [request.id for request in read_trace(path, partial=True).requests] == ["r1"]
    with pytest.raises(K2ReproError, match="line 13: not JSON"):
        read_trace(path)


def test_an_unreadable_file_is_one_error(tmp_path):
    """Catches OSError and UnicodeDecodeError tracebacks at the user."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, rule in (("absent", "cannot be read"), ("binary", "UTF-8")):
        with pytest.raises(K2ReproError, match=rule):
            read_trace(tmp_path / name)


def test_the_writer_writes_what_the_engine_did(tmp_path):
    """Catches lost or reordered steps at the batch boundary of the writer."""
    generator = np.random.default_rng(3)
    lengths = [generator.integers(1, 4, size=5000).tolist() for _ in range(2)]
    path = tmp_path / "run" / "t.jsonl"
    with TraceWriter(path, source="engine", notes={"seed": "3"}) as trace:
        trace.request("r1", question="q")
        trace.call("plan", "planner", prompt_tokens=5, output_tokens=6)
        fan = trace.fan_out("solve", samples=2, draft_tokens=2)
        fan.start(0, prompt_tokens=7)
        fan.start(1, prompt_tokens=8)
        for step in range(5000):
            fan.step(0, lengths[0][step])
            fan.step(1, lengths[1][step], growth=lengths[1][step] + (step == 17))
        fan.stop(0, "eos")
        fan.stop(1, "length")
    found = read_trace(path)
    solve = found.requests[0].phases[1]
    assert [decode_runs(stream.accepted).tolist() for stream in solve.streams] == lengths
    assert solve.streams[0].growth is None
    assert solve.streams[1].context_after()[-1] == 8 + sum(lengths[1]) + 1
    assert found.source == "engine" and found.notes == {"seed": "3"}
    assert not path.with_name("t.jsonl.partial").exists()


def test_a_failed_run_leaves_no_finished_file(tmp_path):
    """Catches a crashed engine whose half trace looks like a whole one."""
    path = tmp_path / "t.jsonl"
    with pytest.raises(RuntimeError), TraceWriter(path) as trace:
        trace.request("r1")
        trace.call("plan", "planner", prompt_tokens=5, output_tokens=6)
        raise RuntimeError("engine")
    assert not path.exists()
    partial = read_trace(tmp_path / "t.jsonl.partial", partial=True)
    assert partial.output_tokens == 6


def test_the_writer_refuses_what_the_reader_would_refuse(tmp_path):
    """Catches a writer that lets an engine write an unreadable trace for hours."""
    with TraceWriter(tmp_path / "t.jsonl") as trace:
        trace.request("r1")
        trace.call("plan", "planner", prompt_tokens=5, output_tokens=6)
        with pytest.raises(K2ReproError, match="role"):
            trace.call("plan", "nobody", prompt_tokens=1, output_tokens=1)
        fan = trace.fan_out("solve", samples=1)
        with pytest.raises(K2ReproError, match="has not started"):
            fan.step(0)
        fan.start(0, prompt_tokens=1)
        fan.step(0, 1)
        fan.stop(0, "eos")
        with pytest.raises(K2ReproError, match="not started or has stopped"):
            fan.step(0)


def test_runs_stand_for_their_sequence():
    """Catches an off-by-one in the run lengths, which would shift every later step."""
    assert decode_runs(((1, 2), (-3, 1), (1, 1))).tolist() == [1, 1, -3, 1]
    assert decode_runs(()).tolist() == []


def test_growth_that_empties_the_context_is_refused():
    """Catches a cache cut that removes more tokens than there are."""
    Stream(10, ((1, 3),), growth=((1, 2), (-11, 1)))
    with pytest.raises(K2ReproError, match="below one token"):
        Stream(10, ((1, 3),), growth=((1, 2), (-12, 1)))


def test_an_answer_has_the_calls_of_the_released_code():
    """Catches a procedure with another number of planner or judge calls than main.py makes."""
    sample = CallLengths(900, 2000)
    trace = k2_think_answer_trace(
        samples=[sample] * 3,
        topics=CallLengths(400, 100),
        plan=CallLengths(500, 300),
        judge=CallLengths(3000, 200),
    )
    calls = {}
    for phase in trace.requests[0].phases:
        kind = phase.name.split("-")[0]
        calls[kind] = calls.get(kind, 0) + len(phase.streams)
    assert calls == {"topics": 3, "plan": 3, "solve": 3, "judge": 2}
    assert trace.output_tokens == 3 * (100 + 300 + 2000) + 2 * 200
    alone = k2_think_answer_trace(samples=[sample], topics=None, plan=None, judge=None)
    assert [phase.name for phase in alone.requests[0].phases] == ["solve"]


def test_traces_refuse_nonsense():
    """Catches empty traces and impossible lengths before they become a division by zero."""
    for build, rule in (
        (lambda: Trace(()), "at least one request"),
        (lambda: Request("r", "", ()), "no phase"),
        (lambda: Phase("solve", "solver", ()), "no sequence"),
        (lambda: Phase("solve", "solver", (Stream(1, ((3, 1),)),), 1), "draft"),
        (lambda: plain_stream(-1, 3), "negative"),
        (lambda: plain_stream(1, 0), "at least 1"),
        (lambda: Stream(1, ((1, 2),), "because"), "stop reason"),
        (lambda: Trace((trace_from_lengths(1, [1]).requests[0],) * 2), "twice"),
        (lambda: k2_think_answer_trace(samples=[], topics=None, plan=None, judge=None), "empty"),
    ):
        with pytest.raises(K2ReproError, match=rule):
            build()


def test_write_trace_reads_back_from_disk(tmp_path):
    """Catches a file whose text is not what the events say (encoding, last line)."""
    trace = trace_from_lengths(10, [5, 6], question="größer")
    assert read_trace(write_trace(trace, tmp_path / "t.jsonl")) == trace
