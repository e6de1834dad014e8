"""Catches: compiled code of an older state of the kernels, taken from the cache without a word."""

import numba
import pytest

from k2repro.fast.kernels import compiling
from k2repro.fast.kernels.compiling import compiled


def folder_of(function) -> str:
    return function._cache._cache_path


def test_another_state_has_another_folder(monkeypatch: pytest.MonkeyPatch):
    """Catches the trap of numba's cache: it looks at the file of a function, not at what it calls."""

    def one(x):
        return x + 1

    now = compiled(one)
    monkeypatch.setattr(compiling, "_state", lambda path: "another")
    later = compiled(one)
    assert "another" in folder_of(later) and folder_of(now) != folder_of(later)
    assert now(1) == later(1) == 2


def test_the_state_is_that_of_the_sources(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Catches a digest that does not notice an edit: of a file, of what it calls, or of what that calls."""
    monkeypatch.setattr(compiling, "HERE", tmp_path)
    texts = {
        "a": "from k2repro.fast.kernels.b import x\n",
        "b": "from k2repro.fast.kernels import c\nx = c.y\n",
        "c": "y = 1\n",
        "d": "z = 1\n",
    }

    def states() -> dict[str, str]:
        compiling._state.cache_clear()
        return {name: compiling._state(tmp_path / f"{name}.py") for name in [*texts, "../elsewhere"]}

    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    before = states()
    assert states() == before
    (tmp_path / "c.py").write_text("y = 2\n")
    after = states()
    assert {name for name in before if before[name] != after[name]} == {"a", "b", "c", "../elsewhere"}
    compiling._state.cache_clear()


def test_a_folder_that_cannot_be_written_is_left_to_numba(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Catches an installation that is only read and fails at import."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(compiling, "HERE", blocked)
    assert compiled(lambda x: x * 2)(4) == 8


def test_the_setting_of_others_is_left_as_it_was():
    """Catches numba functions of other libraries that land in this project's folder."""
    before = numba.config.CACHE_DIR
    compiled(lambda x: x)
    assert before == numba.config.CACHE_DIR
