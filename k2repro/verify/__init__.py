"""Verifiers: is this answer right, does this program pass its tests; both for hostile input."""

from k2repro.verify.answers import answers_equal, compare_answers, comparison_counts, lax_answers_equal
from k2repro.verify.extract import extract_answer
from k2repro.verify.ladder import available_levels, level_versions, run_many, run_tests
from k2repro.verify.schema import CodeTest, FunctionTest, Limits, TestRun

__all__ = [
    "CodeTest",
    "FunctionTest",
    "Limits",
    "TestRun",
    "answers_equal",
    "available_levels",
    "compare_answers",
    "comparison_counts",
    "extract_answer",
    "lax_answers_equal",
    "level_versions",
    "run_many",
    "run_tests",
]
