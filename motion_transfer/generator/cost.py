"""What the networks cost: parameters and arithmetic, counted, not estimated."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from motion_transfer.generator.canonical import CROP_HW, JOINTS, Pose
from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.generator.pose_maps import draw_pose, draw_source, propose


class Cost(NamedTuple):
    """Of one stage.

    parameters: number of trained values.
    gflop: thousand million operations for one frame, a multiplication and an addition being two.
    once: whether it runs once for a photo, not for every frame.
    """

    parameters: int
    gflop: float
    once: bool


def some_pose(size_hw: tuple[int, int] = CROP_HW, *, batch: int = 1, seed: int = 0) -> Pose:
    """A pose without meaning, for counting and timing."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.tensor([size_hw[1], size_hw[0]]) * 0.4
    xy = (torch.rand(batch, len(JOINTS), 2, generator=generator) + 0.75) * spread
    shape = (batch, len(JOINTS))
    return Pose(xy, torch.zeros(shape), torch.ones(shape))


@torch.no_grad()
def count_cost(networks: PoseFlowNetworks, size_hw: tuple[int, int] = CROP_HW) -> dict[str, Cost]:
    """Cost of every stage for one photo and one frame.

    Args:
        networks: on the CPU.
        size_hw: of the crop.
    """
    pose = some_pose(size_hw)
    mask, rgb = torch.ones(1, 1, *size_hw), torch.rand(1, 3, *size_hw)
    source, target = draw_source(pose, mask), draw_pose(pose, full_hw=size_hw)
    candidates = propose(source, target)
    flow, garment, synthesis = networks.flow, networks.garment, networks.synthesis
    parse = torch.softmax(networks.parser(rgb, mask, source.pose.maps), 1)
    features = flow.encode_source(source)
    flows = [flow(features, target, candidates)]
    drawn = torch.rand(1, 5, *size_hw)
    garment_features = garment.encode_source(parse, mask)
    dressed = garment([garment_features], flows, target.maps)
    look = synthesis.encode_source(rgb, mask, parse)

    def gflop(stage: Callable[[], object]) -> float:
        with FlopCounterMode(display=False) as counter:
            stage()
        return counter.get_total_flops() / 1e9

    def size(module: torch.nn.Module, *, source: bool) -> int:
        return sum(
            p.numel() for n, p in module.named_parameters() if n.startswith("source_") == source
        )

    return {
        "photo: parser": Cost(
            sum(p.numel() for p in networks.parser.parameters()),
            gflop(lambda: networks.parser(rgb, mask, source.pose.maps)),
            True,
        ),
        "photo: flow": Cost(
            size(flow, source=True), gflop(lambda: flow.encode_source(source)), True
        ),
        "photo: garment": Cost(
            size(garment, source=True), gflop(lambda: garment.encode_source(parse, mask)), True
        ),
        "photo: synthesis": Cost(
            size(synthesis, source=True),
            gflop(lambda: synthesis.encode_source(rgb, mask, parse)),
            True,
        ),
        "frame: flow": Cost(
            size(flow, source=False), gflop(lambda: flow(features, target, candidates)), False
        ),
        "frame: garment": Cost(
            size(garment, source=False),
            gflop(lambda: garment([garment_features], flows, target.maps)),
            False,
        ),
        "frame: synthesis": Cost(
            size(synthesis, source=False),
            gflop(lambda: synthesis([look], flows, dressed, target.maps)),
            False,
        ),
        "drawing: refinement": Cost(
            sum(p.numel() for p in networks.refinement.parameters()),
            gflop(lambda: networks.refinement(drawn, target.maps, mask)),
            False,
        ),
    }
