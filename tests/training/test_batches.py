"""Crops of rendered pairs keep their ground truth."""

import puppets
import pytest
import torch

from motion_transfer.generator.canonical import Crop, body_size
from motion_transfer.generator.warp import warp
from motion_transfer.training.batches import make_pair, nearest
from motion_transfer.training.objectives import target_step


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size_hw", [puppets.SIZE_HW, (256, 192), (160, 128)])
def test_cropped_flow_still_takes_the_target_from_the_source(batch, backward, flip, size_hw):
    # bug: flow not scaled with the crop, not mirrored, or between the wrong views
    pair = make_pair(batch, backward=backward, flip=flip, size_hw=size_hw)
    warped = warp(pair.source.rgb, pair.flow)
    error = ((warped - pair.target.rgb).abs() * pair.visible).sum() / pair.visible.sum() / 3
    still = ((pair.source.rgb - pair.target.rgb).abs() * pair.visible).sum()
    assert error < 0.06
    assert error < 0.4 * still / pair.visible.sum() / 3
    assert ((pair.visible <= pair.known).all()) and pair.visible.mean() > 0.05


def test_mirrored_people_have_mirrored_parts(batch) -> None:
    plain, flipped = (make_pair(batch, flip=f, size_hw=puppets.SIZE_HW) for f in (False, True))
    left, right = (puppets.PARTS.index(f"{s}_upper_arm") for s in ("left", "right"))
    count = [(p.target.part == k).sum().item() for p in (plain, flipped) for k in (left, right)]
    assert count[0] == pytest.approx(count[3], rel=0.1)
    assert torch.allclose(body_size(plain.target.pose), body_size(flipped.target.pose), atol=1e-3)


def test_labels_are_not_interpolated() -> None:
    labels = torch.tensor([[0.0, 7.0], [7.0, 0.0]])[None, None]
    crop = Crop(torch.tensor([[0.5, 0.5]]), torch.tensor([3.0]))
    assert set(nearest(labels, crop, (12, 12)).unique().tolist()) == {0.0, 7.0}


def test_motion_between_target_frames(batch) -> None:
    size_hw = puppets.SIZE_HW
    now, then = (make_pair(batch, frame=k, size_hw=size_hw) for k in (0, 1))
    back = make_pair(batch, frame=1, backward=True, size_hw=size_hw)
    step, known = target_step(now, back)
    assert known.mean() > 0.03
    carried = warp(then.target.rgb, step)
    error = ((carried - now.target.rgb).abs() * known).sum() / known.sum() / 3
    assert error < 0.06


def test_a_share_of_the_trackers_errors(batch) -> None:
    # bug: errors do not scale, or are those of another sample
    noisy = {**batch, "tracked": batch["tracked"].clone()}
    noisy["tracked"][..., :2] = batch["keypoints"][..., :2] + 8
    noisy["tracked"][..., 2:] = 1
    shares = torch.linspace(0, 1, len(noisy["rgb"]))
    crop = Crop(torch.zeros(len(shares), 2), torch.ones(len(shares)))
    true, mixed = (
        make_pair(noisy, noise=n, size_hw=puppets.SIZE_HW, source_crop=crop).source.pose.xy
        for n in (0.0, shares)
    )
    assert torch.allclose(mixed - true, (8 * shares)[:, None, None].expand_as(true), atol=1e-3)


def test_all_is_known_only_without_the_trackers_errors(batch) -> None:
    lost = {**batch, "tracked": batch["tracked"].clone()}
    lost["tracked"][..., 3] = 0
    for share, known in ((0.0, True), (0.1, False), (1.0, False)):
        pose = make_pair(lost, noise=share, size_hw=puppets.SIZE_HW).source.pose
        assert bool(pose.known.any()) == known
