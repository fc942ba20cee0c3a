"""A few puppets as a batch, and small networks."""

from __future__ import annotations

import puppets
import pytest
import torch

from motion_transfer.generator.networks import PoseFlowNetworks


@pytest.fixture
def small_networks() -> PoseFlowNetworks:
    return puppets.small_networks()


@pytest.fixture(scope="session")
def batch() -> dict[str, torch.Tensor]:
    return puppets.make_batch()
