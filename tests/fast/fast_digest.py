"""Writes a digest of logits of the compiled decoder; run by a test, once for each target processor."""

import hashlib
import sys

import torch
from engine_tiny import config, model, prompts

from k2repro.fast.decoder import CompiledDecoder
from k2repro.fast.folding import fold


def main() -> None:
    made = model(config(groups=3))
    decoder = CompiledDecoder(made, fold(made), 5, 64)
    found = hashlib.sha256()
    for row, prefix in enumerate(decoder.prefill(prompts([3, 19, 7, 30, 5]))):
        decoder.put(row, prefix)
    for step in range(20):
        decoder.step(torch.arange(5) * 7 % 50 + step % 5)
        found.update(decoder.logits.numpy().tobytes())
    sys.stdout.write(found.hexdigest())


if __name__ == "__main__":
    main()
