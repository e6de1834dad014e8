"""Problems and responses one by one, as a reader sees them: formats, packed rows, a first mistake."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from k2repro.architecture import Qwen2
from k2repro.engine import sample
from k2repro.lab.stages import Stage
from k2repro.mini import mistakes, program_mistakes, programs, tokenizer
from k2repro.mini.benchmarks import MAX_NEW_TOKENS
from k2repro.mini.data import STYLES, reference_rows
from k2repro.mini.mistakes import Diagnosis
from k2repro.mini.mixtures import MixtureStream
from k2repro.mini.problem import Problem
from k2repro.mini.rendering import response_lines
from k2repro.training.packing import Batch

Records = list[dict[str, Any]]
# Batches over which fill is averaged.
BATCHES = 20
# Characters of a response that are shown from its first mistake on.
SHOWN = 24


def formats(problem: Problem) -> Records:
    """What a model reads and what it is taught to write, for each style, with the tokens of the response."""
    [searching], [planned], [direct] = (reference_rows([problem], style) for style in STYLES)
    return [
        {
            "style": style,
            "the user's turn": _turn(row["prompt"]),
            "the response": row["completion"],
            "tokens": len(tokenizer.encode(row["completion"])),
        }
        for style, row in zip(STYLES, (searching, planned, direct), strict=True)
    ]


def _turn(prompt: str) -> str:
    """The words between ChatML's markers."""
    return prompt.removeprefix(f"{tokenizer.TURN_START}user\n").partition(tokenizer.TURN_END)[0].strip()


def mixture_records(stages: Sequence[Stage]) -> Records:
    """The mixture of each stage, one line for each ingredient."""
    return [
        {
            "stage": stage.name,
            "kind": ingredient.kind,
            "share": ingredient.share,
            "steps": stage.steps,
            "tokens in a batch": stage.rows * stage.length,
            "layers": stage.layers,
        }
        for stage in stages
        for ingredient in stage.mixture
    ]


# ---- packing --------------------------------------------------------------------------------------


def packed_batches(stage: Stage, seed: int, count: int = BATCHES) -> list[Batch]:
    """The first batches of a stage, as its training sees them."""
    stream = MixtureStream(stage.mixture, f"{stage.name}-{seed}", rows=stage.rows, length=stage.length)
    return [stream.next_batch() for _ in range(count)]


def fill_of(batches: Sequence[Batch]) -> tuple[float, float]:
    """Share of positions that hold text: as packed, and if each text had a row as long as the longest."""
    packed = sum(batch.used for batch in batches) / sum(batch.tokens.numel() for batch in batches)
    used, padded = 0, 0
    for batch in batches:
        lengths = [end - start for _, start, _, end in texts_of(batch)]
        used += sum(lengths)
        padded += len(lengths) * max(lengths)
    return packed, used / padded


def texts_of(batch: Batch) -> list[tuple[int, int, int, int]]:
    """(row, start, first learned position, end) of each text in a batch; ends are exclusive."""
    found = []
    for row, segments in enumerate(batch.segments.tolist()):
        for number in range(1, max(segments) + 1):
            places = [at for at, segment in enumerate(segments) if segment == number]
            learned = [at for at in places if batch.targets[row, at] >= 0]
            found.append((row, places[0], learned[0] + 1, places[-1] + 1))
    return found


@torch.no_grad()
def packing_difference(model: Qwen2, batch: Batch, apart: bool = True) -> float:
    """Largest difference of a logit between texts in packed rows and the same texts alone, relative.

    apart: tell the decoder where texts begin. Without it a text sees its neighbours: the wrong twin.
    """
    packed = model(batch.tokens, segments=batch.segments) if apart else model(batch.tokens)
    largest, scale = 0.0, float(packed.abs().max())
    for row, start, _, end in texts_of(batch):
        alone = model(batch.tokens[row : row + 1, start:end])
        largest = max(largest, float((packed[row, start:end] - alone[0]).abs().max()))
    return largest / scale


# ---- responses ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Specimen:
    """One response of a model, with its first mistake."""

    problem: Problem
    tokens: tuple[int, ...]
    text: str
    diagnosis: Diagnosis


def ask(
    model: Qwen2, problems: Sequence[Problem], *, temperature: float = 0.0, seed: int = 0
) -> list[Specimen]:
    """One response to each problem; greedy unless a temperature is given."""
    answers = sample(
        model,
        [tokenizer.prompt_text(problem.question) for problem in problems],
        max_new_tokens=MAX_NEW_TOKENS,
        temperature=temperature,
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
        generator=torch.Generator().manual_seed(seed),
    )
    return [
        Specimen(problem, answer.tokens, answer.text or "", diagnose(problem, answer.text or ""))
        for problem, (answer,) in zip(problems, answers, strict=True)
    ]


def diagnose(problem: Problem, response: str) -> Diagnosis:
    """The first mistake of a response, whichever family its problem is of."""
    family = program_mistakes if problem.family == programs.FAMILY else mistakes
    return family.diagnose(problem, response)


def first_wrong(specimens: Sequence[Specimen]) -> Specimen:
    """The first response with a mistake; where all are right, the first."""
    return next((one for one in specimens if one.diagnosis.kind != mistakes.RIGHT), specimens[0])


def read_aloud(specimen: Specimen) -> Records:
    """The lines of a response in sentences, up to its first mistake, and what should stand there."""
    diagnosis, text = specimen.diagnosis, specimen.text
    good = [line for line in response_lines(text[: diagnosis.at]) if line.strip()]
    records = [{"line": at, "in words": line, "": ""} for at, line in enumerate(good, 1)]
    if diagnosis.kind != mistakes.RIGHT:
        wanted = f", should be {diagnosis.expected!r}" if diagnosis.expected else ""
        rest = text[diagnosis.at : diagnosis.at + SHOWN] or "(the end)"
        records.append({"line": len(good) + 1, "in words": rest, "": f"{diagnosis.kind}{wanted}"})
    return records
