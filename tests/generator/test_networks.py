"""The networks: shapes, gating, gradients, several photos."""

import puppets
import pytest
import torch

from motion_transfer.generator.garment_net import merge_warped
from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.generator.pose_maps import draw_pose, draw_source, prior_flow, propose
from motion_transfer.generator.pretrained import TRAINED_BY
from motion_transfer.generator.warp import resize_flow
from motion_transfer.training.batches import make_pair

HW = puppets.SIZE_HW


@pytest.fixture
def pair(batch):
    return make_pair(batch, size_hw=HW)


def run(networks, pair, photos: int = 1):
    source = draw_source(pair.source.pose, pair.source.alpha)
    encoded = networks.encode_source(pair.source.rgb, source)
    target = draw_pose(pair.target.pose, full_hw=HW)
    return networks([encoded] * photos, target)


def test_untrained_flow_is_the_articulated_prior(small_networks, pair) -> None:
    networks = small_networks
    # bug: training starts worse than the baseline
    result = run(networks, pair)
    source = draw_source(pair.source.pose, pair.source.alpha)
    prior = prior_flow(propose(source, draw_pose(pair.target.pose, full_hw=HW)))
    assert torch.allclose(result.flows[0].finest.flow * 2, prior, atol=1e-4)


def test_same_pose_copies_the_photo(small_networks, pair) -> None:
    networks = small_networks
    same = pair._replace(target=pair.source)
    picture = run(networks, same).picture
    body = pair.source.alpha * (picture.gate > 0.7)
    assert body.sum() > 0.5 * pair.source.alpha.sum()
    assert ((picture.copied - pair.source.rgb).abs() * body).max() < 0.01


def test_levels_have_their_own_pixels(small_networks, pair) -> None:
    networks = small_networks
    flow = run(networks, pair).flows[0]
    assert [tuple(level.flow.shape[-2:]) for level in flow.levels] == [(16, 12), (32, 24), (64, 48)]
    on = torch.nn.functional.avg_pool2d(pair.known, 8) > 0.99
    coarse = resize_flow(flow.levels[0].flow, HW)
    full = flow.full()[0]
    on = torch.nn.functional.interpolate(on.float(), HW) > 0
    assert ((coarse - full).norm(dim=1, keepdim=True)[on]).median() < 2.0


def test_gradients_reach_every_weight(small_networks, pair) -> None:
    networks = small_networks
    # bug: a branch that is computed and not used
    for parameter in networks.parameters():  # zero heads pass no gradient on
        torch.nn.init.normal_(parameter, std=0.05)
    result = run(networks, pair)
    picture, garment = result.picture, result.garment
    total = picture.rgb.square().mean() + picture.alpha.square().mean()
    total = total + sum(x.square().mean() for x in (*garment.coarse, garment.parse, garment.alpha))
    total = total + sum(x.square().mean() for level in result.flows[0].levels for x in level)
    total.backward()
    idle = [
        n for n, p in networks.named_parameters()
        if not n.startswith("refinement.") and (p.grad is None or not p.grad.any())
    ]  # fmt: skip
    assert not idle


def test_hidden_pixels_carry_nothing() -> None:
    features, flow = torch.ones(1, 3, 8, 8), torch.zeros(1, 2, 8, 8)
    seen = torch.full((1, 1, 8, 8), 20.0)
    seen[..., :4] = -20.0
    merged, visible = merge_warped([features], [flow], [seen])
    assert merged[..., :4].abs().max() < 1e-6
    assert torch.allclose(merged[..., 4:], torch.ones(1))
    assert torch.equal(visible, seen)


def test_each_pixel_comes_from_the_photo_that_shows_it() -> None:
    photos = [torch.full((1, 3, 8, 8), value) for value in (1.0, 2.0)]
    left = torch.full((1, 1, 8, 8), 6.0)
    left[..., 4:] = -6.0
    merged, visible = merge_warped(photos, [torch.zeros(1, 2, 8, 8)] * 2, [left, -left])
    assert torch.allclose(merged[..., :4], torch.tensor(1.0), atol=0.02)
    assert torch.allclose(merged[..., 4:], torch.tensor(2.0), atol=0.02)
    assert (visible == 6).all()


def test_the_same_photo_twice_changes_nothing(small_networks, pair) -> None:
    networks = small_networks
    once, twice = run(networks, pair), run(networks, pair, photos=2)
    assert torch.allclose(once.picture.rgb, twice.picture.rgb, atol=1e-4)
    assert torch.allclose(once.garment.parse, twice.garment.parse, atol=1e-3)


def test_closed_gate_paints_everything(pair) -> None:
    networks = PoseFlowNetworks(use_copy=False, synthesis_widths=(4, 8, 8, 8, 8))
    picture = run(networks, pair).picture
    assert torch.equal(picture.rgb, picture.generated)


def test_faces_stay_rigid(small_networks, pair) -> None:
    networks = small_networks
    # bug: elongated faces
    for head in (networks.flow.head_2, networks.flow.head_4):
        torch.nn.init.normal_(head.weight, std=0.5)
    source = draw_source(pair.source.pose, pair.source.alpha)
    target = draw_pose(pair.target.pose, full_hw=HW)
    candidates = propose(source, target)
    flow = networks.flow(networks.flow.encode_source(source), target, candidates)
    face = candidates.face > 0.98
    assert face.any()
    limit = 0.15 * candidates.torso_px.max()
    assert flow.finest.residual.abs().max() <= limit
    assert flow.finest.residual.abs()[face.expand(-1, 2, -1, -1)].max() < 0.03 * limit


@pytest.mark.parametrize(("stage", "most"), [("refinement", 16_000_000), ("joint", 30_000_000)])
def test_shipped_size(stage, most) -> None:
    parts = dict(PoseFlowNetworks().named_children())
    held = [p for name in TRAINED_BY[stage] for p in parts[name].parameters()]
    assert sum(p.numel() for p in held) * 2 <= most  # bytes in fp16
