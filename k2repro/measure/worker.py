"""A measurement in a process of its own: `run_in_process` starts one, `main` is what it runs.

The request comes in as one line on standard input; progress and the result go out as JSON lines.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.processes import end_with_parent, start


def run_in_process(
    request: dict[str, Any], threads: int, tell: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Run one job with exactly `threads` threads and return its result.

    Raises K2ReproError when the process ends without one (most often: not enough memory).
    """
    with start([sys.executable, "-m", "k2repro.measure.worker"], threads) as process:
        try:
            return _converse(process, request, tell)
        finally:
            process.kill()


def _converse(
    process: "subprocess.Popen[str]", request: dict[str, Any], tell: Callable[[str], None]
) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise K2ReproError("the measuring process has no pipes")
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    for line in process.stdout:
        message = json.loads(line)
        if "tell" in message:
            tell(message["tell"])
        elif "error" in message:
            raise K2ReproError(message["error"])
        else:
            return message["result"]
    process.wait()
    last = process.stderr.read().strip().splitlines()[-1:] or ["no message"]
    raise K2ReproError(
        f"measuring {request['job']!r} ended with code {process.returncode} ({last[0]}); "
        "the usual causes are too little memory (code -9) and a missing torch extra"
    )


def _send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read a request, run it with the threads of the environment, write the result."""
    import torch

    from k2repro.measure.jobs import run_job

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    request = json.loads(sys.stdin.readline())
    end_with_parent(sys.stdin)
    try:
        _send({"result": run_job(request, lambda text: _send({"tell": text}))})
    except K2ReproError as error:
        _send({"error": str(error)})


if __name__ == "__main__":
    main()
