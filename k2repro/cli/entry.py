"""The parser of `k2repro`, put together from the command groups."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from dataclasses import replace

from k2repro import __version__
from k2repro.cli.command import HEADINGS, Command
from k2repro.cli.endings import run_to_exit_code

DESCRIPTION = "K2-Think taken apart and put together again; every published number checked by code."
FIRST_STEPS = """\
first steps:
  k2repro reproduce --profile smoke       every notebook from nothing, then the report
  k2repro claims --verdict contradicted   what does not hold, with the numbers
  k2repro claims article.bandwidth-ratio  one claim, whole
  k2repro emulate --model k2-think --device H100-SXM --devices 8
  k2repro notebook why 01                 the failing cell of the last run, with its error

k2repro COMMAND --help says what a command needs, writes and prints, with examples.
"""


def find_commands() -> list[Command]:
    """The commands of every file in this folder, by heading, then as the files and tuples list them."""
    folder = importlib.import_module("k2repro.cli").__path__
    names = sorted(module.name for module in pkgutil.iter_modules(folder))
    commands: list[Command] = []
    for name in names:
        # A file without COMMANDS, such as this one, is there for the others.
        commands += getattr(importlib.import_module(f"k2repro.cli.{name}"), "COMMANDS", ())
    order = {heading: place for place, heading in enumerate(HEADINGS)}
    return sorted(commands, key=lambda command: order.get(command.heading, len(order)))


def parser() -> argparse.ArgumentParser:
    """The whole command line; --help of each command says what it needs and gives."""
    commands = find_commands()
    top = argparse.ArgumentParser(
        prog="k2repro",
        usage="k2repro COMMAND [options]",
        description=DESCRIPTION + "\n\n" + _overview(commands),
        epilog=FIRST_STEPS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"k2repro {__version__}")
    # The overview lists the commands by heading; argparse's own flat list would repeat them.
    names = top.add_subparsers(prog="k2repro", metavar="COMMAND", required=True, help=argparse.SUPPRESS)
    for command in commands:
        _add(names, command)
    return top


def _overview(commands: Sequence[Command]) -> str:
    """The commands under their headings, a line each."""
    lines: list[str] = []
    heading = None
    for command in commands:
        if command.heading != heading:
            heading = command.heading
            lines += ["", f"{heading}:"]
        lines.append(f"  {command.name:<13} {command.summary}")
    return "\n".join(lines[1:])


def _add(names: "argparse._SubParsersAction[argparse.ArgumentParser]", command: Command) -> None:
    """Add a command, with its verbs, to a parser."""
    text = command.summary + (f"\n\n{command.about.strip()}" if command.about else "")
    added = names.add_parser(
        command.name,
        help=command.summary,
        description=text,
        epilog=f"examples:\n{command.examples.rstrip()}" if command.examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.options(added)
    if command.verbs:
        verbs = added.add_subparsers(title="verbs", metavar="VERB", required=True)
        for verb in command.verbs:
            _add(verbs, replace(verb, needs_checkout=command.needs_checkout))
    else:
        added.set_defaults(run=command.run, needs_checkout=command.needs_checkout)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console script; how a command may end is said in `endings.py`."""
    sys.exit(run_to_exit_code(lambda: _run(argv)))


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)  # argparse has said what there was to say
    if args.needs_checkout:
        from k2repro.results.places import Places

        Places.find()
    code: int = args.run(args)
    return code
