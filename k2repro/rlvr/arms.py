"""Which runs there are: the three of the paper's Figure 4, two controls, and one on code.

    from-sft       the K2-Think run: from the SFT checkpoint, full response budget
    from-base      the same from the base model
    short-budget   from SFT with a response budget of about half of what SFT needs, then the full one; the
                   paper's run goes from 16,000 to 32,000 tokens
    broken-reward  control: every answer is paid, right or wrong
    uncentred      control: no baseline, so that every paid response is pushed up
    code           on `programs`; what pays is passing hidden tests in the sandbox

Learning rates are those of Muon and AdamW for a model of a million parameters, found by measuring. The
published example (AdamW, 1e-6, constant, 32 billion parameters) stands in `paper/data`.
"""

from ..mini import programs
from ..sft.generate import MAX_NEW_TOKENS
from ..training.optimizer import LearningRates
from .runs import Arm

FULL = ((0.0, MAX_NEW_TOKENS),)
SHORT_TOKENS = 120  # fits about half of the SFT model's responses; notebook 03 says how many
SHORT_THEN_FULL = ((0.0, SHORT_TOKENS), (0.5, MAX_NEW_TOKENS))

FROM_SFT = LearningRates(matrices=1e-3, rest=3e-4, biases=3e-3)
FROM_BASE = LearningRates(matrices=4e-3, rest=1.2e-3, biases=1.2e-2)
STEPS = 40

ARMS = {
    arm.name: arm
    for arm in (
        Arm(name="from-sft", start="sft", budget=FULL, steps=STEPS, rates=FROM_SFT),
        Arm(name="from-base", start="base", budget=FULL, steps=STEPS, rates=FROM_BASE),
        Arm(name="short-budget", start="sft", budget=SHORT_THEN_FULL, steps=STEPS, rates=FROM_SFT),
        Arm(name="broken-reward", start="sft", budget=FULL, steps=STEPS, rates=FROM_SFT, reward="any answer"),
        Arm(
            name="uncentred", start="sft", budget=FULL, steps=STEPS, rates=FROM_SFT,
            center=False, scale="none", uniform_groups="train",
        ),
        Arm(name="code", start="sft", budget=FULL, steps=STEPS, rates=FROM_SFT, tiers=(programs.TIER,)),
    )
}  # fmt: skip
PAPER = ("from-sft", "from-base", "short-budget")
CONTROLS = ("broken-reward", "uncentred")
