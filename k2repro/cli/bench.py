"""Side by side with the peers: bench."""

import argparse
import sys
from typing import Any

from k2repro.cli.command import MACHINE, Command, json_option, option, options, say
from k2repro.cli.endings import INTERRUPTED, TERMINATED, Terminated


def run_bench(args: argparse.Namespace) -> int:
    from k2repro.bench.run import bench_text, run_benches

    found: dict[str, list[dict[str, Any]]] = {}
    code = 0
    try:
        run_benches(args.names, found)
    except (KeyboardInterrupt, Terminated) as end:
        # Ratios belong to one run: nothing is put beside them later.
        code = TERMINATED if isinstance(end, Terminated) else INTERRUPTED
        kept = "what was finished is printed" if any(found.values()) else "nothing was finished yet"
        sys.stderr.write(f"k2repro: stopped; {kept}. The next run begins anew\n")
    finally:
        if any(found.values()):
            say(bench_text(found, as_json=args.json))
    return code


COMMANDS = (
    Command(
        "bench",
        "Side by side against the peers in one run, as ratios",
        run_bench,
        options(option("names", nargs="*", help="benches to run; all but smollm2 without it"), json_option),
        MACHINE,
        about="""\
Only ratios are printed: seconds of one machine say nothing about another. Let the machine do nothing else
meanwhile. Ctrl-C prints what was finished. `smollm2` needs `k2repro artifacts smollm2`.""",
        examples="""\
  k2repro bench speculative   drafts on mini-K2 and on targets grown from it
  k2repro bench smollm2       look-up and early exits on a language model that others trained
""",
    ),
)
