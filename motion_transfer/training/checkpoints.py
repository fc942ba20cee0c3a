"""Checkpoints: safetensors in parts of bounded size, with the resolved options.

A checkpoint is a folder: ``weights-*.safetensors`` (the running mean, what is evaluated and
ships), ``state-*.safetensors`` (everything that is needed to go on) and ``config.yaml``. It appears
whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from motion_transfer.errors import InputError
from motion_transfer.generator.pretrained import load_pretrained
from motion_transfer.training.config import TrainConfig, as_tree

PART_BYTES = 15_000_000
FORMAT = "motion-transfer training 1"


class Trained(NamedTuple):
    """What a run has learned.

    weights: of a `PoseFlowNetworks`.
    config: the run's resolved options as a tree.
    step: number of steps done.
    """

    weights: dict[str, torch.Tensor]
    config: dict[str, Any]
    step: int


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
    for kind, tensors in (("weights", weights), ("state", state)):
        for number, part in enumerate(_parts(_plain(tensors))):
            save_file(part, staging / f"{kind}-{number:03d}.safetensors", about)
    (staging / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    shutil.rmtree(final, ignore_errors=True)
    os.replace(staging, final)
    return final


def _plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {n: t.detach().cpu().contiguous().clone() for n, t in tensors.items()}


def _parts(tensors: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    parts: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, tensor in sorted(tensors.items()):  # the same parts whatever was restored before
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


def load_state(checkpoint: Path) -> Trained:
    """Read what a run goes on from; `weights` are the state's tensors.

    Raises:
        InputError: it is not a checkpoint of this version.
    """
    return _read(checkpoint, "state")


def load_trained(run: str | os.PathLike[str]) -> Trained:
    """Read what a run has learned so far.

    Args:
        run: run folder, of which the newest checkpoint is taken, or a checkpoint.

    Raises:
        FileNotFoundError: there is no checkpoint.
        InputError: it is not a checkpoint of this version.
    """
    run = Path(run)
    if any(run.glob("weights-*.safetensors")):
        return _read(run, "weights")
    newest = latest_checkpoint(run)
    if newest is None:
        raise FileNotFoundError(f"no checkpoint in {run}: give a run folder or a step-* folder")
    return _read(newest, "weights")


def load_initial(path: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Weights to start a run from: a run folder, a checkpoint, or an exported file."""
    if Path(path).is_file():
        return load_pretrained(path).networks.state_dict()
    return load_trained(path).weights


def _read(checkpoint: Path, kind: str) -> Trained:
    paths = sorted(checkpoint.glob(f"{kind}-*.safetensors"))
    if not paths:
        raise InputError(f"{checkpoint} is not a checkpoint: it has no {kind}-*.safetensors")
    tensors: dict[str, torch.Tensor] = {}
    for path in paths:
        tensors.update(load_file(path))
    with safe_open(paths[0], "pt") as file:
        about = file.metadata() or {}
    if about.get("format") != FORMAT:
        raise InputError(f"{checkpoint} is not a checkpoint of {FORMAT!r}")
    return Trained(tensors, json.loads(about["config"]), int(about["step"]))
