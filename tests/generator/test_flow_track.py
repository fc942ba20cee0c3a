"""Flows of neighbouring frames."""

from __future__ import annotations

import torch

from motion_transfer.generator.canonical import CROP_HW, TORSO_PX, Pose
from motion_transfer.generator.cost import some_pose
from motion_transfer.generator.flow_track import TOLERANCE_TORSO, Looked, Track, smooth_flows
from motion_transfer.generator.parts import PART_NAMES
from motion_transfer.generator.pose_flow_net import FlowLevel, PoseFlow

NUM = 5
LEVELS = ((32, 24), (64, 48), (128, 96))


def level(size_hw: tuple[int, int], flow_px: float) -> FlowLevel:
    def full(channels: int, value: float) -> torch.Tensor:
        return torch.full((1, channels, *size_hw), value)

    fields = {
        "flow": full(2, flow_px), "visibility": full(1, 1.0), "mask": full(1, flow_px),
        "part_logits": full(len(PART_NAMES), 0.0), "residual": full(2, 0.0),
    }  # fmt: skip
    return FlowLevel(*(fields[name] for name in FlowLevel._fields))


def track_of(flows_px: list[float]) -> Track:
    """One photo; the flow of each frame is the same everywhere, pixels of the finest level."""
    track: Track = {}
    for frame, flow_px in enumerate(flows_px):
        levels = [level(hw, flow_px * hw[0] / LEVELS[-1][0]) for hw in LEVELS]
        finest = levels[-1]
        stacked = torch.cat([finest.flow, finest.visibility, finest.mask], 1)[0]
        flow = PoseFlow((levels[0], levels[1], levels[2]))
        track[frame] = [Looked(flow, stacked, torch.zeros(4, *LEVELS[-1]))]
    return track


def smoothed(flows_px: list[float], strength: float, frame: int = 2) -> PoseFlow:
    """Of a person who stands still."""
    still = some_pose()
    poses = Pose(*(t[:1].repeat(NUM, *[1] * (t.ndim - 1)) for t in still))
    return smooth_flows(
        track_of(flows_px), torch.tensor([frame]), poses, torch.full((NUM,), float(TORSO_PX)),
        strength=strength, crop_hw=CROP_HW,
    )[0]  # fmt: skip


def test_a_tremble_is_averaged_at_all_scales() -> None:
    # bug: only the finest level changes, and features are warped by another flow than pixels
    trembling = [0.3, -0.3, 0.3, -0.3, 0.3]
    calm, same = smoothed(trembling, 1.0), smoothed(trembling, 0.0)
    for found, start, hw in zip(calm.levels, same.levels, LEVELS, strict=True):
        scale = hw[0] / LEVELS[-1][0]
        assert torch.allclose(start.flow, torch.tensor(0.3 * scale))
        assert (found.flow.abs() < 0.5 * 0.3 * scale).all()


def test_what_disagrees_does_not_count() -> None:
    # bug: where limbs cross, two places in the photo are averaged to a third
    apart_px = 10 * TOLERANCE_TORSO * TORSO_PX
    found = smoothed([apart_px, apart_px, 0.0, apart_px, apart_px], 1.0)
    assert found.finest.flow.abs().max() < 0.05


def test_the_first_frame_has_its_own_place() -> None:
    # bug: frames before the first are looked up from the end
    found = smoothed([0.0, 0.0, 0.0, 2.0, 2.0], 1.0, frame=0)
    assert found.finest.flow.abs().max() < 1e-4
