"""How a number gets into a table: rows with provenance, artifacts by content, profiles, comparison.

No torch here: a reader of results needs none.
"""

from k2repro.results.artifacts import ArtifactStore, Recipe
from k2repro.results.fingerprint import Fingerprint, fingerprint
from k2repro.results.places import Places, rows_directory
from k2repro.results.profiles import Profile, load_profile, profile_names
from k2repro.results.rowbook import RowBook, input_rows, open_rows, with_real_rows
from k2repro.results.rows import Row, load_rows, read_rows, write_rows

__all__ = [
    "ArtifactStore",
    "Fingerprint",
    "Places",
    "Profile",
    "Recipe",
    "Row",
    "RowBook",
    "fingerprint",
    "input_rows",
    "load_profile",
    "load_rows",
    "open_rows",
    "profile_names",
    "read_rows",
    "rows_directory",
    "with_real_rows",
    "write_rows",
]
