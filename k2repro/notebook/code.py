"""`show_code`: the source of a function in the notebook, rendered from the package, never copied."""

import inspect
from collections.abc import Callable
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.notebook.text import Bundle


def show_code(*functions: Callable[..., Any]) -> None:
    """Display the source of functions as it stands in the package: what is read is what runs.

    Raises K2ReproError for something without a source, such as a built-in.
    """
    from IPython.display import display

    texts = [code_of(function) for function in functions]
    markdown = "\n".join(f"```python\n{text}```" for text in texts)
    display(Bundle({"text/markdown": markdown, "text/plain": "\n".join(texts)}))


def code_of(function: Callable[..., Any]) -> str:
    """The source of one function, with its docstring and comments."""
    try:
        return inspect.getsource(function)
    except (TypeError, OSError):
        raise K2ReproError(
            f"show_code: {function!r} has no source. Pass a function of this package"
        ) from None
