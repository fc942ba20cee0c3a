"""Close-ups look where they should."""

import puppets
import pytest
import torch

from motion_transfer.generator.canonical import JOINT, Pose
from motion_transfer.training.batches import make_pair
from motion_transfer.training.objectives import (
    CLOSE_UP_HW,
    FACE,
    HANDS,
    close_up,
    close_up_term,
)


@pytest.mark.parametrize("places", [FACE, HANDS])
def test_close_ups_see_only_their_joints(batch, places) -> None:
    # bug: the cut-out lies elsewhere, so the face weighs no more than a shoe
    pair = make_pair(batch, size_hw=puppets.SIZE_HW, noise=0.0)
    joints = [name for group in places for name in group]
    rgb = pair.target.rgb.clone().requires_grad_()
    changed = close_up_term(rgb + 0.1, pair.target, places, None)
    changed.backward()
    y, x = torch.nonzero(rgb.grad[0].abs().sum(0)).float().unbind(1)
    spots = pair.target.pose.xy[0, [JOINT[name] for name in joints]]
    away = (torch.stack([x, y], 1)[:, None] - spots).norm(dim=-1).amin(1)
    assert len(away) > 20 and away.max() < 0.8 * puppets.TORSO
    assert close_up_term(pair.target.rgb, pair.target, places, None) == 0
    assert changed > 0.02


def test_unknown_joints_do_not_count(batch) -> None:
    pair = make_pair(batch, size_hw=puppets.SIZE_HW, noise=0.0)
    pose = pair.target.pose
    lost = Pose(pose.xy, pose.depth, torch.zeros_like(pose.known))
    target = pair.target._replace(pose=lost)
    assert close_up_term(pair.target.rgb + 0.1, target, HANDS, None) == 0


def test_close_up_is_as_wide_as_asked() -> None:
    xy = torch.zeros(1, len(JOINT), 2)
    xy[0, JOINT["neck"]] = torch.tensor([0.0, -60.0])
    pose = Pose(xy, torch.zeros(1, len(JOINT)), torch.ones(1, len(JOINT)))
    crop, known = close_up(pose, ("nose",), 0.5)
    assert known.item() == 1
    assert CLOSE_UP_HW[0] / crop.scale.item() == pytest.approx(30.0)


def test_the_feature_network_looks_at_close_ups_too(batch) -> None:
    pair = make_pair(batch, size_hw=puppets.SIZE_HW, noise=0.0)
    seen = []

    def features(rgb: torch.Tensor) -> list[torch.Tensor]:
        seen.append(rgb.shape)
        return [rgb]

    plain = close_up_term(pair.target.rgb + 0.1, pair.target, FACE, None)
    assert close_up_term(pair.target.rgb + 0.1, pair.target, FACE, features) > plain
    assert seen == [(len(pair.flow), 3, *CLOSE_UP_HW)] * 2
