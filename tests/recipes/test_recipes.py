"""The recipes run: against a scripted model, and one of them as a program against a server."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from stubs import stats, stub

from k2repro.engine.backend import Completion, Sampling
from k2repro.solve import SolveSettings
from k2repro.verify import FunctionTest

RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def recipe(name):
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Scripted:
    """A model that says what the script says, in order, whatever it is asked; it remembers what it read."""

    name = "scripted"

    def __init__(self, *texts):
        self.texts, self.read = list(texts), []

    def complete(self, requests, *, progress=None):
        self.read += [request.prompt[-1].content for request in requests]
        return [
            [Completion((), "stop", text=self.texts.pop(0), counted=3) for _ in range(request.n)]
            for request in requests
        ]


def test_code_that_fails_is_handed_back_with_its_failure():
    """Catches a program that is taken because the model says that it works."""
    fence = "It works:\n```python\ndef f(a, b):\n    return a {} b\n```"
    model = Scripted("No code.", fence.format("-"), fence.format("+"))
    source, passed = recipe("tested_code").write_tested(model, "Add.", [FunctionTest((2, 3), 5)], tries=3)
    assert passed
    assert "a + b" in source
    assert "no ```python block" in model.read[1]
    assert "wrong answer" in model.read[2]
    assert recipe("tested_code").write_tested(Scripted("-"), "Add.", [FunctionTest((1,), 1)], tries=1) == (
        "",
        False,
    )


def test_an_agent_delegates_to_the_whole_procedure_and_takes_the_answer_back():
    """Catches a sub-question whose answer never reaches the agent."""
    need, plan = '{"needs_plan": true, "topics": []}', "Multiply."
    model = Scripted(
        "hm", '{"delegate": "What is 6 * 7?"}', need, plan, "<answer>42", '{"answer": "It is 42."}'
    )
    settings = SolveSettings(n=1, planned=1, select="random", solver=Sampling(100))
    assert recipe("delegate").run_agent(model, "Task", most=3, settings=settings) == "It is 42."
    assert model.read[-1] == "The solver answers: 42"
    assert "no JSON" in model.read[1]


def test_a_long_document_is_read_whole_and_within_the_context():
    """Catches a last part that is never read, and parts longer than the context."""
    document = recipe("long_document")
    text = "".join(chr(97 + number % 26) for number in range(10_000))
    parts = document.parts_of(text, context=600, room=100)
    assert all(len(part) <= 2000 for part in parts)
    assert parts[0] + "".join(part[document.OVERLAP :] for part in parts[1:]) == text
    model = Scripted(*["NOTHING"] * (len(parts) - 1), '"the key"', "The key.")
    assert document.ask_document(model, text, "What?", context=600, room=100) == "The key."
    assert '"the key"' in model.read[-1]
    with pytest.raises(SystemExit):
        document.parts_of(text, context=100, room=100)


def test_the_tutor_pays_for_new_turns_only(tmp_path):
    """Catches a session whose earlier turns are asked for again."""
    with stub() as url:
        words = [
            "--base-url",
            url,
            "--model",
            "stub",
            "--journal",
            str(tmp_path / "t.sqlite"),
            "What is 1 + 1?",
        ]
        for follow_up in ([], ["And 2 + 5?"]):
            program = [sys.executable, str(RECIPES / "tutor.py"), *words, *follow_up]
            said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
        assert sum(stats(url)["delivered"].values()) == 2
    assert "<answer>2</answer>" in said
    assert "<answer>7</answer>" in said


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_every_recipe_says_what_it_does(path):
    shown = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "--base-url" in shown
    assert path.name in (RECIPES / "README.md").read_text()
