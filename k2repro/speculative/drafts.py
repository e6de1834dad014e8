"""What can propose tokens: a model, the text itself, a table; and how a model is made small.

model     any Qwen2 with the same vocabulary
lookup    what followed the same words earlier in this text; no model, and no time
bigram    what follows each token most often, in a table
early     the first layers of the target, its own norm and head behind them
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from k2repro.architecture import Qwen2
from k2repro.errors import K2ReproError


@dataclass(frozen=True)
class Draft:
    """kind: of `fast.speculator.KINDS`. model: for "model". table: float32 [V, V], logits, for "bigram"."""

    kind: str
    model: Qwen2 | None = None
    table: NDArray[np.float32] | None = None

    @property
    def words(self) -> int | None:
        """Size of its vocabulary; None where it has none of its own."""
        if self.model is not None:
            return self.model.config.vocab_size
        return None if self.table is None else len(self.table)

    @staticmethod
    def of(model: Qwen2) -> "Draft":
        """A draft that is a model."""
        return Draft("model", model=model)

    @staticmethod
    def lookup() -> "Draft":
        """Prompt look-up: the longest match, the latest of equally long ones."""
        return Draft("lookup")

    @staticmethod
    def bigram(texts: Iterable[Sequence[int]], words: int) -> "Draft":
        """What follows each token in `texts`, counted; every pair once more than seen, so that none is 0."""
        counts = np.ones((words, words))
        for text in texts:
            np.add.at(counts, (np.asarray(text[:-1]), np.asarray(text[1:])), 1000.0)
        return Draft("bigram", table=np.log(counts).astype(np.float32))


@torch.no_grad()
def prune(model: Qwen2, layers: int, units: int) -> Qwen2:
    """The first `layers` layers, in each the `units` feed-forward units of the largest weights; a copy.

    A unit's size is |gate| times |up| times |down| of its rows and column. With all units kept it is the
    target's early exit. Raises K2ReproError for more than the model has.
    """
    config = model.config
    if not (1 <= layers <= config.num_hidden_layers and 1 <= units <= config.intermediate_size):
        raise K2ReproError(
            f"{layers} layers of {units} units: the model has {config.num_hidden_layers} of "
            f"{config.intermediate_size}, and pruning only takes away"
        )
    small = Qwen2(replace(config, num_hidden_layers=layers, intermediate_size=units))
    weights = {name: value for name, value in model.state_dict().items() if name in small.state_dict()}
    for layer in range(layers):
        place = f"model.layers.{layer}.mlp."
        gate, up, down = (
            model.get_parameter(f"{place}{name}_proj.weight") for name in ("gate", "up", "down")
        )
        size = gate.norm(dim=1) * up.norm(dim=1) * down.norm(dim=0)
        kept = size.topk(units).indices.sort().values
        weights[f"{place}gate_proj.weight"] = gate[kept]
        weights[f"{place}up_proj.weight"] = up[kept]
        weights[f"{place}down_proj.weight"] = down[:, kept]
    small.load_state_dict(weights)
    small.tie_head()
    return small.eval()
