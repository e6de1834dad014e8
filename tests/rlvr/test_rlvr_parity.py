"""Our GRPO against TRL's GRPOTrainer: its own code runs on the same weights, completions and rewards.

Only the sampling is replaced (`_generate` returns given completions); rewards, advantages, masks, loss and
the optimisation step are TRL's. The pinned release is the reference: trl 1.16.0.
"""

import copy
from dataclasses import replace

import pytest
import rlvr_tiny as tiny
import torch
from rlvr_tiny import grpo_loss, policy_terms

from k2repro.rlvr import (
    StepBatch,
    completion_logprobs,
    group_advantages,
    micro_batches,
    train_step,
    with_reference,
)

TOLERANCE = 1e-5
VARIANTS = {
    "grpo": {"loss_type": "grpo"},
    "bnpo": {"loss_type": "bnpo"},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "dapo": {"loss_type": "dapo"},
    "gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence"},
    "gspo by token": {"loss_type": "dapo", "importance_sampling_level": "sequence"},
    "clip higher": {"loss_type": "dapo", "epsilon_low": 0.1, "epsilon_high": 0.28},
    "two-sided": {"loss_type": "dapo", "delta": 1.3},
    "kl": {"loss_type": "grpo", "beta": 0.05},
    "plain k3": {"loss_type": "dapo", "beta": 0.05, "use_bias_correction_kl": False},
    "kl, sequences": {"loss_type": "dr_grpo", "importance_sampling_level": "sequence", "beta": 0.05},
}
pytestmark = pytest.mark.slow


class Peer:
    """TRL's trainer on a transformers copy of our model, fed with `tiny.completions()`."""

    def __init__(self, decoder, folder):
        from transformers import Qwen2Config, Qwen2ForCausalLM

        self.model = Qwen2ForCausalLM(Qwen2Config.from_dict(decoder.config.to_dict()))
        self.model.load_state_dict(decoder.state_dict())
        self.folder = folder
        self.trainer = self.build()

    def build(self, **changes):
        import datasets
        import tokenizers
        from transformers import PreTrainedTokenizerFast
        from trl import GRPOConfig, GRPOTrainer

        words = {f"w{i}": i for i in range(tiny.VOCABULARY)}
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w1")),
            eos_token=f"w{tiny.STOP}",
            pad_token="w0",
        )
        arguments = {
            "per_device_train_batch_size": 8,
            "num_generations": 4,
            "max_completion_length": tiny.BUDGET,
            "max_steps": 1,
            "learning_rate": 1e-3,
            "lr_scheduler_type": "constant",
            "shuffle_dataset": False,
            **changes,
        }
        trainer = GRPOTrainer(
            model=copy.deepcopy(self.model),
            reward_funcs=self.rewards,
            args=GRPOConfig(
                output_dir=str(self.folder),
                use_cpu=True,
                bf16=False,
                report_to=[],
                save_strategy="no",
                **arguments,
            ),
            train_dataset=datasets.Dataset.from_dict({"prompt": ["w3", "w4"]}),
            processing_class=tokenizer,
        )
        pairs = tiny.completions()
        given = ([list(p) for p, _ in pairs], [list(c) for _, c in pairs])
        # prompts, completions, tool mask, texts, sampling log-probabilities, extra fields, two of images
        trainer._generate = lambda prompts: (*given, None, ["" for _ in pairs], None, {}, None, None)
        trainer.current_gradient_accumulation_steps = 1
        return trainer

    def reset(self):
        """Undo what tests set, so that none depends on those before it."""
        self.values = tiny.REWARDS
        self.trainer.scale_rewards, self.trainer.mask_truncated_completions = "group", False
        self.configure({})

    def rewards(self, completions, **_):
        return self.values

    def inputs(self, **settings):
        """What TRL makes of the completions: its own masks, advantages, counts."""
        for name, value in settings.items():
            setattr(self.trainer, name, value)
        self.trainer.model.train()
        return self.trainer._generate_and_score_completions([{"prompt": "w3"}] * 4 + [{"prompt": "w4"}] * 4)

    def configure(self, variant):
        """Set the trainer to a variant of the loss."""
        settings = {
            "loss_type": "grpo",
            "importance_sampling_level": "token",
            "epsilon_low": 0.2,
            "epsilon_high": 0.2,
            "beta": 0.0,
            **variant,
        }
        self.trainer.args.delta = settings.pop("delta", None)
        self.trainer.args.use_bias_correction_kl = settings.pop("use_bias_correction_kl", True)
        for name, value in settings.items():
            setattr(self.trainer, name, value)


@pytest.fixture(scope="module")
def decoder():
    return tiny.model()


@pytest.fixture(scope="module")
def built_peer(decoder, tmp_path_factory):
    return Peer(decoder, tmp_path_factory.mktemp("trl"))


@pytest.fixture
def peer(built_peer):
    built_peer.reset()
    return built_peer


def one_batch(decoder, **settings):
    """All rollouts as one micro-batch, in the order of TRL's rows."""
    batches = micro_batches(tiny.rollouts(**settings), max_tokens=100_000)
    assert len(batches) == 1
    return batches[0]


def in_order(batch):
    """Index of each of our sequences among TRL's rows."""
    pairs = [completion for _, completion in tiny.completions()]
    found = [
        pairs.index(tuple(targets[mask].tolist()))
        for targets, mask in zip(batch.targets, batch.mask, strict=True)
    ]
    assert sorted(found) == list(range(8))
    return torch.tensor(found)


def off_policy(inputs, batch, logprobs, order, with_kl):
    """Old and reference log-probabilities away from the present ones, on both sides."""
    generator = torch.Generator().manual_seed(7)
    theirs = torch.zeros(inputs["completion_mask"].shape)
    theirs[order] = logprobs.detach()
    old = theirs + 0.6 * torch.randn(theirs.shape, generator=generator)
    reference = theirs + 0.3 * torch.randn(theirs.shape, generator=generator)
    inputs["old_per_token_logps"], inputs["ref_per_token_logps"] = old, reference
    return replace(batch, old_logprobs=old[order], reference_logprobs=reference[order] if with_kl else None)


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize(
    "rewards",
    [tiny.REWARDS, [1, 1, 1, 0, 0, 0, 0, 1], [0.1, 7, -2, 0.3, 1e-3, 0, 0, 5e-4], [1] * 4 + [0] * 4],
)
def test_advantages_equal_trls(peer, scale, rewards):
    """Catches another denominator (n instead of n - 1), another epsilon, or the mean of the wrong set."""
    peer.values = [float(reward) for reward in rewards]
    theirs = peer.inputs(scale_rewards=scale)["advantages"]
    ours = group_advantages([float(r) for r in rewards], 4, scale=scale)
    assert (ours - theirs).abs().max() <= TOLERANCE * max(1.0, theirs.abs().max().item())


def test_logprobs_equal_trls(peer, decoder):
    """Catches a shift by one between logits and tokens, and packed rows that see their neighbours."""
    batch = one_batch(decoder)
    logprobs, entropy = completion_logprobs(decoder, batch)
    inputs = peer.inputs()
    tokens = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    attention = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    theirs, their_entropy, _ = peer.trainer._get_per_token_logps_and_entropies(
        peer.trainer.model, tokens, attention, inputs["completion_ids"].shape[1], compute_entropy=True
    )
    order, mask = in_order(batch), batch.mask
    assert tiny.relative_difference(logprobs[mask], theirs[order][mask]) <= TOLERANCE
    assert tiny.relative_difference(entropy[mask], their_entropy[order][mask]) <= TOLERANCE


@pytest.mark.parametrize("on_policy", [True, False], ids=["on policy", "off policy"])
@pytest.mark.parametrize("name", VARIANTS)
def test_loss_and_gradient_equal_trls(peer, decoder, name, on_policy):
    """Catches any difference in ratio, clip, KL, average or mask: loss, gradient and logged numbers."""
    variant = VARIANTS[name]
    inputs = peer.inputs()
    peer.configure(variant)
    batch = one_batch(decoder)
    order = in_order(batch)
    logprobs, entropy = completion_logprobs(decoder, batch)
    batch = off_policy(inputs, batch, logprobs, order, "beta" in variant)
    if on_policy:
        batch = replace(batch, old_logprobs=None)
        del inputs["old_per_token_logps"]
    peer.trainer.model.zero_grad()
    decoder.zero_grad()
    peer.trainer._metrics["train"].clear()
    theirs = peer.trainer.compute_loss(peer.trainer.model, inputs)
    theirs.backward()
    ours, diagnostics = grpo_loss(
        logprobs,
        batch.old_logprobs,
        batch.advantages,
        batch.mask,
        entropy=entropy,
        reference_logprobs=batch.reference_logprobs,
        max_completion_length=tiny.BUDGET,
        **variant,
    )
    ours.backward()
    # On policy and centred, "grpo" is a sum that cancels to 0: compared with the size of its terms, about 1.
    assert abs(ours.item() - theirs.item()) <= TOLERANCE * max(abs(theirs.item()), 0.1)
    their_gradients = {n: p.grad for n, p in peer.trainer.model.named_parameters()}
    assert tiny.furthest(tiny.gradients(decoder), their_gradients) <= TOLERANCE
    logged = {key: values[-1] for key, values in peer.trainer._metrics["train"].items()}
    assert diagnostics.entropy == pytest.approx(logged["entropy"], rel=TOLERANCE)
    assert diagnostics.clip_low == pytest.approx(logged["clip_ratio/low_mean"], abs=1e-6)
    assert diagnostics.clip_high == pytest.approx(logged["clip_ratio/high_mean"], abs=1e-6)
    if "beta" in variant:
        assert diagnostics.kl == pytest.approx(logged["kl"], rel=TOLERANCE)
    if not on_policy and "sequence" not in variant.values():
        assert diagnostics.clip_low > 0 and diagnostics.clip_high > 0  # the comparison reached the clip


@pytest.mark.parametrize("name", [n for n, v in VARIANTS.items() if "importance_sampling_level" not in v])
def test_loss_of_every_token_equals_trls(peer, decoder, name):
    """Catches two errors that cancel in the sum.

    TRL returns only the average; a tool mask of one token makes it the loss of that token.
    """
    variant = {**VARIANTS[name], "loss_type": "dr_grpo"}
    inputs = peer.inputs()
    peer.configure(variant)
    batch = one_batch(decoder)
    order = in_order(batch)
    with torch.no_grad():
        logprobs, _ = completion_logprobs(decoder, batch)
        batch = off_policy(inputs, batch, logprobs, order, "beta" in variant)
        settings = {key: value for key, value in variant.items() if key != "loss_type"}
        ours = policy_terms(
            logprobs,
            batch.old_logprobs,
            batch.advantages,
            batch.mask,
            reference_logprobs=batch.reference_logprobs,
            **settings,
        ).per_token
        theirs = torch.zeros_like(ours)
        for sequence, token in batch.mask.nonzero().tolist():
            inputs["tool_mask"] = torch.zeros_like(inputs["completion_mask"])
            inputs["tool_mask"][order[sequence], token] = 1
            theirs[sequence, token] = peer.trainer._compute_loss(peer.trainer.model, inputs) * 8 * tiny.BUDGET
    assert tiny.relative_difference(ours, theirs) <= TOLERANCE


def test_masked_truncated_completions_equal_trls(peer, decoder):
    """Catches a cut-off completion that is still trained on, or that vanishes from the count of sequences."""
    inputs = peer.inputs(mask_truncated_completions=True)
    peer.trainer.mask_truncated_completions = False
    finished = [rollout for rollout in tiny.rollouts() if rollout.completion[-1] == tiny.STOP]
    assert len(finished) < 8
    for loss_type in ("grpo", "dapo", "dr_grpo"):
        peer.configure({"loss_type": loss_type})
        peer.trainer.model.zero_grad()
        decoder.zero_grad()
        peer.trainer.compute_loss(peer.trainer.model, inputs).backward()
        (batch,) = micro_batches(finished, max_tokens=100_000)
        logprobs, _ = completion_logprobs(decoder, batch)
        whole = StepBatch(sequences=8, tokens=int(batch.mask.sum()))
        loss, _ = grpo_loss(
            logprobs,
            None,
            batch.advantages,
            batch.mask,
            loss_type=loss_type,
            max_completion_length=tiny.BUDGET,
            whole=whole,
        )
        loss.backward()
        theirs = {n: p.grad for n, p in peer.trainer.model.named_parameters()}
        assert tiny.furthest(tiny.gradients(decoder), theirs) <= TOLERANCE


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo", "dapo"])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_one_step_gives_trls_weights(peer, loss_type, accumulation):
    """Catches a difference after the loss: accumulation, clipping of the norm, a forgotten zero_grad."""
    trainer = peer.build(
        loss_type=loss_type,
        gradient_accumulation_steps=accumulation,
        per_device_train_batch_size=8 // accumulation,
        optim="adamw_torch",
        adam_epsilon=1e-3,  # Adam's first step is the sign of the gradient: rounding would decide at 1e-8
        max_grad_norm=0.05,
    )
    trainer.train()
    ours = tiny.model()
    before = copy.deepcopy(ours.state_dict())
    optimizer = torch.optim.AdamW(ours.parameters(), lr=1e-3, eps=1e-3, weight_decay=0.0)
    config = tiny.config(loss_type=loss_type, max_grad_norm=0.05)
    result = train_step(
        ours,
        micro_batches(tiny.rollouts(), max_tokens=30),
        optimizer,
        config,
        max_completion_length=tiny.BUDGET,
    )
    assert result.grad_norm > 0.05  # the norm was clipped on both sides
    moved = {name: ours.state_dict()[name] - before[name] for name in before}
    theirs = {name: trainer.model.state_dict()[name] - before[name] for name in before}
    assert tiny.furthest(ours.state_dict(), trainer.model.state_dict()) <= TOLERANCE
    # The change itself, which the weights would drown: limited by the rounding of weight - weight.
    assert tiny.furthest(moved, theirs) <= 1e-3


def test_reference_logprobs_are_the_references(decoder):
    """Catches a KL term against the model itself, which is always 0."""
    batch = one_batch(decoder)
    (same,) = with_reference(decoder, [batch])
    (other,) = with_reference(tiny.model(seed=5), [batch])
    logprobs, _ = completion_logprobs(decoder, batch)
    kl = [
        grpo_loss(logprobs, None, b.advantages, b.mask, beta=0.1, reference_logprobs=b.reference_logprobs)[
            1
        ].kl
        for b in (same, other)
    ]
    assert abs(kl[0]) < 1e-6 < 0.01 < kl[1]
