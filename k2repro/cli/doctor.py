"""What this machine offers and lacks: doctor."""

import argparse
import sys

from k2repro.cli.command import MACHINE, Command, json_option, option, options, say


def run_doctor(args: argparse.Namespace) -> int:
    return _sandbox(args) if args.sandbox else _general()


def _general() -> int:
    """A look at this machine in a second or two. Further sections are added here."""
    from k2repro.measure.laptop import laptop_table, look_around
    from k2repro.verify.report import level_table

    say(laptop_table(look_around()).as_text() + "\n")
    say(level_table().as_text())
    return 0


def _sandbox(args: argparse.Namespace) -> int:
    """The attack list at each level; 1 if anything got out."""
    from k2repro.verify.report import attack_report

    report = attack_report(args.level, args.kind, _progress)
    say(report.as_json() if args.json else report.as_text())
    return int(not report.contained)


def _progress(text: str) -> None:
    sys.stderr.write(text + "\n")


OPTIONS = options(
    option(
        "--sandbox",
        action="store_true",
        help="attack the sandbox on this machine, and print what became of it",
    ),
    option("--level", action="append", default=[], help="only this level; may be given again"),
    option("--kind", action="append", default=[], help="only this kind of attack, for instance network"),
    json_option,
)
COMMANDS = (
    Command(
        "doctor",
        "What this machine offers and lacks; with --sandbox, whether hostile programs stay inside",
        run_doctor,
        OPTIONS,
        MACHINE,
        about="Without an option: what this machine lacks for the notebooks, the sandbox levels here, and "
        "what the others lack. --sandbox runs "
        "the attack list at each level, one to two minutes, and ends with 1 if anything got out. The "
        "programs are harmless where nothing stops them: they aim at files and listeners made for them.",
        examples="  k2repro doctor --sandbox                       the whole list at every level\n"
        "  k2repro doctor --sandbox --level bubblewrap --kind network",
    ),
)
