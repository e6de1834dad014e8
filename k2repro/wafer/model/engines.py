"""Engine classes: which software runs the model, grouped by how its overhead behaves.

A measured rate names its software in free text ("vLLM 0.6.3", "llama.cpp (May 2024)"). The words
of `data/names.toml` map that text to a class; parameters are fitted per class (`data/parameters.toml`).
Software that no rule knows gets the usual class of its device, is marked unknown and gets a wider interval.
A class is declared by what the software does at run time, never by the residual of a row.

Two engines changed on a known day and are dated: vLLM captured HIP graphs on AMD from 0.7 on, and
llama.cpp replays CUDA graphs since pull request 6766 (May 2024), on Ampere and newer. A row without
a date or a build number is taken for a current one. A serving engine that is told to stay eager
captures nothing, and one on a CPU runs PyTorch there.
"""

import re
from dataclasses import dataclass

from k2repro.errors import unknown
from k2repro.wafer.model.aliases import load_names
from k2repro.wafer.model.parameters import SOFTWARE

CLASSES = (
    "compiled",
    "serving",
    "uncaptured",
    "ggml",
    "eager",
    "torch-cpu",
    "ggml-cpu",
    "ggml-graph",
    "tiled",
)
COMPILED, SERVING, UNCAPTURED, GGML, EAGER, TORCH_CPU, GGML_CPU, GGML_GRAPH, TILED = range(len(CLASSES))


@dataclass(frozen=True)
class Engine:
    """An engine and its class.

    class_code: index into CLASSES. software_code: index into parameters.SOFTWARE, -1 for any
    other. known: whether a rule recognised the name.
    """

    name: str
    class_code: int
    software_code: int = -1
    known: bool = True

    @property
    def engine_class(self) -> str:
        """The name of the class."""
        return CLASSES[self.class_code]


_USUAL = {"gpu": SERVING, "soc": GGML, "cpu": GGML_CPU}
# vLLM captured HIP graphs on AMD only from about 0.7 on; before, every kernel was launched alone.
_FIRST_CAPTURED_ON_AMD = (0, 7)
# llama.cpp replays CUDA graphs from build 2814 (8 May 2024) on, and never on Turing or older.
_FIRST_GRAPH_BUILD = 2814
_WITHOUT_GRAPHS = ("P40", "V100", "T4", "RTX20", "GTX")


def _code_of(text: str) -> int | None:
    """The class of the first group with a name whose words all stand in the text."""
    for group in load_names()["engines"]:
        if any(all(word in text for word in name.split()) for name in group["names"]):
            return CLASSES.index(group["class"])
    return None


def _runs_uncaptured(text: str, vendor: str) -> bool:
    if vendor != "AMD" or "vllm" not in text:
        return False
    version = re.search(r"(\d+)\.(\d+)", text)
    # A row that names no version is a current one.
    return version is not None and (int(version[1]), int(version[2])) < _FIRST_CAPTURED_ON_AMD


def _replays_graphs(text: str, vendor: str, device: str) -> bool:
    """Whether this build of llama.cpp replays CUDA graphs on this device."""
    if vendor != "NVIDIA" or device.startswith(_WITHOUT_GRAPHS) or "vulkan" in text:
        return False
    build = re.search(r"\bb(\d{3,5})\b", text)
    if build is not None:
        return int(build[1]) >= _FIRST_GRAPH_BUILD
    year = re.search(r"\b(20\d\d)\b", text)
    return year is None or int(year[1]) > 2024


def _software_code(text: str) -> int:
    text = text.replace("trtllm", "tensorrt").replace("trt-llm", "tensorrt")
    return next((i for i, name in enumerate(SOFTWARE) if name in text), -1)


def find_engine(name: str | None, device_class: str, vendor: str = "", device: str = "") -> Engine:
    """The class of the named engine; None means the usual engine of that kind of device.

    A name that no rule knows is accepted, with `known=False`. vendor, device: decide which of two
    classes of one engine applies.
    """
    usual = _USUAL.get(device_class, COMPILED)
    if name is None:
        return Engine(CLASSES[usual], usual)
    text = name.lower()
    if text in CLASSES:
        return Engine(name, CLASSES.index(text))
    code = _code_of(text)
    if code is None:
        return Engine(name, usual, known=False)
    if code == SERVING and (_runs_uncaptured(text, vendor) or "eager" in text):
        code = UNCAPTURED
    if device_class == "cpu" and code in (SERVING, UNCAPTURED, EAGER):
        code = TORCH_CPU
    if code == GGML and (device_class == "cpu" or " cpu" in text):
        code = GGML_CPU
    if code == GGML and _replays_graphs(text, vendor, device):
        code = GGML_GRAPH
    return Engine(name, code, _software_code(text))


def require_engine(name: str | None, device_class: str, vendor: str = "", device: str = "") -> Engine:
    """Like `find_engine`, for a person who typed the name: unknown names are refused."""
    engine = find_engine(name, device_class, vendor, device)
    if not engine.known:
        raise unknown(
            "engine",
            name,
            [*CLASSES, "vllm", "sglang", "tensorrt-llm", "gpt-fast", "llama.cpp", "mlx", "transformers"],
        )
    return engine
