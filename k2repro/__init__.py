"""K2-Think taken apart and put together again; see README.md and notebooks/00_start_here.ipynb.

Importing the package imports none of its rooms: each is loaded where it is used.
"""

__version__ = "0.1.0"
