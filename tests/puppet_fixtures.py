"""A few puppets as a batch, and small networks."""

from __future__ import annotations

from collections.abc import Iterator

import puppets
import pytest
import torch

from motion_transfer.generator.networks import PoseFlowNetworks


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on a busy machine: threads that wait for each other cost ten times the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small_networks() -> PoseFlowNetworks:
    return puppets.small_networks()


@pytest.fixture(scope="session")
def batch() -> dict[str, torch.Tensor]:
    return puppets.make_batch()
