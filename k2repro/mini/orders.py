"""In which order a response evaluated the variables: the plan that it followed, given or not.

Read by form, as `trace_grammar` does: what was evaluated may be wrong, and so may the order. Given to the
solver as a plan, it leads along the same way once more (`k2repro.best_of_n.process_check`).
"""

from k2repro.mini.trace_grammar import EVALUATE, read_trace


def evaluation_order(response: str) -> list[str]:
    """Variables in the order of their first whole evaluation, up to where the thinking cannot be read.

    response: with its thinking in tags, finished or cut short; without an opening tag all of it is thinking.
    Empty when nothing was evaluated.
    """
    before, tag, after = response.partition("<think>")
    thinking = (after if tag else before).partition("</think>")[0]
    evaluated = [piece for piece in read_trace(thinking).pieces if piece.kind == EVALUATE and piece.is_whole]
    return list(dict.fromkeys(piece.words[-1].name for piece in evaluated))
