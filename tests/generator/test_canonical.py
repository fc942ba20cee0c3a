"""Joints, sizes and crops of the networks."""

import puppets
import pytest
import torch

from motion_transfer.generator.canonical import (
    JOINT,
    JOINTS,
    MIRROR,
    TORSO_PX,
    Crop,
    Pose,
    body_size,
    crop_image,
    crop_pose,
    fit_crop,
    from_blazepose,
    mirror_pose,
)
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.training.batches import make_pair


def pose_of(xy: torch.Tensor) -> Pose:
    return Pose(xy, torch.zeros(xy.shape[:2]), torch.ones(xy.shape[:2]))


@pytest.fixture
def pose(batch) -> Pose:
    return make_pair(batch, size_hw=puppets.SIZE_HW).source.pose


def test_joints_from_blazepose() -> None:
    # bug: a wrist taken from the other side, or an unknown joint at (0, 0) taken for a place
    xy = torch.randn(2, 33, 2)
    depth = torch.randn(2, 33)
    confidence = torch.ones(2, 33)
    confidence[0, INDEX["left_wrist"]] = 0
    xy[1, INDEX["left_shoulder"]] = torch.nan
    pose = from_blazepose(xy, depth, confidence)
    for name in ("right_wrist", "left_hip", "nose"):
        assert torch.equal(pose.xy[:, JOINT[name]], xy[:, INDEX[name]])
        assert torch.equal(pose.depth[:, JOINT[name]], depth[:, INDEX[name]])
    assert pose.known[0, JOINT["left_wrist"]] == 0
    assert pose.known[1, JOINT["left_shoulder"]] == pose.known[1, JOINT["neck"]] == 0
    assert pose.known[0].sum() == len(JOINTS) - 1
    assert torch.isfinite(pose.xy).all()


def test_mirroring_twice_changes_nothing(pose) -> None:
    assert [MIRROR[m] for m in MIRROR] == list(range(len(JOINTS)))
    twice = mirror_pose(mirror_pose(pose, 96), 96)
    assert torch.allclose(twice.xy, pose.xy, atol=1e-5)


def test_a_torso_that_leans_to_the_camera_does_not_shrink_the_person(pose) -> None:
    # bug: the crop zooms in when a dancer bows
    bowed = pose.xy.clone()
    hips = bowed[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(1)
    bowed[:, JOINT["neck"]] = hips + 0.3 * (bowed[:, JOINT["neck"]] - hips)
    assert (body_size(pose_of(bowed)) > 0.9 * body_size(pose_of(pose.xy))).all()


def test_everybody_has_one_size_in_the_crop(pose) -> None:
    large = Pose(pose.xy * 3.7 + 50, pose.depth * 3.7, pose.known)
    crop = fit_crop(large, (900, 900))
    inside = crop_pose(large, crop)
    size = body_size(inside)
    assert (size <= TORSO_PX + 1e-3).all() and (size > 0.75 * TORSO_PX).all()
    assert (inside.xy > 0).all()
    assert (inside.xy < torch.tensor([192.0, 256.0])).all()


def test_guesses_outside_of_the_picture_do_not_widen_the_crop(pose) -> None:
    # bug: legs that the tracker guesses below a portrait's edge make the face tiny
    height = int(pose.xy[:, [JOINT["left_hip"], JOINT["right_hip"]], 1].min())
    portrait = fit_crop(pose, (height, puppets.SIZE_HW[1]))
    middle = crop_pose(pose, portrait).xy[:, JOINT["neck"], 1]
    whole = crop_pose(pose, fit_crop(pose, puppets.SIZE_HW)).xy[:, JOINT["neck"], 1]
    assert (middle > whole + 10).all()


def test_crop_shows_what_lies_under_it() -> None:
    # bug: half a pixel of drift between joints and picture
    image = torch.rand(1, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    crop = Crop(torch.tensor([[14.5, 19.5]]), torch.tensor([1.0]))
    assert torch.allclose(crop_image(image, crop, (40, 30)), image, atol=1e-5)
    moved = crop_pose(pose_of(torch.tensor([[[14.5, 19.5]]])), crop, (40, 30))
    assert torch.allclose(moved.xy, torch.tensor([[[14.5, 19.5]]]))
