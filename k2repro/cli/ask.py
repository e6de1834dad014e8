"""Ask a model: solve one question, evaluate a benchmark, probe a server."""

import argparse
import json
import sys
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from k2repro.cli.answer import record, summary
from k2repro.cli.ask_mini import MINI_READS, TRAINED_HERE, on_mini
from k2repro.cli.command import MODELS, Command, json_option, option, options, say
from k2repro.cli.serving import add_endpoints, add_sampling
from k2repro.errors import K2ReproError

if TYPE_CHECKING:
    from k2repro.engine.backend import Request
    from k2repro.evaluate.journal import Journal
    from k2repro.harness.benchmarks import Benchmark
    from k2repro.harness.protocol import Protocol
    from k2repro.harness.serving import Served
    from k2repro.solve import Solution


def run_solve(args: argparse.Namespace) -> int:
    from k2repro.solve import write_trace

    if not args.base_url:
        _refuse_unread(args)
    question = sys.stdin.read() if args.question == "-" else args.question
    solution = _on_endpoint(question, args) if args.base_url else on_mini(question, args)
    if args.trace:
        write_trace(args.trace, [solution], source=args.model or "mini-K2")
    say(json.dumps(record(solution), indent=2, ensure_ascii=False) if args.json else summary(solution, args))
    return 0 if solution.answer is not None else 1


def _refuse_unread(args: argparse.Namespace) -> None:
    """Raises K2ReproError for options of endpoints: whatever is given, and mini-K2 would not look at."""
    parser = argparse.ArgumentParser()
    SOLVE(parser)
    usual = vars(parser.parse_args(["--question", ""]))
    given = [name for name in usual if name not in MINI_READS and getattr(args, name) != usual[name]]
    if given:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise K2ReproError(f"{words} without --base-url: mini-K2 does not look at it. Leave it out")


def _on_endpoint(question: str, args: argparse.Namespace) -> "Solution":
    if args.planner:
        raise K2ReproError("--planner is mini-K2's own planner; on a server name one with --planner-model")
    if args.judge:
        raise K2ReproError("--judge is a checkpoint that reads for mini-K2; on a server name --judge-model")
    from k2repro.evaluate.journal import Journal
    from k2repro.harness.grading import INSTRUCTIONS
    from k2repro.harness.serving import endpoints, sampling, serve
    from k2repro.planning import Plan
    from k2repro.solve import ChatDialect, SolveSettings, solve

    n = 1 if args.best_of is None else args.best_of
    planned = args.planned if args.planned is not None else n if args.plan or args.plan_text else 0
    settings = SolveSettings(n, planned, args.select or "knock-out", sampling(args))
    heard = None if args.json or args.no_stream else FirstSample()
    journal = Journal(args.journal) if args.journal else None
    served = serve(endpoints(args), args, journal=journal, on_text=heard)
    with journal or nullcontext(), closing(served):
        dialect = ChatDialect(args.system, INSTRUCTIONS["maths"])
        tell = None if args.json else say if heard is None else heard.say
        plan = None if args.plan_text is None else Plan(args.plan_text, source="given")
        found = solve(question, served.roles, dialect, settings, seed=args.seed, plan=plan, tell=tell)
    for note in served.notes:
        sys.stderr.write(f"note: {note}\n")
    if found.chosen is None:
        raise K2ReproError(f"no sample came: {found.completions[0].error}")
    return found


class FirstSample:
    """Shows one sample of the solver as it is written; several at once could not be read."""

    def __init__(self) -> None:
        self._shown: Request | None = None
        self._open = False

    def say(self, line: str) -> None:
        """A line of its own, after whatever was streamed."""
        say(f"\n\n{line}" if self._open else line)
        self._open = False

    def __call__(self, request: "Request", sample: int, piece: str) -> None:
        if request.role == "solver" and sample == 0 and self._shown in (None, request):
            self._shown, self._open = request, True
            sys.stdout.write(piece)
            sys.stdout.flush()


def run_evaluate(args: argparse.Namespace) -> int:
    from k2repro.evaluate.journal import Journal
    from k2repro.harness.benchmarks import save_problems
    from k2repro.harness.evaluation import JOURNAL, PROBLEMS
    from k2repro.harness.named import load_benchmark
    from k2repro.harness.protocol import Protocol
    from k2repro.harness.serving import endpoints, sampling, serve

    folder = Path(args.out)
    if args.replay:
        return _replay(folder, args)
    sys.stderr.write(f"loading {args.benchmark}\n")
    benchmark, notes = load_benchmark(args.benchmark or "", kind=args.kind)
    benchmark = benchmark.first(args.limit)
    for note in [*notes, *_overlap_notes(args, benchmark)]:
        sys.stderr.write(f"note: {note}\n")
    protocol = Protocol(
        runs=args.runs,
        n=args.best_of,
        plan=args.plan,
        select=args.select or "knock-out",
        solver=sampling(args),
        system=args.system,
        seed=args.seed,
    )
    found = endpoints(args)
    with Journal(folder / JOURNAL, protocol.record(found, benchmark.name, benchmark.digest)) as journal:
        save_problems(benchmark, folder / PROBLEMS)
        served = serve(found, args, journal=journal)
        return _evaluated(benchmark, protocol, served, journal, folder, args)


def _replay(folder: Path, args: argparse.Namespace) -> int:
    """Everything from the journal: protocol, endpoints, answers; nothing is asked."""
    from k2repro.evaluate.journal import Journal
    from k2repro.harness.benchmarks import load_problems
    from k2repro.harness.evaluation import JOURNAL, PROBLEMS
    from k2repro.harness.protocol import Protocol
    from k2repro.harness.serving import recorded_endpoints, serve

    with Journal(folder / JOURNAL, read_only=True) as journal:
        benchmark, protocol = load_problems(folder / PROBLEMS), Protocol.from_record(journal.protocol)
        found = recorded_endpoints(journal.protocol)
        # Refuses problems that are not those of the run.
        journal.check(protocol.record(found, benchmark.name, benchmark.digest))
        return _evaluated(
            benchmark, protocol, serve(found, args, journal=journal, offline=True), journal, folder, args
        )


def _evaluated(
    benchmark: "Benchmark", protocol: "Protocol", served: "Served", journal: "Journal", folder: Path,
    args: argparse.Namespace,
) -> int:  # fmt: skip
    from k2repro.harness.evaluation import as_text, evaluate

    with closing(served):
        check = not (args.replay or args.no_probe)
        result = evaluate(benchmark, protocol, served, journal, folder, workers=args.concurrency, check=check)
    say(as_text(result, benchmark, journal.bills()))
    if doubt := journal.in_doubt():
        say(
            f"note: {doubt} requests were on their way when a run was killed; the server may have billed them"
        )
    say(f"rows, samples and journal are in {folder}")
    return 0


def _overlap_notes(args: argparse.Namespace, benchmark: "Benchmark") -> list[str]:
    from k2repro.harness.contamination import N, overlap

    if not args.training_files:
        return []
    found = overlap(benchmark, [Path(name) for name in args.training_files])
    return [
        f"{len(found.found)} of {len(found.shares)} problems share half of their {N}-grams or more with the "
        f"training files: {', '.join(found.found[:10]) or 'none'}"
    ]


def run_probe(args: argparse.Namespace) -> int:
    from k2repro.engine.probe import QUESTION, probe
    from k2repro.harness.serving import endpoints, serve
    from k2repro.tables import Table

    with closing(serve(endpoints(args), args)) as served:
        found = probe(served.backends["solver"], args.question or QUESTION)
    records = [asdict(each) for each in found]
    say(json.dumps(records, indent=2) if args.json else Table.of_records(records).as_text())
    return 0


SOLVE = options(
    option("--question", "-q", required=True, help="the question; - reads it from standard input"),
    option("--best-of", type=int, metavar="N", help="samples (default: mini-K2 3, endpoints 1)"),
    option("--plan", action="store_true", help="plan before every sample (endpoints)"),
    option("--planned", type=int, metavar="K", help="plan before K of the N samples only"),
    option(
        "--planner", nargs="?", const=TRAINED_HERE, metavar="FOLDER",
        help="mini-K2: a trained planner writes the plan; without FOLDER the one of the laptop profile, "
        "trained here on first use (about three minutes of one core)",
    ),
    option(
        "--plan-text",
        metavar="PLAN",
        help="a plan of your own, for the planned samples; mini-K2: names in order",
    ),
    option(
        "--judge", metavar="FOLDER",
        help="mini-K2: a checkpoint that reads the samples, for --select judge, judge+own or weighted-vote; "
        "without it the judge that ships reads. Any checkpoint with mini-K2's tokenizer can; "
        "`make reproduce` leaves those of notebook 05 in .k2repro/artifacts/weights",
    ),
    option("--journal", help="file that keeps every request and response; asking again is free"),
    option("--trace", help="write what it cost as a trace for `k2repro replay`"),
    option("--no-stream", action="store_true", help="do not show the first sample as it comes"),
    json_option,
    add_sampling,
    add_endpoints,
)  # fmt: skip
EVALUATE = options(
    option("--benchmark", help="a name (see below) or FILE.jsonl"),
    option("--kind", help="of a file's problems: maths (default), choice, code, safety"),
    option("--out", required=True, help="folder of journal, rows and samples; one for each protocol"),
    option("--runs", type=int, default=16, help="repetitions of each problem (default 16)"),
    option("--best-of", type=int, default=3, metavar="N", help="samples to choose from (default 3)"),
    option("--plan", action=argparse.BooleanOptionalAction, default=True,
           help="also with a plan: the 2 x 2 design (default)"),
    option("--limit", type=int, metavar="K", help="the first K problems only"),
    option("--replay", action="store_true", help="every number again from the journal, no network"),
    option("--no-probe", action="store_true", help="do not test the server first"),
    option("--training-files", nargs="*", metavar="FILE", help="look for the problems in these"),
    add_sampling,
    add_endpoints,
)  # fmt: skip
PROBE = options(
    option("--question", help="one that the model can answer at some length"), json_option, add_endpoints
)
COMMANDS = (
    Command(
        "solve",
        "Plan, sample N, judge: one question by the whole procedure",
        run_solve,
        SOLVE,
        MODELS,
        about="""\
Without --base-url the shipped mini-K2 answers, in its own small language, within seconds and without a
network. Its plan is the order that its likelier first pass found, or with --planner what a trained planner
hands over (its weights do not ship). --select judge or judge+own asks a second model, the judge of notebook
05, which ships and reads how likely each sample is; --select self-certainty looks at how far from uniform
the solver's own probabilities were. With --base-url any OpenAI-compatible server does: vLLM, llama.cpp,
`transformers serve`, a hosted API; planner and judge may be others. The key is read from the
environment variable of --key-env. Exit code 1: no answer could be read.""",
        examples="""\
  k2repro solve -q 'q=7 m: - p i i=4 p: + q i ? m p'
  k2repro solve --planner -q 'q=7 m: - p i i=4 p: + q i ? m p'
  k2repro solve --best-of 8 --select judge+own -q 'q=7 m: - p i i=4 p: + q i ? m p'
  k2repro solve --plan-text 'p m' -q 'q=7 m: - p i i=4 p: + q i ? m p'
  k2repro solve --base-url http://127.0.0.1:8000/v1 --model LLM360/K2-Think --plan --best-of 3 \\
      -q 'How many positive divisors has 360?'
  k2repro solve ... --judge-base-url https://HOST/v1 --judge-model JUDGE --judge-key-env JUDGE_KEY
  k2repro solve ... --trace answer.jsonl
  k2repro replay answer.jsonl --model k2-think --device H100-SXM --devices 8
""",
    ),
    Command(
        "evaluate",
        "A benchmark on an endpoint: plan x best-of-N, paired, every token counted",
        run_evaluate,
        EVALUATE,
        MODELS,
        about="""\
Benchmarks by name: aime-2024, aime-2025, hmmt-2025, omni-math-hard, livecodebench-v5, gpqa-diamond (through
`datasets`, from a hub), humaneval (from its package); or FILE.jsonl with question and answer on each line.
Every request is in DIR/journal.sqlite before it is sent and every answer as it comes: the same command goes
on where a killed run stopped and pays nothing twice. A server fills in what a request does not name, from
the model's generation_config.json or by itself, and cuts the distribution so: vLLM top_k and
repetition_penalty, llama.cpp top_k 40 and min_p 0.05, `transformers serve` top_k 50. The published protocol
has none of them: --extra '{"top_k": -1, "repetition_penalty": 1.0}' for vLLM, '{"top_k": 0, "min_p": 0}' for
llama.cpp. A prompt that is refused or given up counts as wrong and is counted; many in a row end the run.
--replay computes all numbers again from there. Rows of
K2-Think by the published protocol go under the ids that the paper's tables wait for: copy DIR/rows.jsonl to
results/endpoint/rows/BENCHMARK.jsonl and notebook 08 and the report show them.""",
        examples="""\
  k2repro evaluate --benchmark aime-2024 --out runs/aime \\
      --base-url http://127.0.0.1:8000/v1 --model LLM360/K2-Think
  k2repro evaluate --benchmark my.jsonl --runs 4 --max-tokens 2000000 --out runs/my --base-url ... --model ...
  k2repro evaluate --replay --out runs/aime
""",
    ),
    Command(
        "probe",
        "What a server really does with n, temperature, seed, stop, logprobs",
        run_probe,
        PROBE,
        MODELS,
        about="Seven short requests. Servers take parameters and then ignore them; this looks at the effect.",
        examples="  k2repro probe --base-url http://127.0.0.1:8000/v1 --model NAME\n",
    ),
)
