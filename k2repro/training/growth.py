"""Growing a model without changing what it computes: new layers that add nothing, yet.

A layer whose two output projections are zero passes the residual stream on unchanged, so the grown model
gives exactly the same logits, and training goes on from there. Shallow models learn to look
up earlier (in tokens and in time); depth is added when there is something to do with it.
Source of the idea: Chen et al., "Net2Net", arXiv 1511.05641; zero output projections as in stacked growth.
"""

from dataclasses import replace

import torch

from k2repro.architecture import Qwen2
from k2repro.errors import K2ReproError

_OUTPUTS = ("self_attn.o_proj.weight", "mlp.down_proj.weight")


def grow_layers(model: Qwen2, layers: int, *, generator: torch.Generator) -> Qwen2:
    """A copy of `model` with `layers` layers, the new ones last, and the same logits.

    generator: source of the new layers' weights other than the zero ones.
    Raises K2ReproError when `layers` is smaller than the model has.
    """
    old = model.config.num_hidden_layers
    if layers < old:
        raise K2ReproError(f"layers is {layers}, the model has {old}: growing cannot remove layers")
    config = replace(model.config, num_hidden_layers=layers)
    grown = Qwen2(config, generator=generator, dtype=model.lm_head.weight.dtype)
    grown.load_state_dict(model.state_dict(), strict=False)
    grown.tie_head()
    with torch.no_grad():
        for layer in range(old, layers):
            for name in _OUTPUTS:
                grown.get_parameter(f"model.layers.{layer}.{name}").zero_()
    return grown
