"""Code with tests: the model writes a function, the sandbox runs the tests, failures go back to the model.

The program never runs outside the sandbox of `k2repro.verify`, and the model never sees the expected values
of tests that it has not failed.
"""

import argparse
import json
import sys

from k2repro.engine.backend import Backend, Message, Request
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.server import Endpoint
from k2repro.harness.grading import FENCE
from k2repro.verify import FunctionTest, run_tests


def write_tested(backend: Backend, task: str, tests: list[FunctionTest], *, tries: int) -> tuple[str, bool]:
    """(the last program, whether it passes all tests)."""
    turns = [Message("user", f"{task}\n\nGive the whole function in one ```python block.")]
    source, passed = "", False
    for attempt in range(tries):
        text = backend.complete([Request(tuple(turns), 16_000, seed=attempt, label="code")])[0][0].text or ""
        blocks = FENCE.findall(text)
        source = blocks[-1] if blocks else ""
        run = run_tests(source, tests) if source else None
        if run is not None and run.passed:
            return source, True
        said = (
            "There was no ```python block." if run is None else f"A test failed: {run.reason}. {run.detail}"
        )
        turns += [Message("assistant", text), Message("user", f"{said} Give the whole function again.")]
    return source, passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--function", default="f", help="its name")
    parser.add_argument(
        "--tests", required=True, help='JSON: [[[arguments], expected], ...], as in "[[[2, 3], 5]]"'
    )
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("task")
    args = parser.parse_args()
    tests = [FunctionTest(tuple(given), wanted, args.function) for given, wanted in json.loads(args.tests)]
    backend = EndpointBackend(Endpoint(args.base_url, args.model))
    source, passed = write_tested(backend, args.task, tests, tries=args.tries)
    sys.stdout.write(source + f"\n# {'passes all tests' if passed else 'DOES NOT pass'}\n")
    backend.close()
    sys.exit(not passed)


if __name__ == "__main__":
    main()
