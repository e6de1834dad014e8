"""Streams and bodies as servers really send them."""

import json
import time

import pytest
from canned import ask, backend, canned, chunk, completion
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.engine.chat import (
    BadResponse,
    joined_stream,
    pieces_of,
    read_response,
    remarks,
    without_surrogates,
)
from k2repro.engine.retries import Retries
from k2repro.errors import K2ReproError
from k2repro.evaluate.journal import Journal
from k2repro.results.atomic import canonical_json

STREAM = {"content-type": "text/event-stream"}


def streamed(reply, **options):
    """(completion, pieces that were heard) of one question whose answer is streamed."""
    pieces = []
    with canned(lambda number, body: (200, STREAM, reply)) as (url, _):
        asking = backend(url, on_text=lambda request, sample, piece: pieces.append(piece), **options)
        return asking.complete([ask()])[0][0], pieces


# ---- streams --------------------------------------------------------------------------------------


def test_comments_and_line_separators_do_not_cut_a_stream():
    """Catches keep-alive comments read as data, and U+2028 or U+0085 inside a text taken for a new line."""
    text = "a\u2028b\u0085c\x0bd"
    event = json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False)
    sent = f": PROCESSING\n\n: PROCESSING\r\n\r\nevent: message\ndata:{event}\n\n" + chunk("stop")
    found, pieces = streamed(sent + "data: [DONE]\n\n")
    assert (found.text, pieces, found.finish) == (text, [text], "stop")


def test_an_emoji_in_two_halves_is_one_and_goes_into_the_journal(tmp_path):
    """Catches half a character that no file takes: the run would end in a UnicodeEncodeError."""
    halves = [chunk(content="\ud83d"), chunk(content="\ude00"), chunk("stop", content=" \ud83d")]
    with Journal(tmp_path / "j.sqlite", {}) as journal:
        found, _ = streamed("".join(halves), journal=journal)
        assert found.text == "\U0001f600 \ufffd"
        assert journal.bills()["solver"].answers == 1


def test_an_error_inside_a_stream_is_that_error_and_not_a_cut_connection():
    """Catches the server's own words lost behind "the connection was cut"."""
    refused = "data: " + json.dumps({"error": {"message": "overloaded, come back", "code": 503}}) + "\n\n"
    found, _ = streamed(chunk(content="so") + refused)
    assert found.finish == "error"
    assert "overloaded" in found.error


def test_a_server_that_does_not_stream_or_sends_no_finish_is_read():
    """Catches ten attempts, all paid, at a server that answers at once or ends with [DONE] alone."""
    pieces = []
    with canned(lambda number, body: (200, {}, completion("It is 2."))) as (url, bodies):
        asking = backend(url, on_text=lambda request, sample, piece: pieces.append(piece))
        assert asking.complete([ask()])[0][0].text == "".join(pieces) == "It is 2."
        assert len(bodies) == 1
    found, _ = streamed(chunk(content="It is 2.") + "data: [DONE]\n\n")
    assert (found.text, found.finish) == ("It is 2.", "stop")
    found, _ = streamed(chunk(content="It is"))
    assert "connection was cut" in found.error


def test_a_server_that_only_keeps_the_line_alive_has_timed_out():
    """Catches a request that hangs for ever because comments count as an answer."""
    import http.server
    import threading

    class Alive(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for _ in range(40):
                self.wfile.write(b": alive\n\n")
                time.sleep(0.05)

        def log_message(self, *words):
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Alive)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url, retries = f"http://127.0.0.1:{server.server_port}/v1", Retries(attempts=1)
    asking = backend(url, on_text=lambda *heard: None, timeout=0.3, retries=retries)
    assert asking.complete([ask()])[0][0].finish == "timeout"
    server.shutdown()
    server.server_close()


# ---- bodies ---------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "text", "thinking", "content", "logprob"]), inner, max_size=3)
    ),
    max_leaves=5,
)
MESSAGE = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("content", "reasoning_content", "reasoning", "refusal", "tool_calls"), JSON)
)
CHOICE = st.fixed_dictionaries(
    {}, optional={"message": MESSAGE | JSON, "delta": MESSAGE | JSON, "finish_reason": JSON, "logprobs": JSON}
)
BODY = st.fixed_dictionaries(
    {}, optional={"choices": st.lists(CHOICE | JSON, max_size=2) | JSON, "usage": JSON, "error": JSON}
)


@given(BODY, st.lists(BODY, max_size=3))
@settings(max_examples=200, deadline=None)
def test_no_body_of_a_server_is_a_crash(body, events):
    """Catches a TypeError deep inside for a list, a number or nothing where a text should be."""
    for read in (
        lambda: read_response(body, ("stop",)),
        lambda: remarks(body),
        lambda: read_response(joined_stream(events), ()),
        lambda: [pieces_of(event) for event in events],
    ):
        try:
            read()
        except BadResponse:
            continue


@given(JSON)
def test_texts_without_halves_can_be_written(value):
    """Catches a text that no file takes, and one that was changed although it was whole."""
    found = without_surrogates(value)
    assert without_surrogates(found) == found or found != found
    json.dumps(found, ensure_ascii=False).encode()
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    assert repr(found) == repr(value)  # repr: NaN


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_a_log_probability_beyond_every_number_is_a_bad_response(number):
    """Catches an OverflowError that ends the run; JSON has no largest integer."""
    body = completion("4")
    body["choices"][0]["logprobs"] = {"content": [{"logprob": number}]}
    with pytest.raises(BadResponse, match="beyond every number"):
        read_response(json.loads(json.dumps(body)), ())


def test_parts_refusals_tools_and_filters_are_read_and_said():
    """Catches an empty answer where a model refused, thought in parts, called a tool or was filtered."""
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "th"}]},
        {"type": "text", "text": "4"},
    ]
    found = read_response(completion(parts), ())
    assert (found.reasoning, found.text) == ("th", "4")
    assert read_response(completion(None, message={"refusal": "I cannot."}), ()).text == "I cannot."
    both = read_response(completion("4", message={"reasoning_content": "2+2"}), ())
    assert (both.reasoning, both.text) == ("2+2", "4")
    tool = completion(None, message={"tool_calls": [{"id": "x"}]}, finish="tool_calls")
    assert "called a tool" in remarks(tool)[0]
    assert "content filter" in remarks(completion("so", finish="content_filter"))[0]
    assert remarks(completion("4")) == []
    with pytest.raises(BadResponse, match="ended the response with an error"):
        read_response(completion("so", finish="error"), ())


NO_COUNTS = [None, -1, "9", 10**30, True, 1.5]


@pytest.mark.parametrize("usage", [None, {}, [], "many", *({"completion_tokens": n} for n in NO_COUNTS)])
def test_usage_that_is_no_count_is_estimated_and_said(usage):
    """Catches a budget that is never spent, or spent at once, by what a server calls a count."""
    with canned(lambda number, body: (200, {}, completion("12345678", usage=usage))) as (url, _):
        asking = backend(url)
        assert asking.complete([ask()])[0][0].count == 2
        assert any("did not count tokens" in note for note in asking.notes)


def test_what_is_no_json_is_no_crash(tmp_path):
    """Catches NaN, half a character, another encoding and deep nesting on their way to the journal."""
    answers = [
        '{"choices": ' + "[" * 100_000,
        b'{"choices": "\xff"}',
        '{"choices": [{"message": {"content": "\\ud83d"}, "logprobs": {"x": NaN}}], "t": -Infinity}',
    ]
    with (
        Journal(tmp_path / "j.sqlite", {}) as journal,
        canned(lambda number, body: (200, {}, answers[number])) as (url, _),
    ):
        found = backend(url, journal=journal).complete([ask()])[0][0]
        assert found.text == "\ufffd"
        assert journal.bills()["solver"].attempts == 3


def test_bodies_are_hashed_after_they_are_mended():
    """Catches a digest that is taken of another text than the one that is kept."""
    assert canonical_json(without_surrogates({"a": "\ud83d\ude00"})) == '{"a":"\U0001f600"}'


def test_an_answer_of_the_journal_that_cannot_be_read_is_named(tmp_path):
    """Catches an error inside for a journal whose answers an older or newer version could read."""
    with (
        Journal(tmp_path / "ours.sqlite", {}) as journal,
        canned(lambda number, body: (200, {}, completion("4"))) as (url, _),
    ):
        backend(url, journal=journal).complete([ask()])
        ((key, *_),) = journal.requests()
    with Journal(tmp_path / "theirs.sqlite", {}) as journal:
        journal.arrived(key, {"choices": []}, seconds=0.0, tokens=(0, 0), cost=0.0)
        for offline in (False, True):
            with pytest.raises(K2ReproError, match=f"{key} cannot be read: no choices.*another version"):
                backend(url, journal=journal, offline=offline).complete([ask()])
