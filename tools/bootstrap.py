"""Create or refresh .venv so that `make reproduce` and `make test` work as first commands.

Standard library only: this runs before anything is installed. The environment is stale when
pyproject.toml, constraints.txt, this file, the Python version or the checkout's place changed.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".k2repro-stamp"
LOG = VENV / "setup.log"
# Made by `make wheelhouse`, carried to where there is no network; if it is there, nothing else is asked.
WHEELS = ROOT / "wheelhouse"
NVIDIA = Path("/proc/driver/nvidia")
OLDEST, NEWEST = (3, 11), (3, 14)  # torch 2.13 is built for these
UNREACHABLE = (
    "Failed to establish a new connection",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "NewConnectionError",
    "ConnectTimeoutError",
)
NO_SUCH_PACKAGE = ("No matching distribution found", "ResolutionImpossible")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
LAB_SETTINGS = {
    # Windowed notebooks drop outputs when a reader jumps (jupyterlab#13343, #14467).
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def fail(text: str) -> "None":
    sys.exit(f"setup: {text}")


def wanted_stamp() -> str:
    """Hash of everything that decides what must be installed, and where."""
    digest = hashlib.sha256()
    for path in (ROOT / "pyproject.toml", ROOT / "constraints.txt", Path(__file__)):
        digest.update(path.read_bytes())
    # Not the kernel's release: an update of it would ask an offline laptop for the network.
    digest.update(f"{platform.system()} {platform.machine()} {ROOT}".encode())
    return digest.hexdigest()


def is_fresh(stamp: str) -> bool:
    """Whether .venv was built from exactly this, and its interpreter still exists."""
    return (
        STAMP.is_file()
        and STAMP.read_text(encoding="utf-8") == stamp
        and PYTHON.exists()
        and (VENV / "bin" / "k2repro").is_file()
        and (not os.environ.get("PYTHON") or venv_version() == list(sys.version_info[:2]))
    )


def venv_version() -> list[int]:
    """(major, minor) of the interpreter in .venv; empty when it is broken or stands in another place.

    The scripts of an environment hold its absolute path: in a copied or moved checkout they would run
    the other checkout's interpreter.
    """
    if not PYTHON.exists():
        return []
    pip = VENV / "bin" / "pip"
    if not pip.is_file() or str(VENV) not in pip.read_text(encoding="utf-8")[:400]:
        return []
    probe = subprocess.run(
        [PYTHON, "-c", "import sys, pip; print(*sys.version_info[:2])"], capture_output=True, text=True
    )
    return [int(part) for part in probe.stdout.split()] if probe.returncode == 0 else []


def create_venv() -> None:
    """Make .venv, or keep a healthy one; PYTHON= in the environment asks for that interpreter's version."""
    version = venv_version()
    wanted = list(sys.version_info[:2])
    if version and (
        version == wanted or (list(OLDEST) <= version <= list(NEWEST) and not os.environ.get("PYTHON"))
    ):
        return
    if VENV.exists():
        say("the environment in .venv is broken, moved, or of another Python: rebuilding it")
        if Path(sys.prefix).resolve() == VENV.resolve():
            fail("this is running from the .venv that must be rebuilt. Type `deactivate`, then try again")
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode != 0:
        fail(
            f"{sys.executable} cannot create a virtual environment.\n{made.stdout}{made.stderr}\n"
            "Usual cause: Debian and Ubuntu split venv off. Install it: apt install python3-venv"
        )


def pip(arguments: list[str], doing: str) -> bool:
    """Run pip with the constraints; log everything, show one line every few seconds."""
    offline = ["--no-index", "--find-links", str(WHEELS)] if WHEELS.is_dir() else []
    command = [str(PYTHON), "-m", "pip", "install", *offline, "-c", str(ROOT / "constraints.txt"), *arguments]
    started = shown = time.monotonic()
    say(f"{doing} ...")
    with LOG.open("a", encoding="utf-8") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            step = line.strip()
            if step.startswith(("Collecting", "Downloading", "Installing")) and time.monotonic() - shown > 5:
                shown = time.monotonic()
                say(f"  {shown - started:4.0f} s  {step[:70]}")
    return process.wait() == 0


def torch_index() -> list[str]:
    """Extra index that avoids gigabytes of CUDA on a Linux machine without an NVIDIA GPU."""
    chosen = os.environ.get("K2REPRO_TORCH_INDEX")
    if chosen:
        return ["--extra-index-url", chosen]
    if sys.platform != "linux" or NVIDIA.exists() or WHEELS.is_dir():
        return []
    ask = [str(PYTHON), "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
    ask += ["-c", str(ROOT / "constraints.txt"), "--report", "-", "torch"]
    answer = subprocess.run(ask, capture_output=True, text=True)
    try:
        version = json.loads(answer.stdout)["install"][0]["metadata"]["version"]
    except (ValueError, LookupError):
        return []
    if version.endswith("+cpu"):
        return []
    if not answers(CPU_INDEX):
        say(f"{CPU_INDEX} does not answer, which serves torch without CUDA.")
        say("going on with your package index: torch from there may bring 3 GB of CUDA libraries.")
        say("To avoid them, stop here (Ctrl-C) and set K2REPRO_TORCH_INDEX to a mirror of that index")
        return []
    say("no NVIDIA GPU here: taking torch's CPU build (set K2REPRO_TORCH_INDEX to choose another)")
    return ["--extra-index-url", CPU_INDEX]


def answers(url: str, seconds: float = 10.0) -> bool:
    """Whether an index of packages can be reached; pip would try for minutes, without a word."""
    try:
        with urllib.request.urlopen(f"{url}/torch/", timeout=seconds):
            return True
    except (OSError, ValueError):
        return False


def cause_of(log: str) -> str:
    """What a failed installation most often means; empty where pip's own words say it."""
    if any(word in log for word in UNREACHABLE):
        return "This machine did not reach the package index: set-up needs the network once, or a mirror.\n"
    if "No space left" in log:
        return "The disk is full: set-up needs about 2 GB.\n"
    if any(word in log for word in NO_SUCH_PACKAGE):
        return (
            "The index has no such package for this Python. torch comes for 3.11 to 3.14; "
            "name one: make setup PYTHON=python3.12\n"
        )
    return ""


def install() -> None:
    torch = ["torch", *torch_index()]
    steps = [
        (["pip", "setuptools"], "1/3 installer"),
        (torch, "2/3 torch (about 200 MB)"),
        (["--no-build-isolation", "-e", f"{ROOT}[all]"], "3/3 everything else (about 400 MB)"),
    ]
    for arguments, doing in steps:
        # A second try: most failures of an install are a dropped connection.
        if not (pip(arguments, doing) or pip(arguments, f"{doing}, second try")):
            text = LOG.read_text(encoding="utf-8", errors="replace")
            tail = "".join(text.splitlines(keepends=True)[-15:])
            place = LOG.relative_to(ROOT)
            # The log also holds earlier set-ups: the cause stands in what this one wrote.
            fail(f"step {doing} failed. {cause_of(text[-20_000:])}The end of {place}:\n{tail}")


def fill_wheelhouse() -> None:
    """Every package as a wheel for this system and Python, so that others can set up without a network."""
    partial = WHEELS.with_name("wheelhouse.partial")
    command = [str(PYTHON), "-m", "pip", "wheel", "-c", str(ROOT / "constraints.txt"), "-w", str(partial)]
    wanted = ["pip", "setuptools", "torch", *torch_index(), f"{ROOT}[all]"]
    say("collecting every package as a wheel in wheelhouse/ (about 600 MB) ...")
    if subprocess.run([*command, *wanted]).returncode != 0:
        fail("the wheelhouse is not complete; what was fetched is in wheelhouse.partial/. Run it again")
    shutil.rmtree(WHEELS, ignore_errors=True)
    partial.rename(WHEELS)
    say("done. Carry wheelhouse/ along: where it lies beside the Makefile, `make setup` uses nothing else")


def main() -> None:
    stamp = wanted_stamp()
    if is_fresh(stamp):
        return
    with (ROOT / ".setup.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once: the second waits, then finds it fresh
        if is_fresh(stamp):
            return
        version = ".".join(map(str, sys.version_info[:3]))
        if not OLDEST <= sys.version_info[:2] <= NEWEST:
            fail(
                f"this is Python {version}; torch comes for 3.11 to 3.14. Name one of these: "
                "make setup PYTHON=/path/to/python3.12"
            )
        say(f"building .venv with Python {version} from constraints.txt; a few minutes, once")
        started = time.monotonic()
        create_venv()
        STAMP.unlink(missing_ok=True)
        install()
        settings = VENV / "share" / "jupyter" / "lab" / "settings"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "overrides.json").write_text(json.dumps(LAB_SETTINGS, indent=2), encoding="utf-8")
        STAMP.write_text(stamp, encoding="utf-8")
        say(f"done in {time.monotonic() - started:.0f} s; from here on nothing needs the network")


if __name__ == "__main__":
    main()
    if sys.argv[1:] == ["wheelhouse"]:
        fill_wheelhouse()
