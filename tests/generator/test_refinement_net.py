"""RefinementNet: what it may change, and what not."""

import pytest
import torch

from motion_transfer.generator.cost import some_pose
from motion_transfer.generator.pose_maps import draw_pose
from motion_transfer.generator.refinement_net import (
    RefinementNet,
    apply_refinement,
    spread_colours,
)

HW = (64, 48)


@pytest.fixture
def drawn() -> torch.Tensor:
    """A grey-green person-sized block with a soft rim, all of it visible."""
    alpha = torch.zeros(1, 1, *HW)
    alpha[..., 10:54, 12:36] = 0.5
    alpha[..., 11:53, 13:35] = 1
    colour = torch.tensor([0.3, 0.6, 0.3])[:, None, None] * torch.linspace(0.5, 1, HW[0])[:, None]
    return torch.cat([colour * alpha, alpha, alpha], 1)


@pytest.fixture
def maps() -> torch.Tensor:
    return draw_pose(some_pose(HW), full_hw=HW).maps


def trained() -> RefinementNet:
    torch.manual_seed(0)
    network = RefinementNet(widths=(8, 8, 8, 8))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def test_untrained_it_leaves_a_drawing_as_it_is(drawn, maps) -> None:
    # bug: training starts from something worse than the puppet
    found = RefinementNet()(drawn, maps, torch.zeros_like(drawn[:, :1]))
    rgb, alpha = apply_refinement(drawn[:, :4], found.painted, found.gate, found.step)
    assert torch.equal(alpha, drawn[:, 3:4])
    own = drawn[:, :3] / drawn[:, 3:4].clamp_min(1e-3)
    assert ((rgb - own).abs() * drawn[:, 3:4]).max() < 0.01


def test_nothing_changes_where_it_is_held(drawn, maps) -> None:
    # bug: skirts shrink to the legs, as those of rendered people do
    held = torch.zeros_like(drawn[:, :1])
    held[..., 30:, :] = 1
    found = trained()(drawn, maps, held)
    rgb, alpha = apply_refinement(drawn[:, :4], found.painted, found.gate, found.step)
    own = drawn[:, :3] / drawn[:, 3:4].clamp_min(1e-3)
    changed = ((rgb - own).abs().amax(1, keepdim=True) > 1e-5) & (drawn[:, 3:4] > 0.3)
    changed |= alpha != drawn[:, 3:4]
    assert not changed[..., 30:, :].any() and changed[..., :20, :].any()


def test_gaps_close_and_no_outline_grows(drawn, maps) -> None:
    # bug: a haze in the clothes' colour before a chest, or behind a calf, seen from the side
    drawn[..., 30:33, :] = 0
    drawn[..., 44:54, 20:28] = 0
    found = trained()(drawn, maps, torch.zeros_like(drawn[:, :1]))
    grown = found.step[0, 0] > 0
    assert grown[30:33, 13:35].any()
    grown[29:34, 12:36] = False  # the seam between two pieces; not the gap between two legs
    assert not (grown & (drawn[0, 3] == 0)).any()
    assert (found.step < 0).any()


def test_gradients_reach_every_weight(drawn, maps) -> None:
    network = trained()
    found = network(drawn, maps, torch.zeros_like(drawn[:, :1]))
    sum(x.square().mean() for x in found).backward()
    assert not [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_colours_are_carried_outwards_unchanged(drawn) -> None:
    # bug: the painted rim is a mixture with black
    flat = torch.cat([torch.full_like(drawn[:, :3], 0.4) * drawn[:, 3:4], drawn[:, 3:4]], 1)
    assert (spread_colours(flat) - 0.4).abs().max() < 1e-3
    assert spread_colours(torch.zeros_like(flat)).abs().max() == 0


def test_a_closed_gate_paints_and_alpha_steps() -> None:
    rgba = torch.tensor([0.2, 0.4, 0.6, 1.0])[None, :, None, None].expand(1, 4, 8, 8)
    one = torch.ones(1, 1, 8, 8)
    rgb, alpha = apply_refinement(rgba, torch.zeros(1, 3, 8, 8), 0 * one, -0.25 * one)
    assert rgb.abs().max() == 0 and (alpha == 0.75).all()
    rgb, _ = apply_refinement(rgba, torch.zeros(1, 3, 8, 8), one, 0 * one)
    assert torch.allclose(rgb, rgba[:, :3])
