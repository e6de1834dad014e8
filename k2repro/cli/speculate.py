"""Will a draft help on this machine: speculate."""

import argparse
from typing import Any

from k2repro.cli.command import MODELS, Command, json_option, option, options, say
from k2repro.errors import K2ReproError


def run_speculate(args: argparse.Namespace) -> int:
    import json

    from k2repro.lab.progress import JobProgress, live
    from k2repro.speculative.advice import advice_text, advise

    own = [name for name in ("draft", "prompts", "early_exit") if getattr(args, name) is not None]
    if own and not args.target:
        names = ", ".join("--" + name.replace("_", "-") for name in own)
        raise K2ReproError(f"{names} without --target: mini-K2 is measured with its own drafts and problems")
    target, drafts, prompts, stop = _own_pair(args) if args.target else _mini_pair()
    with live(["speculate"]) as listen:
        found = advise(
            target,
            drafts,
            prompts,
            temperature=args.temperature,
            stop=stop,
            told=lambda share, words: listen("speculate", JobProgress(share, words)),
        )
    say(json.dumps(found, indent=1) if args.json else advice_text(found))
    return 0


def _mini_pair() -> tuple[Any, dict[str, Any], list[list[int]], list[int]]:
    """The fine-tuned mini-K2 with its drafts, on validation problems."""
    from k2repro.lab.scale import Scale
    from k2repro.lab.speculative import carry_out_models, drafts_of, prompts_of, stop_tokens
    from k2repro.mini.checkpoint import load_checkpoint
    from k2repro.results.store import open_store

    folders = carry_out_models(Scale.of_profile("laptop"), open_store("laptop"))
    target, base, draft = (load_checkpoint(folders[role]) for role in ("target", "base", "draft"))
    return target, drafts_of(target, base, draft), prompts_of("validation", 24), stop_tokens()


def _own_pair(args: argparse.Namespace) -> tuple[Any, dict[str, Any], list[list[int]], list[int]]:
    """A checkpoint of the user's, with a draft if one is given, and look-up."""
    from pathlib import Path

    from k2repro.speculative.advice import load_pair

    if not args.prompts:
        raise K2ReproError("--target without --prompts: acceptance is measured on prompts like yours")
    draft = Path(args.draft) if args.draft else None
    target, drafts, prompts = load_pair(Path(args.target), draft, Path(args.prompts), layers=args.early_exit)
    return target, drafts, prompts, []


OPTIONS = options(
    option("--advise", action="store_true", help="what the command does; may be left out"),
    option("--target", help="folder of a Qwen2 checkpoint; mini-K2's fine-tuned model without it"),
    option("--draft", help="folder of the draft's checkpoint; look-up is tried in any case"),
    option(
        "--early-exit", type=int, metavar="LAYERS", help="try the target's first LAYERS layers as a draft too"
    ),
    option("--prompts", help="JSON lines with a field `prompt`: a few dozen like yours"),
    option("--temperature", type=float, default=1.0, help="0 is greedy (default: 1)"),
    json_option,
)
COMMANDS = (
    Command(
        "speculate",
        "Measure for a minute whether a draft helps here, and how to use it",
        run_speculate,
        OPTIONS,
        MODELS,
        about="Times passes of target and draft in place, in CPU time of one thread, and measures acceptance "
        "on prompts. Then it says tokens a pass, speed and the best number of guesses for each draft, from "
        "which acceptance a draft helps, and up to which batch. Nothing is written.",
        examples="k2repro speculate --advise\n"
        "k2repro speculate --target DIR --draft DIR --prompts FILE.jsonl    a pair of your own\n"
        "k2repro speculate --target .k2repro/smollm2 --prompts FILE.jsonl    see `artifacts smollm2`",
    ),
)
