"""Work on notebooks: notebook lab, reset, build, why, list, sync."""

import argparse

from k2repro.cli.command import NOTEBOOKS, Command, option, options, profile_option, say


def run_build(args: argparse.Namespace) -> int:
    from k2repro.reproduce import build_committed

    build_committed(args.names, say)
    return 0


def run_why(args: argparse.Namespace) -> int:
    from k2repro.notebook.source import find_source
    from k2repro.notebook.why import explain
    from k2repro.results import Places, load_profile

    places = Places.find()
    folder = places.build(load_profile(args.profile).name)
    say(explain(folder, find_source(places, args.name).stem))
    return 0


def run_list(args: argparse.Namespace) -> int:
    from k2repro.notebook.source import declared_parameters, find_source, source_names
    from k2repro.results import Places

    places = Places.find()
    for name in sorted(source_names(places)):
        values = declared_parameters(find_source(places, name))
        say(name + "  " + ", ".join(f"{key}={value!r}" for key, value in values.items()))
    return 0


def run_lab(args: argparse.Namespace) -> int:
    from k2repro.notebook.workbench import lay_out, start_lab
    from k2repro.results import Places

    places = Places.find()
    for line in lay_out(places):
        say(line)
    return start_lab(places, args.options)


def run_reset(args: argparse.Namespace) -> int:
    from k2repro.notebook.workbench import reset
    from k2repro.results import Places

    say(reset(Places.find(), args.name))
    return 0


def run_sync(args: argparse.Namespace) -> int:
    from k2repro.notebook.sync import sync
    from k2repro.results import Places

    say(sync(Places.find(), args.name))
    return 0


NAME = option("name", help="number or name of the notebook")
NAMES = option("names", nargs="*", help="numbers or names, for instance 01; all without it")
OF_LAB = option("options", nargs="*", help="handed on to jupyter lab, after --, such as -- --no-browser")
COMMANDS = (
    Command(
        "notebook",
        "Build, explain, list and sync notebooks",
        heading=NOTEBOOKS,
        needs_checkout=True,
        about="""\
People edit notebooks/src/NN_name.py; notebooks/NN_name.ipynb is built from it, executed and stamped.""",
        examples="""\
  k2repro notebook lab             JupyterLab on copies in workbench/, free to change
  k2repro notebook reset 03        the shipped notebook 03 again; yours is kept beside it
  k2repro notebook list            what there is, with the parameters
  k2repro notebook build 01        rebuild one committed notebook and what depends on it
  k2repro notebook why 02          after a failed run: the cell and its error
  k2repro notebook sync 02         edited in JupyterLab: back to the source""",
        verbs=(
            Command("lab", "Open copies of the notebooks in JupyterLab", run_lab, OF_LAB),
            Command("reset", "Bring one notebook of the workbench back to what ships", run_reset, NAME),
            Command("build", "Rebuild committed notebooks and results/laptop", run_build, NAMES),
            Command(
                "why",
                "Print the failing cell of the last run with its error",
                run_why,
                options(NAME, profile_option),
            ),
            Command("list", "Names of the notebooks with their parameters", run_list),
            Command("sync", "Write a notebook edited in JupyterLab back to its source", run_sync, NAME),
        ),
    ),
)
