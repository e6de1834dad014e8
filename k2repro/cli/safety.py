"""Safety on the four surfaces of the article's table: safety."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from k2repro.cli.command import MODELS, Command, json_option, say
from k2repro.cli.serving import add_endpoints, add_sampling


def run_safety(args: argparse.Namespace) -> int:
    from k2repro.evaluate.journal import Journal
    from k2repro.harness.progress import ProgressLine
    from k2repro.harness.safety import judge_safety, macro, read_prompts, surface_scores
    from k2repro.harness.serving import endpoints, sampling, serve
    from k2repro.tables import Table

    prompts = read_prompts(Path(args.prompts))
    with Journal(args.journal, {"safety": Path(args.prompts).name}) as journal:
        served = serve(endpoints(args), args, journal=journal)
        try:
            with ProgressLine(served.budget, "responses", waiting=served.waiting) as line:
                safe = judge_safety(
                    prompts, served.backends["solver"], served.roles.judge or served.roles.solver,
                    sampling=sampling(args), seed=args.seed, system=args.system, progress=line,
                )  # fmt: skip
        finally:
            served.close()
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


def _safety_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--prompts", required=True, help="JSON lines with prompt, surface, and set")
    command.add_argument("--journal", required=True, help="file that keeps every request and response")
    json_option(command)
    add_sampling(command)
    add_endpoints(command)


COMMANDS = (
    Command(
        "safety",
        "Share of safe responses on the article's four surfaces, by a judge",
        run_safety,
        _safety_options,
        MODELS,
        about="""\
Surfaces: high-risk, conversation, cybersecurity, jailbreak. No prompt ships: fetch the sets that
data_cards/benchmarks.md names, and write one line for each prompt. The judge is --judge-base-url; a model
that judges itself is no evidence.""",
        examples="""\
  k2repro safety --prompts prompts.jsonl --journal runs/safety.sqlite --base-url ... --model MODEL \\
      --judge-base-url https://HOST/v1 --judge-model JUDGE --judge-key-env JUDGE_KEY
""",
    ),
)
