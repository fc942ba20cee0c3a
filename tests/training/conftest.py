"""A few puppets as a batch, small networks, and shards of puppets."""

from pathlib import Path

import puppets
import pytest
from puppet_fixtures import batch, one_thread, small_networks

__all__ = ["batch", "one_thread", "shards", "small_networks"]


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return puppets.write_puppets(tmp_path_factory.mktemp("puppets"))
