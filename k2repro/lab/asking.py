"""What a solver answered to one prompt, as the lab keeps it for planning and best-of-N."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k2repro.lab.lines import read_lines
from k2repro.mini import tokenizer
from k2repro.mini.grading import split_response

FILE = "candidates.jsonl.gz"


@dataclass(frozen=True)
class AskedPrompt:
    """All responses to one prompt.

    id: of the problem. plan: that the prompt carried, "" for none. texts, tokens, right: one each.
    """

    id: str
    tier: str
    question: str
    plan: str
    texts: tuple[str, ...]
    tokens: tuple[int, ...]
    right: tuple[bool, ...]

    @property
    def answers(self) -> tuple[str | None, ...]:
        """The value that each states; None where none can be read."""
        parts = [split_response(text) for text in self.texts]
        return tuple(None if each is None else each.answer.strip() for each in parts)


def prompts_of(askings: Sequence[AskedPrompt]) -> list[str]:
    """What the solver read."""
    return [tokenizer.prompt_text(each.question, each.plan) for each in askings]


def read_askings(folder: Path) -> list[AskedPrompt]:
    """What was answered, prompt by prompt. Raises K2ReproError for a file that is cut short."""
    return read_lines(folder / FILE, AskedPrompt)
