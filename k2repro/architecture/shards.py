"""The files of a safetensors checkpoint: which there are, whether they are whole, what they hold.

Needs no torch: a safetensors file begins with its own table of contents, 8 bytes of length and JSON.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from k2repro.architecture.config_keys import check_shard_name, refuse_pointer
from k2repro.architecture.tensors import Shape
from k2repro.errors import K2ReproError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
STORED_DTYPES = ("F32", "F16", "BF16")
_DTYPE_CAUSES = {"F64": "a model saved in double precision; convert it with model.float() and save again"}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies: its file, shape and safetensors dtype name."""

    file: Path
    shape: Shape
    dtype: str


def find_tensors(directory: Path) -> dict[str, StoredTensor]:
    """All tensors of the checkpoint in `directory`, from file headers alone.

    Raises K2ReproError for missing or truncated shards, an index that disagrees with its shards,
    pickled weights and quantised tensors; each error names the file.
    """
    if (directory / INDEX).is_file():
        weight_map = _read_index(directory / INDEX)
        files = sorted(set(weight_map.values()))
        # mlx-lm writes an index for a single file too.
        if (directory / SINGLE).is_file() and SINGLE not in files:
            raise K2ReproError(
                f"{directory} holds {SINGLE} and {INDEX}, which does not name it: two sets of weights. "
                "Usual cause: a second save into one folder; remove the stale set"
            )
        missing = [name for name in files if not (directory / name).is_file()]
        if missing:
            raise K2ReproError(
                f"{directory} lacks {', '.join(missing)} ({len(missing)} of {len(files)} shards of "
                f"{INDEX}). Usual cause: an interrupted download or copy"
            )
    elif (directory / SINGLE).is_file():
        weight_map, files = {}, [SINGLE]
    else:
        raise _nothing_to_read(directory)
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for name, stored in read_header(directory / file).items():
            if name in tensors:
                raise K2ReproError(f"tensor {name} is in {tensors[name].file.name} and in {file}")
            tensors[name] = stored
    _check_index(weight_map, tensors)
    return tensors


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Table of contents of one safetensors file, checked against the file's size.

    Raises K2ReproError for a truncated or foreign file and for dtypes other than 16 and 32 bit floats.
    """
    refuse_pointer(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        text = file.read(length) if 8 + length <= size else b""
    if not text:
        raise _truncated(path, size, "its table of contents is cut off")
    try:
        entries = json.loads(text)
        entries.pop("__metadata__", None)
        tensors = {
            name: StoredTensor(path, tuple(entry["shape"]), entry["dtype"]) for name, entry in entries.items()
        }
        end = 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise K2ReproError(f"{path} is not a safetensors file: its header does not parse") from error
    if size != end:
        raise _truncated(path, size, f"its table of contents promises {end} bytes")
    for name, stored in tensors.items():
        if stored.dtype not in STORED_DTYPES:
            raise K2ReproError(
                f"{path.name}: tensor {name} has dtype {stored.dtype}; read are {', '.join(STORED_DTYPES)}. "
                f"Usual cause: {_DTYPE_CAUSES.get(stored.dtype, 'quantised weights')}"
            )
    return tensors


def _truncated(path: Path, size: int, reason: str) -> K2ReproError:
    return K2ReproError(
        f"{path} has {size} bytes, but {reason}. Usual cause: an interrupted download; fetch this file again"
    )


def _read_index(path: Path) -> dict[str, str]:
    refuse_pointer(path)
    try:
        weight_map = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        return {name: check_shard_name(file) for name, file in weight_map.items()}
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise K2ReproError(f"{path} is no shard index: it needs a weight_map of names to files") from error


def _check_index(weight_map: dict[str, str], tensors: dict[str, StoredTensor]) -> None:
    for name, file in weight_map.items():
        if name not in tensors or tensors[name].file.name != file:
            raise K2ReproError(
                f"{INDEX} places tensor {name} in {file}, which does not hold it. "
                "Usual cause: shards of two downloads mixed"
            )


def _nothing_to_read(directory: Path) -> K2ReproError:
    pickled = sorted(path.name for pattern in PICKLED for path in directory.glob(pattern))
    if pickled:
        return K2ReproError(
            f"{directory} holds pickled weights ({', '.join(pickled)}), which can run code when opened; "
            "only safetensors is read. Convert them where you trust them"
        )
    return K2ReproError(f"{directory} holds neither {SINGLE} nor {INDEX}")
