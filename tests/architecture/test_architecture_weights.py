"""Checkpoints: there and back with transformers, whole or sharded, and every kind of damage named."""

import json
import os

import architecture_tiny as tiny
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from k2repro.architecture import ModelConfig, load_pretrained, save_pretrained, weights
from k2repro.architecture.shards import read_header
from k2repro.architecture.tensors import expected_shapes
from k2repro.errors import K2ReproError

TOKENS = tiny.random_tokens(2, 9)
BOTH = pytest.mark.parametrize("tied", [False, True])
LAYOUTS = pytest.mark.parametrize("shard_bytes", [10**9, 20_000], ids=["single", "sharded"])


def model_of(tied=False, seed=0, **changes):
    return tiny.random_model(tiny.tiny_config(tie_word_embeddings=tied, eos_token_id=0, **changes), seed)


def logits(model):
    with torch.no_grad():
        return model(TOKENS)


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def sharded(tmp_path):
    save_pretrained(model_of(), tmp_path, max_shard_bytes=20_000)
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    return tmp_path


@BOTH
@LAYOUTS
def test_ours_loads_in_transformers(tmp_path, tied, shard_bytes):
    """Catches a layout that only we can read: logits must be identical, not close."""
    from transformers import AutoModelForCausalLM

    model = model_of(tied)
    save_pretrained(model, tmp_path, max_shard_bytes=shard_bytes)
    theirs, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.no_grad():
        assert torch.equal(logits(model), theirs.eval()(TOKENS).logits)


@BOTH
@pytest.mark.parametrize("shard_size", ["1GB", "20KB"])
def test_transformers_loads_in_ours(tmp_path, tied, shard_size):
    """Catches a reader that misses a name, a shard or the tie in what transformers writes."""
    theirs = tiny.reference(model_of(tied))
    theirs.save_pretrained(tmp_path, max_shard_size=shard_size)
    with torch.no_grad():
        assert torch.equal(logits(load_pretrained(tmp_path)), theirs(TOKENS).logits)


@BOTH
@LAYOUTS
def test_round_trip_is_exact(tmp_path, tied, shard_bytes):
    """Catches any value, or the config, changing on its way through the files."""
    model = model_of(tied, head_dim=16)
    save_pretrained(model, tmp_path, max_shard_bytes=shard_bytes)
    back = load_pretrained(tmp_path)
    assert back.config == model.config
    assert torch.equal(logits(back), logits(model))
    assert (back.lm_head.weight is back.model.embed_tokens.weight) == tied


def test_shards_respect_the_limit(sharded):
    """Catches an index whose total or map does not describe the files."""
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    shapes = expected_shapes(model_of().config)
    assert set(index["weight_map"]) == set(shapes)
    largest = 0
    for path in sharded.glob("*.safetensors"):
        tensors = load_file(path)
        assert {name for name, file in index["weight_map"].items() if file == path.name} == set(tensors)
        if len(tensors) > 1:
            largest = max(largest, sum(tensor.nbytes for tensor in tensors.values()))
    assert 0 < largest <= 20_000
    assert index["metadata"]["total_size"] == sum(4 * torch.Size(shape).numel() for shape in shapes.values())


def test_16_bit_storage_is_stated_and_read(tmp_path):
    """Catches weights stored in 16 bit under a config that says 32, and the reverse."""
    model = model_of()
    save_pretrained(model, tmp_path, dtype="bfloat16")
    assert ModelConfig.from_file(tmp_path).dtype == "bfloat16"
    assert {stored.dtype for stored in read_header(tmp_path / "model.safetensors").values()} == {"BF16"}
    assert load_pretrained(tmp_path).lm_head.weight.dtype == torch.float32
    stored = load_pretrained(tmp_path, dtype=None)
    assert stored.lm_head.weight.dtype == torch.bfloat16
    assert torch.equal(stored.lm_head.weight, model.lm_head.weight.bfloat16())


def test_saving_twice_gives_equal_bytes(tmp_path):
    """Catches files that change without the weights changing: artifacts are addressed by hash."""
    for name in ("a", "b"):
        save_pretrained(model_of(), tmp_path / name, max_shard_bytes=20_000)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_generation_config_samples(tmp_path):
    """Catches servers decoding greedily whatever the temperature: best-of-N would be N copies."""
    from transformers import GenerationConfig

    save_pretrained(model_of(), tmp_path / "default")
    theirs = GenerationConfig.from_pretrained(tmp_path / "default")
    assert theirs.do_sample is True
    assert theirs.eos_token_id == 0
    save_pretrained(model_of(), tmp_path / "given", generation_config={"temperature": 0.6, "top_p": 0.95})
    theirs = GenerationConfig.from_pretrained(tmp_path / "given")
    assert (theirs.do_sample, theirs.temperature, theirs.top_p) == (True, 0.6, 0.95)


# Damage. Loading never writes, and the message names the file.


@given(st.integers(0, 10**9))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_any_truncation_is_noticed(tmp_path_factory, cut):
    """Catches a shard cut at any byte, in the header or in the last value."""
    directory = tmp_path_factory.mktemp("cut")
    save_pretrained(model_of(), directory, max_shard_bytes=20_000)
    shard = sorted(directory.glob("*.safetensors"))[1]
    size = shard.stat().st_size
    os.truncate(shard, cut % size)
    before = contents(directory)
    with pytest.raises(K2ReproError, match=f"{shard.name}.*(interrupted download|header does not parse)"):
        load_pretrained(directory)
    assert contents(directory) == before


@given(st.integers(1, 40))
@settings(deadline=None, derandomize=True, max_examples=10)
def test_trailing_bytes_are_noticed(tmp_path_factory, extra):
    """Catches a file with more bytes than its table of contents explains."""
    directory = tmp_path_factory.mktemp("long")
    save_pretrained(model_of(), directory)
    with (directory / "model.safetensors").open("ab") as file:
        file.write(b"\0" * extra)
    with pytest.raises(K2ReproError, match=r"model\.safetensors has"):
        load_pretrained(directory)


def test_missing_shards_are_named(sharded):
    """Catches loading the shards that are there and leaving the rest at random."""
    shards = sorted(sharded.glob("*.safetensors"))
    for shard in shards[1:3]:
        shard.unlink()
    with pytest.raises(K2ReproError, match=f"lacks {shards[1].name}, {shards[2].name} \\(2 of {len(shards)}"):
        load_pretrained(sharded)


def test_index_that_disagrees_is_refused(sharded):
    """Catches shards of two downloads mixed under one index."""
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    names = list(index["weight_map"])
    index["weight_map"][names[0]] = index["weight_map"][names[-1]]
    path.write_text(json.dumps(index))
    with pytest.raises(K2ReproError, match="does not hold it"):
        load_pretrained(sharded)


@pytest.mark.parametrize(
    ("name", "words"),
    [("../model.safetensors", "without a folder"), ("pytorch_model.bin", "only .safetensors")],
)
def test_index_cannot_point_elsewhere(sharded, name, words):
    """Catches an index that makes the loader open another folder's file or a pickle."""
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["lm_head.weight"] = name
    path.write_text(json.dumps(index))
    with pytest.raises(K2ReproError, match=words):
        load_pretrained(sharded)


def test_pickled_weights_are_refused(tmp_path):
    """Catches falling back to a format that can run code."""
    save_pretrained(model_of(), tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(K2ReproError, match=r"pickled weights \(pytorch_model\.bin\)"):
        load_pretrained(tmp_path)


def test_no_weights_at_all(tmp_path):
    """Catches an empty folder loading as a freshly initialised model."""
    save_pretrained(model_of(), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(K2ReproError, match=r"neither model\.safetensors nor"):
        load_pretrained(tmp_path)


def alter(directory, change):
    """Rewrite the single weights file after `change(tensors)`."""
    path = directory / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


CHANGES = {
    "missing bias": (
        lambda t: t.pop("model.layers.1.self_attn.k_proj.bias"),
        r"missing: model\.layers\.1\.self_attn\.k_proj\.bias",
    ),
    "surplus norm": (
        lambda t: t.update({"model.layers.0.self_attn.q_norm.weight": torch.ones(8)}),
        r"not in a Qwen2: model\.layers\.0\.self_attn\.q_norm\.weight",
    ),
    "wrong shape": (
        lambda t: t.update({"model.norm.weight": torch.ones(31)}),
        r"wrong shape: model\.norm\.weight \[31\] instead of \[32\]",
    ),
    "quantised": (
        lambda t: t.update({"lm_head.weight": torch.ones(97, 32, dtype=torch.int8)}),
        r"lm_head\.weight has dtype I8",
    ),
    "another model": (lambda t: t.clear(), r"missing: .* and \d+ more"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_foreign_tensors_are_named(tmp_path, case):
    """Catches a lenient load that skips what does not fit and keeps random values in its place."""
    change, words = CHANGES[case]
    save_pretrained(model_of(), tmp_path)
    alter(tmp_path, change)
    with pytest.raises(K2ReproError, match=words):
        load_pretrained(tmp_path)


def test_old_rotary_buffers_are_skipped(tmp_path):
    """Catches refusing checkpoints of early transformers, which stored the frequencies."""
    model = model_of()
    save_pretrained(model, tmp_path)
    alter(tmp_path, lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    assert torch.equal(logits(load_pretrained(tmp_path)), logits(model))


def test_tied_config_with_its_own_head(tmp_path):
    """Catches a fine-tuned head that is dropped because the config still says tied."""
    model = model_of(tied=True)
    save_pretrained(model, tmp_path)
    alter(tmp_path, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))
    assert torch.equal(logits(load_pretrained(tmp_path)), logits(model))
    alter(tmp_path, lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"] + 1}))
    with pytest.raises(K2ReproError, match="tie_word_embeddings is true, but lm_head.weight differs"):
        load_pretrained(tmp_path)


def test_existing_checkpoint_is_kept(tmp_path):
    """Catches a second run that silently replaces the first one's weights."""
    save_pretrained(model_of(), tmp_path)
    before = contents(tmp_path)
    with pytest.raises(K2ReproError, match="overwrite=True"):
        save_pretrained(model_of(seed=1), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("first", "second"), [(20_000, 10**9), (10**9, 20_000), (20_000, 40_000)])
def test_overwriting_leaves_no_stale_weights(tmp_path, first, second):
    """Catches old shards beside the new file, which a loader might prefer."""
    save_pretrained(model_of(), tmp_path, max_shard_bytes=first)
    (tmp_path / "tokenizer.json").write_text("{}")
    save_pretrained(model_of(seed=1), tmp_path, max_shard_bytes=second, overwrite=True)
    assert torch.equal(logits(load_pretrained(tmp_path)), logits(model_of(seed=1)))
    fresh = tmp_path / "fresh"
    save_pretrained(model_of(seed=1), fresh, max_shard_bytes=second)
    assert set(contents(fresh)) | {"tokenizer.json", "fresh"} == {path.name for path in tmp_path.iterdir()}


def test_failure_while_writing_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    """Catches a full disk at the second shard destroying the checkpoint that was there."""
    save_pretrained(model_of(), tmp_path, max_shard_bytes=20_000)
    before = contents(tmp_path)
    calls = []

    def full_disk(tensors, path, metadata):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        save_file(tensors, path, metadata=metadata)

    monkeypatch.setattr(weights, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_pretrained(model_of(seed=1), tmp_path, max_shard_bytes=20_000, overwrite=True)
    assert contents(tmp_path) == before


def test_stop_between_renames_is_loud(tmp_path, monkeypatch):
    """Catches new and old shards mixed after a kill in the middle of replacing them."""
    save_pretrained(model_of(), tmp_path, max_shard_bytes=20_000)
    moved = []

    def killed(source, target):
        moved.append(target)
        if len(moved) == 2:
            raise KeyboardInterrupt
        os.rename(source, target)

    monkeypatch.setattr(weights.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_pretrained(model_of(seed=1), tmp_path, max_shard_bytes=20_000, overwrite=True)
    with pytest.raises(K2ReproError, match=r"config\.json does not exist"):
        load_pretrained(tmp_path)


def test_model_without_weights_is_not_saved(tmp_path):
    """Catches writing a checkpoint of uninitialised memory."""
    from k2repro.architecture import Qwen2

    with pytest.raises(K2ReproError, match="no weights yet"):
        save_pretrained(Qwen2(tiny.tiny_config(), device="meta"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dtype", ["float8", torch.int8, "fp16"])
def test_unknown_dtype_is_refused(tmp_path, dtype):
    """Catches a dtype that would be taken for another."""
    with pytest.raises(K2ReproError, match="unknown dtype"):
        save_pretrained(model_of(), tmp_path, dtype=dtype)
