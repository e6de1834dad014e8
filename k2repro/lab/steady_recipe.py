"""The steady recipe of mini-K2: stages end by their skills, and no stage drops one.

The first recipe (`sft_recipe`) teaches one thing after the other, and each stage ends by the mean loss of its
mixture. Its seeds end far apart. Looked at by kind of text, the loss says why: what one stage had taught the
next undid (look-ups in lists of 12 to 18 names .19 nats a token after the tables, 1.32 after the trials;
arithmetic .10, then .61), and a mean hid that a skill was missing. Here

    copy     a list of words and marks, once more: what follows a mark in a plan is found as it is in a copy
    skills   look-ups, plans, notes to go back to, arithmetic and candidates at once, in short and long lists
    search   problems of every length; every skill goes on beside them
    weak     the base's own mixture: mostly direct answers, sloppy traces, a few planned ones

and `skills` and `search` end once each skill is within its own bound, or at their cap. Fine-tuning goes on
with long look-ups and plans for a seventh of its texts: four operations list up to 10 names, sixteen list 20,
and a model that had followed plans through long lists had lost it once it saw none.

Every look-up of a search (`marked-steps`) and of a drill names its variable before it says anything about it:
which name comes next, and whether it is known, was one decision, and most of what was left of the loss. Along
plans (`marked-plan`) steps carry marks, their operands none. What came before, on other seeds, is in
`choices.toml`.

Problems have up to four operations, with a plan up to six, and nine to sixteen are asked: the walk is the
same at every length, and trained to ten operations RL left nothing to plan or to choose for (97 per cent of
validation). Positions are stretched (`STRETCH`) in `search` and in fine-tuning: without that one seed,
trained to ten, solved 20 per cent of 13 and 14 operations, and in most of its failures every step was right
and the answer line wrong, whose names had to be read from farther back than ever in training.
"""

from dataclasses import replace

from k2repro.lab.sft_recipe import FINE_TUNING
from k2repro.lab.stages import Skill, Stage
from k2repro.mini.mixtures import Ingredient

# Operations of the longest problem up to fine-tuning, to be searched and with a plan: texts of equal length.
LONGEST, PLANNED = 4, 6
# Positions that half of the texts skip, at most. The longest problem that is asked, up to 440 tokens with its
# solution, is so much longer than the searches of training.
STRETCH = 300
# Names in the lists of the drills.
SHORT, LONG, KEPT = (4, 7), (8, 18), (10, 18)
DRILLS = (
    ("marked-look-up", SHORT, 5),
    ("marked-look-up", LONG, 9),
    ("marked-follow", SHORT, 5),
    ("marked-follow", LONG, 5),
    ("return", (3, 5), 4),
    ("return", (6, 9), 4),
)


def _drills(share: float) -> tuple[Ingredient, ...]:
    """Every drill; share: of all of them together."""
    parts = sum(part for _, _, part in DRILLS)
    return tuple(Ingredient(kind, share * part / parts, names) for kind, names, part in DRILLS)


BASE = (
    Stage("copy", (Ingredient("marked-copy", 1.0),), steps=1200, rows=9, length=104, layers=2, until=0.36),
    Stage(
        "skills",
        (*_drills(0.32), Ingredient("table", 0.6), Ingredient("trial", 0.08)),
        steps=4000,
        rows=7,
        length=256,
        layers=3,
        skills=(
            Skill("marked-look-up", 0.08, (12, 18)),
            Skill("marked-follow", 0.08, (12, 18)),
            Skill("return", 0.1, (3, 5)),
            Skill("table", 0.1),
        ),
    ),
    Stage(
        "search",
        (
            *_drills(0.25),
            Ingredient("table", 0.09),
            Ingredient("marked-steps", 0.44, (2, LONGEST)),
            Ingredient("marked-plan", 0.13, (2, PLANNED)),
            Ingredient("searching-program", 0.09),
        ),
        steps=2000,
        rows=6,
        length=312,
        layers=4,
        schedule="linear",
        stretch=STRETCH,
        skills=(
            Skill("marked-steps", 0.02, (LONGEST, LONGEST)),
            Skill("marked-plan", 0.03, (LONGEST, PLANNED)),
            Skill("marked-follow", 0.08, (12, 18)),
        ),
    ),
    Stage(
        "weak",
        (
            Ingredient("direct", 0.5, (2, LONGEST)),
            Ingredient("marked-plan", 0.12, (2, PLANNED)),
            Ingredient("sloppy-steps", 0.26, (2, LONGEST)),
            Ingredient("direct-program", 0.06),
            Ingredient("sloppy-program", 0.06),
        ),
        steps=250,
        rows=6,
        length=336,
        layers=4,
        schedule="linear",
    ),
)

SFT = (
    Stage(
        "sft",
        (
            Ingredient("marked-steps", 0.425, (2, LONGEST)),
            Ingredient("many-marked", 0.17, (2, LONGEST)),
            Ingredient("marked-plan", 0.153, (2, PLANNED)),
            Ingredient("searching-program", 0.102),
            Ingredient("marked-look-up", 0.07, KEPT),
            Ingredient("marked-follow", 0.08, KEPT),
        ),
        steps=1800,
        rows=6,
        length=344,
        layers=4,
        stretch=STRETCH,
        schedule="cosine",
        rates=FINE_TUNING,
    ),
)

# Control of equal compute: fine-tuning goes on for about as many tokens as RL reads and writes.
LONGER = (replace(SFT[0], name="longer", steps=700),)
