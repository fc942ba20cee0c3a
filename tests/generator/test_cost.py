"""Counting what the networks cost."""

import puppets
import pytest

from motion_transfer.generator.cost import count_cost


def test_every_weight_is_counted_once() -> None:
    networks = puppets.small_networks()
    cost = count_cost(networks, puppets.SIZE_HW)
    assert sum(c.parameters for c in cost.values()) == sum(p.numel() for p in networks.parameters())
    assert all(c.gflop > 0 for c in cost.values())


def test_cost_grows_with_the_picture() -> None:
    networks = puppets.small_networks()
    small, large = (
        sum(c.gflop for c in count_cost(networks, size).values()) for size in ((64, 48), (128, 96))
    )
    assert large == pytest.approx(4 * small, rel=0.01)
