"""Which shape a model name means: a known name, a hub id, or a size in the name.

`Qwen/Qwen2.5-7B-Instruct-AWQ` is Qwen2.5-7B, `deepseek-r1:14b` is what ollama serves under that
tag, and `Foo-13B` is a guess from its size, marked as one (`ModelShape.exact` is False).
"""

import re
from pathlib import Path

from k2repro.architecture.config import ModelConfig
from k2repro.errors import K2ReproError, unknown
from k2repro.wafer.model.aliases import load_names
from k2repro.wafer.model.configs import read_config_file
from k2repro.wafer.model.shapes import ModelShape, load_shapes, shape_from_size

Config = ModelShape | ModelConfig | str

_OWNER = re.compile(r"^[\w.-]+/")
# What a release adds to the name of its base: tuning, date, format, packaging.
_SUFFIX = re.compile(
    r"[-_ ](instruct|chat|it|base|hf|thinking|preview|reasoning|coder|math|qat|gguf|mlx|awq|gptq"
    r"|fp8|fp4|nvfp4|mxfp4|bf16|fp16|int4|int8|w4a16|w8a8|4bit|8bit|[468]-?bit|bnb|dynamic|gptq-int[48]|awq-int4"
    r"|q\d\w*|1m|2[45]\d\d|v0\.\d|ud|unsloth|exl2|latest)$"
)
_SIZE = re.compile(r"(?<![\d.a-z])(?:(\d+)x)?(\d+(?:\.\d+)?)\s*b(?![a-z\d])", re.IGNORECASE)
_ACTIVE = re.compile(r"[-_]a(\d+(?:\.\d+)?)b", re.IGNORECASE)


def fold_name(name: str) -> list[str]:
    """The name itself in lower case, and shorter and shorter forms without owner and suffixes."""
    text = _OWNER.sub("", name.strip().lower()).replace("meta-llama", "llama").replace(":", "-")
    text = re.sub(r"^(meta-|mistralai-|unsloth-)", "", text).replace("_", "-")
    text = re.sub(r"^llama(\d)", r"llama-\1", text).replace("llama-3.0", "llama-3")
    forms = [name.strip().lower(), text]
    while (shorter := _SUFFIX.sub("", text)) != text:
        forms.append(shorter)
        text = shorter
    # Families whose coder and maths models share their base's shape: Qwen2.5-Coder-7B.
    return forms + [re.sub(r"-(coder|math)(?=-)", "", form) for form in forms]


def match_shape(name: str) -> ModelShape | None:
    """The shape that a model name means, or None. Owner, case and suffixes do not matter."""
    shapes = load_shapes()
    folded = {key.lower(): key for key in shapes} | load_names()["models"]
    for form in fold_name(name):
        if form in folded:
            return shapes[folded[form]]
    return None


def read_size(name: str) -> tuple[float, float | None] | None:
    """(parameters, active parameters or None) that a name such as Foo-13B or Bar-30B-A3B states."""
    active = _ACTIVE.search(name)
    size = _SIZE.search(_ACTIVE.sub("", name))
    if size is None or size[1]:
        return None
    return float(size[2]) * 1e9, None if active is None else float(active[1]) * 1e9


def find_shape(name: str) -> ModelShape:
    """The shape of a named model, guessed from its size where the name states one.

    Raises K2ReproError with near names when neither is known.
    """
    shape = match_shape(name)
    if shape is not None:
        return shape
    size = read_size(name)
    family = re.split(r"[-\d]", fold_name(name)[1])[0]
    if size is None or any(known.lower().startswith(family) for known in load_shapes()):
        # A size beside a known family is more likely a slip of the key than a new model.
        raise unknown("model", name, [*load_shapes(), "k2-think"])
    return shape_from_size(name, *size)


def find_config(model: str) -> ModelShape:
    """A model by name, or from a config.json or checkpoint folder when the text is a path."""
    path = Path(model)
    if path.exists():
        return read_config_file(path)
    if path.suffix == ".json" or model.startswith((".", "/", "~")):
        raise K2ReproError(f"{model!r}: no such file; give the path of a config.json or of its folder")
    return find_shape(model)


def as_shape(config: Config) -> ModelShape:
    """Accept a `ModelShape`, a `ModelConfig` or a name."""
    if isinstance(config, ModelShape):
        return config
    if isinstance(config, str):
        return find_shape(config)
    return ModelShape.from_config(config)
