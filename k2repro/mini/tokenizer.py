"""The tokenizer of mini-K2: byte-level BPE with Qwen2's own normaliser and pre-tokeniser, small vocabulary.

Qwen2's rules are kept exactly because `AutoTokenizer` puts them in place for every checkpoint of
model type qwen2; a tokenizer with other rules would come back changed, without a warning. What is
ours is the vocabulary: 256 bytes, the words of the two families, and one token for each role of a
letter (` m:`, ` m=`, ` m?`), which are added tokens.

<think> and <answer> are ordinary text, as in K2-Think; only ChatML's markers are special.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from k2repro.errors import K2ReproError
from k2repro.mini.variables import LETTERS

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, TURN_START, TURN_END)
ROLES = (":", "=", "?")
# Whole pre-tokens that the families use often; each becomes one token.
WORDS = (
    *(f" {letter}" for letter in LETTERS),
    " +",
    " -",
    " *",
    " ?",
    " plan",
    "user",
    "assistant",
    "<think",
    "</",
    "think",
    "><",
    "answer",
    " find",
    " linear",
    " square",
    " ok",
    " no",
    ">def",
    "(x",
    "):",
    " return",
    " (",
    "*x",
    ")%",
)
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Line ends stand inside expressions: transformers drops a plain one that follows a block tag (trim_blocks).
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' }}"
    "{% if not loop.last or add_generation_prompt %}{{ '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@cache
def load() -> Tokenizer:
    """The tokenizer, built in memory from the lists above; no file is read."""
    vocabulary, merges = _vocabulary()
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    tokenizer.add_tokens(
        [
            AddedToken(f" {letter}{role}", special=False, normalized=False)
            for role in ROLES
            for letter in LETTERS
        ]
    )
    return tokenizer


def vocabulary_size() -> int:
    """Tokens in the vocabulary, added ones included."""
    return load().get_vocab_size(with_added_tokens=True)


def encode(text: str) -> list[int]:
    """Token ids of `text`, nothing added."""
    return load().encode(text, add_special_tokens=False).ids


def encode_all(texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text."""
    return [found.ids for found in load().encode_batch(list(texts), add_special_tokens=False)]


def decode(tokens: Sequence[int]) -> str:
    """The text of `tokens`, special tokens included."""
    return load().decode(list(tokens), skip_special_tokens=False)


def turn_end() -> int:
    """Id of the token that ends a response."""
    return load().get_vocab(with_added_tokens=True)[TURN_END]


def prompt_text(question: str, plan: str = "") -> str:
    """The user turn and the opening of the assistant's, in ChatML; equals the chat template's output.

    Raises K2ReproError for a special token in the question or the plan: `encode` would read it as one, so a
    question could end the user's turn and write the assistant's.
    """
    for marker in SPECIAL:
        if marker in question or marker in plan:
            raise K2ReproError(
                f"the question holds {marker}, which would be read as a special token and not as text; "
                "usual cause: a prompt that is in ChatML already"
            )
    return f"{TURN_START}user\n{question}{plan}{TURN_END}\n{TURN_START}assistant\n"


def save_tokenizer(folder: Path) -> None:
    """Write what `AutoTokenizer` needs beside a checkpoint of model type qwen2."""
    folder.mkdir(parents=True, exist_ok=True)
    load().save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "bos_token": None,
        "unk_token": None,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


def _vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Byte tokens, then for each word its prefixes, joined by merges from the left."""
    tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        pieces = _byte_characters(word)
        for length in range(2, len(pieces) + 1):
            whole = pieces[:length]
            if whole not in tokens:
                tokens.append(whole)
                merges.append((whole[:-1], whole[-1]))
    return {token: at for at, token in enumerate(tokens)}, merges


def _byte_characters(text: str) -> str:
    """`text` in the alphabet of byte-level BPE, one character for each byte of UTF-8."""
    ((piece, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return piece
