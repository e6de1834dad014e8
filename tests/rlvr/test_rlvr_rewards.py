"""Reward functions: every way to return nonsense is an error that names the culprit."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from k2repro.errors import K2ReproError
from k2repro.rlvr import Prompt, RewardError, score

PROMPTS = [Prompt(f"problem {i // 2}", (3,)) for i in range(4)]
COMPLETIONS = [SimpleNamespace(tokens=(3, i), finish="stop", logprobs=None, text=f"{i}") for i in range(4)]


def by_text(prompts, completions):
    return [float(completion.text) for completion in completions]


@pytest.mark.parametrize("form", [list, tuple, np.array, torch.tensor, iter])
def test_scores_add_up_in_order(form):
    """Catches one function of two that is ignored, and forms of output that shuffle or truncate."""
    both = {"text": lambda p, c: form(by_text(p, c)), "right": lambda p, c: [True, False, False, True]}
    assert score(both, PROMPTS, COMPLETIONS).tolist() == [1.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([1.0, 0.0, float("nan"), 0.0], r"'odd' returned nan for completion 2 \(prompt 'problem 1'\)"),
        ([1.0, float("inf"), 0.0, 0.0], r"'odd' returned inf for completion 1 \(prompt 'problem 0'\)"),
        ([1.0, 0.0, 0.0, None], "'odd' returned None for completion 3"),
        ([1.0, 0.0, 0.0, "1"], "'odd' returned '1' for completion 3"),
        (np.array([0, 0, np.nan, 0]), "nan for completion 2"),
        (torch.tensor([[1.0], [0.0], [0.0], [0.0]]).expand(4, 2), "for completion 0"),
        ([1.0, 0.0, 0.0], "'odd' returned 3 values for 4 completions"),
        ([], "'odd' returned 0 values for 4 completions"),
        ([1.0] * 5, "'odd' returned 5 values for 4 completions"),
        (1.0, "'odd' returned 1.0: must be a sequence"),
        (None, "'odd' returned None: must be a sequence"),
    ],
)
def test_bad_values_are_named(returned, message):
    """Catches NaN and missing rewards that would train on noise, and a message that leaves one guessing."""
    with pytest.raises(RewardError, match=message):
        score({"fine": by_text, "odd": lambda p, c: returned}, PROMPTS, COMPLETIONS)


def test_a_function_that_raises_is_named_with_the_completion():
    """Catches an error deep in a verifier without a hint which of a thousand completions it was."""

    def division(prompts, completions):
        return [1 / (2 - completion.tokens[1]) for completion in completions]

    with pytest.raises(
        RewardError, match=r"'division' raised ZeroDivisionError: .* on completion 2 \(prompt 'problem 1'\)"
    ) as caught:
        score({"division": division}, PROMPTS, COMPLETIONS)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_function_that_raises_only_on_the_whole_list():
    """Catches a wrong culprit where there is none."""

    def crowd(prompts, completions):
        if len(completions) > 1:
            raise OSError("too many workers")
        return [0.0]

    with pytest.raises(RewardError, match="'crowd' raised OSError: too many workers, on the whole list"):
        score({"crowd": crowd}, PROMPTS, COMPLETIONS)


def test_interrupts_pass_through():
    """Catches Ctrl-C swallowed as an error of the reward function."""

    def stop(prompts, completions):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score({"stop": stop}, PROMPTS, COMPLETIONS)


def test_nothing_to_call():
    """Catches a run without a reward, in which every group is all wrong."""
    with pytest.raises(K2ReproError, match="no reward function"):
        score({}, PROMPTS, COMPLETIONS)
    with pytest.raises(K2ReproError, match="4 prompts, 3 completions"):
        score({"text": by_text}, PROMPTS, COMPLETIONS[:3])
