"""Checkpoints: safetensors in parts of bounded size, with the resolved options.

A checkpoint is a folder: ``weights.safetensors`` (the running mean, what is evaluated and ships),
``state-*.safetensors`` (everything that is needed to go on) and ``config.yaml``. It appears whole
or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from motion_transfer.errors import InputError
from motion_transfer.training.config import TrainConfig, as_tree

PART_BYTES = 15_000_000
FORMAT = "motion-transfer training 1"


def save_checkpoint(
    folder: Path,
    *,
    config: TrainConfig,
    step: int,
    weights: dict[str, torch.Tensor],
    state: dict[str, torch.Tensor],
) -> Path:
    """Write a checkpoint into a run folder.

    Args:
        folder: of the run.
        config: resolved options.
        step: number of steps done.
        weights: what is evaluated.
        state: everything else.

    Returns:
        The checkpoint's folder.
    """
    final = folder / f"step-{step:07d}"
    staging = folder / f".step-{step:07d}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    tree = as_tree(config)
    about = {"format": FORMAT, "step": str(step), "config": json.dumps(tree)}
    save_file(_plain(weights), staging / "weights.safetensors", about)
    for number, part in enumerate(_parts(_plain(state))):
        save_file(part, staging / f"state-{number:03d}.safetensors", about)
    (staging / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    shutil.rmtree(final, ignore_errors=True)
    os.replace(staging, final)
    return final


def _plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}


def _parts(tensors: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    parts: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        count = tensor.numel() * tensor.element_size()
        if parts[-1] and size + count > PART_BYTES:
            parts.append({})
            size = 0
        parts[-1][name] = tensor
        size += count
    return parts


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a run folder."""
    found = sorted(folder.glob("step-*"))
    return found[-1] if found else None


def forget_old(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints."""
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old)


def load_state(checkpoint: Path) -> tuple[int, dict[str, torch.Tensor], dict[str, object]]:
    """Read what a run goes on from.

    Returns:
        The number of steps done, the state's tensors, and the resolved options as a tree.

    Raises:
        InputError: it is not a checkpoint of this version.
    """
    paths = sorted(checkpoint.glob("state-*.safetensors"))
    if not paths:
        raise InputError(f"{checkpoint} is not a checkpoint: it has no state-*.safetensors")
    state: dict[str, torch.Tensor] = {}
    for path in paths:
        state.update(load_file(path))
    with safe_open(paths[0], "pt") as file:
        about = file.metadata() or {}
    if about.get("format") != FORMAT:
        raise InputError(f"{checkpoint} is not a checkpoint of {FORMAT!r}")
    return int(about["step"]), state, json.loads(about["config"])


def find_weights(path: str | os.PathLike[str]) -> Path:
    """The weights file that a file, checkpoint or run folder stands for.

    Raises:
        FileNotFoundError: there is none.
    """
    path = Path(path)
    places = [path, path / "weights.safetensors"]
    if path.is_dir() and (newest := latest_checkpoint(path)):
        places.append(newest / "weights.safetensors")
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"no weights at {path}: give a .safetensors file or a run folder")


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], int]:
    """A checkpoint's weights, its resolved options as a tree, and the number of steps done.

    Raises:
        InputError: the file is not from a checkpoint.
    """
    with safe_open(path, "pt") as file:
        about = file.metadata() or {}
    if about.get("format") != FORMAT:
        raise InputError(f"{path} is not from a checkpoint of {FORMAT!r}")
    return load_file(path), json.loads(about["config"]), int(about["step"])
