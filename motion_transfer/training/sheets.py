"""Sample sheets: what the networks make of a few pairs, one row per pair."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from motion_transfer.generator.pose_maps import draw_pose, draw_source, prior_flow, propose
from motion_transfer.generator.warp import resize_flow, warp
from motion_transfer.training.batches import Pair
from motion_transfer.training.objectives import Outputs

_COLOURS = torch.tensor(
    [(0.0, 0.0, 0.0), *(colorsys.hsv_to_rgb(k / 8, 0.75, 0.95) for k in range(8))]
)


def write_sheet(path: Path, pair: Pair, outputs: Outputs, *, rows: int = 6) -> None:
    """Write a PNG.

    Columns: photo, target, articulated prior, learned flow, true visibility, visibility, mask;
    after the flow stage also garments, true garments, copy gate and the result.
    """
    size_hw = (pair.source.rgb.shape[-2], pair.source.rgb.shape[-1])
    prior = _prior_flow(pair, size_hw)
    full, seen, mask = (t.detach() for t in outputs.flow.full())

    def grey(x: torch.Tensor) -> torch.Tensor:
        return x.float().expand(-1, 3, -1, -1)

    photo = pair.source.rgb * pair.source.alpha
    columns = [
        pair.source.rgb, pair.target.rgb, warp(photo, prior) * grey(pair.target.alpha),
        warp(photo, full) * torch.sigmoid(mask), grey(pair.visible),
        grey(torch.sigmoid(seen)), grey(torch.sigmoid(mask)),
    ]  # fmt: skip
    if outputs.result is not None:
        parse = functional.interpolate(outputs.result.garment.parse, size_hw, mode="bilinear")
        columns += [_paint(parse.argmax(1)), _paint(pair.target.parse)]
        picture = outputs.result.picture
        if picture is not None:
            columns += [grey(picture.gate), picture.rgb * torch.sigmoid(picture.alpha)]
    save_rows(path, columns, rows)


def save_rows(path: Path, columns: Sequence[torch.Tensor], rows: int) -> None:
    """Write a PNG of pictures (B, 3, H, W) in [0, 1] side by side, one row for each of a batch."""
    count = min(rows, len(columns[0]))
    table = torch.stack([c[:count].detach().float().cpu().clamp(0, 1) for c in columns], 1)
    sheet = table.permute(0, 3, 1, 4, 2).flatten(0, 1).flatten(1, 2)
    image = Image.fromarray((sheet.numpy() * 255 + 0.5).astype(np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _prior_flow(pair: Pair, size_hw: tuple[int, int]) -> torch.Tensor:
    source = draw_source(pair.source.pose, pair.source.alpha)
    target = draw_pose(pair.target.pose, full_hw=size_hw)
    return resize_flow(prior_flow(propose(source, target)), size_hw) / 2


def _paint(labels: torch.Tensor) -> torch.Tensor:
    return _COLOURS.to(labels.device)[labels].permute(0, 3, 1, 2)
