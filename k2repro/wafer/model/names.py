"""Which shape a model name means: a known name, a hub id, or a size in the name.

`Qwen/Qwen2.5-7B-Instruct-AWQ` is Qwen2.5-7B, `deepseek-r1:14b` is what ollama serves under that
tag, and `Foo-13B` is a guess from its size, marked as one (`ModelShape.exact` is False).
"""

import re
from pathlib import Path

from k2repro.errors import K2ReproError, unknown
from k2repro.wafer.model.configs import read_config_file
from k2repro.wafer.model.shapes import ConfigLike, ModelShape, load_shapes, shape_from_size

Config = ModelShape | ConfigLike | str

# Names under which a known shape is also published, in folded form.
ALIASES = {
    "k2-think": "Qwen2.5-32B",
    "k2-think (qwen2.5-32b)": "Qwen2.5-32B",
    "qwq-32b (qwen2.5-32b)": "Qwen2.5-32B",
    "qwq-32b": "Qwen2.5-32B",
    "llama-3-8b": "Llama-3.1-8B",
    "llama-3-70b": "Llama-3.1-70B",
    "llama-3.3-70b": "Llama-3.1-70B",
    "codellama-13b": "Llama-2-13B",
    "vicuna-7b": "Llama-2-7B",
    "vicuna-13b": "Llama-2-13B",
    "deepseek-r1-distill-qwen-1.5b": "Qwen2.5-1.5B",
    "deepseek-r1-distill-qwen-7b": "Qwen2.5-7B",
    "deepseek-r1-distill-qwen-14b": "Qwen2.5-14B",
    "deepseek-r1-distill-qwen-32b": "Qwen2.5-32B",
    "deepseek-r1-distill-llama-8b": "Llama-3.1-8B",
    "deepseek-r1-distill-llama-70b": "Llama-3.1-70B",
    "deepseek-r1-14b": "Qwen2.5-14B",
    "deepseek-r1-32b": "Qwen2.5-32B",
    "deepseek-r1-70b": "Llama-3.1-70B",
    "deepseek-r1-0528-qwen3-8b": "Qwen3-8B",
    "deepseek-r1": "DeepSeek-V3-671B",
    "deepseek-v3": "DeepSeek-V3-671B",
    "deepseek-v3.1": "DeepSeek-V3-671B",
    "deepseek-r1-671b": "DeepSeek-V3-671B",
    "kimi-k2.5": "Kimi-K2",
    "kimi-k2.6": "Kimi-K2",
    "glm-4.5": "GLM-4.5-355B",
    "glm-4.6": "GLM-4.5-355B",
    "glm-4.7": "GLM-4.5-355B",
    "glm-4.5-air": "GLM-4.5-Air-106B",
    "qwen3-coder-30b-a3b": "Qwen3-30B-A3B",
    "qwen3-235b": "Qwen3-235B-A22B",
    "qwen3-30b": "Qwen3-30B-A3B",
    "llama-4-scout-17b-16e": "Llama-4-Scout",
    "llama-4-maverick-17b-128e": "Llama-4-Maverick",
    "mistral-small-3.1-24b": "Mistral-Small-24B",
    "mistral-small-3-24b": "Mistral-Small-24B",
    "mistral-nemo": "Mistral-Nemo-12B",
    "phi-4-14b": "Phi-4",
}
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
    folded = {key.lower(): key for key in shapes} | ALIASES
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
