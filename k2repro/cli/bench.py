"""Side by side with the peers: bench."""

import argparse

from k2repro.cli.command import MACHINE, Command, json_option, say


def run_bench(args: argparse.Namespace) -> int:
    from k2repro.bench.run import run_benches

    say(run_benches(args.names, as_json=args.json))
    return 0


def _bench_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("names", nargs="*", help="benches to run; all without it")
    json_option(command)


COMMANDS = (
    Command(
        "bench",
        "Side by side against the peers in one run, as ratios",
        run_bench,
        _bench_options,
        MACHINE,
        about="Only ratios are printed: seconds of one machine say nothing about another.",
    ),
)
