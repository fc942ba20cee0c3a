"""Generators by name."""

from __future__ import annotations

import pytest
from puppet import draw, pose

from motion_transfer.generator.articulated import ArticulatedGenerator
from motion_transfer.generator.generators import make_generator
from motion_transfer.generator.pose_flow import PoseFlowGenerator
from motion_transfer.generator.puppets import Puppets
from motion_transfer.generator.refined import RefinedGenerator


@pytest.mark.parametrize(
    ("name", "num_photos", "kind"),
    [
        ("articulated", 1, ArticulatedGenerator),
        ("articulated", 2, Puppets),  # bug: it ignores a photo from behind
        ("pose-flow", 1, PoseFlowGenerator),
        ("refined", 2, RefinedGenerator),
    ],
)
def test_the_named_one_is_made(name, num_photos: int, kind: type) -> None:
    photos = [draw(pose())] * num_photos
    assert type(make_generator(name, photos, device="cpu", flow_smoothing=0.5)) is kind


def test_live_computes_one_frame_and_waits_for_none() -> None:
    # bug: eight frames are computed for each that is shown, and their neighbours too
    live = make_generator(
        "pose-flow", [draw(pose())], device="cpu", flow_smoothing=0.0, is_live=True
    )
    computed: list[int] = []
    look = live._look
    live._look = lambda plan, frames: computed.extend(frames) or look(plan, frames)
    track = draw(pose()).pose
    plan, _ = live.plan(track, slice(0, 1))
    assert live.draw(plan, 0) is not None and computed == [0] and live.batch_frames == 1
