"""What was predicted, what was measured, and which came first: predictions."""

import argparse
import json
from dataclasses import asdict
from math import isfinite
from typing import Any

from k2repro.cli.command import NUMBERS, Command, json_option, option, options, profile_option, say


def run_predictions(args: argparse.Namespace) -> int:
    from k2repro.errors import unknown
    from k2repro.lab.predictions import load_predictions, standings
    from k2repro.lab.sealed import orders, why_no_dates
    from k2repro.results import Places, load_profile, load_rows

    places = Places.find()
    folder = places.results(load_profile(args.profile).name) / "rows"
    rows = load_rows(folder)
    chosen = [each for each in load_predictions() if args.effect in (None, each.effect)]
    if not chosen:
        raise unknown("prediction", args.effect, [each.effect for each in load_predictions()])
    undated = why_no_dates(places.root)
    dated = [] if undated else orders(places.root, folder.relative_to(places.root).as_posix())
    first = {order.prediction.effect: "before" if order.before else "after" for order in dated}
    records = []
    for prediction, record in zip(chosen, standings(chosen, rows), strict=True):
        git = "unknown" if undated else first.get(prediction.effect, "no row yet")
        records.append({"effect": prediction.effect, **record, "by git": git})
    if args.json:
        lines = [
            {**record, "prediction": _plain(asdict(each))}
            for each, record in zip(chosen, records, strict=True)
        ]
        say(json.dumps({"predictions": lines, "undated": undated}, indent=2))
    else:
        say(_whole(chosen[0], records[0]) if args.effect else _overview(records, undated))
    return 0


def _overview(records: list[dict[str, Any]], undated: str | None) -> str:
    """A block of three lines for each: a table would be wider than any terminal."""
    blocks = [
        f"{record['effect']}: {record['verdict']}\n"
        f"    {record['what']}\n"
        f"    predicted {record['predicted']} ({record['declared']}; by git: {record['by git']})"
        + (f"\n    measured {record['measured']}" if record["measured"] else "")
        for record in records
    ]
    waiting = sum(record["measured"] is None for record in records)
    holding = sum(record["verdict"] == "holds" for record in records)
    undecided = sum(record["verdict"].startswith("undecided") for record in records)
    ends = [
        f"{len(records)} predictions: {holding} hold, {len(records) - holding - undecided - waiting} do not, "
        f"{undecided} undecided, {waiting} wait for their rows."
    ]
    if undated:
        ends.append(f"Dates are not known: {undated}.")
    return "\n\n".join([*blocks, "\n".join(ends)])


def _whole(prediction: Any, record: dict[str, Any]) -> str:
    lines = [*record.items(), ("needs", f"{prediction.seeds} seeds, {prediction.n} problems")]
    lines += [("why", prediction.why)]
    if prediction.after:
        lines.append(("known when it was written", prediction.after))
    return "\n".join(f"{name}: {value if value is not None else '-'}" for name, value in lines)


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Bounds that are not there as null: JSON knows no infinity."""
    return {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in record.items()
    }


EFFECT = option("effect", nargs="?", help="one row's id; all predictions without it")
COMMANDS = (
    Command(
        "predictions",
        "Print what was predicted before a run, beside what was measured",
        run_predictions,
        options(profile_option, EFFECT, json_option),
        NUMBERS,
        needs_checkout=True,
        about="""\
A prediction (k2repro/lab/predictions.toml) names a row, a direction, a least size, and how many trained seeds
and problems it needs. It is committed before the run that decides it; a row with fewer seeds decides nothing.
The interval behind a number resamples seeds and problems (one trained model says nothing about training); the
t interval over seeds stands beside it where rows hold every seed.

"by git" compares the commit that gave the prediction its sizes with the one that gave the row its value. A
prediction that is younger than its row is named so, and `k2repro check` fails where the file hides it. In a
tarball or a shallow clone the order is unknown, and said to be.""",
        examples="""\
  k2repro predictions                               everything declared, with verdicts
  k2repro predictions rlvr.gain_from_sft.mean       one prediction whole, with its reason
  k2repro predictions --json | jq '.predictions[].verdict'""",
    ),
)
