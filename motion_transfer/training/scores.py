"""Scores on held-out pairs, beside the articulated prior's."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from motion_transfer.generator.pose_maps import draw_pose, draw_source, prior_flow, propose
from motion_transfer.generator.warp import resize_flow, warp
from motion_transfer.training.batches import make_pair
from motion_transfer.training.objectives import StageNetworks


@torch.no_grad()
def score(
    networks: StageNetworks,
    samples: Iterable[dict[str, torch.Tensor]],
    *,
    size_hw: tuple[int, int],
) -> dict[str, float]:
    """Mean scores over pairs, with the tracker's key points.

    Returns:
        End-point error in pixels of the crop on visible pixels (`epe`, `epe_prior`, median
        `epe_median`, `epe_median_prior`), mask and visibility overlap, L1 of the warped photo
        in 1/255, and of the result and garment overlap where those networks take part.
    """
    sums: dict[str, list[float]] = {}

    def note(name: str, value: torch.Tensor) -> None:
        sums.setdefault(name, []).append(float(value))

    networks.eval()
    for batch in samples:
        pair = make_pair(batch, size_hw=size_hw)
        outputs = networks(pair.source, pair.target)
        full, seen, mask = outputs.flow.full()
        source = draw_source(pair.source.pose, pair.source.alpha)
        target = draw_pose(pair.target.pose, full_hw=size_hw)
        prior = resize_flow(prior_flow(propose(source, target)), size_hw) / 2
        on = pair.visible > 0.5
        for name, flow in (("", full), ("_prior", prior)):
            error = (flow - pair.flow).norm(dim=1, keepdim=True)[on]
            note(f"epe{name}", error.mean())
            note(f"epe_median{name}", error.median())
            difference = (warp(pair.source.rgb, flow) - pair.target.rgb).abs()
            note(f"l1{name}", difference.mean(1, keepdim=True)[on].mean() * 255)
        note("mask_iou", _overlap(mask > 0, pair.target.alpha > 0.5))
        note("visible_iou", _overlap(seen > 0, on))
        if outputs.result is not None:
            labels, truth = outputs.result.garment.parse.argmax(1), pair.target.parse[:, ::2, ::2]
            shares = [_overlap(labels == k, truth == k) for k in range(1, 9) if (truth == k).any()]
            note("parse_iou", torch.stack(shares).mean())
            picture = outputs.result.picture
            if picture is not None:
                body = pair.target.alpha > 0.5
                difference = (picture.rgb - pair.target.rgb).abs().mean(1, keepdim=True)
                note("result_l1", difference[body].mean() * 255)
                note("alpha_iou", _overlap(picture.alpha > 0, body))
    networks.train()
    return {name: sum(values) / len(values) for name, values in sums.items()}


def _overlap(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a & b).sum() / (a | b).sum().clamp_min(1)
