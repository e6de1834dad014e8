"""What a command group declares: its commands, each with the words that teach it."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import methodcaller

Run = Callable[[argparse.Namespace], int]
Options = Callable[[argparse.ArgumentParser], object]

# The headings of `k2repro --help`, in this order. A heading that is not here comes last.
REPRODUCE = "reproduce"
NUMBERS = "look behind a number"
NOTEBOOKS = "work on notebooks"
EMULATOR = "emulate hardware"
MODELS = "ask a model"
MACHINE = "this machine"
HEADINGS = (REPRODUCE, NUMBERS, NOTEBOOKS, MODELS, EMULATOR, MACHINE)


# One option or argument, said as `ArgumentParser.add_argument` takes it.
option: Callable[..., Options] = partial(methodcaller, "add_argument")


def options(*each: Options) -> Options:
    """What a command takes, in the order of its --help."""

    def add(parser: argparse.ArgumentParser) -> None:
        for one in each:
            one(parser)

    return add


profile_option = option(
    "--profile", default="laptop", help="a file in profiles/ without .toml (default: laptop)"
)
json_option = option("--json", action="store_true", help="for machines")


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
    options: Options = options()
    heading: str = MACHINE
    about: str = ""
    examples: str = ""
    verbs: tuple["Command", ...] = ()
    needs_checkout: bool = False


def say(text: str) -> None:
    """Print for the user at once; one line end at the end whether or not the text brings it."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()
