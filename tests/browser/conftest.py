"""Chromium, JupyterLab and the pages that both are pointed at.

Only `make test-browser` runs these tests, so a missing Chromium is a failure with instructions, never
a skip. Nothing here reaches the network: requests that leave this machine are refused.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
from specimen import write_specimen

from k2repro.notebook.workbench import EXTENSIONS
from k2repro.results.places import Places

CANDIDATES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OVERRIDES = """{
  "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false},
  "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}
}"""
LAB_STARTS_WITHIN_S = 90


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address, token and the folder it serves."""

    address: str
    token: str
    folder: Path


@pytest.fixture(scope="session")
def places() -> Places:
    return Places.find()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; fails, never skips, when there is none."""
    wanted = os.environ.get("K2REPRO_CHROMIUM")
    found = [wanted] if wanted else [path for path in CANDIDATES if Path(path).exists()]
    if not found or not Path(found[0]).exists():
        pytest.fail(
            f"no Chromium at {wanted or ', '.join(CANDIDATES)}. "
            "Install it (Debian: apt-get install chromium) or set K2REPRO_CHROMIUM to its path; "
            "these tests never skip",
            pytrace=False,
        )
    return found[0]


@pytest.fixture(scope="session")
def browser(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def screenshots(places) -> Path:
    folder = places.root / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def open_page(browser):
    """Open a page that can reach this machine only; JavaScript on or off."""
    contexts = []

    def page(javascript: bool = True):
        context = browser.new_context(
            java_script_enabled=javascript, viewport={"width": 1280, "height": 1000}, reduced_motion="reduce"
        )
        contexts.append(context)
        context.route(
            lambda url: not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")),
            lambda route: route.abort(),
        )
        return context.new_page()

    yield page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory, places) -> Path:
    """Copies of the committed notebooks and the specimen: Lab saves by itself, and must not touch ours."""
    folder = tmp_path_factory.mktemp("served")
    for path in places.notebooks.glob("*.ipynb"):
        shutil.copy(path, folder / path.name)
    write_specimen(folder / "specimen.ipynb")
    return folder


@pytest.fixture(scope="session")
def lab(tmp_path_factory, served):
    """A JupyterLab of its own: fresh settings, free port, random token."""
    home = tmp_path_factory.mktemp("jupyter")
    settings = home / "lab-settings"
    settings.mkdir()
    (settings / "overrides.json").write_text(OVERRIDES)
    port, token = free_port(), secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={served}",
        f"--LabApp.app_settings_dir={settings}",
        f"--LabServerApp.extra_labextensions_path={EXTENSIONS}",
        "--LabApp.news_url=None",
    ]
    own = {name: str(home / name.lower()) for name in FRESH_FOLDERS}
    log = home / "lab.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, env={**os.environ, **own}, stdout=out, stderr=out)
        try:
            running = Lab(f"http://127.0.0.1:{port}", token, served)
            wait_for(running, process, log)
            yield running
        finally:
            process.terminate()
            process.wait(timeout=30)


FRESH_FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(lab: Lab, process: subprocess.Popen, log: Path) -> None:
    """Return when Lab answers; fail with the end of its log when it dies or never does."""
    deadline = time.monotonic() + LAB_STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{lab.address}/api?token={lab.token}", timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start within {LAB_STARTS_WITHIN_S} s:\n{log.read_text()[-2000:]}")
