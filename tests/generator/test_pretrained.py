"""Weights files."""

import puppets
import pytest
import torch
from safetensors.torch import save_file

from motion_transfer.errors import WeightsError
from motion_transfer.generator.pretrained import load_networks, save_networks


def test_networks_read_back(tmp_path) -> None:
    networks = puppets.small_networks()
    path = tmp_path / "w.safetensors"
    save_networks(path, networks.state_dict(), model=puppets.SMALL)
    again = load_networks(path)
    for name, tensor in networks.state_dict().items():
        assert torch.allclose(again.state_dict()[name], tensor, atol=2e-3), name
    assert path.stat().st_size < 2.2 * sum(p.numel() for p in networks.parameters()) + 20_000
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_files_that_are_not_weights(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no such weights file"):
        load_networks(tmp_path / "none")
    (tmp_path / "text").write_text("pickle")
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        load_networks(tmp_path / "text")
    save_file({"a": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(WeightsError, match="must be of the format"):
        load_networks(tmp_path / "other")
    weights = {"a": torch.tensor([1e9])}
    with pytest.raises(WeightsError, match="weight a must be finite in half precision"):
        save_networks(tmp_path / "large", weights, model={})
