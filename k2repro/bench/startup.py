"""How long `import k2repro` and `k2repro --help` take, beside a bare interpreter in the same run."""

import statistics
import subprocess
import sys
import time
from typing import Any

RUNS = 7
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import k2repro": ["-c", "import k2repro"],
    "k2repro --help": ["-m", "k2repro", "--help"],
}


def bench_startup() -> list[dict[str, Any]]:
    """Median seconds of each command over alternating runs, and the ratio to the bare interpreter."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(RUNS):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - started)
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
