"""Number formats: bytes per weight, which matrices they cover, and what a device must support.

A *storage* format (GGUF, GPTQ, AWQ, int4 groups) is unpacked to 16 bit on the way to the
arithmetic units and runs on any processor that has a kernel for it. An *arithmetic* format (bf16,
fp8, fp4) needs hardware that multiplies it.
"""

import re
from dataclasses import dataclass

from k2repro.errors import unknown
from k2repro.reading import shipped_lines
from k2repro.wafer.model.aliases import load_names


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


def _read_precision(line: dict[str, str]) -> Precision:
    return Precision(
        line["name"],
        float(line["bits"]),
        float(line["head_bits"]),
        line["kernel"],
        line["arithmetic"],
        storage_only=line["storage_only"] == "1",
        dense_bits=float(line["dense_bits"]) if line["dense_bits"] else None,
    )


# Bits per weight of GGUF types are the block layouts of ggml (ggml-common.h: bytes per block x 8 /
# values per block); the K mixtures (Q4_K_M, ...) are file size / parameters of Llama-3-8B.
# mxfp4 is gpt-oss as llama.cpp ships it: experts in 4.25 bits, the rest in q8_0.
# GPTQ/AWQ: group 128 with a 16-bit scale and a packed zero point.
PRECISIONS = {
    precision.name: precision
    for precision in shipped_lines("k2repro.wafer", "data/precisions.csv", _read_precision)
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
    key = load_names()["precisions"].get(key, key)
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
