"""What a command group declares: its commands, each with the words that teach it."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

Run = Callable[[argparse.Namespace], int]
Options = Callable[[argparse.ArgumentParser], None]

# The headings of `k2repro --help`, in this order. A heading that is not here comes last.
REPRODUCE = "reproduce"
NUMBERS = "look behind a number"
NOTEBOOKS = "work on notebooks"
EMULATOR = "emulate hardware"
MODELS = "ask a model"
MACHINE = "this machine"
HEADINGS = (REPRODUCE, NUMBERS, NOTEBOOKS, MODELS, EMULATOR, MACHINE)


def no_options(parser: argparse.ArgumentParser) -> None:
    """A command without options."""


@dataclass(frozen=True)
class Command:
    """One command of `k2repro`.

    name       what is typed
    summary    one line for the list of commands
    run        called with the parsed options, returns the exit code; None for a command with verbs
    options    adds options and arguments to the command's parser
    heading    where `k2repro --help` lists it
    about      sentences of the command's own --help: what it needs, what it writes, how long it takes
    examples   command lines with what they show, as printed under the options
    verbs      second words, such as `build` of `k2repro notebook build`
    needs_checkout  it works on notebooks and results, which a wheel does not bring
    """

    name: str
    summary: str
    run: Run | None = None
    options: Options = no_options
    heading: str = MACHINE
    about: str = ""
    examples: str = ""
    verbs: tuple["Command", ...] = ()
    needs_checkout: bool = False


def say(text: str) -> None:
    """Print for the user at once; one line end at the end whether or not the text brings it."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def profile_option(command: argparse.ArgumentParser) -> None:
    """The option --profile that most commands share."""
    command.add_argument(
        "--profile", default="laptop", help="a file in profiles/ without .toml (default: laptop)"
    )


def json_option(command: argparse.ArgumentParser) -> None:
    """The option --json."""
    command.add_argument("--json", action="store_true", help="for machines")
