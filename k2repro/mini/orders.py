"""The order in which a response evaluated variables, read off its trace: a plan that nobody had to write."""

from k2repro.mini.trace_grammar import EVALUATE, read_trace


def evaluation_order(text: str) -> list[str]:
    """Names that the trace of a response evaluated, each once, in the order of their first evaluation.

    Whole steps count, whether right or wrong; a response without a trace has no order.

    >>> evaluation_order("<think> m: + p q ? p=1 q=2 m=3</think><answer> m=3</answer>")
    ['m']
    """
    trace = text.partition("<think>")[2].partition("</think>")[0]
    steps = (piece for piece in read_trace(trace).pieces if piece.kind == EVALUATE and piece.is_whole)
    return list(dict.fromkeys(step.words[-1].name for step in steps))
