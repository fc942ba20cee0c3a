"""A few puppets as a batch, and small networks."""

from __future__ import annotations

from pathlib import Path

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


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return puppets.write_puppets(tmp_path_factory.mktemp("puppets"))
