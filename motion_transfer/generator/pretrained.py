"""Weights as they ship: all networks in one fp16 safetensors file that knows their widths."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from motion_transfer.errors import WeightsError
from motion_transfer.generator.networks import PoseFlowNetworks

FORMAT = "motion-transfer pose-flow 1"


def save_networks(
    path: str | os.PathLike[str],
    weights: dict[str, torch.Tensor],
    *,
    model: dict[str, object],
    about: dict[str, str] | None = None,
) -> None:
    """Write weights in half precision; the file appears whole or not at all.

    Args:
        path: of the file.
        weights: of a `PoseFlowNetworks`.
        model: its constructor's arguments.
        about: what else the file should say (data, command, scores).

    Raises:
        WeightsError: a weight does not fit into half precision.
    """
    half = {n: t.detach().cpu().half().contiguous() for n, t in weights.items()}
    for name, tensor in half.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"weight {name} must be finite in half precision, got inf or NaN")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    save_file(half, temporary, {"format": FORMAT, "model": json.dumps(model), **(about or {})})
    os.replace(temporary, path)


def load_networks(path: str | os.PathLike[str]) -> PoseFlowNetworks:
    """Networks in float32, ready for inference.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: it is not a weights file of this version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such weights file: {path}")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name).float() for name in file.keys()}
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a safetensors file: {error}") from error
    if header.get("format") != FORMAT:
        raise WeightsError(
            f"{path} must be of the format {FORMAT!r}, got {header.get('format')!r}; "
            "make it with 'motion-transfer export'"
        )
    networks = PoseFlowNetworks(**json.loads(header["model"]))
    networks.load_state_dict(weights)
    return networks.eval().requires_grad_(False)
