"""Starting the stub server of `stub_server.py` as a process of its own, and asking what it counted."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

PROGRAM = Path(__file__).with_name("stub_server.py")


@contextlib.contextmanager
def stub(**options):
    """The base URL of a stub that runs until the block ends."""
    words = []
    for name, value in options.items():
        words.append(f"--{name.replace('_', '-')}")
        words += [] if value is True else map(str, value) if isinstance(value, list) else [str(value)]
    process = subprocess.Popen([sys.executable, str(PROGRAM), *words], stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def stats(url):
    """What the stub counted: complete answers by body, outcomes, most requests at once."""
    with urlopen(url.removesuffix("/v1") + "/stats") as response:
        return json.load(response)
