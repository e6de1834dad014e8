"""The laptop-scale world: verifiable problems, reference traces, tokenizer, benchmarks, grading.

Two numerics words (see `k2repro.results.artifacts`), raised when the bits that they stand for change:

TEXTS    what is read and learned: problems of every split and tier, prompts, traces, mixtures, tokens
GRADER   what is judged: verdicts, and the kinds of first mistakes
"""

TEXTS = "texts-1"
GRADER = "grader-1"
