"""What notebook 01 shows: the journey, the comparison and the figures say what the accounting says."""

import architecture_tiny as tiny
import pytest
import torch

from k2repro.architecture import ModelConfig, count_parameters, devices_needed, kv_cache_bytes, weight_bytes
from k2repro.architecture.journey import trace_token
from k2repro.architecture.parity import MODES, compare_logits, random_decoder, transformers_twin
from k2repro.notebook.show import bundles
from k2repro.pictures import architecture as pictures
from k2repro.wafer.model.devices import load_devices

K2 = ModelConfig.preset("k2-think")


@pytest.mark.parametrize("name", ["k2-think", "qwen2.5-0.5b"])
def test_journey_uses_every_parameter_once(name):
    """Catches a step left out of the table, or a tied head counted twice."""
    config = ModelConfig.preset(name)
    steps = trace_token(config, 100, device="meta")
    assert sum(step.parameters for step in steps) == count_parameters(config).total


def test_journey_shapes_are_those_of_a_real_run():
    """Catches shapes on the meta device that differ from a run with numbers."""
    config = tiny.tiny_config(ratio=5)
    assert trace_token(config, 6) == trace_token(config, 6, device="meta")
    shapes = {step.module: step.shape for step in trace_token(config, 1)}
    assert shapes["(KV cache)"] == (1, 2, 1, 8)
    assert shapes["lm_head"] == (1, 1, 97)


def test_shown_comparison_covers_each_mode_and_can_fail():
    """Catches a notebook comparison that is equal whatever the decoder computes."""
    model = random_decoder(tiny.tiny_config(ratio=2), torch.Generator().manual_seed(0))
    twin, tokens = transformers_twin(model), tiny.random_tokens(2, 9)
    good = compare_logits(model, twin, tokens)
    assert [one.mode for one in good] == list(MODES)
    assert all(one.equal for one in good)
    with torch.no_grad():
        model.model.layers[1].self_attn.v_proj.bias.zero_()
    assert not any(one.equal for one in compare_logits(model, twin, tokens))


def drawn(picture):
    """Records of a picture that `show` accepts: it has a static drawing and a table."""
    figure, records = picture
    live, words = bundles(figure, "a description that is long enough to be one", records)
    assert live
    assert words
    return records


def test_parameter_figures_show_the_counts():
    """Catches a figure whose bars do not add up to the model."""
    records = drawn(pictures.parameters_picture(K2))
    assert sum(record["parameters"] for record in records) == 32_763_876_352
    for record in drawn(pictures.composition_picture(["qwen2.5-0.5b", "k2-think"])):
        shares = [record[group] for group in set(pictures.GROUPS.values())]
        assert sum(shares) == pytest.approx(1.0)


def test_journey_figure_shows_the_widths():
    """Catches bars that belong to another step."""
    records = drawn(pictures.journey_picture(trace_token(K2, 2, device="meta")))
    widths = {record["step"]: record["width"] for record in records}
    assert (widths["self_attn.k_proj"], widths["mlp.up_proj"]) == (1024, 27648)


def test_wavelength_figure_matches_the_clock():
    """Catches radians drawn as turns: the fastest pair turns once in 2 pi tokens."""
    records = drawn(pictures.wavelengths_picture({"K2": K2}))
    assert records[0]["K2"] == pytest.approx(6.2831853)
    assert len(records) == 64
    assert records[63]["K2"] == pytest.approx(6.2831853 * 1e6 ** (126 / 128), rel=1e-5)


def test_memory_figures_show_the_accounting():
    """Catches sliders whose states are shifted against their labels."""
    for record in drawn(pictures.sharing_picture(K2, [1000, 2000])):
        if record["KV heads"] == 8:
            assert record["GB"] == kv_cache_bytes(K2, record["context"]) / 1e9
    figure, _ = pictures.sharing_picture(K2, [1000, 2000])
    for frame, step in zip(figure.frames, figure.layout.sliders[0].steps, strict=True):
        assert frame.name == step.label == step.args[0][0]
        assert frame.data[0].y[4] == kv_cache_bytes(K2, int(frame.name.replace(",", ""))) / 1e9


def test_context_figure_ends_at_full_length():
    """Catches shares of different steps compared with each other."""
    records = drawn(pictures.context_picture(K2, [1, 131_072]))
    assert records[0]["attention FLOPs (%)"] < 0.01
    # 2 x 64 layers x 40 heads x 128 values x 2 FLOPs a token, against twice the weights read.
    pairs = 131_072 * 4 * 64 * 40 * 128
    vectors = 129 * 5120 + 64 * 56 * 128
    matrices = 2 * (count_parameters(K2).read_per_token - vectors)
    assert records[1]["attention FLOPs (%)"] == pytest.approx(100 * pairs / (pairs + matrices))


def test_fit_figure_counts_devices():
    """Catches weights without their cache, or a device's memory in the wrong unit."""
    devices = {name: load_devices()[name] for name in ("WSE-3", "H200")}
    records = drawn(pictures.fit_picture(K2, devices, [1024, 131_072], batch_size=2))
    for record in records:
        need = weight_bytes(K2, "bf16") + kv_cache_bytes(K2, record["context"], 2)
        capacity = devices[record["device"]].capacity_gb * 1e9
        assert record["bf16"] == devices_needed(need, capacity)
