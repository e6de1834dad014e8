"""What hosted APIs, gateways and proxies really send: one request is lost, or the run ends and says why."""

import os
import subprocess
import sys
import time

import pytest
from canned import ask, backend, canned, chunk, completion

from k2repro.engine.endpoint import MOST_LOST
from k2repro.engine.probe import probe
from k2repro.engine.refusals import Refused
from k2repro.engine.retries import LONGEST_WAIT, Retries, retry_after
from k2repro.engine.server import Endpoint, Server
from k2repro.errors import K2ReproError
from k2repro.evaluate.journal import Journal

TOO_LONG = {"error": {"message": "This model's maximum context length is 4096 tokens; shorten or stop"}}
QUOTA = "You exceeded your current quota, please check your plan and billing details."
# Google's limit of a minute, and OpenAI's empty account, begin with the same words.
GOOGLE = f"RESOURCE_EXHAUSTED {QUOTA} Quota exceeded for metric: requests. Please retry in 11.6s."
OPENAI = f'{{"error": {{"message": "{QUOTA}", "type": "insufficient_quota"}}}}'
# The shortest that counts as a secret.
KEY = "sk-12345"


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


@pytest.mark.parametrize(
    ("status", "text", "meaning"),
    [
        (429, GOOGLE, "pass"),
        (429, OPENAI, "credit"),
        (403, "Your credit balance is too low", "credit"),
        *((status, "", "pass") for status in (408, 409, 425, 500, 502, 503, 507, 521, 523, 530, 599)),
    ],
)
def test_what_passes_is_told_from_an_empty_account(status, text, meaning):
    """Catches a run that Google's limit of a minute ends, and a fault of a proxy that is in no list."""
    assert Refused(status, text).meaning == meaning


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (429, "Rate limit reached. Add a payment method at https://host/account/billing"),
        (429, GOOGLE),
        (521, "web server is down"),
    ],
)
def test_a_limit_that_talks_of_billing_and_a_fault_of_a_proxy_are_waited_for(status, text):
    """Catches a run that ends at an ordinary rate limit; OpenAI's text names the billing page."""
    replies = [(status, {"retry-after-ms": "60"}, {"error": {"message": text}}), (200, {}, completion("4"))]
    with canned(lambda number, body: replies[number]) as (url, _):
        started = time.monotonic()
        assert backend(url).complete([ask()])[0][0].text == "4"
        assert time.monotonic() - started >= 0.06


def test_milliseconds_that_are_no_number_or_endless_are_no_crash():
    """Catches a ValueError for the digit ², and an OverflowError for a wait beyond every number."""
    replies = [(429, {"retry-after-ms": "²"}, "slow down"), (200, {}, completion("4"))]
    with canned(lambda number, body: replies[number]) as (url, _):
        assert backend(url).complete([ask()])[0][0].text == "4"
    for digits in (400, 5000):
        with (
            canned(lambda number, body, digits=digits: (429, {"retry-after-ms": "9" * digits}, "no")) as (
                url,
                _,
            ),
            pytest.raises(K2ReproError, match="asks to wait inf s"),
        ):
            backend(url).complete([ask()])


def test_dates_without_a_zone_and_endless_waits_are_read():
    """Catches a TypeError for the date of a sloppy server, and a sleep without an end."""
    assert retry_after("Thu, 01 Jan 1970 00:00:10") == 0.0
    assert retry_after("Thu, 01 Jan 1970 00:00:10 -0000") == 0.0
    assert retry_after("nan") == 0.0
    assert retry_after("inf") > LONGEST_WAIT
    assert retry_after("Thu, 01 Jan 1970 00:00:10 +" + "9" * 30) is None


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


@pytest.mark.parametrize("how", [429, 503, "hangs", "cuts"])
def test_n_is_unknown_when_its_request_met_a_fault(how):
    """Catches a server that is called unable for good after one bad moment."""

    def reply(number, body):
        if body.get("n", 1) > 1:
            if how == "cuts":
                raise ConnectionResetError("the test cuts the line")
            time.sleep(1.5 if how == "hangs" else 0.0)
            return how if how != "hangs" else 200, {}, {"error": "HTTP 400 is what this is not"}
        return 200, {}, completion(f"tea moon brick {body['seed']}")

    with canned(reply) as (url, _):
        asking = backend(url, timeout=1.0, retries=Retries(attempts=1))
        found = {each.name: each for each in probe(asking)}
    assert found["n"].state == "unknown", found["n"].detail
    assert found["temperature"].state == "honoured"


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


@pytest.mark.parametrize("key", ["EMPTY", "x", "0", "1234567"])
def test_a_placeholder_for_a_key_never_changes_an_answer(monkeypatch, key):
    """Catches every x and 0 of an answer or a count starred out: servers at home want such keys."""
    monkeypatch.setenv("STUB_KEY", key)
    text, usage = f"{key}: x = 0, EMPTY, 1234567", {"prompt_tokens": 100, "completion_tokens": 1234567}
    events = chunk("stop", content=text)
    for headers, content in [
        ({}, completion(text, usage=usage)),
        ({"content-type": "text/event-stream"}, events),
    ]:
        heard = []
        with canned(lambda number, body, told=(200, headers, content): told) as (url, _):
            asking = backend(
                url, key_env="STUB_KEY", on_text=lambda *said, heard=heard: heard.append(said[2])
            )
            found = asking.complete([ask()])[0][0]
        assert found.text == "".join(heard) == text
        assert headers or (found.prompt_tokens, found.count) == (100, 1234567)
    with canned(lambda number, body: (400, {}, text)) as (url, _):
        assert backend(url, key_env="STUB_KEY").complete([ask()])[0][0].error == f"Refused: HTTP 400 {text}"


@pytest.mark.parametrize(
    ("status", "headers", "content"),
    [
        (200, {}, completion(f"Bearer {KEY}.")),
        (200, {"content-type": "text/event-stream"}, chunk("stop", content=f"Bearer {KEY}.")),
        (200, {}, {"error": f"bad {KEY}"}),
        (200, {}, f"no JSON but {KEY}"),
        (400, {}, "y" * 295 + KEY),
        (402, {}, f"pay for {KEY}"),
        (301, {"location": f"https://other/{KEY}/v1"}, ""),
        (404, {}, "no such model"),  # and the list of models names the key
    ],
)
def test_a_key_is_taken_out_wherever_a_server_repeats_it(tmp_path, monkeypatch, status, headers, content):
    """Catches a key, short as a real one can be, in an answer, a piece, an error, a note or a file."""
    monkeypatch.setenv("STUB_KEY", KEY)
    heard = []
    with (
        Journal(tmp_path / "j.sqlite", {}) as journal,
        canned(lambda number, body: (status, headers, content), [KEY]) as (url, _),
    ):
        asking = backend(
            url, key_env="STUB_KEY", journal=journal, on_text=lambda *said: heard.append(said[2])
        )
        try:
            said = repr(asking.complete([ask()]))
        except K2ReproError as error:
            said = str(error)
        said += repr(asking.notes) + "".join(heard)
    assert "***" in said
    assert KEY[:4] not in said
    assert KEY.encode() not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("place", range(380, 401, 4))
def test_a_key_on_the_edge_of_a_long_failure_is_masked_whole(monkeypatch, place):
    """Catches the first half of a key that the cut left, which no replacement finds."""
    monkeypatch.setenv("STUB_KEY", KEY * 3)
    server = Server(Endpoint("http://127.0.0.1:9/v1", "m", key_env="STUB_KEY"), 1)
    said = server.failure(ValueError("y" * (place - len("ValueError: ")) + KEY * 3))
    assert len(said) <= 400 and said.startswith("ValueError: yyy")
    assert "sk" not in said


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
