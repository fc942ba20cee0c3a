"""People of other shapes."""

from __future__ import annotations

import pytest
import torch

from motion_transfer.generator.canonical import JOINTS, Pose
from motion_transfer.training.shapes import Bulges, draw_bulges, reshape_pose, reshape_positions


def people(batch: int = 4) -> Pose:
    generator = torch.Generator().manual_seed(0)
    xy = 60 + 80 * torch.rand(batch, len(JOINTS), 2, generator=generator)
    return Pose(xy, torch.zeros(batch, len(JOINTS)), torch.ones(batch, len(JOINTS)))


def bulge(strength: float, across: tuple[float, float] = (0.0, 0.0)) -> Bulges:
    return Bulges(
        centre=torch.tensor([[[50.0, 40.0]]]), radius=torch.tensor([[20.0]]),
        strength=torch.tensor([[strength]]), across=torch.tensor([[across]]),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("strength", "across", "width", "height"),
    [
        (0.5, (0.0, 0.0), 0.5, 0.5),  # twice as large: half a pixel of the picture for one
        (-0.25, (0.0, 0.0), 1.25, 1.25),
        (0.5, (1.0, 0.0), 0.5, 1.0),  # wider alone
        (0.0, (0.0, 0.0), 1.0, 1.0),
    ],
)
def test_the_middle_is_magnified(strength, across, width, height) -> None:
    points = torch.tensor([[[50.0, 40.0], [51.0, 40.0], [50.0, 41.0], [150.0, 40.0]]])
    middle, right, below, far = reshape_positions(points, bulge(strength, across))[0]
    assert torch.equal(middle, points[0, 0])
    assert (right - middle)[0].item() == pytest.approx(width, abs=0.01)
    assert (below - middle)[1].item() == pytest.approx(height, abs=0.01)
    assert torch.allclose(far, points[0, 3], atol=0.01)


def test_joints_go_where_the_picture_goes() -> None:
    # bug: bodies are reshaped and skeletons are not, so that poses are learned to be wrong
    pose = people()
    bulges = draw_bulges(
        pose, torch.full((4,), 50.0), probability=1.0, generator=torch.Generator().manual_seed(1)
    )
    moved = reshape_pose(pose, bulges)
    assert (moved.xy - pose.xy).norm(dim=-1).max() > 2
    assert torch.allclose(reshape_positions(moved.xy, bulges), pose.xy, atol=0.1)


def test_nothing_is_torn_or_folded() -> None:
    y, x = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    grid = torch.stack([x, y], -1).reshape(1, -1, 2).expand(4, -1, -1)
    for seed in range(5):
        bulges = draw_bulges(
            people(), torch.full((4,), 50.0), probability=1.0,
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        found = reshape_positions(grid, bulges).reshape(4, 200, 200, 2)
        right, down = found[:, :-1, 1:] - found[:, :-1, :-1], found[:, 1:, :-1] - found[:, :-1, :-1]
        area = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
        assert area.min() > 0.02 and area.max() < 8


def test_some_people_keep_their_shape() -> None:
    arguments = (people(512), torch.full((512,), 50.0))
    for share in (0.0, 0.5, 1.0):
        bulges = draw_bulges(
            *arguments, probability=share, generator=torch.Generator().manual_seed(2)
        )
        changed = (bulges.strength != 0).any(1).float().mean().item()
        assert changed == pytest.approx(share, abs=0.08)


def test_an_unknown_head_is_left_alone() -> None:
    pose = people()
    nobody = pose._replace(known=torch.zeros_like(pose.known))
    bulges = draw_bulges(
        nobody, torch.full((4,), 50.0), probability=1.0, generator=torch.Generator().manual_seed(3)
    )
    assert (bulges.strength[:, -1] == 0).all() and bulges.centre.isfinite().all()
