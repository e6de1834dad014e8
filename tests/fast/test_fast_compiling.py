"""Catches: compiled code of an older state of the kernels, taken from the cache without a word."""

import os
import pickle
import tempfile

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


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
@pytest.mark.parametrize("kept", [0, 5, 40])
def test_a_cache_file_cut_short_is_compiled_anew(tmp_path, monkeypatch: pytest.MonkeyPatch, kind, kept):
    """Catches EOFError from every import that compiles, after a power cut; the twin reads what is left."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def double(x):
        return 2 * x

    assert compiled(double)(3) == 6
    [damaged] = tmp_path.rglob(f"*.{kind}")
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:kept])
    with monkeypatch.context() as plain:
        plain.setattr(numba.config, "CACHE_DIR", str(damaged.parent.parent))
        with pytest.raises((EOFError, pickle.UnpicklingError)):
            numba.njit(cache=True, nogil=True, error_model="numpy")(double)(3)
    assert compiled(double)(3) == 6
    again = compiled(double)
    assert again(3) == 6
    assert sum(again.stats.cache_hits.values()) == 1, "the repaired file is read again"


def test_without_any_folder_it_still_runs(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Catches "no locator available": a read-only checkout, an unwritable HOME, a full or foreign /tmp."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(compiling, "HERE", blocked)
    monkeypatch.setattr(compiling, "_state", lambda path: "state")
    monkeypatch.setattr(compiling, "_folder_of_this_user", lambda: None)
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(blocked))
    namespace: dict = {}
    code = compile("def triple(x):\n    return 3 * x\n", str(blocked / "x.py"), "exec")
    exec(code, namespace)  # noqa: S102
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(cache=True)(namespace["triple"])
    assert compiled(namespace["triple"])(2) == 6


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners of files")
def test_a_folder_that_others_can_write_is_not_used(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Catches machine code read from a folder that somebody else prepared in /tmp."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = compiling._folder_of_this_user()
    assert own is not None and own.stat().st_mode & 0o077 == 0
    own.chmod(0o777)
    assert compiling._folder_of_this_user() is None
