"""The fingerprint must say what torch itself says, without loading torch."""

import torch

from k2repro.results import fingerprint
from k2repro.results.fingerprint import cpu_capability


def test_cpu_capability_is_the_one_torch_uses():
    """Catches rows compared exactly between an AVX2 and an AVX-512 machine."""
    assert cpu_capability() == torch.backends.cpu.get_cpu_capability()


def test_torch_version_is_the_installed_one():
    """Catches a fingerprint that keeps an old torch version after an upgrade."""
    assert fingerprint(2).torch == torch.__version__.split("+")[0]
    assert fingerprint(1) != fingerprint(2)
