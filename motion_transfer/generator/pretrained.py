"""Weights as they ship: all networks in one fp16 safetensors file that knows their widths."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from motion_transfer.errors import WeightsError
from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.generator.shipped import find_weights

FORMAT = "motion-transfer pose-flow 1"
TRAINED_BY = {
    "flow": ("flow",), "refinement": ("refinement",),
    "garment": ("flow", "parser", "garment"),
    "synthesis": ("flow", "parser", "garment", "synthesis"),
    "joint": ("flow", "parser", "garment", "synthesis"),
}  # fmt: skip
"""Networks that a file holds, by the last stage of training."""
STAGES = tuple(TRAINED_BY)
_NEEDED = {"refined": "refinement", "pose-flow": "flow"}  # by the generators, at least


class Pretrained(NamedTuple):
    """Networks with what they were trained for.

    networks: in float32, ready for inference.
    stage: the last stage of training, one of `STAGES`; networks that `TRAINED_BY` does not name
        for it are untrained.
    """

    networks: PoseFlowNetworks
    stage: str

    @property
    def outlines(self) -> bool:
        """Whether GarmentNet has been trained."""
        return "garment" in TRAINED_BY[self.stage]

    @property
    def paints(self) -> bool:
        """Whether SynthesisNet has been trained, and GarmentNet with it."""
        return "synthesis" in TRAINED_BY[self.stage]


def save_networks(
    path: str | os.PathLike[str],
    weights: dict[str, torch.Tensor],
    *,
    model: dict[str, object],
    stage: str,
    about: dict[str, str] | None = None,
) -> None:
    """Write weights in half precision; the file appears whole or not at all.

    Networks that `TRAINED_BY` does not name for the stage are left out.

    Args:
        path: of the file.
        weights: of a `PoseFlowNetworks`.
        model: its constructor's arguments.
        stage: the last stage of training, one of `STAGES`.
        about: what else the file should say (data, command, scores).

    Raises:
        WeightsError: a weight does not fit into half precision, or there is no such stage.
    """
    if stage not in STAGES:
        raise WeightsError(f"stage must be one of {', '.join(STAGES)}, got {stage!r}")
    half = {
        n: t.detach().cpu().half().contiguous()
        for n, t in weights.items()
        if n.partition(".")[0] in TRAINED_BY[stage]
    }
    for name, tensor in half.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"weight {name} must be finite in half precision, got inf or NaN")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    header = {"format": FORMAT, "model": json.dumps(model), "stage": stage, **(about or {})}
    save_file(half, temporary, header)
    os.replace(temporary, path)


def load_generator(generator: str, path: str | os.PathLike[str] | None = None) -> Pretrained:
    """Networks of a learned generator.

    Args:
        generator: its name.
        path: of a file that `save_networks` wrote; None: the one that ships.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: it is not a weights file of this version or generator, or none ships.
    """
    path = find_weights(generator, path)
    found = load_pretrained(path)
    if _NEEDED[generator] not in TRAINED_BY[found.stage]:
        raise WeightsError(
            f"--weights: {path} must be of a stage that trains {_NEEDED[generator]} for "
            f"--generator {generator}, got stage {found.stage}"
        )
    return found


def load_pretrained(path: str | os.PathLike[str]) -> Pretrained:
    """Networks, ready for inference, and their stage.

    Args:
        path: of a file that `save_networks` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: it is not a weights file of this version.
    """
    if not Path(path).is_file():
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
    if header.get("stage") not in STAGES:
        raise WeightsError(
            f"{path}: stage must be one of {', '.join(STAGES)}, got {header.get('stage')!r}"
        )
    try:
        networks = PoseFlowNetworks(**json.loads(header["model"]))
        untrained = {
            name: tensor
            for name, tensor in networks.state_dict().items()
            if name.partition(".")[0] not in TRAINED_BY[header["stage"]]
        }
        networks.load_state_dict({**untrained, **weights})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path} does not fit the networks of this version: {reason}") from error
    return Pretrained(networks.eval().requires_grad_(False), header["stage"])
