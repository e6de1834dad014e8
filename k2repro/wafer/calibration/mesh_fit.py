"""Fitting the mesh of `model/mesh.py` on WSE-2 rows: three parameters, least squares."""

import re
from collections.abc import Sequence

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.calibration.rates import Rate
from k2repro.wafer.model.mesh import MeshParameters, Region, layer_seconds, place
from k2repro.wafer.model.parameters import FloatArray


def mesh_side(rate: Rate) -> float | None:
    """Side of the mesh that a row names, "mesh 420x420 cores" in its parallelism column; None without."""
    match = re.search(r"(\d+)x(\d+)", rate.parallelism) if "mesh" in rate.parallelism else None
    return None if match is None else float(np.sqrt(float(match[1]) * float(match[2])))


def mesh_region(rate: Rate) -> Region:
    """The region of a measured row; K2ReproError when it names no mesh."""
    side = mesh_side(rate)
    if side is None:
        raise K2ReproError(
            f"line {rate.line}: parallelism {rate.parallelism!r} names no mesh; write 'mesh 420x420 cores'"
        )
    return place(
        rate.shape, side**2, context_length=rate.mean_context, kv_bytes_per_token=rate.kv_bytes_per_token
    )


def _design(rows: Sequence[Rate]) -> tuple[FloatArray, FloatArray]:
    """Columns (1, side, kB per core), shape (n, 3), and measured seconds per layer, shape (n,)."""
    regions = [mesh_region(row) for row in rows]
    columns = np.array(
        [
            [1.0, region.side, region.kilobytes_per_core + region.cache_kilobytes_per_core]
            for region in regions
        ]
    )
    seconds = np.array([1.0 / (row.tokens_per_second * row.shape.layers) for row in rows])
    return columns, seconds


def fit_mesh(rows: Sequence[Rate]) -> MeshParameters:
    """Least squares on relative errors; K2ReproError on rows that are not WSE-2 (by design)."""
    strangers = sorted({row.hardware for row in rows if row.device.name != "WSE-2"})
    if strangers or len(rows) < 4:
        raise K2ReproError(
            f"the mesh is fitted on at least four WSE-2 rows and on nothing else; "
            f"got {len(rows)} rows, others: {strangers}"
        )
    columns, seconds = _design(rows)
    start, hop, load = np.linalg.lstsq(columns / seconds[:, None], np.ones(len(rows)))[0]
    return MeshParameters(float(start), float(hop), float(load))


def leave_one_model_out(rows: Sequence[Rate]) -> dict[str, float]:
    """Predicted / measured of every row id, with all rows of its model left out of the fit."""
    ratios = {}
    for model in sorted({row.model for row in rows}):
        parameters = fit_mesh([row for row in rows if row.model != model])
        for row in rows:
            if row.model == model:
                seconds = sum(layer_seconds(mesh_region(row), parameters).values())
                ratios[row.id] = 1.0 / (seconds * row.shape.layers * row.tokens_per_second)
    return ratios
