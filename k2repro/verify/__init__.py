"""Verifiers: is this answer right, does this program pass its tests; both for hostile input."""

from k2repro.verify.ladder import available_levels, run_many, run_tests
from k2repro.verify.schema import CodeTest, FunctionTest, Limits, Outcome, TestRun

__all__ = [
    "CodeTest",
    "FunctionTest",
    "Limits",
    "Outcome",
    "TestRun",
    "available_levels",
    "run_many",
    "run_tests",
]
