"""The endpoint backend against a server that lies, stumbles and counts."""

import random
import resource
import subprocess
import sys
import time
import traceback

import pytest
from stubs import stats, stub

from k2repro.engine.backend import Message, Request
from k2repro.engine.budget import Budget, BudgetSpent, Price
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.probe import probe
from k2repro.engine.retries import Retries, retry_after
from k2repro.engine.server import Endpoint
from k2repro.errors import K2ReproError
from k2repro.evaluate.journal import Journal

FAULTS = {"error": 0.2, "limit": 0.1, "hang": 0.05, "broken": 0.05, "cut": 0.02, "slow": 0.02}
QUICK = Retries(attempts=40, first=0.01, most=0.05)
KEY = "sk-secret-0123456789"


def ask(number, **settings):
    return Request((Message("user", f"What is {number} + 1?"),), 64, **{"stop": ("</answer>",), **settings})


def backend(url, **options):
    endpoint = {
        name: options.pop(name) for name in ("timeout", "price", "key_env", "model") if name in options
    }
    return EndpointBackend(Endpoint(url, endpoint.pop("model", "stub"), **endpoint), **options)


def test_every_fault_every_answer_none_paid_twice(tmp_path):
    """Catches a lost sample, and a request that is sent again although its answer had come."""
    with stub(**FAULTS, hang_seconds=20) as url, Journal(tmp_path / "journal.sqlite", {}) as journal:
        asked = [ask(number, n=3) for number in range(60)]
        budget = Budget()
        found = backend(
            url, journal=journal, budget=budget, concurrency=32, retries=QUICK, timeout=1.5
        ).complete(asked)
        counted = stats(url)
        assert [len(group) for group in found] == [3] * 60
        for number, group in enumerate(found):
            assert all(each.text == f"So <answer>{number + 1}" for each in group)
            assert all(each.reasoning == f"{number} + 1 makes {number + 1}" for each in group)
        assert len(counted["delivered"]) == 180
        assert set(counted["delivered"].values()) == {1}
        assert all(counted["outcomes"][name] > 0 for name in ("error", "limit", "hang", "broken", "cut"))
        assert counted["most"] <= 32
        bill = journal.bills()["solver"]
        assert bill.answers == 180
        assert bill.attempts == budget.spent_requests >= sum(counted["outcomes"].values())
        assert journal.in_doubt() == 0


def test_a_second_run_asks_nothing_and_a_replay_needs_no_server(tmp_path):
    """Catches answers of the journal that differ from those that came, and a replay that dials out."""
    path, asked = tmp_path / "journal.sqlite", [ask(number, n=2) for number in range(10)]
    with stub(wrong=0.5) as url:
        with Journal(path, {"a": 1}) as journal:
            first = backend(url, journal=journal).complete(asked)
        with Journal(path, {"a": 1}) as journal:
            assert backend(url, journal=journal).complete(asked) == first
        assert sum(stats(url)["outcomes"].values()) == 20
    with Journal(path, read_only=True) as journal:
        assert backend(url, journal=journal, offline=True).complete(asked) == first
        with pytest.raises(K2ReproError, match="no answer"):
            backend(url, journal=journal, offline=True).complete([ask(99)])


@pytest.mark.parametrize("stop", ["honoured", "left in", "ignored"])
@pytest.mark.parametrize("thinking", ["inside", "apart"])
def test_all_kinds_of_servers_give_one_text(stop, thinking):
    """Catches a stop string that is left in, a text behind it, and thinking that counts as the answer."""
    with stub(stop=stop, thinking=thinking) as url:
        ((found,),) = backend(url).complete([ask(4)])
        assert (found.reasoning, found.text, found.finish) == ("4 + 1 makes 5", "So <answer>5", "stop")
        assert found.count > 0
        assert found.prompt_tokens == 20


def test_streamed_answers_are_the_same_and_come_in_pieces():
    pieces = []
    with stub() as url:
        whole = backend(url).complete([ask(4)])
        streamed = backend(url, on_text=lambda request, sample, piece: pieces.append(piece)).complete(
            [ask(4)]
        )
    assert streamed == whole
    assert len(pieces) > 3
    assert "".join(pieces).startswith("<think>4 + 1")


def test_samples_differ_by_seed_and_copies_are_named():
    """Catches best-of-N over copies, which a server that ignores temperature gives without a word."""
    with stub(wrong=0.9) as url:
        asking = backend(url)
        (group,) = asking.complete([ask(4, n=8)])
        assert len({each.text for each in group}) > 1
        assert not asking.notes
    with stub(wrong=0.9, temperature="ignored") as url:
        asking = backend(url)
        (group,) = asking.complete([ask(4, n=8)])
        assert len({each.text for each in group}) == 1
        assert any("are equal" in note for note in asking.notes)


def test_the_probe_finds_what_is_honoured():
    """Catches a probe that believes a parameter because it was accepted."""
    with stub() as url:
        found = {each.name: each.state for each in probe(backend(url))}
    assert found == {
        "temperature": "honoured", "seed": "honoured", "stop": "honoured", "n": "honoured",
        "logprobs": "ignored", "usage": "honoured", "thinking": "in the content",
    }  # fmt: skip
    with stub(temperature="ignored", stop="left in", n="ignored", uncounted=True) as url:
        found = {each.name: each.state for each in probe(backend(url))}
    assert (found["temperature"], found["stop"], found["n"]) == ("no effect seen", "left in", "ignored")
    assert (found["seed"], found["usage"]) == ("unknown", "ignored")
    with stub(seeds="ignored", stop="ignored") as url:
        found = {each.name: each.state for each in probe(backend(url))}
    assert (found["seed"], found["temperature"]) == ("ignored", "honoured")


def test_a_refused_parameter_is_left_out_and_that_is_said():
    with stub(refuse=["seed", "top_p"]) as url:
        asking = backend(url)
        assert asking.complete([ask(4)])[0][0].text == "So <answer>5"
        assert {note.split("'")[1] for note in asking.notes} == {"seed", "top_p"}


@pytest.mark.parametrize("limits", [{"requests": 10}, {"tokens": 250}, {"money": 0.001}])
def test_a_budget_stops_the_run_and_what_came_is_kept(tmp_path, limits):
    """Catches a run that goes on spending, and one that throws away what it has paid."""
    with stub() as url, Journal(tmp_path / "journal.sqlite", {}) as journal:
        asking = backend(
            url, journal=journal, budget=Budget(**limits), concurrency=4, price=Price(prompt=2.0, output=10.0)
        )
        with pytest.raises(BudgetSpent, match="is spent"):
            asking.complete([ask(number) for number in range(200)])
        answers = journal.bills()["solver"].answers
        assert answers == sum(stats(url)["delivered"].values())
        assert 4 <= answers <= 20


@pytest.mark.parametrize(("limit", "spent"), [("requests", 10), ("tokens", 250), ("money", 0.5)])
def test_a_limit_that_is_reached_is_spent(limit, spent):
    """Catches one request more than the limit allows, where the last one spent all that was left."""
    below, reached = Budget(**{limit: spent}), Budget(**{limit: spent, f"spent_{limit}": spent})
    below.check()
    with pytest.raises(BudgetSpent, match=limit):
        reached.check()


def test_output_is_billed_at_its_own_price():
    """Catches prompts and output billed at one price, and a price for a token in place of a million."""
    assert Price(prompt=2.0, output=10.0).cost(3_000_000, 1_000_000) == 16.0


def test_the_key_is_nowhere(tmp_path, monkeypatch, capfd, caplog):
    """Catches a key in a journal, a log, an error, a traceback, a process list or a repr."""
    monkeypatch.setenv("STUB_KEY", KEY)
    caplog.set_level(0)
    path = tmp_path / "journal.sqlite"
    with stub(key="another") as url, Journal(path, {}) as journal:
        asking = backend(url, journal=journal, key_env="STUB_KEY")
        with pytest.raises(
            K2ReproError, match="environment variable STUB_KEY, which is set, and was refused"
        ) as info:
            asking.complete([ask(1)])
        said = "".join(traceback.format_exception(info.value)) + repr(asking) + repr(asking.endpoint)
    with stub(key=KEY) as url, Journal(tmp_path / "second.sqlite", {}) as journal:
        assert backend(url, journal=journal, key_env="STUB_KEY").complete([ask(1)])[0][0].text
        processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=False).stdout
        monkeypatch.delenv("STUB_KEY")
        with pytest.raises(K2ReproError, match="which is not set"):
            backend(url, key_env="STUB_KEY").complete([ask(1)])
    ours = [line for line in processes.splitlines() if "stub_server" not in line]
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert KEY not in said + "".join(ours) + caplog.text + "".join(capfd.readouterr())
    assert KEY.encode() not in written


def test_nobody_there_wrong_model_and_urls_with_secrets():
    with pytest.raises(K2ReproError, match="cannot be reached"):
        backend("http://127.0.0.1:9/v1", retries=Retries(attempts=5, first=0.01)).complete([ask(1)])
    with stub() as url, pytest.raises(K2ReproError, match="model 'other'"):
        backend(url, model="other").complete([ask(1)])
    for bad in ("ftp://x/v1", "http://user:pass@host/v1", "https://host/v1?key=1", "localhost:80"):
        with pytest.raises(K2ReproError, match="URL"):
            Endpoint(bad, "m")


def test_a_request_that_never_succeeds_is_reported_and_fails_again_in_a_replay(tmp_path):
    """Catches one hopeless request that takes the other thousand with it."""
    path = tmp_path / "journal.sqlite"
    with stub(error=1.0) as url:
        with Journal(path, {}) as journal:
            asking = backend(url, journal=journal, retries=Retries(attempts=3, first=0.01))
            ((found,),) = asking.complete([ask(1)])
        with Journal(path, read_only=True) as journal:
            assert backend(url, journal=journal, offline=True).complete([ask(1)]) == [[found]]
    assert found.finish == "error"
    assert "500" in found.error
    with stub(hang=1.0, hang_seconds=3) as url:
        asking = backend(url, timeout=0.2, retries=Retries(attempts=2, first=0.01))
        assert asking.complete([ask(1)])[0][0].finish == "timeout"


def test_memory_does_not_grow_with_requests(tmp_path):
    """Catches a task, a future or a body that is kept for every request."""
    with stub() as url, Journal(tmp_path / "journal.sqlite", {}) as journal:
        asking = backend(url, journal=journal, concurrency=64)
        sizes = []
        for part in range(4):
            asking.complete([ask(number + 500 * part) for number in range(500)])
            sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert sizes[-1] - sizes[1] < 4_000  # KiB over a thousand requests


def test_pauses_grow_are_drawn_and_retry_after_is_read():
    retries, generator = Retries(first=1.0, most=8.0), random.Random(0)
    pauses = [[retries.pause(attempt, generator) for _ in range(50)] for attempt in range(1, 7)]
    for attempt, drawn in enumerate(pauses):
        whole = min(8.0, 2.0**attempt)
        assert all(whole / 2 <= pause <= whole for pause in drawn)
        assert len(set(drawn)) > 40
    assert retry_after("Thu, 01 Jan 1970 00:00:10 GMT") == 0.0
    assert retry_after("-3") == 0.0


def test_retry_after_is_waited_for():
    """Catches a client that comes back before the server lets it."""
    with stub(limit=0.5, after="0.3", seed=3) as url:
        started = time.monotonic()
        backend(url, concurrency=1, retries=QUICK).complete([ask(number) for number in range(4)])
        refused = stats(url)["outcomes"]["limit"]
        assert refused > 0
        assert time.monotonic() - started >= 0.3 * refused


def test_the_endpoint_needs_no_torch():
    code = (
        "import sys; import k2repro.engine.endpoint, k2repro.engine.probe; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
