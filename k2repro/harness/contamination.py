"""Does a benchmark stand in the training data? A check by n-grams, on files that the reader has.

The critique of K2-Think (sri.inf.ethz.ch/blog/k2think) found at least 87 of 173 Omni-MATH problems in its
training data by approximate string match. An overlap of word n-grams is cheap, finds copies and light
edits, and misses paraphrases: a lower bound.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.harness.benchmarks import Benchmark

WORDS = re.compile(r"\w+")
# Of GPT-3's decontamination (Brown et al., arXiv 2005.14165, appendix C).
N = 13
FOUND = 0.5


@dataclass(frozen=True)
class Overlap:
    """shares: of each problem's n-grams that stand in the training files. found: ids at FOUND or more."""

    shares: dict[str, float]
    found: tuple[str, ...]


def overlap(benchmark: Benchmark, files: Iterable[Path], *, n: int = N) -> Overlap:
    """n-grams of each question that occur in any of `files` (.jsonl with any text fields, or .txt).

    Questions shorter than n words count as a whole. Files are read line by line, so they may be large.
    Raises K2ReproError for a file that cannot be read.
    """
    grams = {problem.id: _grams(problem.question, n) for problem in benchmark.problems}
    owners: dict[str, list[str]] = {}
    sizes: set[int] = set()
    for name, own in grams.items():
        for gram in own:
            owners.setdefault(gram, []).append(name)
            sizes.add(gram.count(" ") + 1)
    seen: dict[str, set[str]] = {name: set() for name in grams}
    for text in _texts(files):
        words = WORDS.findall(text.lower())
        for size in sizes:
            for at in range(len(words) - size + 1):
                gram = " ".join(words[at : at + size])
                for name in owners.get(gram, ()):
                    seen[name].add(gram)
    shares = {name: len(seen[name]) / len(own) if own else 0.0 for name, own in grams.items()}
    return Overlap(shares, tuple(name for name, share in shares.items() if share >= FOUND))


def _grams(text: str, n: int) -> set[str]:
    words = WORDS.findall(text.lower())
    if len(words) <= n:
        return {" ".join(words)} if words else set()
    return {" ".join(words[at : at + n]) for at in range(len(words) - n + 1)}


def _texts(files: Iterable[Path]) -> Iterator[str]:
    for path in files:
        try:
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    yield " ".join(_strings(json.loads(line))) if path.suffix == ".jsonl" else line
        except (OSError, ValueError) as error:
            raise K2ReproError(f"{path}: cannot be read as training data: {error}") from error


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
