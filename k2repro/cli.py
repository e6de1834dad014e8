"""`k2repro ...`: a thin layer over the rooms. Every command imports its room when it runs."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from k2repro import __version__
from k2repro.cli_wafer import add_commands as add_wafer_commands
from k2repro.errors import K2ReproError

Command = Callable[[argparse.Namespace], int]
USAGE_ERROR = 2
EXAMPLES = """\
examples:
  k2repro reproduce --profile smoke       every notebook from nothing, then the report
  k2repro claims --verdict contradicted   what does not hold, with the numbers
  k2repro claims article.bandwidth-ratio  one claim, whole
  k2repro status                          which notebooks are fresh, and what they cost
  k2repro emulate --model k2-think --device H100-SXM --devices 8
  k2repro notebook why 01                 the failing cell of the last run, with its error
"""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_reproduce(args: argparse.Namespace) -> int:
    from k2repro.reproduce import forget, reproduce

    if args.fresh:
        forget(args.profile)
    comparisons = reproduce(args.profile, _say)
    return int(any(comparison.outcome in ("outside", "missing") for comparison in comparisons))


def run_claims(args: argparse.Namespace) -> int:
    from k2repro.paper import cli_claims
    from k2repro.results import Places

    rows = Places.find().results(args.profile) / "rows"
    _say(
        cli_claims(
            json=args.json,
            claim_id=args.claim,
            rows_dir=rows if rows.is_dir() else None,
            verdict=args.verdict,
        )
    )
    return 0


def run_status(args: argparse.Namespace) -> int:
    from k2repro.reproduce import statuses
    from k2repro.results import Places, load_profile
    from k2repro.results.status import render_text

    places, profile = Places.find(), load_profile(args.profile)
    _say(render_text(statuses(profile, places, places.build(profile.name))))
    return 0


def run_notebook_build(args: argparse.Namespace) -> int:
    from k2repro.reproduce import build_committed

    build_committed(args.names, _say)
    return 0


def run_notebook_why(args: argparse.Namespace) -> int:
    from k2repro.notebook.source import find_source
    from k2repro.notebook.why import explain_failure
    from k2repro.results import Places, load_profile

    places = Places.find()
    source = find_source(places, args.name)
    path = places.build(load_profile(args.profile).name) / "failed" / f"{source.stem}.ipynb"
    if not path.is_file():
        raise K2ReproError(f"{source.stem}: no failed run of profile {args.profile!r} is on disk")
    _say(explain_failure(path))
    return 0


def run_notebook_list(args: argparse.Namespace) -> int:
    from k2repro.notebook.source import declared_parameters, find_source, source_names
    from k2repro.results import Places

    places = Places.find()
    for name in sorted(source_names(places)):
        values = declared_parameters(find_source(places, name))
        _say(name + "  " + ", ".join(f"{key}={value!r}" for key, value in values.items()))
    return 0


def run_notebook_sync(args: argparse.Namespace) -> int:
    from k2repro.notebook.sync import sync
    from k2repro.results import Places

    _say(sync(Places.find(), args.name))
    return 0


def run_check(args: argparse.Namespace) -> int:
    from k2repro.check import run_checks

    findings = run_checks(_say)
    return int(bool(findings))


def run_bench(args: argparse.Namespace) -> int:
    from k2repro.bench.run import run_benches

    _say(run_benches(args.names, as_json=args.json))
    return 0


def parser() -> argparse.ArgumentParser:
    """The whole command line; --help of each command says what it needs and gives."""
    top = argparse.ArgumentParser(
        prog="k2repro",
        description="K2-Think taken apart and put together again; every published number checked by code.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"k2repro {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_reproduce(commands)
    _add_claims(commands)
    _add_status(commands)
    _add_notebook(commands)
    _add_check(commands)
    _add_bench(commands)
    add_wafer_commands(commands)
    return top


def _command(
    commands: argparse._SubParsersAction, name: str, run: Command, text: str
) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    added.set_defaults(run=run)
    return added


def _profile_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--profile", default="laptop", help="a file in recipes/ without .toml (default: laptop)"
    )


def _add_reproduce(commands: argparse._SubParsersAction) -> None:
    text = "Run every notebook of a profile from nothing, compare with the shipped rows, write the report"
    command = _command(commands, "reproduce", run_reproduce, text)
    _profile_option(command)
    command.add_argument(
        "--fresh", action="store_true", help="forget an earlier, stopped run instead of resuming"
    )


def _add_claims(commands: argparse._SubParsersAction) -> None:
    command = _command(
        commands, "claims", run_claims, "Print the ledger: every published claim with its verdict"
    )
    _profile_option(command)
    command.add_argument("claim", nargs="?", help="one claim's id; all claims without it")
    command.add_argument("--verdict", help="only claims with this verdict, for instance 'contradicted'")
    command.add_argument("--json", action="store_true", help="for machines")


def _add_status(commands: argparse._SubParsersAction) -> None:
    text = "Per notebook: profile, freshness, seconds, peak memory, rows, last error"
    _profile_option(_command(commands, "status", run_status, text))


def _add_notebook(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("notebook", help="Build, explain, list and sync notebooks")
    verbs = command.add_subparsers(title="verbs", metavar="VERB", required=True)
    build = _command(verbs, "build", run_notebook_build, "Rebuild committed notebooks and results/laptop")
    build.add_argument("names", nargs="*", help="numbers or names, for instance 01; all without it")
    why = _command(verbs, "why", run_notebook_why, "Print the failing cell of the last run with its error")
    why.add_argument("name", help="number or name of the notebook")
    _profile_option(why)
    _command(verbs, "list", run_notebook_list, "Names of the notebooks with their parameters")
    sync = _command(
        verbs, "sync", run_notebook_sync, "Write a notebook edited in JupyterLab back to its source"
    )
    sync.add_argument("name", help="number or name of the notebook")


def _add_check(commands: argparse._SubParsersAction) -> None:
    _command(commands, "check", run_check, "Lints: typed numbers, alt text, headings, stamps, rows, tables")


def _add_bench(commands: argparse._SubParsersAction) -> None:
    command = _command(commands, "bench", run_bench, "Side by side against the peers in one run, as ratios")
    command.add_argument("names", nargs="*", help="benches to run; all without it")
    command.add_argument("--json", action="store_true", help="for machines")


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console script; user errors end with code 2 and one message."""
    args = parser().parse_args(argv)
    try:
        sys.exit(args.run(args))
    except K2ReproError as error:
        sys.stderr.write(f"k2repro: {error}\n")
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("k2repro: stopped; run the same command again to go on where it was\n")
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) went away: not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
