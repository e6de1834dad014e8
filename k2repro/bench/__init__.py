"""Side by side with the peers: each bench times the same work in both, alternating, in one process.

Only ratios are reported, time of the peer over time of ours: above 1 ours is faster. Seconds belong to a
machine, ratios mostly do not.
"""

# name -> "module:function"; imported when asked for, since the peers take seconds to import.
BENCHES = {
    "speculative": "k2repro.bench.speculative:bench_speculative",
    "smollm2": "k2repro.bench.smollm2:bench_smollm2",
    "startup": "k2repro.bench.startup:bench_startup",
    "architecture": "k2repro.bench.architecture:bench_architecture",
    "engine": "k2repro.bench.engine:bench_engine",
    "sft": "k2repro.bench.sft:bench_sft",
    "rlvr": "k2repro.bench.rlvr:bench_rlvr",
}
# Not run unless it is named: it needs a model that `k2repro artifacts smollm2` fetches.
ON_REQUEST = ("smollm2",)
