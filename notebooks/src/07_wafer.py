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
# # 07 · The wafer: how fast can weights be read?
#
# **Shows:** why bandwidth alone explains neither a wafer nor a GPU, where the
# time of one token goes, what the two published rates ask for, and how far
# the emulator can be trusted.
#
# To write one token, a model reads all its weights once. The article
# concludes: more bandwidth, more speed. It puts a wafer's bandwidth beside an
# H100's and explains K2-Think's rate with the ratio.
#
# That argument predicts a rate, and the rate is wrong by two orders of
# magnitude.
# This notebook replaces it by an emulator that knows what else a step waits
# for, and holds it against measured rates from public sources. Nothing is
# measured on a wafer here. Every wafer rate is a prediction with a band.

# %% tags=["parameters"]
profile = "laptop"
context_length = 16000  # 1 .. 131072 tokens
draft_tokens = 4  # 1 .. 64
sample_tokens = 32000  # 1 .. 131072
plan_tokens = 600  # 1 .. 131072
judge_tokens = 50  # 1 .. 131072

# %%
from functools import partial

from k2repro.notebook import (
    checked_parameters, expected, show, show_table, tell)
from k2repro.paper import evaluate_claims, find_claim, load_facts
from k2repro.pictures import wafer as pictures
from k2repro.pictures import wafer_validation as pictures_validation
from k2repro.results import open_rows
from k2repro.wafer import find_device, find_shape, load_rates, predict

globals().update(checked_parameters("07_wafer", globals()))
rows = open_rows("07_wafer", profile=profile, parameters={
    "context_length": context_length, "draft_tokens": draft_tokens,
    "sample_tokens": sample_tokens, "plan_tokens": plan_tokens,
    "judge_tokens": judge_tokens})
predicted = partial(rows.add, scale="predicted")
book = load_facts()
k2 = find_shape("k2-think")
METHOD = "80 % of rows held out of the fit"

# %% [markdown]
# ## The roofline
#
# A processor has two walls: bytes that it can read a second, and arithmetic
# that it can do a second. Work with little arithmetic per byte hits the first.
# Decoding one sequence does one multiplication and one addition per weight.
#
# Look for every GPU's dot of batch one on the slope, far below its roof. The
# wafer has so much bandwidth that its dots touch the roof already.

# %% tags=["nbval-ignore-output"]
names = ["RTX4090", "A100-80GB-SXM", "H100-SXM", "H20-96GB", "WSE-3"]
figure, records = pictures.roofline_picture(
    pictures.fan_of_devices(names), k2, [1, 16, 256])
show(figure, alt="Log-log roofs of five devices: all rise with the same "
     "slope and then turn flat; the wafer's line lies far above the "
     "others; dots mark decode steps of batch 1, 16 and 256.",
     table=records,
     takeaway="One sequence leaves a GPU far down its slope, waiting for "
     "bytes; a wafer has so many that it touches its roof.")

# %%
h100, wse = find_device("H100-SXM"), find_device("WSE-3")
roof = predict(k2, wse, check_fit=False, context_length=1)
gpu_roof = predict(k2, h100, context_length=1)
by_bytes = wse.bandwidth_gbs * 1e9 / roof.bytes_per_step
rows.add("wafer.k2-think.wse-3.bandwidth_roof", by_bytes,
         unit="tokens/s")
rows.add("wafer.k2-think.h100-sxm.bandwidth_roof",
         gpu_roof.roofline_tokens_per_second, unit="tokens/s")
rows.add("wafer.published_wafer_rate",
         book.number("article/K2-Think on Cerebras/decode rate"),
         unit="tokens/s",
         paper_ref="article/K2-Think on Cerebras/decode rate")
rows.add("wafer.share_of_roof",
         rows["wafer.published_wafer_rate"].value / by_bytes,
         unit="fraction")

# %%
tell(rows, "By bandwidth alone one wafer would write "
     "{wafer.k2-think.wse-3.bandwidth_roof:,.0f} tokens a second, and one "
     "H100 {wafer.k2-think.h100-sxm.bandwidth_roof:.0f}. The published "
     "{wafer.published_wafer_rate:,.0f} are {wafer.share_of_roof:.1%} of "
     "the wafer's roof. Something other than bandwidth decides.")

# %% [markdown]
# ## A ladder from the article's ratio to a real one
#
# Start from the ratio that the article prints and make it honest, one step at
# a time. Weights of sixteen bits need two wafers. A GPU deployment has up to
# eight GPUs. On a wafer one layer works at a time, so only the cores of its
# region read; eight GPUs share every layer and all read at once. Last,
# predicted rates take the place of bandwidths.

# %%
one, eight = (predict(k2, h100, devices=n, context_length=context_length)
              for n in (1, 8))
two, three, four = (
    predict(k2, wse, devices=n, context_length=context_length)
    for n in (2, 3, 4))
from k2repro.wafer.model.mesh import best_placement

placed = best_placement(k2, wse.execution_units, 2,
                        context_length=context_length)
at_work = placed.region.cores / (2 * wse.execution_units)

# %%
rungs = {
    "as printed in the article": book.number(
        "article/WSE-3/bandwidth advantage over H100"),
    "bandwidth, data sheets": wse.bandwidth_gbs / h100.bandwidth_gbs,
    "bandwidth, 2 wafers and 8 GPUs":
        2 * wse.bandwidth_gbs / (8 * h100.bandwidth_gbs),
    "bandwidth of the region at work, and 8 GPUs":
        at_work * 2 * wse.bandwidth_gbs / (8 * h100.bandwidth_gbs),
    "rates, 2 wafers and 1 GPU":
        two.tokens_per_second / one.tokens_per_second,
    "rates, 2 wafers and 8 GPUs":
        two.tokens_per_second / eight.tokens_per_second}

# %% tags=["nbval-ignore-output"]
figure, records = pictures.ladder_picture(rungs)
first, last = (list(rungs.values())[at] for at in (0, -1))
show(figure, alt="Bars on a log axis, one for each rung of the ladder; "
     "they shrink downwards.", table=records,
     takeaway=f"A factor of {first:,.0f} between two bandwidths is one of "
     f"{last:.0f} between two predicted rates.")

# %%
for name, value in zip(
        ("printed", "data_sheets", "two_wafers_eight_gpus",
         "region_at_work", "rates_one_gpu", "rates_eight_gpus"),
        rungs.values(),
        strict=True):
    rows.add(f"wafer.ladder.{name}", value, unit="ratio",
             scale="predicted" if "rates" in name else "exact")
tell(rows, "From {wafer.ladder.printed:,.0f} times by bandwidth to "
     "{wafer.ladder.rates_one_gpu:.0f} times by predicted rates against "
     "one H100, and {wafer.ladder.rates_eight_gpus:.1f} times against "
     "eight. "
     "No draft is in these rates.")

# %% [markdown]
# ## The mesh: why more cores can be slower
#
# A wafer maps its layers to square regions of cores. A token passes the layers
# one after the other, so one layer works at a time. Inside a region, each
# product sends its input along one side and adds partial sums along the other.
# The way grows with the side of the region, the load per core shrinks.
#
# The three numbers of this model are fitted on rates that were measured on a
# WSE-2; for the two largest models their authors ran some of the layers and
# scaled. Expect marks on the curves, and curves that fall to the right.

# %% tags=["nbval-ignore-output"]
table = load_rates()
wse2 = [rate for rate in table.rates if rate.device.name == "WSE-2"]
figure, records = pictures.mesh_picture(
    wse2, ["Llama-3.1-8B", "Llama-2-13B", "CodeLlama-34B", "Qwen2-72B"])
show(figure, alt="Four curves of decode rate over the side of a layer's "
     "region: each rises, peaks and falls; measured WSE-2 rates lie on "
     "the falling parts of the small models.", table=records,
     takeaway="Every model has a best size of region; beyond it, more "
     "cores make a token slower.")

# %%
import numpy as np

from k2repro.wafer.calibration.flags import predict_rate
from k2repro.wafer.calibration.mesh_fit import leave_one_model_out
from k2repro.wafer.model.mesh import minimum_wafers

errors = np.abs(np.array(list(leave_one_model_out(wse2).values())) - 1)
rows.add("wafer.mesh.wse-2.median_error", float(np.median(errors)),
         unit="fraction", n=len(errors))
rows.add("wafer.mesh.wse-2.worst_error", float(errors.max()),
         unit="fraction", n=len(errors))
check = [rate for rate in table.rates if rate.device.name == "WSE-3"
         and rate.shape_known and not rate.speculative]
answers = {rate.id: predict_rate(rate) for rate in check}

# %%
show_table([{
    "model": rate.model, "wafers": rate.n_devices,
    "published tokens/s": rate.tokens_per_second,
    "predicted": round(answers[rate.id].tokens_per_second),
    "low": round(answers[rate.id].low),
    "high": round(answers[rate.id].high),
} for rate in check], caption="WSE-3, no draft stated: never fitted")

# %%
for rate in check:
    if rate.id in ("1200", "1201"):
        short = "8b" if "8B" in rate.model else "70b"
        predicted(f"wafer.wse-3.{short}.over_published",
                 answers[rate.id].tokens_per_second
                 / rate.tokens_per_second, unit="ratio",
                 interval=(answers[rate.id].low / rate.tokens_per_second,
                           answers[rate.id].high / rate.tokens_per_second),
                 interval_method="declared")
inside = [answers[rate.id].low <= rate.tokens_per_second
          <= answers[rate.id].high for rate in check]
over = [answers[rate.id].tokens_per_second / rate.tokens_per_second
        for rate in check]
rows.add("wafer.wse-3.inside_band", float(np.mean(inside)),
         unit="fraction", n=len(check))
for name, value in (("least", min(over)), ("most", max(over))):
    predicted(f"wafer.wse-3.{name}_over_published", value, unit="ratio",
              n=len(check))

# %%
tell(rows, "One placement is used for both wafers: the one that the WSE-2 "
     "rates were measured with. For the two WSE-3 rates of which the "
     "vendor says that no draft was used it predicts "
     "{wafer.wse-3.8b.over_published:.2f} times the published rate for 8B "
     "and {wafer.wse-3.70b.over_published:.2f} times for 70B. What is "
     "missing is where the vendor's first software put its layers. The "
     "band reaches from every layer in a region of its own to the "
     "placement of the WSE-2, and holds both. Of all rates in the table it "
     "holds {wafer.wse-3.inside_band:.0%}; predictions lie between "
     "{wafer.wse-3.least_over_published:.2f} and "
     "{wafer.wse-3.most_over_published:.2f} times what was published. "
     "That, not a fifth, is how well a WSE-3 is known here.")

# %% [markdown]
# ## The floor plan
#
# Capacity decides how many wafers there must be. The best side of a region
# decides how many regions they are cut into. Layers are dealt out to regions,
# several to each. One request lights up one region at a time; as many requests
# as there are regions can be on their way at once, and none is slower for it.
# More wafers hold more requests. They do not make one request faster.

# %% tags=["nbval-ignore-output"]
from k2repro.pictures.wafer_floor import floor_plan_picture

figure, records = floor_plan_picture(
    placed, wse.execution_units, 2, k2.layers, working=23)
show(figure, alt="Two wafers cut into strips of equal area, each labelled "
     "with its layers; one strip is filled, all others are dotted.",
     table=records, takeaway="While layer 23 of one request computes, "
     f"{placed.regions - 1} of {placed.regions} regions are free for other "
     "requests.")

# %%
capacity = wse.capacity_gb * 1e9
for model, short in (("Llama-3.1-8B", "8b"), ("Llama-3.1-70B", "70b"),
                     ("k2-think", "k2-think")):
    rows.add(f"wafer.minimum_wafers.{short}",
             minimum_wafers(find_shape(model), capacity), unit="wafers")
tell(rows, "Left out of the fit one model at a time, the WSE-2 rates are "
     "met to {wafer.mesh.wse-2.median_error:.1%} in the median and "
     "{wafer.mesh.wse-2.worst_error:.1%} at worst. Capacity asks for at "
     "least {wafer.minimum_wafers.8b} wafer for 8B, "
     "{wafer.minimum_wafers.70b} for 70B and "
     "{wafer.minimum_wafers.k2-think} for K2-Think.")

# %% [markdown]
# ## Where the time of one token goes
#
# Now K2-Think itself, in sixteen bits, on GPUs and on wafers. Two wafers are
# the least that hold it. Expect reading weights to rule on one GPU, and to
# lose its rule on eight: what does not shrink with devices is left over. On
# wafers expect hops to be the longest part, and four wafers to be as fast as
# two.

# %% tags=["nbval-ignore-output"]
single = predict(k2, wse, context_length=context_length, check_fit=False)
deployments = {
    "1 x H100": one, "8 x H100": eight, "1 wafer (does not fit)": single,
    "2 wafers": two, "4 wafers": four}
figure, records = pictures.breakdown_picture(deployments)
parts = [key for key in records[0] if key.endswith(" (ms)")
         and key != "step (ms)"]
longest = {each["deployment"]: max(parts, key=each.get)[:-len(" (ms)")]
           for each in records}
show(figure, alt="Stacked bars of one step for five deployments, each part "
     "a share of the step; the rate stands behind each bar.",
     table=records, takeaway="The longest part of a step: " + "; ".join(
         f"{name}, {part}" for name, part in longest.items()) + ".")

# %%
for name, found in (("1xh100-sxm", one), ("8xh100-sxm", eight),
                    ("2xwse-3", two), ("3xwse-3", three),
                    ("4xwse-3", four)):
    predicted(f"wafer.k2-think.{name}.rate", found.tokens_per_second,
             unit="tokens/s", interval=(found.low, found.high),
             interval_method=METHOD if "h100" in name else "declared")
predicted("wafer.k2-think.2xwse-3.hop_share",
         two.breakdown["hops"] / two.step_seconds, unit="fraction")
for name, found in (("1xh100-sxm", one), ("8xh100-sxm", eight)):
    reading = found.breakdown["bandwidth"] / found.step_seconds
    predicted(f"wafer.k2-think.{name}.reading_share", reading,
             unit="fraction")

# %%
tell(rows, "One H100 is predicted at "
     "{wafer.k2-think.1xh100-sxm.rate:.0f} tokens a second and reads "
     "weights {wafer.k2-think.1xh100-sxm.reading_share:.0%} of the time. "
     "Eight reach {wafer.k2-think.8xh100-sxm.rate:.0f}, not eight times as "
     "much: reading is {wafer.k2-think.8xh100-sxm.reading_share:.0%} of a "
     "step there. Two wafers reach {wafer.k2-think.2xwse-3.rate:,.0f}, and "
     "so do four; {wafer.k2-think.2xwse-3.hop_share:.0%} of a step are "
     "hops across the mesh.")

# %% [markdown]
# ## What the two published rates ask for
#
# Neither rate comes with a number of devices, a precision or a draft model. So
# the question is turned round: what would a draft have to do? A draft that
# proposes a few tokens multiplies the rate by the tokens that pass per step.
#
# Expect bands. One number would pretend to know what nobody published.

# %% tags=["nbval-ignore-output"]
claims = {
    "published, wafer": rows["wafer.published_wafer_rate"].value,
    "published, GPUs": book.number(
        "article/K2-Think on GPUs/decode rate")}
bands = {"1 x H100": one, "8 x H100": eight, "2 wafers": two,
         "3 wafers": three, "4 wafers": four}
figure, records = pictures.bands_picture(bands, claims, draft_tokens)
above = [name for name, found in bands.items() if found.high < claims[
    "published, GPUs" if "H100" in name else "published, wafer"]]
show(figure, alt="Predicted rates with error bars for five deployments and "
     "two vertical lines for the published rates.", table=records,
     takeaway=f"In {len(above)} of {len(bands)} deployments the published "
     "rate lies above the whole band of the prediction without a draft.")

# %%
wanted = rows["wafer.published_wafer_rate"].value
for count, found in ((2, two), (3, three), (4, four)):
    predicted(f"wafer.draft_factor.{count}_wafers",
             wanted / found.tokens_per_second, unit="ratio",
             interval=(wanted / found.high, wanted / found.low),
             interval_method="declared")
tell(rows, "The published wafer rate asks for "
     "{wafer.draft_factor.3_wafers:.1f} times the prediction for three "
     "wafers. A draft gives such factors where it is accepted often. Other "
     "kernels and another placement would look the same from outside.")

# %% [markdown]
# A draft is not free on a wafer. A core reads a weight once per multiplication,
# so every proposed token adds a load. Expect a few draft tokens to help, and
# many to help little.

# %%
from k2repro.wafer import Speculation

drafted = {}
for tokens, acceptance in ((2, 0.8), (4, 0.8), (8, 0.8), (64, 0.99)):
    drafted[tokens] = predict(
        k2, wse, devices=3, context_length=context_length,
        speculation=Speculation(acceptance, tokens))
show_table([{
    "draft tokens": tokens, "tokens a pass":
        round(found.tokens_per_step, 1),
    "step (ms)": round(1e3 * found.step_seconds, 2),
    "tokens/s": round(found.tokens_per_second),
    "low": round(found.low), "high": round(found.high),
} for tokens, found in drafted.items()],
    caption="K2-Think on three wafers with a draft (acceptance .8; .99)")

# %%
four_drafts = drafted[4]
predicted("wafer.k2-think.3xwse-3.four_drafts.rate",
         four_drafts.tokens_per_second, unit="tokens/s",
         interval=(four_drafts.low, four_drafts.high),
         interval_method="declared")
tell(rows, "With four draft tokens at an acceptance of .8, three wafers "
     "are predicted at "
     "{wafer.k2-think.3xwse-3.four_drafts.rate:,.0f} tokens a second, in "
     "a wide band. The published rate lies inside.")

# %%
compiled = predict(k2, h100, devices=8, engine="compiled",
                   context_length=context_length)
predicted("wafer.k2-think.wse-3.rate", three.tokens_per_second,
         unit="tokens/s", interval=(two.low, four.high),
         interval_method="two to four wafers, no draft",
         paper_ref="article/K2-Think on Cerebras/decode rate")
predicted("wafer.k2-think.h100-sxm.rate", eight.tokens_per_second,
         unit="tokens/s",
         interval=(one.low, max(eight.high, compiled.high)),
         interval_method="one to eight GPUs, no draft",
         paper_ref="article/K2-Think on GPUs/decode rate")

# %% [markdown]
# ## Context and batch
#
# A long context adds cache to read, a batch shares the weights. On a wafer,
# several requests can be on their way through different regions at once. In
# JupyterLab a slider switches the batch; the data table has all three. Expect
# GPUs to lose much per sequence where the context is long, and wafers to lose
# nothing until every region is busy.

# %% tags=["nbval-ignore-output"]
places = {"1 x H100": ("H100-SXM", 1), "8 x H100": ("H100-SXM", 8),
          "8 x H200": ("H200", 8), "2 wafers": ("WSE-3", 2),
          "4 wafers": ("WSE-3", 4)}
figure, records = pictures.contexts_picture(
    k2, places, [1024, 8192, 32768, 131072], [1, 8, 64])
kept = {name: {r["batch"]: r["tokens/s per sequence"] for r in records
               if r["deployment"] == name and r["context"] == 32768}
        for name in ("8 x H100", "4 wafers")}
show(figure, alt="Lines of rate per sequence over context for five "
     "deployments; a slider switches the batch.", table=records,
     takeaway="At 32,768 tokens of context a batch of 64 leaves each "
     f"sequence {kept['8 x H100'][64] / kept['8 x H100'][1]:.0%} of its "
     "rate alone on eight H100, and "
     f"{kept['4 wafers'][64] / kept['4 wafers'][1]:.0%} on four wafers.")

# %% [markdown]
# The figure ignores capacity on purpose. What fits is said by `predict`: it
# refuses a question whose weights and caches do not fit, and says by how much.

# %%
from k2repro.errors import K2ReproError

replies = []
for count, batch in ((1, 1), (1, 64), (8, 64)):
    try:
        found = predict(k2, h100, devices=count, batch_size=batch,
                        context_length=context_length)
        reply = f"fits, waits for {found.bound}"
    except K2ReproError as error:
        reply = str(error)
    replies.append({"H100": count, "batch": batch, "reply": reply})
show_table(replies, caption="What `predict` says")

# %% [markdown]
# ## A mixture against a dense model
#
# A mixture keeps many experts in memory and reads a few of them per token. Of
# two models of about the same size in memory, the mixture is the faster one,
# and loses of its lead in a batch: other sequences wake other experts.
#
# Equal size is not equal quality. A rule of thumb, and no more, puts a mixture
# beside a dense model of $\sqrt{\text{total} \times \text{active}}$
# parameters: here somewhat below ten billion, between the dense 8B and 14B. The
# lead over the 14B is small, and in a batch it is gone.

# %%
dense = {"8b": "Qwen3-8B", "14b": "Qwen3-14B", "32b": "Qwen3-32B"}
table_rows = []
for batch in (1, 8, 32):
    rate = {name: predict(name, "H100-SXM", devices=2, engine="vllm",
                          batch_size=batch, context_length=2048
                          ).tokens_per_second
            for name in ("Qwen3-30B-A3B", *dense.values())}
    mixture = rate["Qwen3-30B-A3B"]
    for short, name in dense.items():
        predicted(f"wafer.mixture.batch_{batch}.over_{short}",
                  mixture / rate[name], unit="ratio")
    table_rows.append({"batch": batch, **{
        name: round(value) for name, value in rate.items()}})
show_table(table_rows,
           caption="Tokens per second of each sequence, two H100")

# %%
small = [rows[f"wafer.mixture.batch_32.over_{short}"].value
         for short in ("8b", "14b")]
expected("In a batch of thirty-two the mixture is slower than both dense "
         "models of that size.", holds=max(small) < 1)
tell(rows, "The mixture's rate over that of the dense 32B, 14B and 8B: "
     "{wafer.mixture.batch_1.over_32b:.1f}, "
     "{wafer.mixture.batch_1.over_14b:.1f} and "
     "{wafer.mixture.batch_1.over_8b:.1f} at batch one, "
     "{wafer.mixture.batch_32.over_32b:.1f}, "
     "{wafer.mixture.batch_32.over_14b:.1f} and "
     "{wafer.mixture.batch_32.over_8b:.1f} at thirty-two.")

# %% [markdown]
# ## One answer, with plan and best of three
#
# A K2-Think answer is more than one decode: three plans, three long samples in
# one batch, two comparisons. The emulator replays such a trace step by step.
# The length of a sample is the one of the model card's example. Lengths of
# plan and judgement are not published; they are parameters of this notebook.

# %%
from k2repro.wafer.replay.replayer import replay
from k2repro.wafer.replay.step_times import Server
from k2repro.wafer.replay.trace import CallLengths, k2_think_answer_trace

trace = k2_think_answer_trace(
    samples=[CallLengths(1000, sample_tokens)] * 3,
    topics=CallLengths(300, 100), plan=CallLengths(400, plan_tokens),
    judge=CallLengths(4000, judge_tokens))
answers = {}
for label, device, count in (("8 x H100", "H100-SXM", 8),
                             ("3 wafers", "WSE-3", 3),
                             ("4 wafers", "WSE-3", 4)):
    answers[label] = replay(trace, Server(k2, device, devices=count))

# %%
for label, timeline in answers.items():
    key = label.replace(" x ", "x").replace(" ", "-").lower()
    spread = timeline.latency()
    predicted(f"wafer.answer.{key}.seconds", spread.value, unit="s",
             interval=(spread.low, spread.high),
             interval_method=METHOD if "H100" in label else "declared")
show_table([{
    "deployment": label,
    "first token of the answer (s)":
        round(timeline.time_to_first_token().value, 2),
    "whole answer (s)": round(timeline.seconds, 1),
    "low": round(timeline.latency().low, 1),
    "high": round(timeline.latency().high, 1),
    "energy at most (Wh)": round((timeline.joules or 0) / 3600, 1),
} for label, timeline in answers.items()],
    caption="One answer with plan and best of three, no draft")

# %%
tell(rows, "Without a draft, one answer takes "
     "{wafer.answer.8xh100.seconds:.0f} seconds on eight H100 and "
     "{wafer.answer.4-wafers.seconds:.0f} on four wafers. Planning adds "
     "little: the long samples decide, and the three run side by side.")

# %% [markdown]
# ## Feel it: a token race
#
# Numbers of tokens a second say little until one watches them: in JupyterLab,
# press *Play*. A still page shows where the lanes stand at the end. The lanes
# are a small GPU deployment, the published GPU rate and the published wafer
# rate.

# %% tags=["nbval-ignore-output"]
from k2repro.pictures.wafer_race import race_picture
from k2repro.wafer.replay.live import lane_at_rate, race_frames

lanes = [lane_at_rate("a tenth of the GPU rate",
                      claims["published, GPUs"] / 10, 10_000),
         lane_at_rate("published, GPUs", claims["published, GPUs"], 10_000),
         lane_at_rate("published, wafer",
                      claims["published, wafer"], 10_000)]
frames = race_frames(lanes, seconds=5.0, frames_per_second=5)
figure, records = race_picture(lanes, frames)
seconds, *written = records[-1].values()
show(figure, alt="Three bars of tokens written, one for each lane.",
     table=records, takeaway=f"After {seconds:g} seconds: " + ", ".join(
         f"{lane.name} {count:,}"
         for lane, count in zip(lanes, written, strict=True)) + " tokens.")

# %% [markdown]
# ## A riddle, and what it taught
#
# An H20 has more bandwidth than an H100 and a seventh of its arithmetic. On
# measured rows it decodes sixteen-bit weights at a third of its bandwidth, and
# eight-bit weights at about twice that speed. Bandwidth cannot explain it.
#
# The matrix unit of this generation computes blocks of sixty-four tokens, even
# for one. Counting that padding puts the H20 on its *arithmetic* wall. Expect
# the padded column to be close, and the other to be off by a factor. These rows
# are among the fitted ones; they decide what share of peak arithmetic is
# reached. Scored further down, they are left out.

# %%
from dataclasses import replace

h20 = find_device("H20-96GB")
unpadded = replace(h20, matrix_tile=1)


def decode(rate, device):
    return round(predict(
        rate.shape, device, precision=rate.precision.name, engine="sglang",
        context_length=rate.mean_context).tokens_per_second, 1)


show_table([{
    "model": rate.model, "precision": rate.precision.name,
    "measured": round(rate.tokens_per_second, 1),
    "padded": decode(rate, h20), "not padded": decode(rate, unpadded),
} for rate in table.scored() if rate.hardware == "H20-96GB"
    and rate.prompt_tokens < 2 and rate.shape.layers >= 36
    and not rate.precision.storage_only],
    caption="Tokens per second on an H20, batch one")

# %% [markdown]
# ## Does the emulator hold?
#
# It is scored on hundreds of measured rates from public sources. A score on
# rows that were fitted would flatter it, so all rows of a source are left out,
# everything is fitted again, the widths of the intervals too, and the left-out
# rows are predicted. The same is done by hardware.
#
# One thing remains that leaving out cannot undo: engine classes and priors
# were chosen by people who had seen these rows. The clean test is a source
# that is not in the file; `k2repro score-rates` takes any.

# %%
from k2repro.wafer.calibration.score import score_rates

report = score_rates()
show_table(pictures_validation.score_records(report.overall),
           caption="The emulator on the shipped rows")

# %%
by_name = {score.name: score for score in report.overall}
for short, name in (("loso", "leave one source out"),
                    ("loho", "leave one hardware out")):
    score = by_name[name]
    rows.add(f"wafer.score.{short}.median_error", score.median_error,
             unit="fraction", n=score.rows)
    rows.add(f"wafer.score.{short}.within_20_percent",
             score.within_20_percent, unit="fraction", n=score.rows)
    rows.add(f"wafer.score.{short}.coverage", score.coverage,
             unit="fraction", n=score.rows)

# %% tags=["nbval-ignore-output"]
figure, records = pictures_validation.validation_picture(
    table.rates, report.held_out_points)
show(figure, alt="Scatter of predicted against measured rates on two log "
     "axes: points along the diagonal, most between two dotted lines at a "
     "fifth above and below.", table=records,
     takeaway=f"{by_name['leave one source out'].within_20_percent:.0%} of "
     f"the rates of {len(records)} sources lie between the dotted lines, "
     "each predicted by a fit that never saw its source.")

# %%
tell(rows, "With its source left out, a rate is met to "
     "{wafer.score.loso.median_error:.1%} in the median, and "
     "{wafer.score.loso.within_20_percent:.0%} of the rows lie within a "
     "fifth. With its hardware left out it is "
     "{wafer.score.loho.median_error:.1%}. The intervals say that they "
     "hold four fifths; they hold {wafer.score.loso.coverage:.0%} and "
     "{wafer.score.loho.coverage:.0%}.")

# %% [markdown]
# Other tools, same rows. LLM-Viewer's published formulas and a plain roofline
# know bandwidth and arithmetic, but no overhead, no share of bandwidth that is
# reached, and no prefill inside a measured rate. Expect large errors. The
# *simple model* has one fitted share of bandwidth for each kind of software. It
# is a yardstick: `k2repro emulate` prints what it would say, and predicts with
# the emulator.

# %% tags=["nbval-ignore-output"]
methods = [by_name["leave one source out"], *report.baselines]
figure, records = pictures_validation.methods_picture(methods)
show(figure, alt="Bars of median error, one for each method.",
     table=records, takeaway="Median error on the same rates: " + "; ".join(
         f"{score.name} {score.median_error:.0%}" for score in methods)
     + ".")

# %%
for short, score in zip(
        ("roofline", "one_efficiency", "simple", "llm_viewer"),
        report.baselines, strict=True):
    rows.add(f"wafer.baseline.{short}.median_error", score.median_error,
             unit="fraction", n=score.rows)
tell(rows, "On the same rows LLM-Viewer's formulas are off by "
     "{wafer.baseline.llm_viewer.median_error:.0%} in the median, a plain "
     "roofline by {wafer.baseline.roofline.median_error:.0%}, and a "
     "roofline with one fitted efficiency by "
     "{wafer.baseline.one_efficiency.median_error:.0%}.")

# %% [markdown]
# ## A model of the past on machines of the future
#
# The rows have an age. Most were measured up to the middle of 2025; a second
# file holds rates of 2025 and 2026, on hardware of which the first knew nothing,
# single runs of many people, mixtures among them. Fit on the first file alone
# and predict the second: that is what anybody who trusts a fitted model does.
# Expect it to hold where the physics was counted, and to be off where software
# moved.

# %%
from k2repro.wafer.calibration.fit import (
    fit_parameters, fitting_rows, log_residuals, make_sample)

past, future = load_rates("decode_rates.csv"), make_sample(
    load_rates("decode_rates_2026.csv").scored())
old_fit = fit_parameters(make_sample(fitting_rows(past)))
forecast = future.rates * np.exp(log_residuals(future, old_fit))
apart = {point[0]: point[1] for point in report.held_out_points}
mixed = np.array([row.shape.experts is not None for row in future.rows])
again = np.array([apart[row.id] for row in future.rows])
old_ids = {row.id for row in past.scored()}
old_points = [p for p in report.held_out_points if p[0] in old_ids]

# %% tags=["nbval-ignore-output"]
figure, records = pictures_validation.drift_picture({
    "to 2025, source left out": (
        np.array([p[1] for p in old_points]),
        np.array([p[2] for p in old_points])),
    "2026 dense, by the past": (forecast[~mixed], future.rates[~mixed]),
    "2026 dense, refitted without its source": (
        again[~mixed], future.rates[~mixed]),
    "2026 mixtures, by the past": (forecast[mixed], future.rates[mixed]),
    "2026 mixtures, refitted without their source": (
        again[mixed], future.rates[mixed])})
past_rows, dense_rows = records[0], records[1]
show(figure, alt="Median and middle four fifths of predicted over measured "
     "for rows to 2025 and of 2026, by a fit of the past and refitted.",
     table=records, takeaway="The middle four fifths reach from "
     f"{past_rows['lowest tenth below']:.2f} to "
     f"{past_rows['highest tenth above']:.2f} for rows to 2025, and from "
     f"{dense_rows['lowest tenth below']:.2f} to "
     f"{dense_rows['highest tenth above']:.2f} for dense rows of 2026 that "
     "the fit had never seen.")

# %%
for short, kept in (("dense", ~mixed), ("mixture", mixed)):
    for name, found in (("past", forecast), ("refitted", again)):
        error = np.abs(found[kept] / future.rates[kept] - 1)
        rows.add(f"wafer.future.{short}.{name}.median_error",
                 float(np.median(error)), unit="fraction",
                 n=int(kept.sum()))
tell(rows, "A fit that stops at 2025 meets dense rates of 2026 to "
     "{wafer.future.dense.past.median_error:.1%} in the median and "
     "mixtures to {wafer.future.mixture.past.median_error:.1%}; refitted "
     "with the other sources of 2026 it is "
     "{wafer.future.dense.refitted.median_error:.1%} and "
     "{wafer.future.mixture.refitted.median_error:.1%}. The classes of "
     "software were dated, and priors chosen, by somebody who had seen "
     "these rows: the model's form is not of the past.")

# %% [markdown]
# ## Rates that cannot be
#
# A decode without a draft reads every weight for every token. A rate above
# that roof has a draft, or a mistake. Expect one famous outlier, a laptop whose
# bandwidth is stated too low, and every rate with a draft.

# %%
show_table([{
    "row": flag.id, "source": flag.source, "hardware": flag.hardware,
    "rate over ceiling": round(flag.ratio, 2), "why": flag.reason,
} for flag in report.flags], caption="Flagged rows of the table")

# %%
rows.add("wafer.flags.rows", len(report.flags), unit="rows")
rows.add("wafer.flags.scored_rows", report.flagged_scored_rows,
         unit="rows", n=report.overall[0].rows)
tell(rows, "{wafer.flags.rows} rows are flagged, and "
     "{wafer.flags.scored_rows} of the scored ones.")

# %% [markdown]
# ## The article's claims
#
# The predicates were declared before these rows existed. A published rate
# outside a band is *unresolved*, not refuted, while devices and draft are not
# published.

# %%
chosen = [find_claim(name) for name in (
    "article.throughput-2000", "article.throughput-200-on-gpus",
    "article.speed-up-tenfold", "article.sixteen-bit-on-one-wafer",
    "article.bandwidth-ratio", "article.bandwidth-ratio.from-datasheets",
    "article.bandwidth-removes-the-bottleneck")]
show_table([{
    "claim": verdict.claim.id, "says": verdict.claim.paraphrase,
    "verdict": verdict.verdict, "because": verdict.reason,
} for verdict in evaluate_claims(rows, book, chosen)],
    caption="Claims about speed, with verdicts")

# %% [markdown]
# ## Ask your own question
#
# In JupyterLab the next cell draws controls that predict as you move them.
# Without a kernel it shows one answer.

# %% tags=["nbval-ignore-output"]
import os

from IPython.display import display


def ask(device="H100-SXM", devices=8, batch=1, context=context_length):
    found = predict(k2, device, devices=devices, batch_size=batch,
                    context_length=context, check_fit=False)
    show_table([{"tokens/s": round(found.tokens_per_second, 1),
                 "low": round(found.low, 1), "high": round(found.high, 1),
                 "waits for": found.bound, "fits": found.fits,
                 "needs": found.devices_needed}], caption=device)

ask()
if "K2REPRO_RUN" not in os.environ:
    from ipywidgets import interactive

    display(interactive(
        ask, device=["H100-SXM", "H200", "MI300X", "WSE-3"],
        devices=(1, 8), batch=(1, 64), context=(1000, 131000, 1000)))

# %% [markdown]
# ## What to take home

# %%
rows.save()
tell(rows, "A wafer is limited by the way across its mesh and by one "
     "layer working at a time, a GPU by the share of bandwidth that it "
     "reaches and by overheads. The published wafer rate is about "
     "{wafer.draft_factor.3_wafers:.1f} times what three wafers are "
     "predicted to do without a draft, in a band that a fifth does not "
     "describe: nobody published where the layers lie. The published GPU "
     "rate needs more "
     "than {wafer.k2-think.8xh100-sxm.rate:.0f} tokens a second, which is "
     "the prediction for eight H100 in sixteen bits.")

# %% [markdown]
# ## Try it
#
# 1. Set `context_length` to the longest context. Which deployments lose most,
#    and why do wafers lose so little?
# 2. Take a rate that you measured yourself, write it into a file with the
#    columns of `decode_rates.csv`, and run `k2repro score-rates` on it.
# 3. At which context does one more core per layer start to help K2-Think? The
#    best side of a region grows with what a layer must read.

# %% [markdown]
# ## Exercises
#
# Write the missing lines, run the cell, and run the check below it. A check
# looks at what your code gives, says what is likely wrong, and stops nothing.

# %%
from k2repro.notebook import checks

# %% [markdown]
# ### Exercise 1 · What bandwidth alone allows
#
# *Easy · about 5 minutes.* To write one token, every weight is read once.
# Write the most tokens a second that a memory bandwidth allows.
#
# <details><summary>Hint</summary>
#
# How many bytes does one token read?
#
# </details>

# %% tags=["exercise"]
def bandwidth_bound(parameters, bytes_per_value, bytes_per_second):
    """Tokens a second, if nothing but reading took time."""
    ### BEGIN SOLUTION
    return bytes_per_second / (parameters * bytes_per_value)
    ### END SOLUTION

# %% tags=["check"]
checks.tokens_per_second(bandwidth_bound)

# %% [markdown]
# ### Exercise 2 · The roofline
#
# *Medium · about 10 minutes.* Work does `intensity` operations for every byte
# that it reads. Write the operations a second that a processor reaches with
# it.
#
# <details><summary>Hint</summary>
#
# Which of the two walls is reached first: the bytes, or the arithmetic?
#
# </details>

# %% tags=["exercise"]
def attainable(intensity, bandwidth, peak):
    """FLOP/s at an intensity in FLOP per byte."""
    ### BEGIN SOLUTION
    return min(intensity * bandwidth, peak)
    ### END SOLUTION

# %% tags=["check"]
checks.roofline(attainable)

# %% [markdown]
# ### Exercise 3 · What a draft brings
#
# *Medium · about 10 minutes.* A small model drafts some tokens, the large one
# checks them at once and adds one token of its own. Each drafted token is
# accepted with the same chance, and after the first refusal the rest is lost.
# Write the mean number of tokens of a round.
#
# <details><summary>Hint</summary>
#
# The second drafted token counts only if the first was accepted. Add up the
# chance of each token to be there.
#
# </details>

# %% tags=["exercise"]
def tokens_per_round(acceptance, drafted):
    """Mean tokens of one draft-and-verify round."""
    ### BEGIN SOLUTION
    return sum(acceptance**place for place in range(drafted + 1))
    ### END SOLUTION

# %% tags=["check"]
checks.expected_tokens(tokens_per_round)
