# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 01 · Architecture: what one token passes through
#
# **Shows:** the shape of K2-Think, every parameter counted, what grouped
# attention saves, what a long context costs, what fits on which device, and
# a decoder equal to the one in `transformers`.
#
# **In short:** nothing in the architecture is special to reasoning. Three
# quarters of the weights sit in feed-forward blocks, sharing key and value
# heads makes long thoughts five times cheaper to remember, and 16-bit weights
# alone do not fit one wafer.
#
# K2-Think is Qwen2.5-32B with further training
# ([paper](https://arxiv.org/abs/2509.07604),
# [Qwen2.5 report](https://arxiv.org/abs/2412.15115)): a plain decoder. Every
# number in this notebook follows from one small file, the model's
# `config.json`. You follow one token through the layers, count every
# parameter, weigh the memory of a long context, and see which devices hold
# the model. At the end the decoder of this repository is compared with the
# one in `transformers`, weight for weight.
#
# Nothing here needs the real weights. What is *exact* follows from the config;
# what is *mini* was measured on tiny random models on this machine.

# %% tags=["parameters"]
profile = "laptop"
context_length = 32768  # 1 .. 131072 tokens
batch_size = 1  # 1 .. 1024 sequences
seed = 0  # 0 .. 1000000

# %%
from dataclasses import replace

import torch

from k2repro.architecture import ModelConfig
from k2repro.notebook import (
    checked_parameters, expected, show, show_table, tell)
from k2repro.paper import load_facts
from k2repro.pictures import architecture as pictures
from k2repro.results import open_rows

globals().update(checked_parameters("01_architecture", globals()))
rows = open_rows("01_architecture", profile=profile, parameters={
    "context_length": context_length, "batch_size": batch_size,
    "seed": seed})
k2 = ModelConfig.preset("k2-think")
published = load_facts()

# %% [markdown]
# ## The shape, in one table
#
# A decoder is described by a dozen numbers. Two matter more than the rest: 40
# query heads share 8 key and value heads, and the feed-forward block is more
# than five times wider than the stream it reads from.

# %%
meanings = {
    "num_hidden_layers": "decoder layers, one after the other",
    "hidden_size": "values in a token's vector, the residual stream",
    "num_attention_heads": "query heads in a layer",
    "num_key_value_heads": "key and value heads in a layer",
    "head_dim": "values in a head",
    "intermediate_size": "width inside the feed-forward block",
    "vocab_size": "rows of the embedding, and of the head",
    "max_position_embeddings": "longest context it was made for, tokens",
    "rope_theta": "base of the rotary position embedding",
    "rms_norm_eps": "keeps the norm from dividing by zero",
    "tie_word_embeddings": "whether head and embedding share a matrix",
}
show_table([
    {"key in config.json": key, "value": vars(k2)[key], "meaning": text}
    for key, text in meanings.items()], caption="The shape of K2-Think")

# %% [markdown]
# The table is the config of the base model. K2-Think's own `config.json` was
# not at hand; `presets/SOURCES.md` in the package says what is verified.

# %% [markdown]
# ## One token's journey
#
# The next cell runs the real decoder of this repository at its full size of 64
# layers, on PyTorch's *meta* device: shapes without memory. It decodes one
# token that looks back on a full context. Hooks note every output.
#
# The vector keeps one width throughout, the *residual stream*. It is widened
# twice: briefly in every feed-forward block, and once at the end, to a score
# for each token of the vocabulary.

# %%
from k2repro.architecture.journey import trace_token

steps = trace_token(k2, context_length, device="meta")
tiny = ModelConfig(
    vocab_size=97, hidden_size=40, intermediate_size=64,
    num_hidden_layers=2, num_attention_heads=5, num_key_value_heads=1)
small = trace_token(tiny, 6)
show_table([{
    "step": step.module, "what happens": step.meaning,
    "tiny model": str(list(twin.shape)),
    "K2-Think": str(list(step.shape)),
} for step, twin in zip(steps, small, strict=True)],
    caption="Shapes while one token is decoded: batch, tokens, values")

# %% tags=["nbval-ignore-output"]
figure, records = pictures.journey_picture(steps)
show(figure, alt="Bars of the vector's width at each step: a constant "
     "stream, narrow keys and values, a wide feed-forward block, and a "
     "very wide head.", table=records,
     takeaway="Keys and values are a fifth of the stream: what has to be "
     "remembered of every token is small on purpose.")

# %%
together = sum(step.parameters for step in steps)
rows.add("architecture.k2-think.journey.parameters", together,
         unit="parameters")
rows.add("architecture.k2-think.feed_forward_widening",
         k2.intermediate_size / k2.hidden_size, unit="ratio")
tell(rows, "The steps of the table use "
     "{architecture.k2-think.journey.parameters:,} parameters together, in "
     "all layers. The feed-forward block widens the stream by a factor of "
     "{architecture.k2-think.feed_forward_widening:.1f}.")

# %% [markdown]
# ## Where the parameters sit
#
# `count_parameters` adds up products of the numbers above; no model is built.
# With hidden size $d$, feed-forward width $f$, $h$ query heads and $g$ key and
# value heads of size $e$, one layer has
#
# $$\underbrace{3 d f}_{\text{feed-forward}} +
#   \underbrace{2 d h e + 2 d g e + (h + 2g) e}_{\text{attention}} +
#   \underbrace{2 d}_{\text{norms}}$$
#
# The three matrices of the feed-forward block hold most of it; attention holds
# little, because sharing key and value heads saves weights too.

# %% tags=["show-code"]
from k2repro.architecture import count_parameters

count = count_parameters(k2)
print(f"{count.total:,} parameters, "
      f"{count.non_embedding:,} of them in layers")

# %%
feed_forward = sum(number for name, number in count.by_component.items()
                   if name.startswith("mlp"))
rows.add("architecture.k2-think.feed_forward_share",
         feed_forward / count.total, unit="fraction")
rows.add("architecture.k2-think.parameters.total", count.total,
         unit="parameters",
         paper_ref="article/K2-Think/parameters (technical)")
rows.add("architecture.k2-think.parameters.non_embedding",
         count.non_embedding, unit="parameters",
         paper_ref="context/Qwen2.5-32B card/non-embedding parameters")
for component, number in count.by_component.items():
    rows.add(f"architecture.k2-think.parameters.{component}", number,
             unit="parameters")

# %% tags=["nbval-ignore-output"]
figure, records = pictures.parameters_picture(k2)
show(figure, alt="Bars of parameters by component: the three feed-forward "
     "matrices are equal and far larger than queries, outputs, embedding "
     "and head; keys, values and norms are small.", table=records,
     takeaway="Most of the model is the feed-forward blocks; attention, "
     "the part that everybody talks about, is small.")

# %%
keys = ["article/K2-Think/parameters (headline)",
        "article/K2-Think/parameters (technical)",
        "context/Qwen2.5-32B card/parameters",
        "context/Qwen2.5-32B card/non-embedding parameters"]
show_table([{
    "published as": key, "published": published.number(key),
    "exact": (count.non_embedding if "non-embedding" in key
              else count.total) / 1e9} for key in keys],
    caption="Published sizes beside the exact count, in billions")

# %%
stated = published.number(keys[1])
rows.add("architecture.k2-think.size_gap",
         1 - stated * 1e9 / count.total, unit="fraction")
tell(rows, "K2-Think has {architecture.k2-think.parameters.total:,} "
     "parameters, {architecture.k2-think.parameters.non_embedding:,} "
     "without embedding and head. The feed-forward blocks hold "
     "{architecture.k2-think.feed_forward_share:pct}. The headline's size "
     "is a class; the finer figure, which Qwen's own card prints too, "
     "is {architecture.k2-think.size_gap:.1%} below the sum: not rounded.")

# %% [markdown]
# How does that change with size? The vocabulary is almost the same for every
# member of the family, so small models spend a large share on it. There is a
# step as well: from 7B on, embedding and head are two separate matrices.

# %% tags=["nbval-ignore-output"]
sizes = ["0.5b", "1.5b", "3b", "7b", "14b", "32b", "72b"]
figure, records = pictures.composition_picture(
    [f"qwen2.5-{size}" for size in sizes])
show(figure, alt="Stacked shares for seven Qwen2.5 sizes: the part "
     "of embedding and head falls from over a quarter to a few percent, "
     "with a step up at 7B; feed-forward is the largest everywhere.",
     table=records,
     takeaway="A small model pays for its vocabulary first.")

# %%
shares = [record["embedding and head"] for record in records]
expected("The smallest model spends most on its vocabulary.",
         holds=max(shares) == shares[0])

# %% [markdown]
# ## Positions: a clock for every pair of dimensions
#
# Attention itself does not know about order. The rotary embedding
# ([RoFormer](https://arxiv.org/abs/2104.09864)) turns each pair of dimensions
# of a query or key by an angle that grows with its position $p$:
#
# $$\varphi_i(p) = p\, \theta^{-2i/e}, \qquad i = 0 \dots e/2 - 1$$
#
# with the base $\theta$ of the config and heads of size $e$. Fast pairs tell
# neighbours apart; slow ones tell chapters apart.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.clocks_picture(
    k2, [0, 1, 2, 5, 10, 100, 1000, 10000, 100000])
show(figure, alt="A grid of 64 small clocks, one for each pair of a head: "
     "thin hands have come round, thick hands are in their first turn.",
     table=records,
     takeaway="Every position sets 64 hands. The first few tell this token "
     "from the next, the last few this chapter from another.")

# %% [markdown]
# With the base of K2-Think, the slowest clocks do not complete a turn within
# the whole context. And only *distances* matter: shifting all positions leaves
# the logits alone, up to rounding.

# %% tags=["nbval-ignore-output"]
from k2repro.architecture import RopeScaling

yarn = RopeScaling(kind="yarn", factor=4.0,
                   original_max_position_embeddings=32768)
figure, records = pictures.wavelengths_picture({
    "K2-Think (base 1e6)": k2,
    "base 1e4": replace(k2, rope_theta=1e4),
    "base 1e6, stretched by YaRN": replace(k2, rope_scaling=yarn)})
show(figure, alt="Turning times of the rotary pairs on a log scale: "
     "straight lines from a few tokens upwards; base 1e6 rises above the "
     "context length, base 1e4 does not; YaRN lifts only the slow pairs.",
     table=records,
     takeaway="A larger base slows the slow clocks: they do not come "
     "round within the context.")

# %%
from k2repro.architecture.parity import random_decoder, relative_difference

slow = sum(record["K2-Think (base 1e6)"] > k2.max_position_embeddings
           for record in records)
rows.add("architecture.rope.pairs_slower_than_context", slow,
         unit="pairs")
model = random_decoder(tiny, torch.Generator().manual_seed(seed))
tokens = torch.randint(
    97, (2, 12), generator=torch.Generator().manual_seed(seed + 1))
with torch.no_grad():
    shifted = model(tokens, positions=torch.arange(500, 512)[None])
    plain = model(tokens)

# %% tags=["nbval-ignore-output"]
rows.add("architecture.rope.shift_difference",
         relative_difference(shifted, plain), unit="ratio", scale="mini",
         n=plain.numel(), seeds=(seed, seed + 1))
tell(rows, "{architecture.rope.pairs_slower_than_context} of the pairs "
     "turn more slowly than the context is long. Shifting every position "
     "by the same amount moved the tiny model's logits by "
     "{architecture.rope.shift_difference:.0e} of the largest: rounding.")

# %% [markdown]
# ## What grouped-query attention saves
#
# Keys and values of all past tokens are kept in the *KV cache*; otherwise each
# new token would repeat the work of all before it. The cache grows with
# layers $L$, KV heads $g$ and context $c$: $2 L g e c$ values, two for keys
# and values ([GQA](https://arxiv.org/abs/2305.13245)). Forty query heads
# sharing eight KV heads cut it to a fifth.

# %% tags=["show-code"]
from k2repro.architecture import kv_cache_bytes

per_token = kv_cache_bytes(k2, 1)
unshared = kv_cache_bytes(
    replace(k2, num_key_value_heads=k2.num_attention_heads), 1)
print(f"{per_token:,} bytes a token, {unshared:,} without sharing")

# %%
rows.add("architecture.k2-think.kv_bytes_per_token", per_token,
         unit="bytes")
rows.add("architecture.k2-think.kv_saving", unshared / per_token,
         unit="ratio")
sizes_gb = {
    "at_context": kv_cache_bytes(k2, context_length, batch_size),
    "full_context": kv_cache_bytes(k2, k2.max_position_embeddings)}
for name, size in sizes_gb.items():
    rows.add(f"architecture.k2-think.kv_gb_{name}", size / 1e9, unit="GB")

# %% tags=["nbval-ignore-output"]
contexts = [8192, 16384, 32768, 65536, 131072]
figure, records = pictures.sharing_picture(k2, contexts)
show(figure, alt="Bars of KV cache size for different numbers of KV heads: "
     "each doubling of heads doubles the cache; the eight heads of this "
     "model are hatched.", table=records,
     takeaway="Eight heads in place of forty: a fifth of the memory, for "
     "every token of every thought.")

# %%
tell(rows, "Every token costs "
     "{architecture.k2-think.kv_bytes_per_token:,} bytes in 16 bit, "
     "{architecture.k2-think.kv_saving:.0f} times less than without "
     "sharing. One sequence of full length still takes "
     "{architecture.k2-think.kv_gb_full_context:.1f} GB.")

# %% [markdown]
# ## What a long context costs
#
# Decoding one token reads every weight once and the whole cache once. Two
# shares grow with the context: the *bytes* of the cache beside the weights,
# and the *arithmetic* of attention beside the matrix products. Sharing KV heads
# saves bytes, but every query head still meets every key.

# %% tags=["nbval-ignore-output"]
figure, records = pictures.context_picture(
    k2, [2**power for power in range(9, 18)])
show(figure, alt="Two rising curves over the context length: the share of "
     "attention in the arithmetic climbs faster and higher than the share "
     "of the cache in the bytes read.", table=records,
     takeaway="As the context grows, attention's share of the arithmetic "
     "grows sooner than the cache's share of the bytes.")

# %%
expected("At full context attention has a larger share of the arithmetic "
         "than the cache of the bytes.",
         holds=records[-1]["attention FLOPs (%)"]
         > records[-1]["cache bytes read (%)"])

# %%
from k2repro.architecture import decode_flops, prefill_flops

longest = k2.max_position_embeddings
rows.add("architecture.k2-think.flops_per_token.decode_first",
         decode_flops(k2, 1).total, unit="FLOP")
rows.add("architecture.k2-think.flops.prefill",
         prefill_flops(k2, context_length).total, unit="FLOP")
rows.add("architecture.k2-think.kv_equals_weights_at",
         2 * count.read_per_token // per_token, unit="tokens")
for name, context in (("decode", context_length), ("decode_full", longest)):
    flops = decode_flops(k2, context)
    rows.add(f"architecture.k2-think.flops_per_token.{name}", flops.total,
             unit="FLOP")
    rows.add(f"architecture.k2-think.attention_share.{name}",
             flops.attention_share, unit="fraction")

# %%
show_table([{"component": name, "first token": first, "full context": full}
            for (name, first), full in zip(
                decode_flops(k2, 1).by_component.items(),
                decode_flops(k2, longest).by_component.values(),
                strict=True)],
           caption="FLOPs of one decoding step (a multiply-add is 2)")

# %%
tell(rows, "The first token costs "
     "{architecture.k2-think.flops_per_token.decode_first:.3g} FLOPs, "
     "about two for each weight. At full context it is "
     "{architecture.k2-think.flops_per_token.decode_full:.3g}, and "
     "attention takes "
     "{architecture.k2-think.attention_share.decode_full:pct} of it. "
     "The cache would weigh as much as the weights at "
     "{architecture.k2-think.kv_equals_weights_at:,} tokens, summed over "
     "all sequences of a batch.")

# %% [markdown]
# ## What fits on which device
#
# Weights and cache must both fit. The table counts the bytes of each format
# with its scales; the figure divides by the memory of real devices. Only
# capacity is compared here: activations and the software's own memory come on
# top, and speed is the matter of notebook 07.

# %%
from k2repro.architecture import memory_by_precision, weight_bytes

memory = memory_by_precision(k2, context_length, batch_size)
for precision, parts in memory.items():
    rows.add(f"architecture.k2-think.weight_bytes.{precision}",
             parts["weights"], unit="bytes")
rows.add("architecture.k2-think.weight_bytes.16bit",
         weight_bytes(k2, "bf16"), unit="bytes")
show_table([{"precision": precision} | {
    f"{part} (GB)": size / 1e9 for part, size in parts.items()}
    for precision, parts in memory.items()],
    caption="Memory of K2-Think at the chosen context and batch size")

# %% tags=["nbval-ignore-output"]
from k2repro.wafer import load_devices

names = ["RTX4090", "L40S", "A100-80GB-SXM", "H100-SXM", "H200",
         "B200-HGX", "MI300X", "Apple-M3Max", "Apple-M3Ultra", "WSE-3"]
devices = {name: load_devices()[name] for name in names}
figure, records = pictures.fit_picture(
    k2, devices, [1024, 32768, 65536, 131072], batch_size)
full = {record["device"]: record for record in records
        if record["context"] == 131072}
show(figure, alt="Grid of devices against precisions with the number of "
     f"devices needed; in 16 bit {full['H100-SXM']['bf16']} H100-SXM and "
     f"{full['WSE-3']['bf16']} WSE-3 at the longest context.",
     table=records,
     takeaway="In 16 bit the weights alone are too large for the on-chip "
     "memory of one wafer, whatever the context.")

# %%
from k2repro.architecture import devices_needed

for name in ("WSE-3", "H100-SXM", "H200"):
    for precision in ("bf16", "fp8", "int4"):
        need = memory[precision]["total"]
        rows.add(
            f"architecture.k2-think.devices.{name.lower()}.{precision}",
            devices_needed(need, devices[name].capacity_gb * 1e9),
            unit="devices")

# %%
rows.add("architecture.k2-think.devices.wse-3.bf16_weights_only",
         devices_needed(weight_bytes(k2, "bf16"),
                        devices["WSE-3"].capacity_gb * 1e9),
         unit="devices")
tell(rows, "In 16 bit the weights alone take "
     "{architecture.k2-think.weight_bytes.16bit:,} bytes and need "
     "{architecture.k2-think.devices.wse-3.bf16_weights_only} WSE-3, "
     "before any cache. The article (K2Think.in) speaks of 16-bit weights "
     "and of one chip: both cannot hold on on-chip memory alone.")

# %% [markdown]
# Try your own numbers: in JupyterLab the next cell draws controls that
# recompute the table. Without a kernel it shows the values from above.

# %%
import os

from IPython.display import display


def weigh(model="k2-think", context=context_length, batch=batch_size):
    config = ModelConfig.preset(model)
    show_table([{"precision": name} | {
        f"{part} (GB)": size / 1e9 for part, size in parts.items()}
        for name, parts in memory_by_precision(
            config, context, batch).items()],
        caption=f"{model}, {context:,} tokens, batch {batch}")


weigh()

# %% tags=["nbval-ignore-output"]
if "K2REPRO_RUN" not in os.environ:
    from ipywidgets import interactive

    display(interactive(
        weigh, model=list(ModelConfig.preset_names()),
        context=list(contexts), batch=(1, 64)))

# %% [markdown]
# ## Is it the same model?
#
# Counting is one thing, computing another. The decoder of this repository and
# `transformers.Qwen2ForCausalLM` get the same random weights and the same
# tokens: in one pass, token by token with a cache, and with padding on the
# left. Equal means within 32-bit rounding.

# %%
from k2repro.architecture.parity import compare_logits, transformers_twin


def tiny_config(ratio, tied, theta):
    return ModelConfig(
        vocab_size=97, hidden_size=16 * ratio, intermediate_size=48,
        num_hidden_layers=2, num_attention_heads=2 * ratio,
        num_key_value_heads=2, rope_theta=theta, tie_word_embeddings=tied)


# %%
results = []
for ratio in (1, 2, 5, 7):
    for tied, theta in ((False, 1e6), (True, 1e4)):
        ours = random_decoder(tiny_config(ratio, tied, theta),
                              torch.Generator().manual_seed(seed))
        for one in compare_logits(ours, transformers_twin(ours), tokens):
            results.append({
                "query heads a KV head": ratio, "tied head": tied,
                "base": theta, "mode": one.mode,
                "equal": one.equal, "difference": one.difference})

# %%
from k2repro.architecture.parity import TOLERANCE

rows.add("architecture.parity.max_relative_difference",
         max(result["difference"] for result in results), unit="ratio",
         scale="mini", n=len(results), seeds=(seed, seed + 1))
rows.add("architecture.parity.bar", TOLERANCE, unit="ratio")
show_table(results, caption="Logits against transformers",
           columns=list(results[0])[:-1])

# %% [markdown]
# A comparison that cannot fail says nothing. So here is a decoder that forgets
# the biases on queries, keys and values, the one detail in which Qwen2 differs
# from Llama. It has the right shapes and produces fluent-looking logits.

# %%
ours = random_decoder(tiny_config(5, False, 1e6),
                      torch.Generator().manual_seed(seed))
twin = transformers_twin(ours)
with torch.no_grad():
    for name, parameter in ours.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
broken = compare_logits(ours, twin, tokens)
rows.add("architecture.parity.without_bias",
         min(one.difference for one in broken), unit="ratio", scale="mini",
         n=len(broken), seeds=(seed, seed + 1))
show_table([{"mode": one.mode, "equal": one.equal} for one in broken],
           caption="The same comparison for a decoder without biases")

# %% tags=["nbval-ignore-output"]
tell(rows, "Largest difference in the comparisons above: "
     "{architecture.parity.max_relative_difference} of the largest "
     "logit; allowed is {architecture.parity.bar:.0e}. Without biases it "
     "is {architecture.parity.without_bias:.2f}.")

# %% [markdown]
# ## A checkpoint, there and back
#
# `save_pretrained` writes what `transformers` and vLLM load: a config, weights
# in safetensors, in several files when they are large. Both readers must give
# identical logits, not close ones.

# %%
import tempfile
from pathlib import Path

from k2repro.architecture import save_pretrained

keep = tempfile.TemporaryDirectory()
folder = Path(keep.name)
source = random_decoder(tiny_config(5, False, 1e6),
                        torch.Generator().manual_seed(seed))
save_pretrained(source, folder, max_shard_bytes=40_000)
show_table([{"file": path.name, "bytes": path.stat().st_size}
            for path in sorted(folder.iterdir())],
           caption="A sharded checkpoint")

# %%
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from k2repro.architecture import load_pretrained

logging.disable_progress_bar()
with torch.no_grad():
    wanted = source(tokens)
    ours = load_pretrained(folder)(tokens)
    theirs = AutoModelForCausalLM.from_pretrained(folder)(tokens).logits
for reader, got in (("ours", ours), ("transformers", theirs)):
    rows.add(f"architecture.checkpoint.{reader}_difference",
             relative_difference(got, wanted), unit="ratio", scale="mini",
             n=wanted.numel(), seeds=(seed, seed + 1))

# %%
tell(rows, "Difference after the round trip: "
     "{architecture.checkpoint.ours_difference} with our reader, "
     "{architecture.checkpoint.transformers_difference} with transformers.")

# %% [markdown]
# And a damaged one: the second shard loses its last byte, as after an
# interrupted download. Expect an error that names the file.

# %%
from k2repro.errors import K2ReproError

shard = sorted(folder.glob("*.safetensors"))[1]
os.truncate(shard, shard.stat().st_size - 1)
try:
    load_pretrained(folder)
except K2ReproError as error:
    print(str(error).replace(str(folder), "checkpoint"))
keep.cleanup()

# %% [markdown]
# ## What to take home

# %%
tell(rows, """
- K2-Think is a plain Qwen2 decoder of
  {architecture.k2-think.parameters.total:,} parameters;
  {architecture.k2-think.feed_forward_share:pct} of them are feed-forward.
- Sharing KV heads makes the cache {architecture.k2-think.kv_saving:.0f}
  times smaller: {architecture.k2-think.kv_bytes_per_token:,} bytes a token.
- At full context, attention is
  {architecture.k2-think.attention_share.decode_full:pct} of a step's
  arithmetic.
- In 16 bit, weights alone need
  {architecture.k2-think.devices.wse-3.bf16_weights_only} WSE-3.
- The decoder here and the one in transformers agree within
  {architecture.parity.bar:.0e}.
""")
saved = rows.save()

# %% [markdown]
# ## Try it
#
# 1. *(5 minutes)* How many KV heads would let one full-length sequence and
#    the 8-bit weights share one WSE-3? Change `num_key_value_heads` in
#    `replace(k2, ...)`.
# 2. *(5 minutes)* Make the rotary base a hundred times larger in the clocks
#    above. Which clocks change most, and does the shift experiment still hold?
# 3. *(5 minutes)* In `tiny_config`, set `num_key_value_heads=1`. Do the logits
#    still agree with transformers? Should they?

# %% [markdown]
# ## Exercises
#
# Write the missing lines, run the cell, and run the check below it. A check
# looks at what your code gives, says what is likely wrong, and stops nothing.

# %%
from k2repro.notebook import checks

# %% [markdown]
# ### Exercise 1 · What one token adds to the cache
#
# *Easy · about 5 minutes.* Write the number of bytes that one more token adds
# to the KV cache of a decoder with grouped-query attention.
#
# <details><summary>Hint</summary>
#
# Which two tensors does a layer keep for a token? Over how many heads, and in
# how many layers?
#
# </details>

# %% tags=["exercise"]
def kv_bytes(layers, kv_heads, head_dim, query_heads, bytes_per_value):
    """Bytes that one token adds to the KV cache."""
    ### BEGIN SOLUTION
    return 2 * layers * kv_heads * head_dim * bytes_per_value
    ### END SOLUTION

# %% tags=["check"]
checks.kv_bytes_per_token(kv_bytes)

# %% [markdown]
# ### Exercise 2 · Turn a pair
#
# *Medium · about 10 minutes.* The rotary embedding takes two values of a
# query or key as a point in the plane and turns it by position times
# frequency, an angle in radians. Write that.
#
# <details><summary>Hint</summary>
#
# A point (1, 0) turned by an angle lands on (cos, sin). What does (0, 1) land
# on?
#
# </details>

# %% tags=["exercise"]
from math import cos, sin


def rotate(x, y, position, frequency):
    """The pair (x, y) turned to its position, as a list of two."""
    ### BEGIN SOLUTION
    angle = position * frequency
    return [x * cos(angle) - y * sin(angle),
            x * sin(angle) + y * cos(angle)]
    ### END SOLUTION

# %% tags=["check"]
checks.rotated(rotate)

# %% [markdown]
# ### Exercise 3 · How many long thoughts at once?
#
# *Medium · about 10 minutes.* Eight GPUs of 80e9 bytes each hold the
# 16-bit weights once, split among them. How many sequences of full length fit
# beside the weights? `weight_bytes` and `kv_cache_bytes` are imported above.
#
# <details><summary>Hint</summary>
#
# Take the weights off the memory of all eight, and divide by the cache of one
# sequence. Half a sequence is none.
#
# </details>

# %% tags=["exercise"]
### BEGIN SOLUTION
room = 8 * 80e9 - weight_bytes(k2, "bf16")
sequences = int(room // kv_cache_bytes(k2, k2.max_position_embeddings))
### END SOLUTION

# %% tags=["check"]
checks.sequences_that_fit(sequences)
