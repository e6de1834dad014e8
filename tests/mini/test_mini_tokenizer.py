"""The tokenizer survives every way of loading it, byte for byte; look-alikes that do not are shown."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from k2repro.errors import K2ReproError
from k2repro.mini import data, programs, tokenizer, traces, variables

PROBLEMS = [
    *(problem for tier in variables.TIERS for problem in variables.problems(tier, "test", 25, seed=5)),
    *programs.problems("code", "test", 50, seed=5),
]
# Lower case with what Qwen2's rules treat in a special way: contractions, runs of digits and of spaces.
ODD = (
    "don't we'll I'VE  x123 \t\n\n  é e\u0301 ﬁ 日本語 🙂 \u200b a=b c:d e? <think></think><answer>"
    " m=9 m =9 m: m? mm= (x*x+4)%10\r\n def f(x): return x"
)


def exchanges() -> list[str]:
    """Every text that is trained on: prompt and response in each style."""
    return [
        values["prompt"] + values["completion"]
        for style in data.STYLES
        for values in data.reference_rows(PROBLEMS, style)
    ]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A checkpoint folder as the project writes it: config of model type qwen2, weights, tokenizer."""
    from k2repro.architecture import ModelConfig, Qwen2, save_pretrained

    folder = tmp_path_factory.mktemp("checkpoint")
    config = ModelConfig(
        vocab_size=tokenizer.vocabulary_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )
    save_pretrained(Qwen2(config), folder)
    tokenizer.save_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def auto(checkpoint: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(checkpoint)


def test_three_ways_of_loading_give_the_same_ids_and_texts(checkpoint: Path, auto) -> None:
    """Catches the AutoTokenizer trap: Qwen2's rules put in place of ours, in training but not in serving."""
    from transformers import PreTrainedTokenizerFast

    fast, raw = (
        PreTrainedTokenizerFast.from_pretrained(checkpoint),
        Tokenizer.from_file(str(checkpoint / "tokenizer.json")),
    )
    for text in [*exchanges(), ODD, ""]:
        ids = tokenizer.encode(text)
        assert auto(text)["input_ids"] == fast(text)["input_ids"] == raw.encode(text).ids == ids
        whole = unicodedata.normalize("NFC", text)
        assert auto.decode(ids) == fast.decode(ids) == tokenizer.decode(ids) == whole
        assert raw.decode(ids, skip_special_tokens=False) == whole


def test_a_tokenizer_with_other_rules_comes_back_changed(checkpoint: Path, tmp_path: Path) -> None:
    """Catches a trap that is no longer there: split at white space, AutoTokenizer gives other ids."""
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    twin = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    twin.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)]
    )
    for name in ("config.json", "tokenizer_config.json"):
        (tmp_path / name).write_text((checkpoint / name).read_text())
    twin.save(str(tmp_path / "tokenizer.json"))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded(ODD)["input_ids"] != twin.encode(ODD).ids


def test_rules_are_those_that_auto_tokenizer_puts_in_place(auto) -> None:
    """Catches a copy of Qwen2's rules that drifts: normaliser, pre-tokeniser and decoder, part by part."""
    ours, theirs = json.loads(tokenizer.load().to_str()), json.loads(auto.backend_tokenizer.to_str())
    for part in ("normalizer", "pre_tokenizer", "decoder", "added_tokens"):
        assert theirs[part] == ours[part], part
    assert theirs["model"]["vocab"] == ours["model"]["vocab"]
    assert theirs["model"]["merges"] == ours["model"]["merges"]


def test_the_vocabulary_is_unchanged_by_saving_and_loading(checkpoint: Path, auto, tmp_path: Path) -> None:
    """Catches ids that move: ours, the file's, transformers', and transformers' saved again are one."""
    from transformers import AutoTokenizer

    ours = tokenizer.load().get_vocab(with_added_tokens=True)
    assert auto.get_vocab() == ours
    assert len(auto) == len(ours) == tokenizer.vocabulary_size()
    assert sorted(ours.values()) == list(range(len(ours)))
    auto.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.get_vocab() == ours
    assert again.chat_template == auto.chat_template == tokenizer.CHAT_TEMPLATE
    assert [again(text)["input_ids"] for text in (*exchanges()[:5], ODD)] == [
        tokenizer.encode(text) for text in (*exchanges()[:5], ODD)
    ]


def test_saving_twice_writes_the_same_bytes(tmp_path: Path) -> None:
    """Catches an artifact whose hash changes from run to run."""
    contents = []
    for name in ("one", "two"):
        tokenizer.save_tokenizer(tmp_path / name)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"tokenizer.json", "tokenizer_config.json"}


def test_the_ends_are_those_of_the_real_system(auto) -> None:
    """Catches a server that never stops: the end of a turn ends generation, padding is another token."""
    assert (auto.eos_token, auto.pad_token, auto.bos_token) == ("<|im_end|>", "<|endoftext|>", None)
    assert auto.eos_token_id == tokenizer.turn_end() != auto.pad_token_id
    assert tokenizer.encode("<|im_end|>") == [tokenizer.turn_end()]


# ---- the chat template ----------------------------------------------------------------------------


@pytest.mark.parametrize("with_plan", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS[::20], ids=lambda problem: problem.id)
def test_the_chat_template_writes_the_prompt(auto, problem, with_plan: bool) -> None:
    """Catches a line end that Jinja drops (trim_blocks): the served prompt equals the trained one."""
    plan = problem.plan if with_plan else ""
    user = {"role": "user", "content": problem.question + plan}
    prompt = tokenizer.prompt_text(problem.question, plan)
    assert auto.apply_chat_template([user], tokenize=False, add_generation_prompt=True) == prompt
    ids = auto.apply_chat_template([user], add_generation_prompt=True, return_dict=False)
    assert ids == tokenizer.encode(prompt)


def test_without_a_generation_prompt_a_chat_is_the_text_that_is_learned(auto) -> None:
    """Catches templates that end in a line end: prompt plus response is a finished chat, exactly."""
    for values in data.reference_rows(PROBLEMS[::10]):
        question, response = values["question"], values["completion"].removesuffix("<|im_end|>")
        chat = [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
        text = auto.apply_chat_template(chat, tokenize=False)
        assert text == values["prompt"] + values["completion"]
        asked = auto.apply_chat_template(chat[:1], tokenize=False)
        assert asked == values["prompt"].removesuffix("\n<|im_start|>assistant\n")


def test_line_ends_outside_of_expressions_would_be_lost(auto) -> None:
    """Catches the next clean-up of the template: written the plain way, its line ends disappear."""
    plain = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>"
        "{% if not loop.last or add_generation_prompt %}\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    user = [{"role": "user", "content": " q=1 ? q"}]
    text = auto.apply_chat_template(user, tokenize=False, add_generation_prompt=True, chat_template=plain)
    assert text != tokenizer.prompt_text(" q=1 ? q")


# ---- special tokens -------------------------------------------------------------------------------


@settings(derandomize=True, max_examples=400)
@given(st.text(alphabet="<|>_imendofstartxy \namq=:?19'", max_size=40))
def test_user_text_makes_no_special_token(text: str) -> None:
    """Catches text that ends a turn by accident: only the exact marker is one, nothing like it."""
    if any(marker in text for marker in tokenizer.SPECIAL):
        return
    special = {tokenizer.encode(marker)[0] for marker in tokenizer.SPECIAL}
    assert not special & set(tokenizer.encode(text))


@pytest.mark.parametrize("marker", tokenizer.SPECIAL)
def test_a_marker_in_a_question_is_refused_and_in_other_text_is_a_special_token(marker: str) -> None:
    """Catches a question that ends the user's turn and writes the assistant's: `prompt_text` refuses it.

    `encode` itself reads a marker as the special token, as the real system's tokenizer does.
    """
    [token] = tokenizer.encode(marker)
    assert tokenizer.encode(f" a{marker} b") == [*tokenizer.encode(" a"), token, *tokenizer.encode(" b")]
    for question, plan in ((f" a{marker}", ""), (" a", f" plan{marker}")):
        with pytest.raises(K2ReproError, match=re.escape(f"holds {marker}, which would be read as")):
            tokenizer.prompt_text(question, plan)


def test_think_and_answer_are_plain_text() -> None:
    """Catches tags hidden by skip_special_tokens: they survive it, as in the real system."""
    response = traces.direct_response(variables.system_of(PROBLEMS[0])) + "<|im_end|>"
    ids = tokenizer.encode(response)
    kept = tokenizer.load().decode(ids, skip_special_tokens=True)
    assert kept == response.removesuffix("<|im_end|>")


# ---- the text -------------------------------------------------------------------------------------


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.text(max_size=40))
def test_any_text_comes_back_in_its_normal_form(text: str) -> None:
    """Catches bytes without a token and spaces that are cleaned up; only NFC, Qwen2's own, changes it."""
    shown = tokenizer.decode(tokenizer.encode(text))
    assert unicodedata.normalize("NFC", shown) == unicodedata.normalize("NFC", text)


def test_each_role_of_a_letter_is_one_token() -> None:
    """Catches look-ups that take two steps: use, definition, value and note are one token each."""
    for letter in variables.LETTERS:
        for role in ("", ":", "=", "?"):
            assert len(tokenizer.encode(f" {letter}{role}")) == 1
        assert len(tokenizer.encode(f" {letter}=7")) == 2
    assert len(tokenizer.encode(" m: - p i p=3 i=4 m=9")) == 10
    assert tokenizer.decode(tokenizer.encode(" m: - p i")[:1]) == " m:"


def test_many_texts_are_encoded_as_one_by_one() -> None:
    """Catches padding or truncation in the batch path."""
    texts = exchanges()[::17]
    assert tokenizer.encode_all(texts) == [tokenizer.encode(text) for text in texts]
