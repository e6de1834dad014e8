"""Samples in the format of lm-evaluation-harness (`--log_samples`), for the tools that read it.

https://github.com/EleutherAI/lm-evaluation-harness: one JSON object a line with doc_id, doc, target,
arguments, resps, filtered_resps and one key for each metric.
"""

import hashlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from k2repro.engine.backend import Message
from k2repro.harness.attempts import Attempt, ProblemDialect
from k2repro.harness.benchmarks import Benchmark
from k2repro.harness.grading import INSTRUCTIONS
from k2repro.harness.protocol import Protocol
from k2repro.results.atomic import canonical_json
from k2repro.solve import Solution


class SampleExport:
    """Writes a line for each attempt; called by `run_protocol` with attempts and solutions."""

    def __init__(self, folder: Path, benchmark: Benchmark, protocol: Protocol) -> None:
        self._path = folder / f"samples_{benchmark.name}.jsonl"
        self._partial = self._path.with_name(self._path.name + ".partial")
        self._places = {problem.id: place for place, problem in enumerate(benchmark.problems)}
        self._benchmark, self._protocol = benchmark, protocol
        self._file: BinaryIO | None = None
        self._index: list[tuple[tuple[int, int, str], int]] = []

    def __enter__(self) -> "SampleExport":
        self._partial.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._partial.open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        self._file.close()
        if kind is None:
            self._in_order()
        self._partial.unlink()

    def _in_order(self) -> None:
        """Attempts finish in any order; the file does not. Line by line, for it may be larger than memory."""
        whole = self._path.with_name(self._path.name + ".sorted")
        with self._partial.open("rb") as lines, whole.open("wb") as sorted_lines:
            for _, offset in sorted(self._index):
                lines.seek(offset)
                sorted_lines.write(lines.readline())
        whole.replace(self._path)

    def __call__(self, attempt: Attempt, solution: Solution) -> None:
        """One attempt as one line."""
        place = self._places[attempt.problem]
        problem = self._benchmark.problems[place]
        doc = {"id": problem.id, "question": problem.question, "answer": problem.gold}
        dialect = ProblemDialect(self._protocol.system, INSTRUCTIONS[problem.kind], problem=problem)
        prompt = dialect.prompt(problem.question, None)
        texts = [message.content for message in prompt if isinstance(message, Message)]
        chosen = 0.0 if attempt.chosen is None else float(attempt.right[attempt.chosen])
        record = {
            "doc_id": place,
            "doc": doc,
            "target": problem.gold,
            "arguments": [["\n".join(texts), {"temperature": self._protocol.solver.temperature}]],
            "resps": [[each.text for each in solution.candidates]],
            "filtered_resps": [["" if each is None else each for each in attempt.answers]],
            "doc_hash": hashlib.sha256(canonical_json(doc).encode()).hexdigest(),
            "prompt_hash": hashlib.sha256("\n".join(texts).encode()).hexdigest(),
            "target_hash": hashlib.sha256(problem.gold.encode()).hexdigest(),
            "filter": attempt.arm,
            "metrics": ["exact_match", "chosen"],
            "exact_match": sum(attempt.right) / len(attempt.right),
            "chosen": chosen,
            "repeat": attempt.run,
        }
        if self._file is not None:
            self._index.append(((place, attempt.run, attempt.arm), self._file.tell()))
            self._file.write(canonical_json(record).encode() + b"\n")
