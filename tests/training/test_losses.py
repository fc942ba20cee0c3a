"""Loss terms against values worked out by hand."""

import math

import pytest
import torch

from motion_transfer.generator.parts import PART_NAMES
from motion_transfer.synth.rig import PARTS
from motion_transfer.training import losses

ONES = torch.ones(1, 1, 4, 4)


def test_l1_counts_only_weighted_pixels() -> None:
    # bug: a small person has a small loss
    a, b = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    b[..., 2:] = 9.0
    weight = ONES.clone()
    weight[..., 2:] = 0
    assert losses.l1(a, b, weight).item() == pytest.approx(0.5)
    assert losses.l1(a, b, 0 * weight).item() == 0
    assert losses.l1(a, b).item() == pytest.approx(4.75)


def test_end_point_error_is_a_length() -> None:
    flow, truth = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    flow[:, 0], flow[:, 1] = 3, 4
    assert losses.end_point_error(flow, truth, ONES, epsilon=1e-4).item() == pytest.approx(
        5.0, abs=1e-3
    )
    assert losses.end_point_error(truth, truth, ONES).item() == 0


def test_pooled_flow_leaves_the_background_out() -> None:
    # bug: zeros of the background pull the flow at the outline towards zero
    flow, weight = torch.zeros(1, 2, 4, 4), torch.zeros(1, 1, 4, 4)
    flow[..., 0, 0], weight[..., 0, 0] = 6.0, 1.0
    pooled, share = losses.pool_flow(flow, weight, 2)
    assert pooled[0, :, 0, 0].tolist() == pytest.approx([3.0, 3.0])
    assert share[0, 0].tolist() == [[0.25, 0], [0, 0]]


def test_binary_at_logit_zero_is_log_two() -> None:
    assert losses.binary(torch.zeros(1, 1, 4, 4), ONES).item() == pytest.approx(math.log(2))


def test_soft_overlap() -> None:
    half = ONES.clone()
    half[..., 2:] = 0
    full = torch.full((1, 1, 4, 4), 50.0)
    assert losses.soft_iou(full, ONES).item() == pytest.approx(0, abs=1e-6)
    assert losses.soft_iou(full, half).item() == pytest.approx(1 - 9 / 17, abs=1e-5)


def test_parse_entropy() -> None:
    logits = torch.zeros(1, 9, 4, 4)
    labels = torch.zeros(1, 4, 4, dtype=torch.long)
    assert losses.parse_entropy(logits, labels).item() == pytest.approx(math.log(9), abs=1e-5)


@pytest.mark.parametrize(
    ("seen", "ours", "right"),
    [
        ("left_hand", "left_hand", True),
        ("left_hand", "right_hand", False),
        ("hair", "head", True),  # hair moves with the head ...
        ("hair", "hair", True),  # ... or hangs
        ("left_upper_leg", "skirt", True),  # a dress covers the thigh
        ("left_lower_leg", "skirt", False),
    ],
)
def test_part_entropy_knows_which_candidates_may_explain_a_pixel(seen, ours, right) -> None:
    logits = torch.zeros(1, len(PART_NAMES), 4, 4)
    logits[:, PART_NAMES.index(ours)] = 20.0
    part = torch.full((1, 4, 4), PARTS.index(seen))
    assert (losses.part_entropy(logits, part).item() < 0.05) == right
    assert losses.part_entropy(logits, 0 * part).item() == 0


def test_variation_of_a_ramp_is_its_slope() -> None:
    flow = torch.zeros(1, 2, 4, 4)
    flow[:, 0] = 2.0 * torch.arange(4)
    assert losses.total_variation(flow, ONES).item() == pytest.approx(1.0)  # 2 in one of 2


def test_affine_flow_costs_nothing_and_a_kink_does() -> None:
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    affine = torch.stack([0.3 * x - 2 * y + 1, x + 0.5 * y])[None]
    weight = torch.ones(1, 1, 9, 9)
    assert losses.local_affine(affine, weight).item() < 1e-8
    assert losses.local_affine((affine - 3).abs(), weight).item() > 1e-3


def test_feature_warp_finds_the_shift() -> None:
    # bug: the wrong direction of the flow is rewarded
    source = torch.randn(1, 8, 6, 12, generator=torch.Generator().manual_seed(0))
    target = torch.zeros_like(source)
    target[..., :10] = source[..., 2:]
    seen = torch.zeros(1, 1, 6, 12)
    seen[..., :10] = 1.0
    everywhere = torch.ones_like(seen)
    costs = []
    for dx in (2.0, 0.0, -2.0):
        flow = torch.zeros(1, 2, 6, 12)
        flow[:, 0] = dx
        costs.append(losses.feature_warp(source, target, flow, seen, everywhere).item())
    assert costs[0] == pytest.approx(0.3 * 2 / 12, abs=1e-3)  # only the hidden columns
    assert costs[0] < min(costs[1:])
    right = torch.zeros(1, 2, 6, 12)
    right[:, 0] = 2.0  # bug: what lies outside of the person counts
    assert losses.feature_warp(source, target, right, seen, seen).item() == pytest.approx(
        0.0, abs=1e-3
    )


def test_perceptual_and_style() -> None:
    a, b = [torch.ones(1, 2, 4, 4)], [torch.zeros(1, 2, 4, 4)]
    assert losses.perceptual(a, b).item() == pytest.approx(1.0)
    assert losses.style(a, b).item() == pytest.approx(0.5)  # every Gram entry 1, over 2 channels
    shuffled = [torch.randn(1, 4, 1, 16)]
    moved = [shuffled[0].flip(-1)]
    assert losses.style(shuffled, moved).item() < 1e-6 < losses.perceptual(shuffled, moved).item()


def test_hinge() -> None:
    assert losses.hinge_discriminator(torch.tensor(2.0), torch.tensor(-2.0)).item() == 0
    assert losses.hinge_discriminator(torch.tensor(0.0), torch.tensor(1.0)).item() == 1.5
    assert losses.hinge_generator(torch.tensor([1.0, 3.0])).item() == -2


def test_flow_that_sticks_to_the_surface_is_steady() -> None:
    # bug: a flow that lags the motion costs nothing
    step = torch.zeros(1, 2, 8, 8)
    step[:, 0] = 2.0
    flow, later = torch.zeros(1, 2, 8, 8), -step
    inner = torch.zeros(1, 1, 8, 8)
    inner[..., :5] = 1
    assert losses.temporal_flow(flow, later, step, inner).item() == pytest.approx(0, abs=1e-5)
    assert losses.temporal_flow(flow, flow, step, inner).item() > 1.5


def test_total() -> None:
    terms = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}
    assert losses.add_up(terms, {"a": 0.5, "b": 2.0})["total"].item() == 7
    with pytest.raises(KeyError, match="b"):
        losses.add_up(terms, {"a": 1.0})
