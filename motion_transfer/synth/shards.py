"""Samples on disk: compressed NPZ files of some dozens of samples each, nothing pickled.

Flow is kept in 1/32 pixel as int16, UV in 1/65535 as uint16, depth in millimetres as uint16;
pixels without body are zeros, which compress away.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from motion_transfer.synth.sample import Sample

FORMAT_VERSION = 1
_FLOW_UNIT = 32.0
_PLAIN = ("rgb", "alpha", "part", "parse", "keypoints", "tracked", "visible", "visible_back")


def list_shards(folder: str | os.PathLike[str]) -> list[Path]:
    """The shards of a folder, sorted.

    Raises:
        FileNotFoundError: there are none.
    """
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise FileNotFoundError(
            f"no shards (*.npz) in {folder}; make some with 'motion-transfer synth shards'"
        )
    return paths


def write_shard(path: str | os.PathLike[str], samples: Iterable[Sample]) -> None:
    """Write samples of one size; the file appears whole or not at all."""
    samples = list(samples)
    stacked = {n: np.stack([getattr(s, n) for s in samples]) for n in Sample.array_names()}
    arrays = {name: stacked[name] for name in _PLAIN}
    arrays["uv"] = np.round(stacked["uv"] * 65535).astype(np.uint16)
    arrays["depth"] = np.round(np.clip(stacked["depth"], 0, 65) * 1000).astype(np.uint16)
    for name in ("flow", "flow_back"):
        limit = 32767 / _FLOW_UNIT
        clipped = np.clip(stacked[name], -limit, limit)
        arrays[name] = np.round(clipped * _FLOW_UNIT).astype(np.int16)
    arrays["name"] = np.array([s.name for s in samples])
    write_arrays(path, {"version": np.int64(FORMAT_VERSION), **arrays})


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write a compressed NPZ file, nothing pickled; it appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_shard(path: str | os.PathLike[str]) -> list[Sample]:
    """Read a shard written by `write_shard`.

    Raises:
        ValueError: the file is of another version.
    """
    with np.load(path, allow_pickle=False) as data:
        arrays = dict(data)
    if int(arrays["version"]) != FORMAT_VERSION:
        raise ValueError(
            f"{path}: shard version must be {FORMAT_VERSION}, got {int(arrays['version'])}; "
            "make it again with 'motion-transfer synth shards'"
        )
    arrays["uv"] = arrays["uv"].astype(np.float32) / 65535
    arrays["depth"] = arrays["depth"].astype(np.float32) / 1000
    for name in ("flow", "flow_back"):
        arrays[name] = arrays[name].astype(np.float32) / np.float32(_FLOW_UNIT)
    return [
        Sample(name=str(arrays["name"][k]), **{n: arrays[n][k] for n in Sample.array_names()})
        for k in range(len(arrays["rgb"]))
    ]
