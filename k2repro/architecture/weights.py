"""Checkpoints in the Hugging Face layout: `config.json`, `generation_config.json`, safetensors.

Files written here load in transformers with identical logits, and back. Differs from transformers: every
mismatch is an error, pickled weights are refused, and an existing checkpoint is not replaced unasked.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from k2repro.architecture.checks import positive_int
from k2repro.architecture.config import DTYPES, ModelConfig
from k2repro.architecture.qwen2 import Qwen2
from k2repro.architecture.shards import INDEX, SINGLE, StoredTensor, find_tensors
from k2repro.architecture.tensors import EMBEDDING, HEAD, check_shapes, expected_shapes
from k2repro.errors import K2ReproError, unknown

TORCH_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in DTYPES}
DEFAULT_SHARD_BYTES = 5_000_000_000


def load_pretrained(
    directory: str | Path,
    *,
    dtype: str | torch.dtype | None = torch.float32,
    device: torch.device | str = "cpu",
    ignore_keys: tuple[str, ...] = (),
) -> Qwen2:
    """A Qwen2 from a checkpoint folder, sharded or not, in evaluation mode.

    dtype: of the weights in memory; None keeps the one that config.json states.
    ignore_keys: config keys that the caller knows not to change the computation.
    All headers are checked before any weight is read. Raises K2ReproError naming file and tensor.
    """
    directory = Path(directory)
    config = ModelConfig.from_file(directory, ignore_keys=ignore_keys)
    if config.quantization and not {"quantization_config", "quantization"} & set(ignore_keys):
        raise K2ReproError(
            f"{directory}: config.json states quantised weights ({config.quantization}), which need kernels "
            "of their own; the shape can be counted, the weights are not read. Take the model in 16 bit"
        )
    found = find_tensors(directory)
    check_shapes(config, {name: stored.shape for name, stored in found.items()}, str(directory))
    wanted = TORCH_DTYPES[config.dtype] if dtype is None else _torch_dtype(dtype)
    state = _read_tensors(config, found, wanted, device)
    model = Qwen2(config, device="meta", dtype=wanted)
    # Assigned, not copied: the weights are in memory once.
    model.load_state_dict(state, assign=True, strict=False)
    model.tie_head()
    # Moves the frequencies; the weights are there already.
    return model.to(device).eval()


def save_pretrained(
    model: Qwen2,
    directory: str | Path,
    *,
    dtype: str | torch.dtype | None = None,
    max_shard_bytes: int = DEFAULT_SHARD_BYTES,
    generation_config: Mapping[str, object] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write `model` as a Hugging Face checkpoint and return the folder.

    dtype: of the stored weights (default: the model's). max_shard_bytes: tensor bytes in one file; a
    single larger tensor gets a file of its own. generation_config: keys over the default, which samples
    (`do_sample`), because servers decode greedily without it, whatever temperature is asked for.
    All files are complete before the first is renamed into place, `config.json` last. Raises K2ReproError
    if the folder holds a checkpoint already, unless `overwrite`.
    """
    directory = Path(directory)
    positive_int("max_shard_bytes", max_shard_bytes)
    if not overwrite and any((directory / name).exists() for name in ("config.json", SINGLE, INDEX)):
        raise K2ReproError(f"{directory} holds a checkpoint; pass overwrite=True to replace it")
    stored = model.lm_head.weight.dtype if dtype is None else _torch_dtype(dtype)
    shards = _split_into_shards(_tensors_to_store(model, stored), max_shard_bytes)
    name = next(name for name in DTYPES if TORCH_DTYPES[name] == stored)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".partial-") as partial:
        files = _write_weights(Path(partial), shards)
        generation = _generation(model.config, generation_config)
        files.append(_write_json(Path(partial) / "generation_config.json", generation))
        files.append(
            _write_json(Path(partial) / "config.json", {**model.config.to_dict(), "torch_dtype": name})
        )
        _move(files, directory)
    return directory


def _read_tensors(
    config: ModelConfig, found: Mapping[str, StoredTensor], dtype: torch.dtype, device: torch.device | str
) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    wanted = list(expected_shapes(config))
    # A tied checkpoint may repeat the matrix as head; a different one would be lost without a word.
    repeated = config.tie_word_embeddings and HEAD in found
    for file in sorted({stored.file for stored in found.values()}):
        try:
            with safe_open(file, framework="pt") as handle:
                for name in wanted + [HEAD] * repeated:
                    if name in found and found[name].file == file:
                        state[name] = handle.get_tensor(name).to(device=device, dtype=dtype)
        except SafetensorError as error:
            raise K2ReproError(f"{file} cannot be read as safetensors: {error}") from error
    if repeated and not torch.equal(state.pop(HEAD), state[EMBEDDING]):
        raise K2ReproError(
            f"tie_word_embeddings is true, but {HEAD} differs from {EMBEDDING}: one would be ignored. "
            "Usual cause: fine-tuning that untied them; set tie_word_embeddings to false"
        )
    return state


def _tensors_to_store(model: Qwen2, dtype: torch.dtype) -> dict[str, Tensor]:
    state = model.state_dict()
    meta = [name for name, tensor in state.items() if tensor.is_meta]
    if meta:
        raise K2ReproError(f"the model has no weights yet ({meta[0]} is on the meta device)")
    return {
        name: state[name].detach().to(device="cpu", dtype=dtype).contiguous()
        for name in expected_shapes(model.config)
    }


def _split_into_shards(tensors: Mapping[str, Tensor], max_bytes: int) -> list[dict[str, Tensor]]:
    """Tensors in order, a new shard whenever the next one would exceed `max_bytes`."""
    shards: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        if filled and filled + tensor.nbytes > max_bytes:
            shards.append({})
            filled = 0
        shards[-1][name] = tensor
        filled += tensor.nbytes
    return shards


def _write_weights(directory: Path, shards: list[dict[str, Tensor]]) -> list[Path]:
    """Write one file, or shards and their index; return them in the order of writing."""
    # transformers refuses files whose metadata does not say "pt".
    metadata = {"format": "pt"}
    if len(shards) == 1:
        save_file(shards[0], directory / SINGLE, metadata=metadata)
        return [directory / SINGLE]
    files, weight_map = [], {}
    for number, shard in enumerate(shards, start=1):
        path = directory / f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, path, metadata=metadata)
        files.append(path)
        weight_map.update(dict.fromkeys(shard, path.name))
    total = sum(tensor.nbytes for shard in shards for tensor in shard.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    return [*files, _write_json(directory / INDEX, index)]


def _move(files: list[Path], directory: Path) -> None:
    """Put complete files in place; `config.json` goes first and comes back last.

    Stopped in between, the folder has no config.json and is refused, never half old and half new.
    """
    (directory / "config.json").unlink(missing_ok=True)
    keep = {path.name for path in files}
    for stale in {*directory.glob("model*.safetensors"), directory / INDEX}:
        if stale.name not in keep:
            stale.unlink(missing_ok=True)
    for path in files:
        os.replace(path, directory / path.name)


def _write_json(path: Path, values: Mapping[str, object]) -> Path:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    return path


def _generation(config: ModelConfig, given: Mapping[str, object] | None) -> dict[str, object]:
    ids = {key: config.to_dict()[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    present = {key: value for key, value in ids.items() if value is not None}
    return {"do_sample": True, **present, **(given or {})}


def _torch_dtype(dtype: str | torch.dtype) -> torch.dtype:
    for name, known in TORCH_DTYPES.items():
        if dtype in (known, name):
            return known
    raise unknown("dtype", dtype, DTYPES)
