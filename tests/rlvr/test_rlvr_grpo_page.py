"""The plain page of GRPO is the oracle of the trainer: same tokens, same rewards, same gradient."""

import copy

import numpy as np
import pytest
import rlvr_tiny as tiny
import torch

from k2repro.engine import LocalBackend
from k2repro.engine.streams import uniforms
from k2repro.mini.problem import item_seed
from k2repro.rlvr import grpo, train_grpo
from k2repro.rlvr.grpo import grpo_step

GROUP, QUESTIONS = 8, 4


def config():
    return tiny.config(group_size=GROUP, prompts_per_step=QUESTIONS, max_grad_norm=1e9)


def stream_prompts(source):
    return [source.prompts(place) for place in range(QUESTIONS)]


def judged_even(_question: int, tokens) -> float:
    return float(sum(token % 2 == 0 for token in tokens) > len(tokens) / 2)


def numbers() -> torch.Tensor:
    """The trainer's own random numbers of step 0, float64 [questions, G, T]."""
    seeds = [item_seed("rlvr-samples", 0, place) for place in range(QUESTIONS)]
    return torch.from_numpy(
        np.stack([np.stack([uniforms(seed, j, tiny.BUDGET) for j in range(GROUP)]) for seed in seeds])
    )


def page_moves(**changes):
    """Tokens, rewards and change of the weights by one step of plain gradient descent."""
    model, source = tiny.model(), tiny.source()
    before = copy.deepcopy(model.state_dict())
    step = grpo_step(
        model,
        torch.optim.SGD(model.parameters(), lr=1.0),
        [prompt.tokens for prompt in stream_prompts(source)],
        judged_even,
        numbers(),
        stop=(tiny.STOP,),
        max_grad_norm=1e9,
        **changes,
    )
    moved = {name: p.detach() - before[name] for name, p in model.named_parameters()}
    return step, moved


def trainer_moves():
    model, seen = tiny.model(), []
    before = copy.deepcopy(model.state_dict())

    class Keeping(LocalBackend):
        def complete(self, requests, **given):
            found = super().complete(requests, **given)
            seen.extend(found)
            return found

    records = train_grpo(
        model, torch.optim.SGD(model.parameters(), lr=1.0), tiny.source(backend=Keeping), config(), steps=1
    )
    moved = {name: p.detach() - before[name] for name, p in model.named_parameters()}
    return seen, records[0], moved


def test_the_trainer_samples_the_tokens_of_the_page():
    """Catches another seed, another stop rule, another order of prompts: 32 of 32 answers are equal."""
    step, _ = page_moves()
    seen, record, _ = trainer_moves()
    ours = [
        tuple(row[real].tolist())
        for group in step.samples
        for row, real in zip(group.tokens, group.mask, strict=True)
    ]
    theirs = [completion.tokens for group in seen for completion in group]
    assert len(theirs) == QUESTIONS * GROUP == 32
    assert ours == theirs
    assert step.rewards.mean().item() == pytest.approx(record.reward)


def test_the_trainer_takes_the_step_of_the_page():
    """Catches a fast path whose gradient is not that of GRPO: bar 2e-4 of each tensor's largest."""
    _, ours = page_moves()
    _, _, theirs = trainer_moves()
    assert tiny.furthest(theirs, ours) <= 2e-4


def test_the_loss_says_nothing_and_the_gradient_everything():
    """Catches a page that teaches the wrong lesson: ratios of 1 hide the gradient in a loss near 0."""
    step, moved = page_moves()
    lengths = torch.stack([group.mask.sum(1) for group in step.samples])
    by_hand = -(step.advantages * lengths).sum() / lengths.sum()
    assert step.loss == pytest.approx(by_hand.item(), abs=1e-5)
    assert max(change.abs().max().item() for change in moved.values()) > 1e-3


def one_late(model, prompt, tokens):
    """Wrong twin: each token is scored by the logits behind it instead of those before it."""
    question = torch.tensor(list(prompt)).expand(len(tokens), -1)
    logits = model(torch.cat([question, tokens], dim=1))[:, len(prompt) :]
    return logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]


def uncentred(rewards):
    """Wrong twin: no baseline, so every rewarded answer is pushed up."""
    return rewards / (rewards.std(1, keepdim=True) + 1e-4)


def whole_batch(rewards):
    """Wrong twin: compared with all answers, not with the siblings."""
    return (rewards - rewards.mean()) / (rewards.std() + 1e-4)


@pytest.mark.parametrize(
    ("name", "twin"),
    [("answer_logprobs", one_late), ("advantages_in_group", uncentred), ("advantages_in_group", whole_batch)],
)
def test_wrong_twins_take_another_step(monkeypatch, name, twin):
    """Catches an oracle that would agree with anything."""
    _, right = page_moves()
    monkeypatch.setattr(grpo, name, twin)
    _, wrong = page_moves()
    assert tiny.furthest(wrong, right) > 1e-2
