"""The maps that move the puppet's layers."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from motion_transfer.generator.motion import (
    Bone,
    Chain,
    Head,
    Motion,
    Quad,
    perpendicular,
    unit,
)
from motion_transfer.generator.temporal import blend_carried

FRAMES = 12


def tensor(*values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def turned(points: torch.Tensor, degrees: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """(N, 2) turned about their first point by (T,) and moved by (T, 2): (T, N, 2)."""
    angle = torch.deg2rad(degrees)[:, None]
    v = points - points[:1]
    x = torch.cos(angle) * v[:, 0] - torch.sin(angle) * v[:, 1]
    y = torch.sin(angle) * v[:, 0] + torch.cos(angle) * v[:, 1]
    return torch.stack([x, y], -1) + points[:1] + shift[:, None]


DEGREES = torch.linspace(0, 170, FRAMES)
SHIFT = torch.stack([torch.linspace(0, 90, FRAMES), torch.linspace(0, -40, FRAMES)], -1)
ONE = torch.ones(FRAMES)
BONE = tensor([100, 100], [108, 180])


def swung(zoom: torch.Tensor = ONE) -> Bone:
    points = turned(BONE, DEGREES, SHIFT)
    centre = points[:, :1]
    return Bone.between(BONE, centre + zoom[:, None, None] * (points - centre), zoom)


def elbow() -> Chain:
    """An arm in two pieces, drawn straight in the photo, bent by 70 degrees in the target."""
    start = tensor([100, 20])
    upper = torch.cat([start, BONE[:1]])
    moved = torch.cat([SHIFT[:, None] + start, turned(BONE, DEGREES, SHIFT)[:, :1]], 1)
    return Chain(
        main=swung(), before=Bone.between(upper, moved, ONE), after=None,
        start_radius_px=10, end_radius_px=8, ends_here=False,
    )  # fmt: skip


def patch(lean: float = 20.0, bend: tuple[float, float] = (-4.0, 6.0)) -> Quad:
    straight = torch.zeros(1, 1, 1)
    photo = Quad(centre0=tensor([100, 200])[None], centre1=tensor([104, 100])[None],
                 half0=tensor([20, 1])[None], half1=tensor([30, -2])[None],
                 bend0=straight, bend1=straight)  # fmt: skip
    corners = torch.cat([photo.centre0, photo.centre1, photo.centre0 + photo.half0,
                         photo.centre1 + photo.half1], 1)[0]  # fmt: skip
    at = turned(corners, torch.linspace(0, lean, FRAMES), SHIFT)
    return Quad(centre0=at[:, 0:1], centre1=at[:, 1:2], half0=(at[:, 2:3] - at[:, 0:1]),
                half1=(at[:, 3:4] - at[:, 1:2]), bend0=torch.full((FRAMES, 1, 1), bend[0]),
                bend1=torch.full((FRAMES, 1, 1), bend[1]), photo=photo)  # fmt: skip


def head() -> Head:
    centre, neck = tensor([104, 60]), tensor([104, 100])
    at = turned(torch.cat([neck, centre])[:, :].reshape(2, 2), torch.linspace(0, 40, FRAMES), SHIFT)
    up = unit(at[:, 1:2] - at[:, 0:1])
    return Head(centre=at[:, 1:2], up=up, neck=at[:, 0:1], zoom=torch.ones(FRAMES, 1, 1),
                bent=torch.zeros(FRAMES, 1, 1), low=torch.zeros(FRAMES, 1, 1), radius_px=30.0,
                photo_centre=centre[None], photo_up=tensor([0, -1])[None],
                torso=None)  # fmt: skip


def round_trip(motion: Motion, inside: torch.Tensor, tolerance_px: float) -> None:
    there = motion.target(inside)[:, : len(inside)]
    assert (motion.source(there) - inside).norm(dim=-1).max() < tolerance_px


def near_bone() -> torch.Tensor:
    along = unit(BONE[1] - BONE[0])
    t, w = torch.meshgrid(torch.linspace(2, 78, 20), torch.linspace(-9, 9, 7), indexing="ij")
    return BONE[0] + t.reshape(-1, 1) * along + w.reshape(-1, 1) * perpendicular(along)


def test_a_bone_there_and_back() -> None:
    # bug: the box of a layer (target) and its pixels (source) do not fit: limbs are cut off
    round_trip(swung(), near_bone(), 1e-2)
    round_trip(swung(torch.linspace(0.7, 1.5, FRAMES)), near_bone(), 1e-2)


def test_a_shortened_bone_there_and_back() -> None:
    # bug: a foreshortened arm keeps its length or loses its width
    points = turned(BONE, DEGREES, SHIFT)
    short = points[:, :1] + 0.5 * (points - points[:, :1])
    motion = Bone.between(BONE, short, ONE)
    round_trip(motion, near_bone(), 1e-2)
    ends = motion.target(BONE)
    assert torch.allclose(ends, short, atol=1e-2)
    side = motion.target(BONE[:1] + 5 * perpendicular(unit(BONE[1:] - BONE[:1])))
    assert torch.allclose((side - short[:, :1]).norm(dim=-1), tensor(5.0), atol=1e-2)


def test_a_patch_there_and_back() -> None:
    # bug: the torso slides against its own box
    t, u = torch.meshgrid(torch.linspace(0, 1, 9), torch.linspace(-1.2, 1.2, 9), indexing="ij")
    motion = patch()
    assert motion.photo is not None
    inside = motion.photo.at(t.reshape(1, -1, 1), u.reshape(1, -1, 1))[0]
    round_trip(motion, inside, 0.2)


def test_a_bent_patch_is_at_its_place_at_its_end() -> None:
    # bug: the neck of somebody seen from the side is beside the head
    bent, straight = patch(0.0), patch(0.0, bend=(0.0, 0.0))
    ts = torch.tensor([-0.1, 0.0, 0.5, 0.8, 1.0, 1.1]).reshape(1, -1, 1)
    shift = (bent.at(ts, 0 * ts) - straight.at(ts, 0 * ts))[0, :, 0]
    assert torch.allclose(shift, torch.tensor([-4.0, -4, 6, 6, 0, 0]), atol=0.6)


def test_a_head_there_and_back() -> None:
    # bug: the crown is cut off when the head leans
    ring = torch.linspace(0, 2 * np.pi, 24)
    inside = tensor([104, 55]) + 25 * torch.stack([ring.cos(), ring.sin()], -1)
    round_trip(head(), inside, 1e-2)


def test_the_joints_themselves_land_exactly() -> None:
    # bug: the elbow is not where the elbow is
    points = turned(BONE, DEGREES, SHIFT)
    assert torch.allclose(swung().source(points), BONE.expand(FRAMES, 2, 2), atol=1e-2)
    far = elbow().source(points[:, 1:])  # past the blend with the upper arm
    assert torch.allclose(far, BONE[1:].expand(FRAMES, 1, 2), atol=1e-2)


def smoothed_against_own(motion: Motion, x: torch.Tensor) -> torch.Tensor:
    """Largest change that smoothing over time makes, pixels; (T, N, 2) target positions."""
    frames = torch.arange(FRAMES)
    own = motion.source(x)
    carried = []
    for step in (-2, -1, 1, 2):
        other = motion[(frames + step).clamp(0, FRAMES - 1)]
        carried.append(other.source(motion.carry(x, other)))
    return (blend_carried(own, carried, 1.0, 5.0) - own).norm(dim=-1).max()


def test_a_rigid_motion_is_not_smoothed_and_does_not_lag() -> None:
    # bug: a moving average of the flow drags the texture behind a fast arm
    limb = swung()
    assert smoothed_against_own(limb, limb.target(near_bone())) < 0.01
    zooming = swung(torch.linspace(0.7, 1.5, FRAMES))
    assert smoothed_against_own(zooming, zooming.target(near_bone())) < 0.01
    torso = patch()
    t, u = torch.meshgrid(torch.linspace(0, 1, 5), torch.linspace(-1, 1, 5), indexing="ij")
    at = torso.at(t.reshape(1, -1, 1), u.reshape(1, -1, 1))
    assert smoothed_against_own(torso, at) < 0.05
    skull = head()
    ring = torch.linspace(0, 2 * np.pi, 24)
    inside = tensor([104, 55]) + 20 * torch.stack([ring.cos(), ring.sin()], -1)
    assert smoothed_against_own(skull, skull.target(inside)) < 0.01


def test_flutter_of_the_length_is_smoothed() -> None:
    # bug: noise of the depth makes the sleeve breathe in every frame
    noise = 1 + 0.04 * torch.randn(FRAMES, generator=torch.Generator().manual_seed(1))
    points = turned(BONE, torch.zeros(FRAMES), SHIFT)
    flickering = points[:, :1] + noise[:, None, None] * (points - points[:, :1])
    motion = Bone.between(BONE, flickering, ONE)
    x = points[:, :1] + 0.7 * (points[:, 1:] - points[:, :1])
    frames = torch.arange(FRAMES)
    own = motion.source(x)
    carried = [
        motion[(frames + s).clamp(0, FRAMES - 1)].source(
            motion.carry(x, motion[(frames + s).clamp(0, FRAMES - 1)])
        )
        for s in (-2, -1, 1, 2)
    ]
    steadied = blend_carried(own, carried, 1.0, 10.0)
    assert steadied[..., 1].std() < 0.6 * own[..., 1].std()


def test_frames_can_be_picked() -> None:
    # bug: a block's margin shifts all frames by two
    motion, picked = elbow(), elbow()[torch.tensor([3, 7])]
    x = tensor([120, 140]).expand(2, 1, 2)
    whole = motion.source(tensor([120, 140]).expand(FRAMES, 1, 2))
    assert torch.equal(picked.source(x), whole[[3, 7]])


def test_no_stretching_without_end() -> None:
    # bug: an arm that points at the camera shows its whole sleeve in one pixel, or divides by 0
    points = turned(BONE, DEGREES, SHIFT)
    motion = Bone.between(BONE, points[:, :1].expand(FRAMES, 2, 2), ONE)
    found = motion.source(points[:, :1] + torch.linspace(-20, 20, 9)[None, :, None])
    assert torch.isfinite(found).all()
    assert (found - BONE[0]).norm(dim=-1).max() < 60


def test_raised_shoulders_press_no_face() -> None:
    # bug: with both arms up the chin goes into the collar, and the face is half as long
    torso = patch(lean=0.0, bend=(0.0, 0.0))
    still = dataclasses.replace(
        head(), torso=torso, centre=torso.centre1 - tensor([0, 28]), neck=torso.centre1,
        up=tensor([0, -1]).expand(FRAMES, 1, 2),
    )  # fmt: skip
    chin, collar = still.centre[:, 0] + tensor([0, 22]), still.neck[:, 0] + tensor([0, 4])
    for low, rigid in ((0.0, False), (1.0, True)):
        motion = dataclasses.replace(still, low=torch.full((FRAMES, 1, 1), low))
        own = motion.photo_centre[0] + tensor([0, 22])
        off = (motion.source(chin[:, None]) - own).norm(dim=-1).max()
        assert (off < 0.1) == rigid
        body = torso.source(collar[:, None])
        assert (motion.source(collar[:, None]) - body).norm(dim=-1).max() < 0.1  # not the neck
