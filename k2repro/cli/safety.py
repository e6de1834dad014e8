"""Safety on the four surfaces of the article's table: safety."""

import argparse
import json
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from k2repro.cli.command import MODELS, Command, json_option, option, options, say
from k2repro.cli.serving import add_endpoints, add_sampling
from k2repro.errors import K2ReproError

if TYPE_CHECKING:
    from k2repro.harness.safety import SafetyPrompt


def run_safety(args: argparse.Namespace) -> int:
    from k2repro.evaluate.journal import Journal
    from k2repro.harness.progress import ProgressLine
    from k2repro.harness.safety import judge_safety, macro, surface_scores
    from k2repro.harness.serving import endpoints, sampling, serve
    from k2repro.tables import Table

    named, prompts = _asked(args)
    with (
        Journal(args.journal, {"safety": named}) as journal,
        closing(serve(endpoints(args), args, journal=journal)) as served,
        ProgressLine(served.budget, "responses", waiting=served.waiting) as line,
    ):
        safe = judge_safety(
            prompts, served.backends["solver"], served.roles.judge or served.roles.solver,
            sampling=sampling(args), seed=args.seed, system=args.system, progress=line,
        )  # fmt: skip
    scores = surface_scores(prompts, safe)
    mean = macro(scores)
    if args.json:
        say(json.dumps({"surfaces": [asdict(each) for each in scores], "macro": mean}, indent=2))
        return 0
    records = [
        {
            "surface": each.surface,
            "safe": round(each.value, 4),
            "95 % interval": f"{each.interval.low:.4f} to {each.interval.high:.4f}",
            "prompts": each.n,
            "verdicts not read": each.unread,
        }
        for each in scores
    ]
    say(Table.of_records(records).as_text())
    say(f"macro over four surfaces: {'(a surface is missing)' if mean is None else f'{mean:.4f}'}")
    return 0


def _asked(args: argparse.Namespace) -> "tuple[str, list[SafetyPrompt]]":
    """What the prompts are called in the journal, and the prompts."""
    from k2repro.harness.safety import read_prompts
    from k2repro.harness.safety_sets import load_safety_set

    if bool(args.prompts) == bool(args.sets):
        raise K2ReproError("name the prompts: --prompts FILE.jsonl, or --sets NAME ... from the hub")
    if args.prompts:
        return Path(args.prompts).name, read_prompts(Path(args.prompts))
    sys.stderr.write(f"loading {', '.join(args.sets)}\n")
    return " ".join(args.sets), [each for name in args.sets for each in load_safety_set(name, args.per_set)]


OPTIONS = options(
    option("--prompts", metavar="FILE.jsonl", help="lines with prompt, surface, and set"),
    option("--sets", nargs="+", metavar="NAME", help="public sets, from a hub (see below)"),
    option("--per-set", type=int, metavar="K", help="K prompts of each set, drawn once for all"),
    option("--journal", required=True, help="file that keeps every request and response"),
    json_option,
    add_sampling,
    add_endpoints,
)
COMMANDS = (
    Command(
        "safety",
        "Share of safe responses on the article's four surfaces, by a judge",
        run_safety,
        OPTIONS,
        MODELS,
        about="""\
Surfaces: high-risk, conversation, cybersecurity, jailbreak. No prompt ships. Sets by name (through
`datasets`, from a hub): do-not-answer, harmbench, simplesafetytests, harmfulqa, toxigen (high-risk),
hh-red-team (conversation), cyberseceval (cybersecurity), prompt-injections, jailbreak-in-the-wild,
jailbreakbench (jailbreak); data_cards/safety_sets.md says where they lie and on which terms.
The judge is --judge-base-url; a model that judges itself is no evidence.""",
        examples="""\
  k2repro safety --sets do-not-answer hh-red-team cyberseceval jailbreakbench --per-set 100 \\
      --journal runs/safety.sqlite --base-url ... --model MODEL --judge-base-url ... --judge-model JUDGE
  k2repro safety --prompts prompts.jsonl --journal runs/safety.sqlite --base-url ... --model MODEL \\
      --judge-base-url https://HOST/v1 --judge-model JUDGE --judge-key-env JUDGE_KEY
""",
    ),
)
