"""How commands end: one line and an exit code, whatever the terminal, the machine or the installation is."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import k2repro
from k2repro.cli.endings import REFUSALS, extra_of, run_to_exit_code
from k2repro.errors import K2ReproError
from k2repro.results import Places

K2 = [sys.executable, "-m", "k2repro"]
ROOT = Places.find().root
QUICK = [["claims"], ["status"], ["notebook", "list"], ["--help"], ["emulate", "--help"]]


def shell(line: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
    """A line of bash in which $K2 is the command; bytes, since an encoding may be what is tested."""
    environment = {**os.environ, "K2": " ".join(K2), **variables}
    return subprocess.run(["bash", "-c", line], capture_output=True, cwd=ROOT, env=environment)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_every_terminal_is_spoken_to(arguments, encoding):
    """Catches a UnicodeEncodeError on a terminal that lacks a small raised letter."""
    result = shell(f"$K2 {' '.join(arguments)}", PYTHONIOENCODING=encoding)
    assert result.returncode == 0, result.stderr
    assert result.stdout


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_files_are_utf8_whatever_the_machine_says(arguments):
    """Catches a text file read in the encoding of the machine: an error here, wrong letters on Windows."""
    warn = [sys.executable, "-X", "warn_default_encoding", "-W", "always::EncodingWarning", *K2[1:]]
    variables = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = subprocess.run([*warn, *arguments], capture_output=True, cwd=ROOT, env=variables)
    assert result.returncode == 0, result.stderr.decode()[-2000:]
    # Libraries may do as they like; a warning begins with the file that it is about.
    ours = re.compile(r"(?!.*site-packages).*/k2repro/\S+: Enc")
    assert [line for line in result.stderr.decode().splitlines() if ours.match(line)] == []


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(arguments):
    """Catches a BrokenPipeError, or Python's own complaint about it at the very end."""
    result = shell(f"set -o pipefail; $K2 {' '.join(arguments)} | head -c 1")
    assert result.returncode == 0
    assert result.stderr == b""


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_a_closed_output_is_no_error(arguments):
    """Catches an AttributeError where a service starts the command without any output."""
    result = shell(f"$K2 {' '.join(arguments)} >&-")
    assert result.returncode == 0
    assert b"Traceback" not in result.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the full disk is a device of Linux")
@pytest.mark.parametrize("arguments", [["claims"], ["status"]], ids=" ".join)
def test_a_full_disk_is_said_in_one_line(arguments):
    """Catches a traceback, and a success that wrote nothing."""
    result = shell(f"$K2 {' '.join(arguments)} >/dev/full")
    assert result.returncode == 2
    assert result.stderr.decode().splitlines() == [f"k2repro: {REFUSALS[errno.ENOSPC]}"]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (K2ReproError("no such thing"), 2, "no such thing"),
        (KeyboardInterrupt(), 130, "stopped"),
        (MemoryError(), 2, "not enough memory"),
        (ModuleNotFoundError("No module named 'numba'", name="numba"), 2, "k2repro[torch]"),
        (ModuleNotFoundError("No module named 'nbformat.v4'", name="nbformat.v4"), 2, "k2repro[lab]"),
        (OSError(errno.EROFS, "read-only", "/there"), 2, "/there: this folder is read-only"),
        (PermissionError(errno.EACCES, "denied", "/there"), 2, "belongs to someone else"),
        (OSError(errno.EMFILE, "too many"), 2, "ulimit"),
    ],
)
def test_what_is_no_fault_of_ours_is_one_line(capsys, error, code, said):
    """Catches three screens of traceback for Ctrl-C, a full disk, or an extra that is not installed."""

    def run() -> int:
        raise error

    assert run_to_exit_code(run) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError(),
        FileNotFoundError(errno.ENOENT, "no such file", "curve.json"),
        ModuleNotFoundError("No module named 'k2repro.x'", name="k2repro.x"),
    ],
)
def test_a_fault_of_ours_keeps_its_traceback(error):
    """Catches a handler so wide that a bug looks like bad input."""

    def run() -> int:
        raise error

    with pytest.raises(type(error)):
        run_to_exit_code(run)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_a_signal_ends_with_one_line_after_cleaning_up(tmp_path, name, code):
    """Catches a run that is ended by `kill`, and leaves half a file and no word."""
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent("""
            import sys, time
            from k2repro.cli.endings import run_to_exit_code

            def run():
                try:
                    print("ready", flush=True)
                    time.sleep(60)
                finally:
                    print("cleaned", flush=True)

            sys.exit(run_to_exit_code(run))
        """),
        encoding="utf-8",
    )
    child = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell in the background has both ignored, which a child would inherit.
        preexec_fn=lambda: [signal.signal(s, signal.SIG_DFL) for s in (signal.SIGINT, signal.SIGHUP)],
    )
    assert child.stdout.readline() == "ready\n"
    child.send_signal(getattr(signal, name))
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (code, "cleaned\n")
    assert re.fullmatch(r"k2repro: .*run the same command again.*\n", err)


def test_every_extra_is_found_by_the_library_it_brings():
    """Catches advice that installs the wrong extra."""
    wanted = {"torch": "torch", "safetensors": "torch", "trl": "train", "pydantic_monty": "verify"}
    assert {library: extra_of(library) for library in wanted} == wanted
    assert extra_of("something_else") == "all"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The package alone in a folder, as a wheel installs it: no notebooks, no results, no profiles."""
    folder = tmp_path_factory.mktemp("wheel")
    package = Path(k2repro.__file__).parent
    shutil.copytree(package, folder / "k2repro", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("claims", 0, "not in a checkout"),
        ("claims --json", 0, "not in a checkout"),
        ("status", 2, "installed as a wheel"),
        ("reproduce", 2, "installed as a wheel"),
        ("check", 2, "installed as a wheel"),
        ("notebook list", 2, "installed as a wheel"),
        ("notebook why 01", 2, "installed as a wheel"),
        ("emulate --model k2-think --device WSE-3 --devices 3", 0, ""),
        ("--help", 0, ""),
    ],
)
def test_every_command_answers_outside_a_checkout(wheel, arguments, code, said):
    """Catches a traceback where the wheel alone is installed: eight of fifteen commands once."""
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    result = subprocess.run(
        [*K2, *arguments.split()], capture_output=True, text=True, cwd=wheel, env=environment
    )
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert said in result.stderr and len(result.stderr.splitlines()) <= 1


def test_a_missing_library_is_named_with_its_extra(wheel):
    """Catches ModuleNotFoundError as a traceback where only the base is installed; the twin has all."""
    (wheel / "torch.py").write_text("raise ModuleNotFoundError(name='torch')\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(wheel)}
    command = [*K2, "bench", "architecture"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=wheel, env=environment)
    (wheel / "torch.py").unlink()
    assert result.returncode == 2
    assert "this needs torch" in result.stderr and "k2repro[torch]" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("profile", ["nope", "''", "../../etc/passwd"])
def test_claims_of_a_profile_that_does_not_exist_are_refused(profile):
    """Catches exit 0 and a ledger without rows for a misspelt profile."""
    result = shell(f"$K2 claims --profile {profile}")
    assert result.returncode == 2
    assert b"unknown profile" in result.stderr


def test_ctrl_c_during_the_imports_is_one_line():
    """Catches a screen of traceback for whoever stops a command in its first half second."""
    program = """
        import importlib.abc, sys

        class Interrupted(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name == "argparse":
                    raise KeyboardInterrupt

        from k2repro.cli import main
        sys.modules.pop("argparse", None)
        sys.meta_path.insert(0, Interrupted())
        main(["status"])
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "k2repro: stopped before it began\n"
