"""Shards of puppets; small tensors on one thread."""

from pathlib import Path

import puppets
import pytest
from puppet_fixtures import one_thread

__all__ = ["one_thread", "shards"]


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return puppets.write_puppets(tmp_path_factory.mktemp("puppets"))
