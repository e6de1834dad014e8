"""The ledger of published claims: claims."""

import argparse

from k2repro.cli.command import NUMBERS, Command, json_option, profile_option, say


def run_claims(args: argparse.Namespace) -> int:
    from k2repro.paper import cli_claims
    from k2repro.results import Places

    rows = Places.find().results(args.profile) / "rows"
    say(
        cli_claims(
            json=args.json,
            claim_id=args.claim,
            rows_dir=rows if rows.is_dir() else None,
            verdict=args.verdict,
        )
    )
    return 0


def _claims_options(command: argparse.ArgumentParser) -> None:
    profile_option(command)
    command.add_argument("claim", nargs="?", help="one claim's id; all claims without it")
    command.add_argument("--verdict", help="only claims with this verdict, for instance 'contradicted'")
    json_option(command)


COMMANDS = (
    Command(
        "claims",
        "Print the ledger: every published claim with its verdict",
        run_claims,
        _claims_options,
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
