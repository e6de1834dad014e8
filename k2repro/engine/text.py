"""One face for the two kinds of tokenizer: `tokenizers.Tokenizer` and those of transformers.

Nothing is added when encoding and nothing left out when decoding: `<|im_end|>` is part of the text.
"""

from collections.abc import Sequence
from typing import Any

from k2repro.errors import K2ReproError

# Released models round their vocabulary up; Qwen2.5-32B has 399 rows that no token uses.
MOST_PADDING = 512


class TextCodec:
    """Encodes and decodes with the tokenizer of a model.

    tokenizer: a `tokenizers.Tokenizer` or a tokenizer of transformers.
    vocab_size: of the model. Raises K2ReproError when the two do not belong together.
    """

    def __init__(self, tokenizer: Any, vocab_size: int) -> None:
        if not (hasattr(tokenizer, "encode") and hasattr(tokenizer, "decode")):
            raise K2ReproError(
                f"tokenizer is of type {type(tokenizer).__name__}: must be a tokenizers.Tokenizer or a "
                "tokenizer of transformers"
            )
        self._tokenizer = tokenizer
        counted = getattr(tokenizer, "get_vocab_size", None)
        self.size = int(counted() if counted else len(tokenizer))
        if not self.size <= vocab_size < self.size + MOST_PADDING:
            raise K2ReproError(
                f"the tokenizer has {self.size} tokens, the model's vocabulary {vocab_size}: it must be "
                f"equal or padded by less than {MOST_PADDING}. Usual cause: the tokenizer of another model"
            )

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without a beginning-of-text token."""
        found = self._tokenizer.encode(text, add_special_tokens=False)
        return list(getattr(found, "ids", found))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`, special tokens included."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=False)
