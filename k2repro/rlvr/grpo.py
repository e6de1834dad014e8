"""GRPO on one page: sample a group, let a program judge it, compare within the group, move the weights.

Reinforcement learning with verifiable rewards needs no learned reward and no value network. For each
question the model answers G times; a program says which answers are right; an answer that did better than
its siblings becomes likelier, token by token. Source: DeepSeekMath, arXiv 2402.03300, section 4.1; the mean
over tokens is that of DAPO, arXiv 2503.14476, section 3.3.

Left out here: several updates for one set of samples, a KL term, other averages (`loss.py`), micro-batches
and prefixes read once (`batch.py`), groups that teach nothing left out of the pass (`groups.py`), truncated
answers, the check that sampling and training agree (`step.py`), resuming (`trainer.py`), the compiled pass
(`k2repro.fast`). Tokens, rewards and gradients are the same, which a test checks.

Shapes: G answers to each question, P tokens of a question, T most tokens of an answer, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine.plain import Samples, sample_plainly

# Judges one answer: (number of the question, its token ids) -> reward, 1 for right and 0 for wrong.
Judge = Callable[[int, Sequence[int]], float]


class GrpoStep(NamedTuple):
    """What one step did. rewards, advantages: float32 [questions, G]. loss: before the step."""

    samples: list[Samples]
    rewards: Tensor
    advantages: Tensor
    loss: float


def advantages_in_group(rewards: Tensor) -> Tensor:
    """How much better than its siblings each answer was, in standard deviations; [questions, G].

    Where all answers of a group did alike there is nothing to learn: exactly 0.
    """
    better = rewards - rewards.mean(1, keepdim=True)
    return better / (rewards.std(1, keepdim=True) + 1e-4)  # the 1e-4 of TRL; it also makes 0 / 0 a 0


def answer_logprobs(model: Qwen2, prompt: Sequence[int], tokens: Tensor) -> Tensor:
    """Log-probability of every answer token under `model`, with gradient: float32 [G, T].

    tokens: int64 [G, T], padded at the end, where no earlier token can see it.
    """
    question = torch.tensor(list(prompt)).expand(len(tokens), -1)  # [G, P]
    read = torch.cat([question, tokens], dim=1)[:, :-1]  # [G, P + T - 1]: the last token predicts nothing
    logits = model(read)[:, len(prompt) - 1 :]  # [G, T, V]: the place before a token predicts it
    return logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]  # [G, T]


def policy_loss(logprobs: Tensor, old: Tensor, advantages: Tensor, clip: float = 0.2) -> Tensor:
    """Loss of every token [G, T]; `advantages` [G] holds for all tokens of an answer.

    The ratio says how much likelier a token became since it was sampled. On policy it is 1 and the loss says
    nothing; its gradient is that of -advantage * log-probability. The clip stops pushing once a token has
    moved far enough in the right direction; the minimum never hides a move in the wrong one.
    """
    ratio = (logprobs - old).exp()  # [G, T]
    advantage = advantages[:, None]  # [G, 1]
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def grpo_step(
    model: Qwen2,
    optimizer: torch.optim.Optimizer,
    prompts: Sequence[Sequence[int]],
    judge: Judge,
    uniforms: Tensor,
    *,
    stop: Sequence[int],
    max_grad_norm: float = 1.0,
) -> GrpoStep:
    """One GRPO step on `prompts`, token ids of each question; `model` is changed in place.

    uniforms: float64 [questions, G, T] in [0, 1), the only source of chance. stop: tokens that end an answer.
    """
    # 1. Sample G answers to each question from the present weights.
    samples = [
        sample_plainly(model, prompt, numbers, stop=stop)
        for prompt, numbers in zip(prompts, uniforms, strict=True)
    ]
    # 2. Judge every answer. 3. Compare it with its siblings.
    rewards = torch.zeros(len(prompts), uniforms.shape[1])  # [questions, G]
    for question, group in enumerate(samples):
        for answer, (row, real) in enumerate(zip(group.tokens, group.mask, strict=True)):
            rewards[question, answer] = judge(question, row[real].tolist())
    advantages = advantages_in_group(rewards)
    # 4. Read the answers again, now with gradient. 5. One step; every token of the batch counts alike.
    optimizer.zero_grad()
    count = sum(int(group.mask.sum()) for group in samples)
    total = 0.0
    for prompt, group, advantage in zip(prompts, samples, advantages, strict=True):
        logprobs = answer_logprobs(model, prompt, group.tokens)
        per_token = policy_loss(logprobs, logprobs.detach(), advantage)
        loss = (per_token * group.mask).sum() / count
        loss.backward()
        total += loss.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return GrpoStep(samples, rewards, advantages, total)
