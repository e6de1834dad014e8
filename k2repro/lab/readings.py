"""How likely candidates are, to the solver that wrote them or to another model: what selectors choose by.

candidates + weights of a reader -> reading

The reader sees what the solver saw, question and plan; it never sees the right answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k2repro.engine import NUMERICS as ENGINE
from k2repro.engine.reading import read
from k2repro.lab.asking import AskedPrompt, prompts_of, read_askings
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.made import Made, Making
from k2repro.lab.progress import JobProgress
from k2repro.mini import TEXTS, tokenizer
from k2repro.mini.checkpoint import load_checkpoint

FILE = "reading.jsonl.gz"
# Sums of log-probabilities are kept to a hundredth: finer would be rounding, and the numbers ship.
DIGITS = 2


@dataclass(frozen=True)
class ResponseReadings:
    """What a reader makes of all responses to one prompt, in their order.

    logprob: sum of the natural log-probabilities of a response's tokens at temperature 1. certainty: mean
    over its tokens of self-certainty, see `k2repro.engine.reading`.
    """

    id: str
    logprob: tuple[float, ...]
    certainty: tuple[float, ...]


def reading(reader: Made, candidates: Made) -> Made:
    """What the model of `reader` makes of `candidates`."""
    return Made(
        "reading",
        f"{candidates.name} by {reader.name} {reader.seed}",
        candidates.seed,
        _read,
        {"digits": DIGITS},
        (ENGINE, TEXTS),
        {"reader": reader, "candidates": candidates},
    )


def _read(making: Making) -> None:
    askings = read_askings(making.needs["candidates"])
    model = load_checkpoint(making.needs["reader"]).eval()

    def progress(done: int, total: int) -> None:
        making.report(JobProgress(done / total, f"{done:,} of {total:,} read"))

    prompts = tokenizer.encode_all(prompts_of(askings))
    context = model.config.max_position_embeddings
    found = read(
        model,
        prompts,
        [_encoded(each.texts, context - len(prompt)) for each, prompt in zip(askings, prompts, strict=True)],
        progress=progress,
    )
    write_lines(
        making.folder / FILE,
        (
            ResponseReadings(
                asking.id,
                tuple(round(float(one.logprobs.sum(dtype="float64")), DIGITS) for one in each),
                tuple(round(float(one.certainty.mean(dtype="float64")), DIGITS) for one in each),
            )
            for asking, each in zip(askings, found, strict=True)
        ),
    )


def _encoded(texts: Sequence[str], most: int) -> list[list[int]]:
    """Tokens of responses, cut where the context ends.

    The text of a hardly trained model is no words, and its
    bytes may take more tokens than were sampled.
    """
    return [tokens[:most] for tokens in tokenizer.encode_all(texts)]


def read_readings(folder: Path) -> list[ResponseReadings]:
    """Readings, prompt by prompt, in the order of the candidates."""
    return read_lines(folder / FILE, ResponseReadings)


def likeliest(asking: AskedPrompt, reading: ResponseReadings, among: Sequence[int]) -> int:
    """The candidate with the highest log-probability by token; the first of equals."""
    return max(among, key=lambda at: reading.logprob[at] / max(1, asking.tokens[at]))
