"""Run everything: reproduce, status, check."""

import argparse

from k2repro.cli.command import REPRODUCE, Command, option, options, profile_option, say


def run_reproduce(args: argparse.Namespace) -> int:
    from k2repro.evaluate.compare import failures
    from k2repro.reproduce import deciding_rows, reproduce

    comparisons = reproduce(args.profile, say, fresh=args.fresh)
    return int(bool(failures(comparisons, deciding_rows())))


def run_status(args: argparse.Namespace) -> int:
    from k2repro.reproduce import statuses
    from k2repro.results import Places, load_profile
    from k2repro.results.status import render_text

    places, profile = Places.find(), load_profile(args.profile)
    say(render_text(statuses(profile, places, places.build(profile.name))))
    return 0


def run_check(args: argparse.Namespace) -> int:
    from k2repro.check import run_checks

    findings = run_checks(say)
    return int(bool(findings))


FRESH = option(
    "--fresh", action="store_true", help="run every notebook again; models trained by a stopped run are kept"
)
COMMANDS = (
    Command(
        "reproduce",
        "Run every notebook of a profile from nothing, compare with the shipped rows, write the report",
        run_reproduce,
        options(profile_option, FRESH),
        REPRODUCE,
        needs_checkout=True,
        about="""\
Trusts nothing that ships: trains, samples and counts anew in build/PROFILE/. Stop it at any second
and start it again: it goes on where it was. Shipped rows are compared, never overwritten.
On the machine that made the shipped rows every row has to be identical. On another one training amplifies
rounding, so numbers of trained models are compared with the spread of seeds, and the predicted ones decide.
Exit code 0: it came out again; 1: something did not, each row is named; 2: bad input.""",
        examples="""\
  k2repro reproduce --profile smoke    minutes: proves the path, not the science
  k2repro reproduce                    the laptop profile, everything that the report says
  k2repro reproduce --fresh            the same, with every notebook run again""",
    ),
    Command(
        "status",
        "Per notebook: profile, freshness, seconds, peak memory, rows, last error",
        run_status,
        profile_option,
        REPRODUCE,
        needs_checkout=True,
        about="Looks at build/PROFILE/, what the last `k2repro reproduce` or `make notebooks` left here.",
    ),
    Command(
        "check",
        "Lints: typed numbers, alt text, headings, stamps, rows, tables",
        run_check,
        heading=REPRODUCE,
        needs_checkout=True,
        about="The part of `make check` beyond ruff and mypy. Exit code 1 when there are findings.",
    ),
)
