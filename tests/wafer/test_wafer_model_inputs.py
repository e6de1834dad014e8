"""Any model, any device, any table: what is understood, and what is refused by name."""

import csv
import json
import re
from importlib import resources

import pytest
from wafer_tables import table_of

from k2repro.errors import K2ReproError
from k2repro.wafer import find_device, find_shape, load_shapes, predict, predict_prefill
from k2repro.wafer.calibration.units import refuse_wrong_units
from k2repro.wafer.commands import Hardware, emulate, read_draft, read_tokens
from k2repro.wafer.model.configs import read_config
from k2repro.wafer.model.device_file import ask_device, read_device_file
from k2repro.wafer.model.devices import load_devices
from k2repro.wafer.model.engines import find_engine
from k2repro.wafer.model.names import find_config

LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 80,
    "hidden_size": 8192,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "intermediate_size": 28672,
    "vocab_size": 250112,
    "tie_word_embeddings": False,
}


def test_a_llama_configuration_is_read():
    """Sizes under other keys: K2-Think-V2's own configuration gives its preset."""
    shape = read_config(LLAMA, "K2-Think-V2")
    assert shape == load_shapes()["K2-Think-V2"]
    assert shape.parameters == 72_548_876_288


def test_configurations_of_transformers_are_read():
    """Default configurations of the reference library: experts, latent attention, text part."""
    configs = pytest.importorskip("transformers")
    oss = read_config(configs.GptOssConfig().to_dict(), "gpt-oss-120b")
    assert oss.experts == find_shape("gpt-oss-120b").experts
    deepseek = read_config(configs.DeepseekV3Config().to_dict(), "DeepSeek-V3-671B")
    assert deepseek.parameters == pytest.approx(671e9, rel=0.01)
    assert deepseek.kv_width == 576
    gemma = read_config({"text_config": {**LLAMA, "model_type": "gemma3_text"}}, "x")
    assert gemma.layers == 80


def test_an_unknown_architecture_names_the_keys_it_lacks(tmp_path):
    """A traceback, or sizes made up: the missing keys are named."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "new-net", "hidden_size": 2048}))
    with pytest.raises(K2ReproError, match="'new-net' is not understood; missing key.s. num_hidden_layers"):
        find_config(str(path))
    with pytest.raises(K2ReproError, match="no such file"):
        find_config("./nope.json")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "Qwen2.5-7B"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen2.5-7B"),
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama-3.1-8B"),
        ("deepseek-r1:14b", "Qwen2.5-14B"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen3-30B-A3B"),
        ("openai/gpt-oss-20b", "gpt-oss-20b"),
        ("google/gemma-3-27b-it", "gemma-3-27b"),
    ],
)
def test_hub_names_are_understood(name, shape):
    """An owner, a tuning or a format in the name that hides a known shape."""
    assert find_shape(name) is load_shapes()[shape]


def test_a_size_in_a_name_is_a_guess_and_says_so():
    """A guess sold as knowledge: the shape is marked and the prediction has a note."""
    assert find_shape("Foo-13B").parameters == pytest.approx(13e9, rel=0.05)
    assert "guess" in " ".join(predict("Foo-13B", "H100-SXM").notes)


def test_a_device_of_ones_own(tmp_path):
    """Quantities without units, unknown keys, and a file that says what the options say."""
    path = tmp_path / "card.toml"
    path.write_text('bandwidth = "1008 GB/s"\nmemory = "24 GB"\npeak = "165 TFLOP/s"\nclass = "gpu"\n')
    asked = {"bandwidth": "1008GB/s", "memory": "24GB", "peak": "165TFLOP/s"}
    assert ask_device("card", asked)[1].bandwidth_gbs == read_device_file(path).bandwidth_gbs == 1008
    path.write_text("bandwidth = 1008\nmemory = '24 GB'\n")
    with pytest.raises(K2ReproError, match="bandwidth = 1008 has no unit; write .* GB/s"):
        read_device_file(path)
    with pytest.raises(K2ReproError, match="unknown device key 'bandwith'"):
        path.write_text("bandwith = '1008 GB/s'\n")
        read_device_file(path)


def test_the_command_line_accepts_what_people_type():
    """8xH100, 32k, a draft: understood, and their slips refused."""
    assert (read_tokens("32k"), read_tokens("32000")) == (32768, 32000)
    assert read_draft("4:0.8:0.05").cost_ratio == 0.05
    for wrong in (lambda: read_tokens("many"), lambda: read_draft("4"), lambda: read_draft("4:1.8")):
        with pytest.raises(K2ReproError):
            wrong()
    assert Hardware("8xH100").resolve()[1] == 8
    with pytest.raises(K2ReproError, match="names 8 devices and --devices 2"):
        Hardware("8xH100", devices=2).resolve()
    text = emulate("k2-think", Hardware("8xH100"), price=2.5)
    assert "per million tokens at the price given" in text


def test_a_prefill_without_a_peak_is_refused():
    """A first token made up from a bandwidth: without a peak there is no prefill time."""
    with pytest.raises(K2ReproError, match="nobody publishes its peak"):
        predict_prefill("Qwen2.5-7B", "DDR5-5600-dual", prompt_tokens=1000)
    found = predict_prefill("Qwen2.5-7B", "A100-80GB-SXM", prompt_tokens=1000)
    assert found.low < found.seconds < found.high


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"parallelism": "DP8", "n_devices": "8"}, "copies of a model"),
        ({"parallelism": "somehow"}, "parallelism = 'somehow' is not understood"),
        ({"parallelism": "TP8", "n_devices": "4"}, "needs 8 devices"),
        ({"spec_decode": "maybe"}, "spec_decode = 'maybe'"),
        ({"metric_kind": "tpot_ms"}, "metric_kind = 'tpot_ms'.*no rate"),
        ({"n_devices": "2.5"}, "n_devices = '2.5'"),
        ({"n_devices": "0"}, "n_devices = '0'"),
        ({"tok_s_total": "9000"}, "tok_s_total = 9000"),
        ({"model": "Other", "params_b": "30", "active_params_b": "40"}, "active_params_b = 40 is above"),
        ({"precision": "fp8"}, "no arithmetic for fp8"),
        ({"params_b": "70"}, "params_b = 70, but Llama-3.1-8B has 8.03"),
        ({"hardware": "8xA100", "n_devices": "1"}, "hardware names 8 devices and n_devices is 1"),
    ],
)
def test_cells_that_were_misread_are_refused(cells, message):
    """A word that changes what the number means, read as something else without a word."""
    table = table_of({}, cells)
    assert len(table.rates) == 1
    assert re.search(message, table.refused[0])


@pytest.mark.parametrize(
    ("text", "devices", "ways"), [("TP4 PP2", 8, 4), ("EP8", 8, 8), ("tensor parallel", 4, 4), ("PP", 4, 1)]
)
def test_layouts_are_read(text, devices, ways):
    """Eight devices of a pipeline of two counted as eight ways."""
    assert table_of({"parallelism": text, "n_devices": str(devices)}).rates[0].ways == ways


def test_a_draft_is_a_draft_in_any_spelling():
    """A rate with a draft scored as plain because the cell says yes."""
    assert table_of({"spec_decode": "yes"}).rates[0].speculative


def test_a_rate_far_below_the_prediction_stays():
    """The emulator's worst miss hidden: a real rate of a slow machine is scored, not refused."""
    assert refuse_wrong_units(table_of({"tok_s_per_user": "0.24"})).refused == ()


@pytest.mark.parametrize(
    ("name", "device", "gbs"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM", 3350),
        ("RTX 4090 Mobile", "RTX4090-Laptop", 576),
        ("RTX 3060 12GB", "RTX3060", 360),
        ("RTX 3060 8GB", "RTX3060-8GB", 240),
        ("M3 Ultra 96GB", "Apple-M3Ultra", 819),
        ("Apple M4 Max 40-core", "Apple M4 Max 40-core", 546),
        ("Apple M4 Max 32-core", "Apple M4 Max 32-core", 410),
        ("M4 Max 48GB", "Apple-M4Max", 546),
        ("RTX PRO 6000 Blackwell Max-Q", "RTX-PRO-6000-Max-Q", 1790),
    ],
)
def test_spellings_of_a_shop_mean_the_right_card(name, device, gbs):
    """A card taken for its namesake with another memory: 8 GB at 240 GB/s is not 12 GB at 360."""
    found = find_device(name)
    assert (found.name, found.bandwidth_gbs) == (device, gbs)


@pytest.mark.parametrize("name", ["H20 141GB", "RTX 3050 6GB", "V100 16GB", "RTX 3080 Ti Laptop"])
def test_another_memory_is_another_card(name):
    """A size that the table does not have answered with the bandwidth of another card."""
    with pytest.raises(K2ReproError, match="unknown device"):
        find_device(name)


@pytest.mark.parametrize(
    "name",
    [
        "8xH100",
        "H100 x8",
        "H100x8",
        "8 × H100",
        "H100*8",
        "H100-80GB-x8",
        "8x NVIDIA H100 80GB",
        "8xRTX3060-12GB",
    ],
)
def test_a_device_is_one(name):
    """Eight cards answered as one: how many is said apart, and one in words is still one."""
    with pytest.raises(K2ReproError, match="names 8 devices.*devices=8"):
        find_device(name)
    with pytest.raises(K2ReproError, match="devices=8"):
        predict("k2-think", name)
    assert find_device("1x H100").name == "H100-SXM"


@pytest.mark.parametrize(
    ("name", "gbs", "cores", "memory"),
    [
        ("M4 Max 36GB", 410, 32, 36),
        ("Apple M4 Max 36 GB", 410, 32, 36),
        ("M3 Max 36GB", 300, 30, 36),
        ("M3 Max 96GB", 300, 30, 96),
        ("M3 Max 64GB", 400, 40, 64),
        ("M4 Max 64GB", 546, 40, 64),
        ("M4 Max", 546, 40, 128),
    ],
)
def test_a_size_that_comes_with_the_narrow_chip_only_is_that_chip(name, gbs, cores, memory):
    """The smallest Mac of a kind credited with the bandwidth of the largest."""
    found = find_device(name)
    assert (found.bandwidth_gbs, found.execution_units, found.capacity_gb) == (gbs, cores, memory)


def test_a_shared_memory_has_the_size_that_was_asked_for():
    """A small Mac credited with the largest memory that its chip is sold with."""
    assert find_device("M3 Ultra 96GB").capacity_gb == 96
    with pytest.raises(K2ReproError, match="does not fit"):
        predict("Llama-3.1-405B", "M3 Ultra 96GB", precision="q4_k_m")


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        ("LM Studio (MLX)", "soc", "compiled"),
        ("LM Studio (llama.cpp)", "soc", "ggml"),
        ("llama-server b6920", "gpu", "ggml-graph"),
        ("vLLM 0.11 --enforce-eager", "gpu", "uncaptured"),
        ("vLLM CPU", "cpu", "torch-cpu"),
        ("transformers 4.57", "cpu", "torch-cpu"),
        ("transformers 4.57", "gpu", "eager"),
    ],
)
def test_words_of_software_that_were_misread(words, kind, expected):
    """MLX taken for ggml, an eager server for a capturing one, PyTorch on a CPU for kernels on a GPU."""
    found = find_engine(words, kind, "NVIDIA" if kind == "gpu" else "", "RTX4090")
    assert (found.engine_class, found.known) == (expected, True)


def test_recalled_numbers_are_named_where_they_are_used():
    """A number that nobody read passed on as fact: the answer says so, and says nothing elsewhere."""
    devices = load_devices().values()
    recalled = [device for device in devices if device.recalled]
    assert 0 < len(recalled) < 20
    assert "unverified" in " ".join(predict("Qwen3-8B", "GB300").notes)
    assert predict("Qwen3-8B", "RTX4090").notes == ()
    assert all(device.source and device.confidence for device in devices)


def test_no_shape_of_the_table_is_recalled():
    """Sizes from memory sold as a source: every row names a file that was compared."""
    lines = resources.files("k2repro.wafer").joinpath("data/model_shapes.csv").read_text("utf-8").splitlines()
    sources = [row["shape_source"] for row in csv.DictReader(lines)]
    assert all(source and "memory" not in source for source in sources)
