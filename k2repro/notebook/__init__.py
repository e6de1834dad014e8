"""What a notebook needs to speak: figures, tables and sentences, all fed from rows.

    from k2repro.notebook import show, show_table, tell

The machinery that builds, runs and checks notebooks lives in the sibling modules and is not
imported here: a reader's cell must not wait for it.
"""

from k2repro.notebook.parameters import checked_parameters
from k2repro.notebook.show import show
from k2repro.notebook.text import expected, fill, show_code, show_table, tell

__all__ = ["checked_parameters", "expected", "fill", "show", "show_code", "show_table", "tell"]
