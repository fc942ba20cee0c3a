"""The puppets of several photos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from puppet import A_POSE, COLOURS, SIZE_HW, draw, pose, poses, raised
from skeletons import metres

from motion_transfer.generator.articulated import ArticulatedGenerator, Rendition, Source
from motion_transfer.generator.puppets import Puppets, around, mix_renditions
from motion_transfer.pose.skeleton import INDEX

BACK_COLOUR = 40


@pytest.fixture(scope="module")
def front() -> Source:
    return draw(pose())


@pytest.fixture(scope="module")
def back() -> Source:
    """The same person from behind, all in one dark grey."""
    source = draw(poses([metres(angles=A_POSE, turn=180)]))
    grey = np.where(source.alpha[..., None] > 0.5, np.uint8(BACK_COLOUR), source.rgb)
    return replace(source, rgb=grey)


def drawn(puppets: Puppets, turn: float) -> Rendition:
    track = poses([metres(angles=A_POSE, turn=turn)])
    plan, _ = puppets.plan(track, slice(0, 1))
    found = puppets.draw(plan, 0, with_flow=True)
    assert found is not None
    return found


def grey_share(rendition: Rendition) -> float:
    """Share of the person's pixels that are the back's photo's."""
    body = rendition.rgba[3] > 0.99
    return float(((rendition.rgba[:3, body] * 255 - BACK_COLOUR).abs().amax(0) < 12).float().mean())


def test_who_turns_is_seen_in_the_photo_from_behind(front: Source, back: Source) -> None:
    # bug: other photos are for the networks only, and a face looks out of the back of the head
    puppets = Puppets([front, back], device="cpu", flow_smoothing=0.0)
    shares = [grey_share(drawn(puppets, turn)) for turn in (0, 180)]
    assert shares[0] < 0.01 and shares[1] > 0.95
    assert drawn(puppets, 180).visibility.max() == 0  # the first photo does not show it


def test_what_the_photo_from_behind_shows_is_known_to_be_shown(front: Source, back: Source) -> None:
    # bug: RefinementNet takes a photographed back for an invented one
    for sources, share in (([front, back], 0.6), ([front], 0.0)):
        puppets = Puppets(sources, device="cpu", flow_smoothing=0.0)
        plan, _ = puppets.plan(poses([metres(angles=A_POSE, turn=180)]), slice(0, 1))
        found = puppets.draw_shown(plan, 0)
        assert found is not None and found[1].shape == found[0].rgba[:1].shape
        body = found[0].rgba[3:] > 0.99
        assert (found[1][body] > 0.9).float().mean() >= share
        assert share > 0 or found[1].max() == 0


def test_only_the_other_photo_has_something_in_the_picture(front: Source, back: Source) -> None:
    # bug: the second photo's drawing has no visibility, and the video ends there
    puppets = Puppets([front, back], device="cpu", flow_smoothing=0.0)
    plan, _ = puppets.plan(poses([metres(angles=A_POSE, turn=180)]), slice(0, 1))
    plan.whole[0].orders[0].clear()
    found = puppets.draw_shown(plan, 0)
    assert found is not None and found[0].flow is not None
    assert found[0].visibility.max() == 0 and found[1].max() > 0.9


def test_one_photo_is_the_articulated_generator(front: Source) -> None:
    # bug: the puppet of one photo changes when it is asked through this class
    track = poses([metres(angles=A_POSE | raised(60), turn=20)])
    puppets = Puppets([front], device="cpu", flow_smoothing=0.5)
    own = ArticulatedGenerator(front, flow_smoothing=0.5)
    plan, states = puppets.plan(track, slice(0, 1))
    theirs, state = own.plan(track, slice(0, 1))
    assert states == [state]
    ours = puppets.draw(plan, 0)
    wanted = own.draw(theirs, 0)
    assert ours is not None and wanted is not None
    assert torch.equal(ours.rgba, wanted.rgba) and ours.box_xyxy == wanted.box_xyxy


def test_photos_of_the_same_side_do_not_take_turns(front: Source) -> None:
    # bug: two photos from the front, a hair apart in facing, are mixed to a ghost
    other = replace(front, rgb=np.full_like(front.rgb, BACK_COLOUR))
    puppets = Puppets([front, other], device="cpu", flow_smoothing=0.0)
    assert max(grey_share(drawn(puppets, turn)) for turn in (0, 25, 180)) < 0.01


def test_limbs_are_without_clothes(front: Source) -> None:
    # bug: the torso of the puppet covers what the networks drew
    puppets = Puppets([front], device="cpu", flow_smoothing=0.0)
    plan, _ = puppets.plan(front.pose, slice(0, 1))
    kept = puppets.draw_kept(plan, 0)
    assert kept is not None
    frame = torch.zeros(4, *SIZE_HW)
    x0, y0, x1, y1 = kept.box_xyxy
    frame[:, y0:y1, x0:x1] = kept.rgba

    def at(*joints: str) -> torch.Tensor:
        x, y = np.round(front.pose.xy[0, [INDEX[j] for j in joints]].mean(0)).astype(int)
        return frame[:, y, x]

    assert at("left_shoulder", "right_hip")[3] == 0 and at("left_hip", "left_knee")[3] < 0.05
    for side in ("left", "right"):
        shin = at(f"{side}_knee", f"{side}_ankle")
        assert (shin[:3] * 255 - torch.tensor(COLOURS[f"{side}_shin"])).abs().max() < 2


def test_a_mixed_rendition_holds_both() -> None:
    # bug: what reaches out of one box is cut, or the flow of a picture that is not seen is given
    small = Rendition(torch.ones(4, 2, 2), torch.full((2, 2, 2), 3.0), torch.ones(1, 2, 2),
                      (0, 0, 2, 2))  # fmt: skip
    large = Rendition(torch.full((4, 4, 4), 0.5), None, None, (1, 1, 5, 5))
    box = around(small, large)
    mixed = mix_renditions(small, large, 0.25, box)
    assert box == (0, 0, 5, 5) and mixed.rgba.shape == (4, 5, 5)
    assert mixed.rgba[0, 0, 0] == 0.75 and mixed.rgba[0, 1, 1] == 0.875
    assert mixed.rgba[0, 4, 4] == 0.125 and mixed.rgba[0, 4, 0] == 0
    assert mixed.flow[0, 0, 0] == 3 and mixed.visibility[0, 0, 0] == 0.75
    other = large._replace(flow=torch.full((2, 4, 4), 7.0), visibility=torch.zeros(1, 4, 4))
    assert mix_renditions(small, other, 0.75, box).flow[0, 1, 1] == 7
