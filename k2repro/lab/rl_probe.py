"""A look at a model during training: the same validation problems and the same random numbers every time.

The seed of a response is a hash of the problem alone, so two points of a curve, or two runs, differ by
their weights and by nothing else. What is kept is small: right or wrong and the length of every response, and
the full text of a few. With the lengths, a shorter response budget can be applied afterwards: a response that
is cut off is the beginning of the one that is not.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import Completion, Sampler
from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import problem_seed
from k2repro.mini import tokenizer
from k2repro.mini.grading import grade
from k2repro.mini.problem import Problem
from k2repro.results.atomic import canonical_json, write_bytes

# Where a curve stands; stores that were adopted from old keys hold it as plain text.
CURVE, PLAIN_CURVE = "curve.jsonl.gz", "curve.jsonl"
# What files that ship call the negative log-likelihood.
NLL_IN_FILES = "surprise"
SHOWN = 6  # problems of each tier whose responses are kept as text


@dataclass(frozen=True)
class ProbePoint:
    """What a model did on the probe after `step` steps, by tier, problem by problem.

    right: "1" or "0" for each problem. tokens: length of each response. nll: minus the mean
    log-probability of the tokens of each response, an estimate of the entropy in nats. texts: responses to
    the first few problems of each tier, by problem id.
    """

    step: int
    right: dict[str, str]
    tokens: dict[str, tuple[int, ...]]
    nll: dict[str, tuple[float, ...]]
    texts: dict[str, str]

    @property
    def tiers(self) -> tuple[str, ...]:
        """Tiers, in the order of the probe."""
        return tuple(self.right)

    def outcomes(self, budget: int | None = None) -> dict[str, list[int]]:
        """1 or 0 for each problem, by tier; with `budget`, as if responses were cut after so many tokens."""
        return {
            tier: [
                int(mark == "1" and (budget is None or length <= budget))
                for mark, length in zip(self.right[tier], self.tokens[tier], strict=True)
            ]
            for tier in self.right
        }

    def line(self) -> str:
        """The point's only spelling on disk."""
        record = asdict(self)
        record[NLL_IN_FILES] = record.pop("nll")
        return canonical_json(record) + "\n"


def look(model: Qwen2, problems: Sequence[Problem], step: int, *, max_new_tokens: int) -> ProbePoint:
    """Sample one response to each problem at temperature 1, judge it, and keep what `Point` says."""
    sampled = Sampler(model).sample(
        [tokenizer.prompt_text(problem.question) for problem in problems],
        max_new_tokens=max_new_tokens,
        seeds=[problem_seed(0, problem.id) for problem in problems],
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
        logprobs=True,
    )
    completions = [samples[0] for samples in sampled]
    texts = [completion.text or "" for completion in completions]
    verdicts = grade(problems, texts)
    of: dict[str, list[int]] = {}
    for at, problem in enumerate(problems):
        of.setdefault(problem.tier, []).append(at)
    nll = [_nll(completion) for completion in completions]
    return ProbePoint(
        step=step,
        right={tier: "".join(str(int(verdicts[at])) for at in places) for tier, places in of.items()},
        tokens={tier: tuple(len(completions[at].tokens) for at in places) for tier, places in of.items()},
        nll={tier: tuple(nll[at] for at in places) for tier, places in of.items()},
        texts={problems[at].id: texts[at] for places in of.values() for at in places[:SHOWN]},
    )


def _nll(completion: Completion) -> float:
    """Minus the mean log-probability, to five decimals: more would be rounding noise, and take room."""
    assert completion.logprobs is not None
    return round(-float(completion.logprobs.mean(dtype=np.float64)), 5)


def write_points(folder: Path, points: Iterable[ProbePoint]) -> None:
    """Write a curve as CURVE; equal points, equal bytes."""
    text = "".join(point.line() for point in points)
    write_bytes(folder / CURVE, gzip.compress(text.encode(), compresslevel=9, mtime=0))


def read_points(folder: Path) -> list[ProbePoint]:
    """The points of a curve, in the order of their steps. Raises K2ReproError for a file that is not one."""
    path = folder / CURVE
    try:
        if path.is_file():
            text = gzip.decompress(path.read_bytes()).decode()
        else:
            path = folder / PLAIN_CURVE
            text = path.read_text(encoding="utf-8")
        return [_point(json.loads(line)) for line in text.splitlines()]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise K2ReproError(f"{path}: no curve of a run ({type(error).__name__}: {error})") from error


def _point(record: dict[str, Any]) -> ProbePoint:
    record["nll"] = record.pop(NLL_IN_FILES)
    for name in ("tokens", "nll"):
        record[name] = {tier: tuple(values) for tier, values in record[name].items()}
    return ProbePoint(**record)
