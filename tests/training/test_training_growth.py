"""Growing: more layers, the same function, and layers that can learn."""

import pytest
import torch
from training_tiny import CountingStream, tiny_model

from k2repro.errors import K2ReproError
from k2repro.training import build_optimizer
from k2repro.training.growth import grow_layers
from k2repro.training.loop import train

TOKENS = torch.tensor([[1, 5, 3, 2, 9]])


def test_a_grown_model_computes_the_same():
    """Catches a new layer that adds noise; its wrong twin, fresh layers, must differ."""
    model = tiny_model()
    grown = grow_layers(model, 4, generator=torch.Generator().manual_seed(1))
    assert grown.config.num_hidden_layers == 4
    assert torch.equal(model(TOKENS), grown(TOKENS))
    assert not torch.equal(model(TOKENS), tiny_model(layers=4)(TOKENS))


def test_new_layers_learn():
    """Catches layers that are zero on both sides and stay dead for ever."""
    grown = grow_layers(tiny_model(), 3, generator=torch.Generator().manual_seed(1))
    before = {name: p.detach().clone() for name, p in grown.named_parameters() if ".layers.2." in name}
    train(grown, build_optimizer(grown), CountingStream(), 3)
    for name, parameter in grown.named_parameters():
        if name in before and "k_proj.bias" not in name:
            assert not torch.equal(parameter, before[name]), name


def test_the_tied_head_stays_tied():
    """Catches a copy of the embedding that goes its own way after growing."""
    grown = grow_layers(tiny_model(), 3, generator=torch.Generator().manual_seed(1))
    assert grown.lm_head.weight is grown.model.embed_tokens.weight


def test_shrinking_is_refused():
    """Catches layers that disappear without a word."""
    with pytest.raises(K2ReproError, match="cannot remove layers"):
        grow_layers(tiny_model(), 1, generator=torch.Generator())
