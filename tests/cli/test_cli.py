"""The command line: every user error is one message and code 2, never a traceback."""

import json
import subprocess
import sys

import pytest

from k2repro.cli import main, parser
from k2repro.cli.command import HEADINGS
from k2repro.cli.entry import find_commands
from k2repro.results import Places


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "k2repro", *arguments], capture_output=True, text=True, cwd=Places.find().root
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["reproduce", "--profile", "laptp"], "did you mean 'laptop'"),
        (["claims", "article.no-such-claim"], "unknown claim"),
        (["notebook", "why", "99"], "unknown notebook"),
        (["bench", "no-such-bench"], "unknown bench"),
        (["status", "--profile", "x"], "unknown profile"),
    ],
)
def test_unknown_names_are_refused_with_those_that_exist(arguments, named):
    """Catches a typo answered by a traceback, or by doing something else."""
    result = run(*arguments)
    assert result.returncode == 2
    assert named in result.stderr
    assert "Traceback" not in result.stderr
    assert "Known:" in result.stderr or "lists all" in result.stderr


def test_claims_json_is_for_machines(capsys):
    """Catches a ledger that a script cannot read, or that lost its verdicts."""
    with pytest.raises(SystemExit) as stop:
        main(["claims", "--json"])
    assert stop.value.code == 0
    ledger = json.loads(capsys.readouterr().out)
    verdicts = {claim["verdict"] for claim in ledger["claims"]}
    assert {"recomputed", "contradicted", "unresolved"} <= verdicts


def test_status_names_every_notebook(capsys):
    """Catches a status page that leaves out what was never built."""
    with pytest.raises(SystemExit):
        main(["status"])
    text = capsys.readouterr().out
    for source in Places.find().sources.glob("[0-9][0-9]_*.py"):
        assert source.stem in text


def test_every_command_explains_itself():
    """Catches a command without help."""
    [commands] = [a for a in parser()._actions if a.choices and "reproduce" in a.choices]
    for name, command in commands.choices.items():
        assert len(command.format_help()) > 80, name
    assert all(choice.help for choice in commands._choices_actions)


def test_a_closed_pipe_is_not_an_error():
    """Catches `k2repro claims | head` ending in a BrokenPipeError traceback."""
    command = f"{sys.executable} -m k2repro claims | head -1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=Places.find().root)
    assert "Traceback" not in result.stderr


def test_help_lists_every_command_under_a_heading_that_exists():
    """Catches a new group that `k2repro --help` does not show, or shows under a heading of its own."""
    text = parser().format_help()
    for command in find_commands():
        assert command.heading in HEADINGS, command.name
        assert f"\n  {command.name} " in text, command.name
        assert command.run is not None or command.verbs, command.name


def test_a_group_is_one_file(tmp_path, monkeypatch):
    """Catches a registry that has to be told of a new command file."""
    import k2repro.cli as package

    (tmp_path / "specimen.py").write_text(
        "from k2repro.cli.command import Command\n"
        "COMMANDS = (Command('specimen', 'Says nothing', lambda args: 7),)\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    with pytest.raises(SystemExit) as stop:
        main(["specimen"])
    assert stop.value.code == 7
