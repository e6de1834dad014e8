"""Training states on disk: everything that an exact resumption needs, tensors as safetensors, never pickle.

A state is a tree of dicts, lists, tensors and JSON values (model, optimiser, stream positions, history). It
is written under a temporary name and renamed, so a kill or a full disk leaves the state before it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from k2repro.errors import K2ReproError
from k2repro.results.atomic import canonical_json, write_bytes

_TENSOR = "__tensor__"
_TREE = "tree"


def save_state(path: Path, tree: dict[str, Any]) -> Path:
    """Write `tree` to `path`. Raises K2ReproError when the disk is full, naming the file and the size."""
    tensors: dict[str, torch.Tensor] = {}
    described = _take_tensors(tree, "", tensors)
    content = save(tensors, metadata={_TREE: canonical_json(described)})
    try:
        return write_bytes(path, content)
    except OSError as error:
        raise K2ReproError(
            f"{path}: could not be written ({len(content) / 1e6:.1f} MB): {error.strerror or error}; "
            "usual cause: the disk is full. The state saved before is untouched"
        ) from error


def load_state(path: Path) -> dict[str, Any]:
    """The tree that `save_state` wrote. Raises K2ReproError for a missing or damaged file."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            tree = json.loads((file.metadata() or {})[_TREE])
    except (OSError, SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise K2ReproError(
            f"{path}: no whole training state ({type(error).__name__}); usual cause: the file was cut "
            "short or is not one of ours. Remove it and training starts again"
        ) from error
    found = _put_tensors(tree, tensors)
    assert isinstance(found, dict)
    return found


def _take_tensors(value: Any, place: str, tensors: dict[str, torch.Tensor]) -> Any:
    """`value` with each tensor replaced by its place, collected in `tensors`."""
    if isinstance(value, torch.Tensor):
        tensors[place] = value.detach().contiguous().clone()
        return {_TENSOR: place}
    if isinstance(value, dict):
        # Keys of optimiser states are integers; JSON would turn them into text without saying so.
        return {
            "dict": [[key, _take_tensors(item, f"{place}/{key}", tensors)] for key, item in value.items()]
        }
    if isinstance(value, list | tuple):
        return {"list": [_take_tensors(item, f"{place}/{at}", tensors) for at, item in enumerate(value)]}
    return {"value": value}


def _put_tensors(described: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    if _TENSOR in described:
        return tensors[described[_TENSOR]]
    if "dict" in described:
        return {key: _put_tensors(item, tensors) for key, item in described["dict"]}
    if "list" in described:
        return [_put_tensors(item, tensors) for item in described["list"]]
    return described["value"]
