"""Part candidates, their weights, and what they find in the source."""

import puppets
import pytest
import torch

from motion_transfer.generator.canonical import JOINT, Pose
from motion_transfer.generator.parts import (
    PART_NAMES,
    cover,
    hidden_parts,
    look_up,
    mix,
    part_affine,
    part_flows,
    prior_logits,
    skeleton,
)
from motion_transfer.generator.pose_maps import (
    CHANNELS,
    MAP_CHANNELS,
    draw_pose,
    draw_source,
    prior_flow,
    propose,
)
from motion_transfer.synth.rig import PARTS
from motion_transfer.training.batches import make_pair, random_modalities, ten_part_maps

HW = puppets.SIZE_HW
HALF = (HW[0] // 2, HW[1] // 2)


@pytest.fixture
def pair(batch):
    return make_pair(batch, size_hw=HW)


def test_same_pose_gives_no_flow(pair) -> None:
    # bug: the null flow of an untrained network is not zero
    source = draw_source(pair.source.pose, pair.source.alpha)
    target = draw_pose(pair.source.pose, full_hw=HW)
    assert prior_flow(propose(source, target)).abs().max() < 1e-3


def test_each_bone_carries_its_own_ends(pair) -> None:
    # bug: source and target exchanged, or x and y
    ours, theirs = skeleton(pair.source.pose), skeleton(pair.target.pose)
    affine = part_affine(ours, theirs)
    for end in ("start", "end"):
        found = (affine.matrix @ getattr(theirs, end)[..., None])[..., 0] + affine.offset
        error = (found - getattr(ours, end)).norm(dim=-1)[:, 2:14]  # limbs keep their length
        assert error.max() < 1.0


def test_best_candidate_is_the_true_flow(pair) -> None:
    flows = part_flows(part_affine(*map(skeleton, (pair.source.pose, pair.target.pose))), HW, HW)
    names = [PARTS.index(n) for n in PART_NAMES[:14]]
    for number, name in enumerate(names):
        on = (pair.target.part == name)[:, None] & (pair.visible > 0)
        error = (flows[:, number] - pair.flow).norm(dim=1, keepdim=True)[on]
        assert len(error) == 0 or error.median() < 1.5, PARTS[name]


def test_coarse_candidates_are_the_fine_ones_at_their_pixels(pair) -> None:
    # bug: half a pixel of shift between levels
    affine = part_affine(skeleton(pair.source.pose), skeleton(pair.target.pose))
    fine, coarse = part_flows(affine, HW, HW), part_flows(affine, HALF, HW)
    pooled = fine.unflatten(-1, (HALF[1], 2)).mean(-1).unflatten(-2, (HALF[0], 2)).mean(-2)
    assert torch.allclose(pooled, coarse, atol=1e-3)


def test_unknown_parts_have_no_say(pair) -> None:
    known = pair.target.pose.known.clone()
    known[:, JOINT["left_wrist"]] = 0
    bones = skeleton(pair.target.pose._replace(known=known))
    logits = prior_logits(cover(bones, HALF, HW), bones.known)
    weights = torch.softmax(logits, 1)
    assert weights[:, PART_NAMES.index("left_lower_arm")].max() < 0.05


def test_a_part_under_a_nearer_one_is_hidden() -> None:
    # bug: a hand before the chest is copied twice
    at = puppets.joints(__import__("numpy").random.default_rng(0), 0.0)
    from motion_transfer.generator.canonical import JOINTS

    names = {"neck": "neck"}
    xy = torch.tensor([[at[names.get(n, n)].tolist() for n in JOINTS]]).float()
    depth = torch.zeros(1, len(JOINTS))
    chest = xy[:, JOINT["neck"]] + torch.tensor([[0.0, 10.0]])
    for n in ("left_elbow", "left_wrist", "left_hand"):
        xy[:, JOINT[n]] = chest + (torch.tensor([[4.0, 0.0]]) if n == "left_elbow" else 0)
    for sign, expected in ((-1, True), (1, False)):
        near = depth.clone()
        near[:, [JOINT["left_elbow"], JOINT["left_wrist"], JOINT["left_hand"]]] = sign * 15.0
        bones = skeleton(Pose(xy, near, torch.ones_like(near)))
        covered = cover(bones, HW, HW)
        x, y = chest[0].round().int().tolist()
        under = hidden_parts(covered, bones.known)[0, PART_NAMES.index("torso"), y, x]
        assert bool(under > 0.5) == expected


def test_a_mixture_blends_the_candidates(pair) -> None:
    affine = part_affine(skeleton(pair.source.pose), skeleton(pair.target.pose))
    logits = torch.randn(4, len(PART_NAMES), *HALF, generator=torch.Generator().manual_seed(0))
    flow, weights = mix(affine, logits, HW)
    slow = (weights[:, :, None] * part_flows(affine, HALF, HW)).sum(1)
    assert torch.allclose(flow, slow, atol=1e-3)


def test_candidates_know_whether_they_point_at_the_person(pair) -> None:
    mask = torch.zeros(1, 1, *HW)
    mask[..., : HW[1] // 2] = 1
    flows = torch.zeros(1, len(PART_NAMES), 2, *HALF)
    inside, under = look_up(flows, mask, torch.zeros(1, len(PART_NAMES), 32, 24), HW)
    assert (inside[..., : HALF[1] // 2 - 1] == 1).all()
    assert (inside[..., HALF[1] // 2 + 1 :] == 0).all()
    flows[:, :, 0] = -HW[1] / 2
    inside, under = look_up(flows, mask, torch.zeros(1, len(PART_NAMES), 32, 24), HW)
    assert (inside[..., HALF[1] // 2 + 1 :] == 1).all()
    assert not under.any()


def test_maps_have_the_promised_channels(pair) -> None:
    maps = draw_pose(pair.target.pose, full_hw=HW).maps
    assert maps.shape == (4, MAP_CHANNELS, *HALF)
    assert torch.isfinite(maps).all()


def test_absent_maps_are_zero_and_the_others_stay(pair) -> None:
    whole = draw_pose(pair.target.pose, full_hw=HW).maps
    keep = torch.ones(4, len(CHANNELS))
    keep[1, 2] = 0
    some = draw_pose(pair.target.pose, full_hw=HW, keep=keep).maps
    start = sum(list(CHANNELS.values())[:2])
    assert not some[1, start].any() and whole[1, start].any()
    assert torch.equal(some[0], whole[0])
    drawn = random_modalities(500, drop=0.9, generator=torch.Generator().manual_seed(0))
    assert ((drawn[:, 0] + drawn[:, 3]) > 0).all()


def test_ten_parts_from_joints_resemble_the_engine_s(pair) -> None:
    # bug: left and right, or feet and shins, exchanged between the two sources of the map
    made = draw_pose(pair.target.pose, full_hw=HW).maps[:, -10:]
    true = ten_part_maps(pair.target.part)
    agree = (made.argmax(1) == true.argmax(1))[true.sum(1) > 0].float().mean()
    assert agree > 0.75
