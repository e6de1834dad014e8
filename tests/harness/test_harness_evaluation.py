"""`k2repro evaluate` from the command line: every number comes from requests, and again from the journal."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
from canned import canned
from stubs import stats, stub

from k2repro.cli import main
from k2repro.evaluate.journal import Journal
from k2repro.harness.protocol import Protocol
from k2repro.results.rows import read_rows

PROBLEMS = [(f"p{number}", f"What is {number} + {number + 3}?", 2 * number + 3) for number in range(10, 16)]


@pytest.fixture
def problems(tmp_path):
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps({"id": i, "question": q, "answer": a}) + "\n" for i, q, a in PROBLEMS))
    return path


def cli(*words):
    """The exit code of a command line."""
    with pytest.raises(SystemExit) as info:
        main([str(word) for word in words])
    return info.value.code or 0


def run(problems, folder, url, *options):
    named = ["--benchmark", problems, "--out", folder, "--base-url", url, "--model", "stub"]
    return cli("evaluate", *named, *options)


def by_name(path):
    return {name.partition("sums.")[2]: row for name, row in read_rows(path).items()}


def answers_of(folder):
    """What the journal holds, read without the package: label -> texts."""
    found = defaultdict(list)
    with contextlib.closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        query = """SELECT r.role, r.label, e.content FROM events e JOIN requests r ON r.key=e.key
            WHERE e.kind='arrived'"""
        for role, label, content in db.execute(query):
            found[role, label].append(json.loads(content))
    return found


def test_every_number_is_in_the_requests_and_a_replay_gives_the_same_bytes(problems, tmp_path, capsys):
    """Catches an accuracy that no request stands behind, tokens that are not billed, a replay that asks."""
    folder = tmp_path / "out"
    with stub(wrong=0.4) as url:
        assert run(problems, folder, url, "--runs", 4) == 0
        asked = sum(stats(url)["outcomes"].values())
        assert run(problems, folder, url, "--runs", 4) == 0
        assert sum(stats(url)["outcomes"].values()) == asked
    first = (folder / "rows.jsonl").read_bytes()
    samples = (folder / "samples_sums.jsonl").read_bytes()
    (folder / "rows.jsonl").unlink()
    assert cli("evaluate", "--replay", "--out", folder) == 0
    assert (folder / "rows.jsonl").read_bytes() == first
    assert (folder / "samples_sums.jsonl").read_bytes() == samples

    rows, gold = by_name(folder / "rows.jsonl"), {name: str(answer) for name, _, answer in PROBLEMS}
    answers = answers_of(folder)
    right = defaultdict(list)
    for (role, label), bodies in answers.items():
        if role == "solver" and label.endswith("/search/search"):
            texts = [body["choices"][0]["message"]["content"] for body in bodies]
            right[label.split("/")[1]] += [text.endswith(f">{gold[label.split('/')[1]]}") for text in texts]
    assert all(len(each) == 12 for each in right.values())
    assert rows["checkpoint.accuracy"].value == pytest.approx(
        np.mean([np.mean(each) for each in right.values()])
    )
    output = defaultdict(int)
    for (role, label), bodies in answers.items():
        arm = label.split("/")[3] if "/" in label else "probe"
        output[role, arm] += sum(body["usage"]["completion_tokens"] for body in bodies)
    questions = len(PROBLEMS) * 4
    spent = output["solver", "planned"] + output["planner", "planned"] + output["judge", "planned"]
    assert rows["plan-bo3.tokens.all"].value == pytest.approx(spent / questions)
    assert rows["bo3.tokens.judge"].value == pytest.approx(output["judge", "search"] / questions)
    assert (
        rows["bo3.oracle.accuracy"].value >= rows["bo3.accuracy"].value >= rows["checkpoint.accuracy"].value
    )
    assert rows["bo3.minus.checkpoint.accuracy"].interval[0] > 0
    assert all(row.scale == "real" for row in rows.values())
    lines = [json.loads(line) for line in samples.decode().splitlines()]
    assert len(lines) == 2 * questions
    assert {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "doc_hash"} <= lines[0].keys()
    assert "runs 4 (published 16)" in capsys.readouterr().out


def test_a_spent_budget_stops_cleanly_and_a_larger_one_goes_on(problems, tmp_path, capsys):
    """Catches half a run in the table, and a second run that begins again."""
    folder = tmp_path / "out"
    with stub(wrong=0.4) as url:
        assert run(problems, folder, url, "--runs", 2, "--max-requests", 40, "--concurrency", 4) == 2
        said = capsys.readouterr().err
        assert "the budget of 40 requests is spent" in said
        assert "are left" in said
        assert not (folder / "rows.jsonl").exists()
        assert run(problems, folder, url, "--runs", 2) == 0
        delivered = stats(url)["delivered"]
    # The probe asks one body twice on purpose: does the same seed give the same text?
    assert sorted(delivered.values())[:-1] == [1] * (len(delivered) - 1)


LIMITED = """
import resource, sys
from k2repro.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
main(sys.argv[1:])
"""


def test_a_full_disk_ends_the_run_in_one_line_and_the_next_one_goes_on(problems, tmp_path):
    """Catches a traceback of sqlite in the middle of a paid run, and answers that are asked for again."""
    folder = tmp_path / "out"
    with stub(wrong=0.4) as url:
        named = ["evaluate", "--benchmark", problems, "--out", folder, "--base-url", url, "--model", "stub"]
        words = [str(word) for word in (*named, "--runs", 4)]
        full = subprocess.run([sys.executable, "-c", LIMITED, *words], capture_output=True, text=True)
        assert full.returncode == 2, full.stderr
        assert "Traceback" not in full.stderr
        assert "journal.sqlite cannot be written" in full.stderr.splitlines()[-1]
        assert not (folder / "rows.jsonl").exists()
        kept = sum(len(bodies) for bodies in answers_of(folder).values())
        before = stats(url)["delivered"]
        assert 0 < kept <= sum(before.values())
        assert run(problems, folder, url, "--runs", 4) == 0
        whole = sum(len(bodies) for bodies in answers_of(folder).values())
        # Asked again: only what came when the disk was full already.
        assert sum(stats(url)["delivered"].values()) - sum(before.values()) == whole - kept


def test_a_run_that_lost_every_sample_has_no_rows(problems, tmp_path, capsys):
    """Catches an accuracy of 0 % where the server never answered."""
    with canned(lambda number, body: (400, {}, "the context is too small")) as (url, _):
        words = ["--runs", 1, "--best-of", 1, "--no-plan", "--no-probe", "--limit", 3]
        assert run(problems, tmp_path / "out", url, *words) == 2
    assert "none of the samples came" in capsys.readouterr().err
    assert not (tmp_path / "out" / "rows.jsonl").exists()


def test_two_runs_in_one_folder_and_a_replay_beside_a_run_are_refused(problems, tmp_path, capsys):
    """Catches two processes that pay for the same requests, and a table of half a run."""
    folder = tmp_path / "out"
    with stub() as url:
        words = ["--runs", 1, "--best-of", 1, "--no-plan", "--no-probe"]
        assert run(problems, folder, url, *words) == 0
        with Journal(folder / "journal.sqlite"):
            before = sum(stats(url)["outcomes"].values())
            assert run(problems, folder, url, *words) == 2
            assert cli("evaluate", "--replay", "--out", folder) == 2
            assert sum(stats(url)["outcomes"].values()) == before
    assert capsys.readouterr().err.count("is being written by another run") == 2


def test_ids_and_questions_of_every_script_are_asked_kept_and_replayed(tmp_path):
    """Catches an id with a slash or another script that breaks a label, a file name or a replay."""
    path = tmp_path / "задачи ✓.jsonl"
    odd = [("a/b", 1, 2), ("№ 7 — ü\u2028", 3, 4), ("emoji \U0001f600", 5, 6), ("", 7, 8)]
    rows = [{"id": name, "question": f"¿{a} + {b}?", "answer": a + b} for name, a, b in odd]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    folder = tmp_path / "out"
    with stub() as url:
        assert run(path, folder, url, "--runs", 1, "--best-of", 1, "--no-plan", "--no-probe") == 0
    first = (folder / "rows.jsonl").read_bytes()
    (accuracy,) = [row for name, row in read_rows(folder / "rows.jsonl").items() if "checkpoint.acc" in name]
    assert accuracy.value == 1.0
    assert cli("evaluate", "--replay", "--out", folder) == 0
    assert (folder / "rows.jsonl").read_bytes() == first


def test_the_key_is_in_no_file_and_no_line_of_a_run(problems, tmp_path, capfd, monkeypatch):
    """Catches a key in rows, samples, journal, progress or the words of a refusal."""
    key = "sk-secret-0123456789"
    monkeypatch.setenv("STUB_KEY", key)
    words = ["--runs", 1, "--key-env", "STUB_KEY"]
    with stub(key=key) as url:
        assert run(problems, tmp_path / "out", url, *words) == 0
    with stub(key="another") as url:
        assert run(problems, tmp_path / "refused", url, *words) == 2
    out, err = capfd.readouterr()
    assert "STUB_KEY" in err and key not in out + err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"rows.jsonl", "journal.sqlite", "samples_sums.jsonl"}
    assert all(key.encode() not in path.read_bytes() for path in files)


def test_a_server_that_ignores_temperature_is_refused_before_it_is_paid(problems, tmp_path, capsys):
    """Catches best-of-3 over three copies."""
    with stub(temperature="ignored") as url:
        assert run(problems, tmp_path / "out", url) == 2
        assert sum(stats(url)["outcomes"].values()) < 10
    assert "generation_config.json" in capsys.readouterr().err


def test_lost_samples_prose_judges_and_boxless_answers_are_rows_not_crashes(problems, tmp_path):
    with stub(wrong=0.4, judge="Hard to say.", planner="no JSON here") as url:
        assert run(problems, tmp_path / "out", url, "--runs", 2) == 0
    rows = by_name(tmp_path / "out" / "rows.jsonl")
    assert rows["unread-verdicts"].value == 1.0
    assert rows["failed"].value == 0.0
    assert "first-preferred" not in rows


def test_a_changed_protocol_in_the_same_folder_is_refused(problems, tmp_path, capsys):
    with stub() as url:
        assert run(problems, tmp_path / "out", url, "--runs", 1, "--best-of", 1, "--no-plan") == 0
        assert run(problems, tmp_path / "out", url, "--runs", 2, "--best-of", 1, "--no-plan") == 2
    assert "runs: 1 there, 2 now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('{"question": "a?"}', "missing gold answer"),
        ('{"question": "a?", "answer": ""}', "missing gold answer"),
        ('{"id": 1, "question": "a?", "answer": 1}\n{"id": 1, "question": "b?", "answer": 2}', "occurs"),
        ('{"text": "a?", "answer": 1}', "changed schema"),
        ("not json", "line 1: not JSON"),
        ("", "no problem"),
        ('{"question": "a?", "answer": 1, "kind": "poetry"}', "must be one of"),
    ],
)
def test_benchmarks_that_cannot_be_read_name_the_line(tmp_path, capsys, lines, what):
    path = tmp_path / "bad.jsonl"
    path.write_text(lines)
    assert run(path, tmp_path / "out", "http://127.0.0.1:9/v1") == 2
    assert what in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_unknown_benchmarks_and_a_missing_server_are_named(tmp_path, capsys):
    assert run("aime-2042", tmp_path / "out", "http://127.0.0.1:9/v1") == 2
    assert "aime-2024" in capsys.readouterr().err
    assert cli("evaluate", "--benchmark", "humaneval", "--out", tmp_path / "out") == 2
    assert "--base-url" in capsys.readouterr().err


def test_the_defaults_of_the_command_line_are_the_published_protocol(tmp_path):
    """Catches a default that drifts away from the paper's."""
    from k2repro.cli.entry import parser
    from k2repro.harness.serving import sampling
    from k2repro.paper import load_facts

    args = parser().parse_args(["evaluate", "--benchmark", "x", "--out", "y"])
    made = Protocol(runs=args.runs, n=args.best_of, plan=args.plan, solver=sampling(args))
    assert made == Protocol()
    assert made.deviations == []
    told = {
        "temperature": str(args.temperature),
        "top_p": str(args.top_p),
        "runs averaged": str(args.runs),
        "stop marker": args.stop[0],
        "max generation length": f"{args.max_new_tokens // 1000}k tokens",
        "N in best-of-N": str(args.best_of),
    }
    book = load_facts()
    assert {name: book.fact(f"eval_protocol/K2-Think/{name}").printed for name in told} == told
