"""A reader judges: three answers of the solver to a problem, what choosers pick, and who is right."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2repro.best_of_n import SELECTORS, Candidate, choose
from k2repro.engine import Sampler
from k2repro.engine.reading import read
from k2repro.evaluate.pool import problem_seed
from k2repro.mini import tokenizer
from k2repro.mini.benchmarks import LEVELS, MAX_NEW_TOKENS_LEVELS, TEMPERATURE, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.mini.grading import grade, split_response
from k2repro.mini.problem import Problem, item_random

SHOWN = ("majority", "own-sum", "judge", "judge+own")
SAMPLES = 3


@dataclass(frozen=True)
class Round:
    """One problem with the answers to choose from. right: which of them are, to be shown afterwards."""

    question: str
    texts: tuple[str, ...]
    picks: dict[str, int]
    right: tuple[bool, ...]

    def records(self, mine: int | None = None) -> list[dict[str, Any]]:
        """Who picked which answer, and whether it is right; `mine` is the reader's, from 0."""
        picks = self.picks if mine is None else {"you": mine, **self.picks}
        return [
            {"who": name, "picked": at + 1, "right": "yes" if self.right[at] else "no"}
            for name, at in picks.items()
        ]


def rounds(solver: Path, judge: Path, *, among: int = 12) -> list[Round]:
    """Rounds of validation problems on whose answers somebody can be wrong; all of them if there is none.

    among: problems of each of the two hardest levels that are asked; others are nearly always solved.
    """
    problems = [each for level in LEVELS[2:] for each in benchmark_problems(level, "validation", among)]
    model = load_checkpoint(solver).eval()
    prompts = [tokenizer.prompt_text(each.question) for each in problems]
    found = Sampler(model).sample(
        prompts,
        n=SAMPLES,
        max_new_tokens=MAX_NEW_TOKENS_LEVELS,
        temperature=TEMPERATURE,
        seeds=[problem_seed(0, each.id) for each in problems],
        stop=[tokenizer.turn_end()],
        logprobs=True,
        tokenizer=tokenizer.load(),
    )
    tokens = [[one.tokens for one in group] for group in found]
    read_by = read(load_checkpoint(judge).eval(), tokenizer.encode_all(prompts), tokens)
    games = [
        _round(problem, group, [float(each.logprobs.sum()) for each in verdicts])
        for problem, group, verdicts in zip(problems, found, read_by, strict=True)
    ]
    mixed = [game for game in games if any(game.right) and not all(game.right)]
    return mixed or games


def _round(problem: Problem, group: Sequence[Any], verdicts: Sequence[float]) -> Round:
    texts = tuple(each.text or "" for each in group)
    parts = [split_response(text) for text in texts]
    candidates = [
        Candidate(
            text,
            None if part is None else part.answer,
            each.count,
            logprob=float(sum(each.logprobs)),
            judge=verdict,
        )
        for text, part, each, verdict in zip(texts, parts, group, verdicts, strict=True)
    ]
    picks = {
        name: choose(candidates, SELECTORS[name], generator=_generator(problem, name)).index for name in SHOWN
    }
    return Round(problem.question, texts, picks, tuple(grade([problem] * len(texts), list(texts))))


def _generator(problem: Problem, name: str) -> random.Random:
    return item_random("judging", problem.id.replace("/", "."), name)


def panel(games: Sequence[Round]) -> None:
    """Buttons for the reader's choice, round after round; for JupyterLab."""
    from IPython.display import display
    from ipywidgets import HTML, Button, HBox, Output, VBox

    place = {"round": 0}
    text, result = HTML(), Output()
    buttons = [Button(description=f"answer {at + 1}") for at in range(SAMPLES)]
    onward = Button(description="next problem")

    def draw() -> None:
        game = games[place["round"] % len(games)]
        lines = "".join(
            f"<p><b>answer {at + 1}</b><br>{_escaped(each)}</p>" for at, each in enumerate(game.texts)
        )
        text.value = f"<p><b>{_escaped(game.question)}</b></p>{lines}"
        result.clear_output()

    def pick(at: int) -> None:
        from k2repro.notebook import show_table

        result.clear_output()
        with result:
            show_table(games[place["round"] % len(games)].records(at), caption="You and the choosers")

    def forward(_: Any) -> None:
        place["round"] += 1
        draw()

    for at, button in enumerate(buttons):
        button.on_click(lambda _, at=at: pick(at))
    onward.on_click(forward)
    draw()
    display(VBox([text, HBox([*buttons, onward]), result]))


def _escaped(text: str) -> str:
    import html

    return html.escape(text)
