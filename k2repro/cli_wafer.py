"""The emulator's commands: emulate, score-rates, replay, race, measure."""

import argparse
import sys
from pathlib import Path


def _say(text: str) -> None:
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def run_emulate(args: argparse.Namespace) -> int:
    from k2repro.wafer.commands import emulate

    _say(
        emulate(
            args.model,
            args.device,
            precision=args.precision,
            batch=args.batch,
            context=args.context,
            devices=args.devices,
            engine=args.engine,
            as_json=args.json,
        )
    )
    return 0


def run_score_rates(args: argparse.Namespace) -> int:
    from k2repro.wafer.calibration.render import score_rates_file

    _say(score_rates_file(args.file, as_json=args.json))
    return 0


def run_replay(args: argparse.Namespace) -> int:
    from k2repro.wafer.commands import replay_file

    _say(
        replay_file(
            args.file,
            model=args.model,
            device=args.device,
            precision=args.precision,
            devices=args.devices,
            engine=args.engine,
            planner_model=args.planner_model,
            planner_device=args.planner_device,
            policy=args.policy,
            as_json=args.json,
        )
    )
    return 0


def run_race(args: argparse.Namespace) -> int:
    from k2repro.wafer.commands import race

    race(args.lanes, tokens=args.tokens, seconds=args.seconds, write=sys.stdout.write)
    return 0


def run_measure(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from k2repro.measure.render import render_measurement
    from k2repro.measure.report import measure_machine

    with tqdm(desc="measure", unit="step", leave=False, disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int, text: str | None) -> None:
            bar.total, bar.n = total, done
            bar.set_postfix_str(text or "")

        report = measure_machine(args.out, threads=args.threads, quick=args.quick, progress=progress)
    _say(render_measurement(report))
    return 0


def _command(commands: argparse._SubParsersAction, name: str, text: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    return added


def _hardware_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", required=True, help="a name such as k2-think, or a config.json")
    command.add_argument("--device", required=True, help="a name such as H100-SXM, WSE-3, RTX4090")
    command.add_argument("--precision", default="bf16", help="bf16, fp8, int4, q4_k_m, ... (default: bf16)")
    command.add_argument("--devices", type=int, default=1, help="devices that share the model (default: 1)")
    command.add_argument("--engine", help="what runs the model; default: the device's usual one")
    command.add_argument("--json", action="store_true", help="for machines")


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add the emulator's commands to the command line."""
    emulate = _command(commands, "emulate", "Predict a decode rate, with interval and where time goes")
    _hardware_options(emulate)
    emulate.add_argument("--batch", type=int, default=1, help="sequences decoded together (default: 1)")
    emulate.add_argument("--context", type=int, default=1024, help="tokens of context (default: 1024)")
    emulate.set_defaults(run=run_emulate)

    score = _command(commands, "score-rates", "Hold the emulator against measured rates")
    score.add_argument("file", nargs="?", type=Path, help="CSV with the columns of decode_rates.csv")
    score.add_argument("--json", action="store_true", help="for machines")
    score.set_defaults(run=run_score_rates)

    replay = _command(commands, "replay", "Replay a decode trace on any device: latency, rates, energy")
    replay.add_argument("file", type=Path, help="a trace, JSON lines as TraceWriter writes them")
    _hardware_options(replay)
    replay.add_argument("--planner-model", help="planner's and judge's model")
    replay.add_argument("--planner-device", help="... on this device")
    replay.add_argument("--policy", default="batch", help="batch or sequential samples (default: batch)")
    replay.set_defaults(run=run_replay)

    race = _command(commands, "race", "Watch tokens stream at 20, 200 and 2,000 a second")
    race.add_argument("lanes", nargs="*", default=["20", "200", "2000"], help="rates, or MODEL@DEVICExN")
    race.add_argument("--tokens", type=int, default=2000, help="length of the answer (default: 2000)")
    race.add_argument("--seconds", type=float, default=20.0, help="stop after this long (default: 20)")
    race.set_defaults(run=run_race)

    measure = _command(commands, "measure", "Measure this machine: bandwidth, caches, products, decode rates")
    measure.add_argument("--out", type=Path, default=Path("build/measure"), help="folder to write to")
    measure.add_argument("--threads", type=int, default=2, help="processor threads (default: 2)")
    measure.add_argument("--quick", action="store_true", help="a minute: fewer repeats, smaller models")
    measure.set_defaults(run=run_measure)
