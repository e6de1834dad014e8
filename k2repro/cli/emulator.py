"""The wafer emulator and this machine: emulate, score-rates, replay, race, measure."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from k2repro.cli.command import EMULATOR, MACHINE, Command, json_option, option, options, say

if TYPE_CHECKING:
    from k2repro.wafer.commands import Hardware


def _hardware(args: argparse.Namespace) -> "Hardware":
    from k2repro.wafer.commands import Hardware

    own = {key: getattr(args, key) for key in ("bandwidth", "memory", "peak", "power")}
    return Hardware(
        args.device, args.precision, args.devices, args.engine, args.layer_split, args.kv_bits, own
    )


def run_emulate(args: argparse.Namespace) -> int:
    from k2repro.wafer.commands import emulate, read_draft, read_tokens

    say(
        emulate(
            args.model,
            _hardware(args),
            batch=args.batch,
            context=read_tokens(args.context),
            draft=None if args.draft is None else read_draft(args.draft),
            price=args.price,
            as_json=args.json,
        )
    )
    return 0


def run_score_rates(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from k2repro.wafer.calibration.render import score_rates_file

    with tqdm(unit="fit", leave=False, disable=not sys.stderr.isatty()) as bar:

        def progress(stage: str, done: int, total: int) -> None:
            bar.set_description(stage)
            bar.total, bar.n = total, done
            bar.refresh()

        text = score_rates_file(args.file, as_json=args.json, progress=progress)
    say(text)
    return 0


def run_replay(args: argparse.Namespace) -> int:
    from k2repro.wafer.commands import replay_file

    say(
        replay_file(
            args.file,
            model=args.model,
            hardware=_hardware(args),
            planner_model=args.planner_model,
            planner_device=args.planner_device,
            planner_devices=args.planner_devices,
            draft_model=args.draft_model,
            draft_cost_ratio=args.draft_cost,
            policy=args.policy,
            copies=args.copies,
            partial=args.partial,
            as_json=args.json,
        )
    )
    return 0


def run_race(args: argparse.Namespace) -> int:
    from k2repro.wafer.commands import race

    race(
        args.lanes,
        tokens=args.tokens,
        seconds=args.seconds,
        write=sys.stdout.write,
        # A dumb terminal prints the codes that redraw a picture.
        terminal=sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb",
    )
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
    say(render_measurement(report))
    return 0


def _own_device(command: argparse.ArgumentParser) -> None:
    own = command.add_argument_group("a device of your own, or other figures for a known one, with units")
    own.add_argument("--bandwidth", help="of one device, for example 1008GB/s")
    own.add_argument("--memory", help="of one device, for example 24GB")
    own.add_argument("--peak", help="dense 16-bit arithmetic, for example 165TFLOP/s")
    own.add_argument("--power", help="of one device, for example 450W")


HARDWARE = options(
    option("--model", required=True, help="a name such as k2-think, a hub id, or a config.json"),
    option(
        "--device", required=True, help="a name such as H100-SXM or 8xH100, or a device file (.toml, .json)"
    ),
    option("--precision", default="bf16", help="bf16, fp8, int4, q4_k_m, 4bit, ... (default: bf16)"),
    option("--devices", type=int, help="devices that share the model (default: 1)"),
    option("--engine", help="what runs the model; default: the device's usual one"),
    option("--kv-bits", type=float, default=16.0, help="bits per cached value (default: 16)"),
    option(
        "--layer-split", action="store_true", help="devices hold layers in turn instead of sharing each layer"
    ),
    _own_device,
    json_option,
)
EMULATE = options(
    HARDWARE,
    option("--batch", type=int, default=1, help="sequences decoded together (default: 1)"),
    option("--context", default="1024", help="tokens of context, 32000 or 32k (default: 1024)"),
    option("--draft", help="TOKENS:ACCEPTANCE[:COST] of a draft model, for example 4:0.8:0.05"),
    option("--price", type=float, help="money per device and hour; adds the price of tokens"),
)
SCORE = options(
    option("file", nargs="?", type=Path, help="CSV with the columns of decode_rates.csv"), json_option
)
REPLAY = options(
    option("file", type=Path, help="a trace, JSON lines as TraceWriter writes them"),
    HARDWARE,
    option("--planner-model", help="planner's and judge's model"),
    option("--planner-device", help="... on this device"),
    option("--planner-devices", type=int, help="... on so many of them"),
    option("--draft-model", help="model of the draft that the trace used, on the same device"),
    option("--draft-cost", type=float, default=0.0, help="its cost per token in target steps"),
    option("--copies", type=int, default=1, help="users who ask the same at once (default: 1)"),
    option("--partial", action="store_true", help="read a trace that was cut off in the middle"),
    option("--policy", default="batch", help="batch or sequential samples (default: batch)"),
)
RACE = options(
    option("lanes", nargs="*", default=["20", "200", "2000"], help="rates, or MODEL@DEVICExN"),
    option("--tokens", type=int, default=2000, help="length of the answer (default: 2000)"),
    option("--seconds", type=float, default=20.0, help="stop after this long (default: 20)"),
)
MEASURE = options(
    option("--out", type=Path, default=Path("build/measure"), help="folder to write to"),
    option("--threads", type=int, default=2, help="processor threads (default: 2)"),
    option("--quick", action="store_true", help="a minute: fewer repeats, smaller models"),
)
COMMANDS = (
    Command(
        "emulate",
        "Predict a decode rate, with interval and where time goes",
        run_emulate,
        EMULATE,
        EMULATOR,
        examples="""\
  k2repro emulate --model k2-think --device H100-SXM --devices 8
  k2repro emulate --model k2-think --device WSE-3 --devices 3 --context 32k --draft 4:0.8
  k2repro emulate --model Qwen/Qwen3-30B-A3B --device RTX4090 --precision q4_k_m --engine llama.cpp
  k2repro emulate --model ./config.json --device "my card" --bandwidth 1008GB/s --memory 24GB""",
    ),
    Command(
        "score-rates",
        "Hold the emulator against measured rates",
        run_score_rates,
        SCORE,
        EMULATOR,
        about="Without a file: against the published rates that ship with the package.",
    ),
    Command(
        "replay", "Replay a decode trace on any device: latency, rates, energy", run_replay, REPLAY, EMULATOR
    ),
    Command(
        "race",
        "Watch tokens stream at 20, 200 and 2,000 a second",
        run_race,
        RACE,
        EMULATOR,
        examples="""\
  k2repro race k2-think@H100-SXMx8 k2-think@WSE-3x3""",
    ),
    Command(
        "measure",
        "Measure this machine: bandwidth, caches, products, decode rates",
        run_measure,
        MEASURE,
        MACHINE,
    ),
)
