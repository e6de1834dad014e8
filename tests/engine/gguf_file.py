"""mini-K2 as a file for llama.cpp, written with the `gguf` package.

llama.cpp's own `qwen2` wants heads x head size = hidden size, which mini-K2 does not have. Its `llama` takes
any head size and the biases too, and is the same decoder but for the order of the rotated pairs: halves in
Qwen2, neighbours there, so the rows of the query and key projections are put in that order.
"""

import json

import numpy as np
from safetensors import safe_open

# What the file calls it, and the key of config.json.
SHAPE = {
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "head_count": "num_attention_heads",
    "head_count_kv": "num_key_value_heads",
    "key_length": "head_dim",
    "value_length": "head_dim",
    "rope_dimension_count": "head_dim",
    "rope_freq_base": "rope_theta",
    "layer_norm_rms_eps": "rms_norm_eps",
}


def write_gguf(checkpoint, path):
    """Write the checkpoint in a folder to one file in 32 bit; returns its path."""
    import gguf

    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "llama")
    for name, key in SHAPE.items():
        getattr(writer, f"add_{name}")(config[key])
    add_tokenizer(writer, checkpoint, config["vocab_size"])
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    with safe_open(checkpoint / "model.safetensors", framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118
            rows = tensors.get_tensor(name).float().numpy()
            heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}.get(
                name.split(".")[-2]
            )
            rows = rows if heads is None else neighbours(rows, config[heads])
            writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_tokenizer(writer, checkpoint, size):
    """Vocabulary, merges, chat template and end token, from the checkpoint's own files."""
    import gguf

    model = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))
    told = json.loads((checkpoint / "tokenizer_config.json").read_text(encoding="utf-8"))
    added = {token["content"]: token for token in model["added_tokens"]}
    ids = {**model["model"]["vocab"], **{text: token["id"] for text, token in added.items()}}
    texts, kinds = [f"[PAD{place}]" for place in range(size)], [gguf.TokenType.UNUSED] * size
    for text, place in ids.items():
        texts[place], kinds[place] = text, gguf.TokenType.NORMAL
        if text in added:
            special = added[text]["special"]
            kinds[place] = gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["model"]["merges"]])
    writer.add_eos_token_id(ids[told["eos_token"]])
    writer.add_pad_token_id(ids[told["pad_token"]])
    writer.add_add_bos_token(False)
    writer.add_chat_template(told["chat_template"])


def neighbours(rows, heads):
    """Rows [heads x size, ...] of a projection with the halves of each head interleaved."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
