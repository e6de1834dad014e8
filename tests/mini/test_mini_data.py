"""Rows as data sets: one schema, nothing lost, and TRL makes of them the tokens that are sampled here."""

import dataclasses
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from k2repro.errors import K2ReproError
from k2repro.mini import data, programs, tokenizer, variables
from k2repro.mini.grading import is_correct

PROBLEMS = [
    *(problem for tier in variables.TIERS for problem in variables.problems(tier, "train", 3)),
    *programs.problems("code", "train", 3),
]


def all_rows() -> list[dict[str, str]]:
    return [values for style in data.STYLES for values in data.reference_rows(PROBLEMS, style)]


def test_the_schema_is_fixed() -> None:
    """Catches a column that changes its type with the data: ten columns of text, in one order, always."""
    for rows in (all_rows(), all_rows()[:1], [dict(reversed(values.items())) for values in all_rows()]):
        features = data.as_dataset(rows).features
        assert list(features) == list(data.COLUMNS)
        assert {feature.dtype for feature in features.values()} == {"string"}


def test_problems_come_back_from_their_rows() -> None:
    """Catches facts that JSON changes (tuples, digits as keys): problems survive the round trip whole."""
    rows = list(data.as_dataset(data.reference_rows(PROBLEMS)))
    for problem, values in zip(PROBLEMS, rows, strict=True):
        found = data.problem_of(values)
        assert found == problem
        assert found.facts == problem.facts
        assert is_correct(found, values["completion"])


@pytest.mark.parametrize("style", data.STYLES)
def test_prompt_and_completion_are_the_text_of_one_exchange(style: str) -> None:
    """Catches a plan in the wrong prompt and a doubled or missing end of turn."""
    for problem, values in zip(PROBLEMS, data.reference_rows(PROBLEMS, style), strict=True):
        plan = problem.plan if style == "planned" else ""
        assert values["prompt"] == tokenizer.prompt_text(problem.question, plan)
        assert values["completion"].count("<|im_end|>") == 1
        assert values["completion"].endswith("</answer><|im_end|>")


def test_prompt_and_completion_tokens_add_up() -> None:
    """Catches a token that spans the border: learned apart, sampled together, they must be the same ids."""
    for values in all_rows():
        apart = tokenizer.encode(values["prompt"]) + tokenizer.encode(values["completion"])
        assert apart == tokenizer.encode(values["prompt"] + values["completion"])


def test_the_same_rows_give_the_same_fingerprint_of_content() -> None:
    """Catches order taken from a set: two processes build byte-equal rows."""
    code = (
        "import hashlib, json; from k2repro.mini import data, variables, programs;"
        "problems = variables.problems('tier-3', 'train', 5) + programs.problems('code', 'train', 5);"
        "rows = data.reference_rows(problems);"
        "print(hashlib.sha256(json.dumps(rows).encode()).hexdigest())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": "x"}, r"row 1: columns must be id, .*; differs in \['extra'\]"),
        ({"gold": 7}, "row 1: gold must be text, got 7"),
    ],
)
def test_rows_of_another_shape_are_refused(change: dict, message: str) -> None:
    """Catches rows that widen the schema: further columns and other types are named with their row."""
    rows = data.reference_rows(PROBLEMS[:2])
    with pytest.raises(K2ReproError, match=message):
        data.as_dataset([rows[0], {**rows[1], **change}])


def test_bad_input_is_named() -> None:
    """Catches silence: no rows, unknown styles and families, a second end of turn, broken facts."""
    with pytest.raises(K2ReproError, match="no rows"):
        data.as_dataset([])
    with pytest.raises(K2ReproError, match="unknown style 'serching'; did you mean 'searching'"):
        data.reference_rows(PROBLEMS, "serching")
    with pytest.raises(K2ReproError, match="unknown family 'riddles'"):
        data.reference_response(dataclasses.replace(PROBLEMS[0], family="riddles"), "direct")
    with pytest.raises(K2ReproError, match=r"the response holds <\|im_end\|>"):
        data.row(PROBLEMS[0], "<|im_end|>")
    values = data.reference_rows(PROBLEMS)[0]
    with pytest.raises(K2ReproError, match="facts is not JSON"):
        data.problem_of({**values, "facts": "{"})
    with pytest.raises(K2ReproError, match="without the column 'gold'"):
        data.problem_of({name: text for name, text in values.items() if name != "gold"})
    assert json.loads(values["facts"]) == PROBLEMS[0].facts


@pytest.mark.slow
def test_trl_makes_the_same_tokens_and_learns_the_same_ones(tmp_path: Path, caplog) -> None:
    """Catches training on other tokens than are sampled: SFTTrainer's ids and mask equal ours, row by row."""
    pytest.importorskip("trl")
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from k2repro.architecture import ModelConfig, Qwen2, save_pretrained

    config = ModelConfig(
        vocab_size=tokenizer.vocabulary_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    save_pretrained(Qwen2(config), tmp_path / "model")
    tokenizer.save_tokenizer(tmp_path / "model")
    arguments = SFTConfig(
        output_dir=str(tmp_path / "out"),
        report_to=[],
        max_length=None,
        use_cpu=True,
        bf16=False,
        completion_only_loss=True,
    )
    rows = all_rows()
    with caplog.at_level(logging.WARNING):
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(tmp_path / "model"),
            args=arguments,
            train_dataset=data.as_dataset(rows),
            processing_class=AutoTokenizer.from_pretrained(tmp_path / "model"),
        )
    assert "not a prefix" not in caplog.text
    assert len(trainer.train_dataset) == len(rows)
    for values, theirs in zip(rows, trainer.train_dataset, strict=True):
        prompt, completion = tokenizer.encode(values["prompt"]), tokenizer.encode(values["completion"])
        assert theirs["input_ids"] == prompt + completion
        labels = (
            theirs["labels"]
            if "labels" in theirs
            else [
                token if learned else -100
                for token, learned in zip(theirs["input_ids"], theirs["completion_mask"], strict=True)
            ]
        )
        assert labels == [-100] * len(prompt) + completion
