"""A large target that computes what a small one does: for timing, with every bit accounted for.

There is no public mini-K2 of 100M parameters, and training one here would take days. Width, heads,
feed-forward units and layers are added so that none of them changes a logit: what is new reads, computes,
and writes zeros. The passes of the grown model take the time of its size. **It is a small function in a large
model**: a small draft agrees with it far more often than with a large model that uses its size.

Width d to 4^k d is exact to the bit in the compiled engine: a norm over padded zeros has 1 / 4^k of the mean
square, and a factor that is a power of two rounds nothing. Net2Net, Chen et al., arXiv 1511.05641, is the
idea.
"""

from dataclasses import replace

import torch

from k2repro.architecture import Qwen2
from k2repro.errors import K2ReproError


@torch.no_grad()
def grow(
    model: Qwen2, *, width: int, layers: int, units: int, groups: int, generator: torch.Generator
) -> Qwen2:
    """A model of `width` hidden numbers, `layers` layers, `units` feed-forward units and `groups` query heads
    to a key head, with the logits of `model`.

    generator: of the new weights that are not zero. Raises K2ReproError for less than the model has, or a
    width that is not a power of four times its own.
    """
    old = model.config
    ratio = width // old.hidden_size
    if width % old.hidden_size or ratio & (ratio - 1) or ratio.bit_length() % 2 == 0:
        raise K2ReproError(
            f"width {width}: must be {old.hidden_size} times 1, 4 or 16: only then is growth exact to the bit"
        )
    if layers < old.num_hidden_layers or units < old.intermediate_size:
        raise K2ReproError(f"{layers} layers of {units} units: fewer than the model has")
    if groups < old.query_heads_per_kv_head:
        raise K2ReproError(f"{groups} query heads to a key head: fewer than the model has")
    config = replace(
        old,
        hidden_size=width,
        num_hidden_layers=layers,
        intermediate_size=units,
        num_attention_heads=groups * old.num_key_value_heads,
        rms_norm_eps=old.rms_norm_eps / ratio,
    )
    grown = Qwen2(config, generator=generator)
    for name, new in grown.named_parameters():
        if name.startswith("model.layers.") and int(name.split(".")[2]) >= old.num_hidden_layers:
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                new.zero_()
        elif name != "lm_head.weight" or not old.tie_word_embeddings:
            _place(name, new, model.get_parameter(name), model, grown, ratio)
    grown.tie_head()
    return grown.eval()


def _place(name: str, new: torch.Tensor, own: torch.Tensor, model: Qwen2, grown: Qwen2, ratio: int) -> None:
    """The old weights in their corner of the new ones."""
    if name.endswith("norm.weight"):
        new[: len(own)] = own * ratio**-0.5
        return
    rows, columns = _heads(model, grown), torch.arange(own.shape[-1])
    if "q_proj.bias" in name:
        new[rows] = own
    elif "q_proj" in name:
        new[rows[:, None], columns] = own
    elif "o_proj" in name:
        new.zero_()
        new[: own.shape[0], rows] = own
    elif "down_proj" in name or "embed" in name or "lm_head" in name:
        new.zero_()
        new[: own.shape[0], columns] = own
    elif new.dim() == 1:
        new[: len(own)] = own
    else:
        new[: own.shape[0], columns] = own


def _heads(model: Qwen2, grown: Qwen2) -> torch.Tensor:
    """Where the rows of the old query heads stand among the new ones, each inside its key head's group."""
    old, new = model.config, grown.config
    dim, few, many = old.head_dim, old.query_heads_per_kv_head, new.query_heads_per_kv_head
    heads = [kv * many + g for kv in range(old.num_key_value_heads) for g in range(few)]
    return torch.cat([torch.arange(head * dim, (head + 1) * dim) for head in heads])
