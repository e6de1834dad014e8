"""The attack list: contained at every level here, and real, since it gets through where nothing stops it."""

import subprocess

import pytest

from k2repro.errors import K2ReproError
from k2repro.verify import available_levels
from k2repro.verify.attack import load_attacks, run_attacks
from k2repro.verify.ladder import LEVELS
from k2repro.verify.level_cpython import ENVIRONMENT, PYTHON_FLAGS, CPythonLevel, child_source, python
from k2repro.verify.report import attack_report

HERE = available_levels()
ATTACKS = load_attacks()
# A second level of real Python starts slowly: what its own walls stop is asked of it, what the shared
# filter and limits stop is asked of the first.
ITS_OWN = {"files", "network", "messages"}


def cases() -> list:
    first = next((name for name in HERE if name != "monty"), None)
    return [
        pytest.param(level, attack, id=f"{level}-{attack.name}")
        for level in HERE
        for attack in ATTACKS
        if level in ("monty", first) or attack.kind in ITS_OWN
    ]


@pytest.mark.parametrize(("level", "attack"), cases())
def test_an_attack_is_contained(level, attack):
    """Catches a wall with a hole: each attack aims at something outside that is looked at afterwards."""
    (finding,) = run_attacks(LEVELS[level], [attack])
    assert finding.contained, finding.wrong


class Piped:
    """A process of the standard library's kind, whose stdin and stdout are pipes."""

    def __init__(self, process):
        self.process, self.pid = process, process.pid
        self.stdin, self.stdout = process.stdin.fileno(), process.stdout.fileno()

    def end(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()


class Bare(CPythonLevel):
    """The wrong twin: the same child, with neither a sandbox nor a filter."""

    name = "bare"

    def version(self):
        return ""

    def launch(self, limits):
        source = child_source()
        call = 'refuse_calls(bytes.fromhex(start["filter"]))'
        assert call in source
        command = [python(), *PYTHON_FLAGS, "-c", source.replace(call, "pass")]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, bufsize=0, env=ENVIRONMENT, start_new_session=True
        )
        return Piped(process)


@pytest.mark.parametrize(
    "attack", [pytest.param(each, id=each.name) for each in ATTACKS if each.bare and not each.forge]
)
def test_without_a_sandbox_it_gets_through(attack):
    """Catches an attack that could never succeed, and so proves nothing: bare Python must fall to it."""
    (finding,) = run_attacks(Bare(), [attack])
    assert not finding.contained


def test_the_list_covers_every_kind():
    """Catches a file of attacks that is no longer read, or not shipped with the package."""
    assert {attack.kind for attack in ATTACKS} >= {
        "files", "forging", "interpreter", "memory", "messages", "network", "processes"
    }  # fmt: skip
    assert len(ATTACKS) >= 110
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def test_the_report_names_what_got_out(monkeypatch):
    """Catches a doctor that says contained whatever happens."""
    monkeypatch.setitem(LEVELS, "monty", Bare())
    report = attack_report(["monty"], ["network"], lambda text: None)
    assert not report.contained
    assert "GOT OUT" in report.as_text()
    assert "connect by MPTCP (network)" in report.as_text()
    assert '"contained": false' in report.as_json()


def test_bad_input_is_named():
    """Catches a typing error in an option that silently attacks nothing."""
    with pytest.raises(K2ReproError, match="unknown kind of attack 'netwerk'"):
        attack_report([], ["netwerk"], print)
    with pytest.raises(K2ReproError, match="unknown sandbox level 'docker'"):
        attack_report(["docker"], [], print)
