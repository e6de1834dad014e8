"""Every number that GRPO depends on, each with the source of its default.

Sources, as quoted in the comments:
  Guru     github.com/LLM360/Reasoning360 @13158341, scripts/train/
           example_multinode_rl_qwen2.5_32b_base_fsdp.sh: the public example of the group behind K2-Think.
           K2-Think's own RL script was not published.
  TRL      defaults of trl 1.16.0, `trl/trainer/grpo_config.py`
  DAPO     arXiv 2503.14476;  Dr. GRPO  arXiv 2503.20783
  mini-K2  measured in this repository on models of about a million parameters
"""

from dataclasses import dataclass, field

from k2repro.errors import K2ReproError, unknown
from k2repro.rlvr.advantages import SCALES, STD_EPSILON
from k2repro.rlvr.loss import LEVELS, LOSS_TYPES, LossSettings, check_bounds

OVERLONG = ("keep", "mask", "penalise")
UNIFORM_GROUPS = ("train", "skip", "drop")


@dataclass(frozen=True, kw_only=True)
class GrpoConfig(LossSettings):
    """Settings of a GRPO run. Learning rate and weight decay belong to the optimizer that is passed in.

    Raises K2ReproError for values that do not fit together.
    """

    # --- sampling
    prompts_per_step: int = 16  # mini-K2 (Guru: 512)
    group_size: int = 8  # TRL num_generations = 8; mini-K2 (Guru: 16)
    # Response budget in tokens: one number, or (first step, budget) pairs for a budget that changes during
    # the run, as in Figure 4 of the paper (16K, then 32K). No default: it depends on the task.
    max_new_tokens: int | tuple[tuple[int, int], ...] = field()
    # Temperature 1 and top-p 1 (Guru and TRL alike) are not settings: any other value samples from a
    # distribution that is not the one whose gradient is taken.

    # --- advantages
    scale: str = "group"  # TRL scale_rewards = "group"; Guru adv_estimator=grpo (Dr. GRPO: "none")
    center: bool = True  # Guru, TRL (False only as a control: there is no baseline then)
    std_epsilon: float = STD_EPSILON  # TRL: advantages / (std_rewards + 1e-4)

    # --- loss: LossSettings, with one bound more
    delta: float | None = 10.0  # Guru clip_ratio_c = 10.0 (TRL: None); without effect on policy

    # --- updates
    updates_per_rollout: int = 1  # on policy, TRL (Guru: 512 / 64 = 8 mini-batches)
    iterations: int = 1  # TRL num_iterations = 1: passes over the same completions
    max_grad_norm: float = 1.0  # Guru grad clip 1.0; TRL (transformers) max_grad_norm = 1.0

    # --- groups and lengths
    # Groups whose completions are all right or all wrong have advantage 0. "train": spend passes on them
    # (TRL, Guru). "skip": leave the passes out, count them in the average: the same gradient, cheaper.
    # "drop": leave them out of the average too (DAPO, section 3.2).
    uniform_groups: str = "skip"
    refill_rounds: int = 0  # further rounds of prompts to replace uniform groups (DAPO; Guru: off)
    # Completions cut off by the budget. "keep": the verifier's reward stands (Guru, TRL). "mask": out of the
    # loss (TRL mask_truncated_completions). "penalise": soft punishment near the budget (DAPO, eq. 13).
    overlong: str = "keep"
    overlong_buffer: int = 0  # tokens before the budget where "penalise" begins (DAPO: 4,096 of 20,480)

    # --- cost and safety
    micro_batch_tokens: int = 4096  # mini-K2: what a pass reads; the gradient is the same
    # mini-K2: the number of micro-batches is a multiple of this, to keep as many threads busy. A setting, not
    # the threads at hand: it decides in which order gradients are added, and with it the last bits.
    micro_batch_multiple: int = 1
    # Sampling against training log-probabilities, nats: mean over the tokens of a step, and any one token.
    gap_warning: float = 1e-4
    gap_error: float = 1e-2  # stale weights show more than this after one update
    max_skipped_steps: int = 10  # steps in a row without any group to learn from
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "prompts_per_step",
            "updates_per_rollout",
            "iterations",
            "micro_batch_tokens",
            "micro_batch_multiple",
        ):
            _at_least(name, getattr(self, name), 1)
        _at_least("group_size", self.group_size, 2)
        for name in ("refill_rounds", "overlong_buffer", "max_skipped_steps"):
            _at_least(name, getattr(self, name), 0)
        for kind, known in (
            ("scale", SCALES),
            ("loss_type", LOSS_TYPES),
            ("importance_sampling_level", LEVELS),
            ("overlong", OVERLONG),
            ("uniform_groups", UNIFORM_GROUPS),
        ):
            if getattr(self, kind) not in known:
                raise unknown(kind, getattr(self, kind), known)
        check_bounds(self.epsilon_low, self.epsilon_high, self.delta)
        _check_budget(self)
        _check_together(self)

    def budget_at(self, step: int) -> int:
        """Response budget in tokens at `step`, counted from 0."""
        return [tokens for first, tokens in stages(self.max_new_tokens) if first <= step][-1]


def stages(budget: int | tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """(first step, tokens) of every stage of a response budget."""
    return ((0, budget),) if isinstance(budget, int) else budget


def _at_least(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise K2ReproError(f"{name} = {value!r}: must be a whole number of at least {least}")


def _check_budget(config: GrpoConfig) -> None:
    plan = stages(config.max_new_tokens)
    firsts = [first for first, _ in plan]
    if not plan or firsts[0] != 0 or firsts != sorted(set(firsts)):
        raise K2ReproError(
            f"max_new_tokens = {config.max_new_tokens}: stages must begin at step 0 and at rising steps"
        )
    for _, tokens in plan:
        _at_least("max_new_tokens", tokens, 1)
        if config.overlong == "penalise" and not 0 < config.overlong_buffer < tokens:
            raise K2ReproError(
                f"overlong_buffer = {config.overlong_buffer}: overlong='penalise' needs one between 1 and "
                f"the response budget, {tokens}"
            )


def _check_together(config: GrpoConfig) -> None:
    if not config.beta >= 0 or not config.max_grad_norm > 0:
        raise K2ReproError(
            f"beta = {config.beta}, max_grad_norm = {config.max_grad_norm}: must be at least 0, and above 0"
        )
    if not config.center and config.scale == "group":
        raise K2ReproError("center=False excludes scale='group', see group_advantages; use scale='none'")
    if not config.center and config.uniform_groups != "train":
        raise K2ReproError(
            "center=False needs uniform_groups='train': without a baseline equal rewards have a gradient too"
        )
    if config.beta and config.uniform_groups == "skip":
        raise K2ReproError(
            "beta > 0 needs uniform_groups='train' or 'drop': the KL term has a gradient on every token"
        )
    if not config.gap_warning <= config.gap_error:
        raise K2ReproError(f"gap_warning = {config.gap_warning} is above gap_error = {config.gap_error}")
    if config.prompts_per_step % config.updates_per_rollout:
        raise K2ReproError(
            f"prompts_per_step = {config.prompts_per_step} is not a multiple of updates_per_rollout = "
            f"{config.updates_per_rollout}: each update takes an equal share of the groups"
        )
