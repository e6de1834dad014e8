"""Where a number comes from: trace."""

import argparse

from k2repro.cli.command import NUMBERS, Command, profile_option, say


def run_trace(args: argparse.Namespace) -> int:
    from k2repro.results import Places, load_profile
    from k2repro.trace import trace

    say(trace(args.row, Places.find(), load_profile(args.profile).name))
    return 0


def _trace_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("row", help="a row's id, as the report and `results/PROFILE/rows` print it")
    profile_option(command)


COMMANDS = (
    Command(
        "trace",
        "Where a number comes from: notebook, code, artifacts, claims",
        run_trace,
        _trace_options,
        NUMBERS,
        needs_checkout=True,
        about="Every number in report, tables and notebooks is a row; its id is printed beside it.",
        examples="""\
  k2repro trace sft.pass_at_k.sft.tier-2.k8
  k2repro trace wafer.ladder.printed""",
    ),
)
