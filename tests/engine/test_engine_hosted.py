"""What hosted APIs, gateways and proxies really send: one request is lost, or the run ends and says why."""

import json
import os
import subprocess
import sys
import time

import pytest
from canned import canned, chunk, completion
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.engine.backend import Message, Request
from k2repro.engine.chat import (
    BadResponse,
    joined_stream,
    pieces_of,
    read_response,
    remarks,
    without_surrogates,
)
from k2repro.engine.endpoint import MOST_LOST, EndpointBackend
from k2repro.engine.probe import probe
from k2repro.engine.retries import LONGEST_WAIT, Retries, retry_after
from k2repro.engine.server import Endpoint
from k2repro.errors import K2ReproError
from k2repro.evaluate.journal import Journal
from k2repro.results.atomic import canonical_json

STREAM = {"content-type": "text/event-stream"}
TOO_LONG = {"error": {"message": "This model's maximum context length is 4096 tokens; shorten or stop"}}


def ask(number=1, **settings):
    return Request((Message("user", f"What is {number} + 1?"),), 64, **settings)


def backend(url, **options):
    endpoint = {name: options.pop(name) for name in ("timeout", "extra", "key_env") if name in options}
    options.setdefault("retries", Retries(attempts=4, first=0.01, most=0.02))
    return EndpointBackend(Endpoint(url, "m", **endpoint), **options)


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


# ---- refusals -------------------------------------------------------------------------------------


def one_is_refused(status, error):
    """A server that takes every prompt but one."""

    def reply(number, body):
        if "What is 5 + 1?" in body["messages"][0]["content"]:
            return status, {}, error
        return 200, {}, completion("fine", usage={"prompt_tokens": 1, "completion_tokens": 1})

    return reply


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, TOO_LONG),
        (413, {"error": "payload too large"}),
        (400, {"error": {"code": "content_filter", "message": "flagged by the content policy"}}),
        (403, {"error": {"message": "your input was flagged by moderation"}}),
        (451, "no"),
    ],
)
def test_one_prompt_that_is_refused_does_not_end_the_run(tmp_path, status, error):
    """Catches one long or flagged prompt that takes all others with it, and again at every new start."""
    path = tmp_path / "j.sqlite"
    asked = [ask(number, n=2) for number in range(12)]
    with canned(one_is_refused(status, error)) as (url, bodies):
        with Journal(path, {}) as journal:
            asking = backend(url, journal=journal, concurrency=4)
            found = asking.complete(asked)
            assert any("given up" in note for note in asking.notes)
        assert len(bodies) == 24
        assert [each.finish for group in found for each in group].count("error") == 2
        assert found[5][0].error.startswith(f"Refused: HTTP {status}")
        # stop is still sent: the words of the refusal hold it by chance.
        assert not asking._server.left_out
    with Journal(path, read_only=True) as journal:
        assert backend(url, journal=journal, offline=True).complete(asked) == found


@pytest.mark.parametrize("status", [400, 500])
def test_many_prompts_given_up_in_a_row_end_the_run(status):
    """Catches a server that went down, and a whole table that is computed from nothing."""
    with (
        canned(lambda number, body: (status, {}, TOO_LONG)) as (url, bodies),
        pytest.raises(K2ReproError, match=f"{MOST_LOST} prompts in a row.*maximum context"),
    ):
        backend(url, concurrency=1).complete([ask(number) for number in range(50)])
    assert len(bodies) == MOST_LOST * (1 if status == 400 else 4)


@pytest.mark.parametrize(
    ("status", "headers", "error", "said"),
    [
        (402, {}, "pay", "nothing left to spend"),
        (429, {}, {"error": {"code": "insufficient_quota"}}, "nothing left to spend"),
        (301, {"location": "https://other/v1/chat/completions?k=1"}, "", "points to https://other/v1\\. "),
        (307, {}, "", "points to nowhere"),
        (404, {}, "no such model", "It lists a, b, ü and more"),
        (405, {}, "", "without /v1"),
        (429, {"retry-after": "86400"}, "daily limit", "asks to wait 86,400 s: .*daily limit"),
        (200, {"content-type": "text/html"}, "<html>log in", "log-in page"),
    ],
)
def test_what_no_further_request_can_mend_ends_the_run_at_once(status, headers, error, said):
    """Catches a night of retries at an empty account, a redirect or a log-in page; wrong advice for each."""
    with (
        canned(lambda number, body: (status, headers, error), ["a", "b", "ü"]) as (url, bodies),
        pytest.raises(K2ReproError, match=said),
    ):
        backend(url, concurrency=1).complete([ask(number) for number in range(50)])
    assert len(bodies) <= 3


def test_a_rate_limit_that_talks_of_billing_is_waited_for():
    """Catches a run that ends at an ordinary rate limit; OpenAI's text names the billing page."""
    limit = {"error": {"message": "Rate limit reached. Add a payment method at https://host/account/billing"}}
    replies = [(429, {"retry-after-ms": "60"}, limit), (200, {}, completion("4"))]
    with canned(lambda number, body: replies[number]) as (url, _):
        started = time.monotonic()
        assert backend(url).complete([ask()])[0][0].text == "4"
        assert time.monotonic() - started >= 0.06


def test_dates_without_a_zone_and_endless_waits_are_read():
    """Catches a TypeError for the date of a sloppy server, and a sleep without an end."""
    assert retry_after("Thu, 01 Jan 1970 00:00:10") == 0.0
    assert retry_after("Thu, 01 Jan 1970 00:00:10 -0000") == 0.0
    assert retry_after("nan") == 0.0
    assert retry_after("inf") > LONGEST_WAIT


def test_requests_side_by_side_all_learn_that_an_option_is_refused(tmp_path):
    """Catches requests that were on their way when the first refusal came, given up; and a silent journal."""

    def reply(number, body):
        time.sleep(0.05)
        wrong = next((name for name in ("seed", "max_tokens") if name in body), None)
        hint = "use max_completion_tokens" if wrong == "max_tokens" else "Unsupported parameter: 'seed'"
        return (400, {}, {"error": hint}) if wrong else (200, {}, completion("4"))

    path = tmp_path / "j.sqlite"
    with Journal(path, {}) as journal, canned(reply) as (url, bodies):
        asking = backend(url, journal=journal, concurrency=8)
        found = asking.complete([ask(number) for number in range(16)])
        sent = journal._db.execute("SELECT content FROM events WHERE kind='sent' ORDER BY id DESC").fetchone()
    assert [group[0].text for group in found] == ["4"] * 16
    assert bodies[-1]["max_completion_tokens"] == 64
    assert sent == ("max_tokens, seed",)


def test_a_server_that_refuses_n_can_be_probed():
    """Catches `evaluate` that never starts on a llama.cpp server with one slot."""

    def reply(number, body):
        if body.get("n", 1) > 1:
            return 400, {}, {"error": {"message": "Field 'n': Value must be between 1 <= value <= 1"}}
        return 200, {}, completion(f"tea moon brick {body['seed']}", usage={"completion_tokens": 4})

    with canned(reply) as (url, _):
        found = {each.name: each.state for each in probe(backend(url))}
    assert (found["n"], found["usage"], found["temperature"]) == ("refused", "honoured", "honoured")


# ---- keys, proxies --------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["sk-secret\nsecond", "“sk-secret”", "sk secret", "sk-\x07secret"])
def test_a_key_that_no_header_takes_is_named_and_not_shown(monkeypatch, key):
    """Catches a key in the text of the HTTP library's own error, which no redaction recognises."""
    monkeypatch.setenv("STUB_KEY", key)
    with pytest.raises(K2ReproError, match="STUB_KEY holds") as info:
        backend("http://127.0.0.1:9/v1", key_env="STUB_KEY")
    assert "secret" not in str(info.value)


def test_a_key_is_trimmed_is_taken_out_of_answers_and_is_no_extra(tmp_path, monkeypatch):
    """Catches the line break of `export KEY=$(cat file)`, and a gateway that repeats the key in a body."""
    monkeypatch.setenv("STUB_KEY", " sk-secret\n")
    path = tmp_path / "j.sqlite"
    with Journal(path, {}) as journal, canned(
        lambda number, body: (200, {}, completion("4", debug={"authorization": "Bearer sk-secret"}))
    ) as (url, _):  # fmt: skip
        assert backend(url, key_env="STUB_KEY", journal=journal).complete([ask()])[0][0].text == "4"
    assert b"sk-secret" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    with pytest.raises(K2ReproError, match="bodies are written down"):
        Endpoint("https://host/v1", "m", extra={"api-key": "x"})


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://u:pass@127.0.0.1:9", "HTTPS_PROXY"),
        ("nonsense://u:pass@x", "HTTPS_PROXY"),
        ("http://u:pass@127.0.0.1:9", "cannot be reached"),
    ],
)
def test_a_proxy_that_does_not_work_is_named_without_its_password(proxy, said):
    """Catches a traceback for ALL_PROXY=socks5://, and the proxy's password in it."""
    code = (
        "from k2repro.cli import main; main(['solve', '-q', 'x', '--base-url', 'http://host.invalid/v1', "
        "'--model', 'm', '--timeout', '5'])"
    )
    variables = {**os.environ, "ALL_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": ""}
    variables = {
        name: value for name, value in variables.items() if name.lower() != name or "_proxy" not in name
    }
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables)
    assert result.returncode == 2, result.stderr
    assert said in result.stderr
    assert "pass@" not in result.stderr and "Traceback" not in result.stderr


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch):
    """Catches loopback requests, prompts included, that go out through a company's proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with canned(lambda number, body: (200, {}, completion("4"))) as (url, _):
        assert backend(url).complete([ask()])[0][0].text == "4"


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf")])
def test_a_timeout_is_a_number_of_seconds(timeout):
    with pytest.raises(K2ReproError, match="timeout"):
        Endpoint("http://127.0.0.1:9/v1", "m", timeout=timeout)


def test_bodies_are_hashed_after_they_are_mended():
    """Catches a digest that is taken of another text than the one that is kept."""
    assert canonical_json(without_surrogates({"a": "\ud83d\ude00"})) == '{"a":"\U0001f600"}'
