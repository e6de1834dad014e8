"""How long `import k2repro` and `k2repro --help` take, beside a bare interpreter in the same run."""

import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from k2repro.bench.timing import in_turn

RUNS = 7
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import k2repro": ["-c", "import k2repro"],
    "k2repro --help": ["-m", "k2repro", "--help"],
}


def bench_startup() -> list[dict[str, Any]]:
    """Median seconds of each command over alternating runs, and the ratio to the bare interpreter."""
    runs: dict[str, Callable[[], object]] = {
        name: partial(subprocess.run, [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        for name, arguments in COMMANDS.items()
    }
    times = in_turn(runs, RUNS)
    bare = statistics.median(times["python -c pass"])
    return [
        {
            "work": name,
            "runs": RUNS,
            "median_s": statistics.median(seconds),
            "above_bare_s": statistics.median(seconds) - bare,
            "ratio_to_bare": statistics.median(seconds) / bare,
        }
        for name, seconds in times.items()
    ]
