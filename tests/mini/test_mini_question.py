"""Questions that people type: generated ones are read back, everything else is refused with an example."""

import pytest

from k2repro.errors import K2ReproError
from k2repro.mini.question import EXAMPLE, read_question
from k2repro.mini.variables import TIERS, problems, question_text


@pytest.mark.parametrize("tier", sorted(TIERS))
def test_generated_questions_come_back_letter_by_letter(tier):
    """Catches a reader that drops distractors, reorders the listing or solves another problem."""
    for problem in problems(tier, "validation", 20):
        system = read_question(problem.question)
        assert question_text(system) == problem.question
        found = system.solve()
        assert "".join(f" {name}={found[name]}" for name in system.asked) == problem.gold


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("What is 2 + 2?", "neither a value"),
        ("q=7 m: - q i ? m", "'i' is used and never defined"),
        ("q=7 q=8 ? q", "defined twice"),
        ("m: - p i p: + m i i=4 ? m", "circle"),
        ("q=7 i=2", "asks for nothing"),
        ("q=7 ?", "asks for nothing"),
        ("q=7 m: - q q ? m", "two different names"),
        ("q=7 m: / q i i=1 ? m", "come + - or *"),
        ("q=7 ? q q", "different names"),
        ("", "asks for nothing"),
    ],
)
def test_anything_else_is_refused_with_an_example(text, what):
    """Catches a question that the model would answer although it has never seen its like."""
    with pytest.raises(K2ReproError, match="mini-K2 reads one language only") as info:
        read_question(text)
    assert what in str(info.value)
    assert EXAMPLE in str(info.value)
