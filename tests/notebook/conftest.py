"""A checkout in miniature: two notebooks, one profile, the real package."""

import textwrap

import pytest

from k2repro.results import Places

HEADER = """\
# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
"""


class SmallCheckout(Places):
    """Sources, profiles and results in a temporary folder; the package is the real one."""

    @property
    def package(self):
        return Places.find().package


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "notebooks" / "src").mkdir(parents=True)
    (tmp_path / "profiles").mkdir()
    return SmallCheckout(tmp_path)


@pytest.fixture
def write_source(checkout):
    """Write a notebook source from cells: strings are code, ("md", text) markdown."""

    def write(name, *cells, parameters='profile = "laptop"'):
        parts = [HEADER, "# %% [markdown]\n# # Title\n", f'# %% tags=["parameters"]\n{parameters}\n']
        parts += [f"# %%\n{textwrap.dedent(cell).strip()}\n" for cell in cells]
        path = checkout.sources / f"{name}.py"
        path.write_text("\n".join(parts))
        return path

    return write
