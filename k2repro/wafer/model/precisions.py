"""Number formats: bytes per weight, which matrices they cover, and what a device must support.

A *storage* format (GGUF, GPTQ, AWQ, int4 groups) is unpacked to 16 bit on the way to the
arithmetic units and runs on any processor that has a kernel for it. An *arithmetic* format (bf16,
fp8, fp4) needs hardware that multiplies it.
"""

import re
from dataclasses import dataclass

from k2repro.errors import unknown


@dataclass(frozen=True)
class Precision:
    """One number format.

    bits: bits per weight of a covered matrix, scales and zero points included.
    head_bits: bits per weight of the output head (GPTQ, AWQ and fp8 checkpoints keep 16 bit).
    kernel: which family of matrix-vector kernels runs it (the fitted efficiency goes by this).
    arithmetic: the format that the multipliers see; names the peak rate used for compute.
    dense_bits: bits outside the experts of a mixture, where only the experts are packed.
    storage_only: True when any device with a kernel may run it.
    """

    name: str
    bits: float
    head_bits: float
    kernel: str
    arithmetic: str
    storage_only: bool = False
    dense_bits: float | None = None


# Bits per weight of GGUF types are the block layouts of ggml (ggml-common.h: bytes per block x 8 /
# values per block); the K mixtures (Q4_K_M, ...) are file size / parameters of Llama-3-8B.
# mxfp4 is gpt-oss as llama.cpp ships it: experts in 4.25 bits, the rest in q8_0.
# GPTQ/AWQ: group 128 with a 16-bit scale and a packed zero point.
_FORMATS = [
    Precision("fp32", 32, 32, "dense", "fp32"),
    Precision("bf16", 16, 16, "dense", "bf16"),
    Precision("fp16", 16, 16, "dense", "fp16"),
    Precision("fp8", 8, 16, "native8", "fp8"),
    Precision("fp4", 4.5, 16, "native8", "fp4"),
    Precision("mxfp4", 4.25, 8.5, "packed4", "bf16", storage_only=True, dense_bits=8.5),
    Precision("int8", 8, 8, "packed8", "bf16", storage_only=True),
    Precision("int4g32", 5, 5, "packed4", "bf16", storage_only=True),
    Precision("int4", 4.5, 4.5, "packed4", "bf16", storage_only=True),
    Precision("gptq-int8", 8.16, 16, "packed8", "bf16", storage_only=True),
    Precision("gptq-int4", 4.16, 16, "packed4", "bf16", storage_only=True),
    Precision("awq", 4.16, 16, "packed4", "bf16", storage_only=True),
    Precision("q8_0", 8.5, 8.5, "packed8", "bf16", storage_only=True),
    Precision("q6_k", 6.5625, 6.5625, "packed4", "bf16", storage_only=True),
    Precision("q5_k_m", 5.7, 6.5625, "packed4", "bf16", storage_only=True),
    Precision("q5_0", 5.5, 6.5625, "packed4", "bf16", storage_only=True),
    Precision("q4_k_m", 4.83, 6.5625, "packed4", "bf16", storage_only=True),
    Precision("q4_k_s", 4.58, 6.5625, "packed4", "bf16", storage_only=True),
    Precision("q4_0", 4.5, 6.5625, "packed4", "bf16", storage_only=True),
    Precision("q3_k_m", 3.9, 6.5625, "packed4", "bf16", storage_only=True),
    Precision("q2_k", 3.0, 6.5625, "packed4", "bf16", storage_only=True),
]
PRECISIONS = {precision.name: precision for precision in _FORMATS}
_ALIASES = {
    "f16": "fp16",
    "f32": "fp32",
    "float16": "fp16",
    "bfloat16": "bf16",
    "float32": "fp32",
    "half": "fp16",
    "nvfp4": "fp4",
    "int4-g32": "int4g32",
    "awq-int4": "awq",
    "gptq": "gptq-int4",
    "w8a16": "int8",
    "w4a16": "int4",
}


def find_precision(name: str) -> Precision:
    """The format of that name (`F16`, `Q4_K_M`, `4bit`); K2ReproError lists the known."""
    found = match_precision(name)
    if found is None:
        raise unknown("precision", name, PRECISIONS)
    return found


# Number of bits in names such as 4bit, 4.25bpw, int4-awq, nf4, w4a16, q4f16_1, IQ4_XS, Q5_1.
_BITS = re.compile(r"(\d(?:\.\d+)?)[ -]?(?:bit|bpw)|(?:int|nf|fp|w|i?q)(\d)(?![\d])")


def match_precision(name: str, bits_read: float | None = None) -> Precision | None:
    """The format of that name, or a stand-in for one that the table lacks; None without a clue.

    bits_read: bits per weight that a table of rates implies (bytes read over parameters); with it
    any name is understood. A stand-in below 16 bits is unpacked on the way, as integer formats are.
    """
    key = name.strip().lower()
    key = _ALIASES.get(key, key)
    if key in PRECISIONS:
        return PRECISIONS[key]
    found = _BITS.search(key)
    bits = bits_read
    if bits is None and found is not None:
        bits = float(found[1] or found[2]) + 0.5
    if bits is None:
        return None
    if bits > 12:
        return Precision(key, bits, bits, "dense", "bf16")
    kernel = "packed8" if bits > 6.5 else "packed4"
    return Precision(key, bits, bits, kernel, "bf16", storage_only=True)
