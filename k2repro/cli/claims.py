"""The ledger of published claims: claims."""

import argparse
import sys
from pathlib import Path

from k2repro.cli.command import NUMBERS, Command, json_option, option, options, profile_option, say


def run_claims(args: argparse.Namespace) -> int:
    from k2repro.paper import cli_claims

    rows = _rows_folder(args.profile)
    say(cli_claims(json=args.json, claim_id=args.claim, rows_dir=rows, verdict=args.verdict))
    return 0


def _rows_folder(profile: str) -> Path | None:
    """Where the rows of a profile lie; None, said on standard error, when there are none.

    Raises K2ReproError for a profile that does not exist.
    """
    from k2repro.results import Places, load_profile

    if not Places.in_checkout():
        sys.stderr.write("k2repro: not in a checkout, so no rows: verdicts rest on published facts alone\n")
        return None
    folder = Places.find().results(load_profile(profile).name) / "rows"
    if any(folder.glob("*.jsonl")):
        return folder
    sys.stderr.write(
        f"k2repro: results/{profile}/rows holds no rows: verdicts rest on published facts alone. "
        f"`k2repro reproduce --profile {profile}` writes them\n"
    )
    return None


COMMANDS = (
    Command(
        "claims",
        "Print the ledger: every published claim with its verdict",
        run_claims,
        options(
            profile_option,
            option("claim", nargs="?", help="one claim's id; all claims without it"),
            option("--verdict", help="only claims with this verdict, for instance 'contradicted'"),
            json_option,
        ),
        NUMBERS,
        about="""\
A verdict is computed here and now, from published facts and from the rows in results/PROFILE/rows:
recomputed, reproduced at mini scale, direction only, contradicted, unresolved, not testable here.""",
        examples="""\
  k2repro claims --verdict contradicted     what does not hold, with the numbers
  k2repro claims article.bandwidth-ratio    one claim whole: source, facts, rows, arithmetic
  k2repro claims --json | jq '.claims[0]'""",
    ),
)
