"""Weights files."""

import puppets
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from motion_transfer.errors import WeightsError
from motion_transfer.generator import shipped
from motion_transfer.generator.pretrained import (
    FORMAT,
    load_generator,
    load_pretrained,
    save_networks,
)


def test_networks_read_back(tmp_path) -> None:
    networks = puppets.small_networks()
    path = tmp_path / "w.safetensors"
    save_networks(path, networks.state_dict(), model=puppets.SMALL, stage="garment")
    again, stage = load_pretrained(path)
    assert stage == "garment"
    for name, tensor in networks.state_dict().items():
        if not name.startswith(("synthesis.", "refinement.")):
            assert torch.allclose(again.state_dict()[name], tensor, atol=2e-3), name
    assert path.stat().st_size < 2.2 * sum(p.numel() for p in networks.parameters()) + 20_000
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_untrained_networks_take_no_room(tmp_path) -> None:
    # bug: megabytes of noise ship with a flow that is all there is
    weights = puppets.small_networks().state_dict()
    for stage in ("flow", "synthesis"):
        save_networks(tmp_path / stage, weights, model=puppets.SMALL, stage=stage)
    with safe_open(tmp_path / "flow", "pt") as file:
        assert {n.partition(".")[0] for n in file.keys()} == {"flow"}
    assert (tmp_path / "flow").stat().st_size < 0.6 * (tmp_path / "synthesis").stat().st_size
    again = load_pretrained(tmp_path / "flow").networks.state_dict()
    assert set(again) == set(weights)


def test_files_that_are_not_weights(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"--weights: no such file: .*none; make one with"):
        load_generator("refined", tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"no such weights file: .*none"):
        load_pretrained(tmp_path / "none")
    (tmp_path / "text").write_text("pickle")
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        load_pretrained(tmp_path / "text")
    save_file({"a": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(WeightsError, match="must be of the format"):
        load_pretrained(tmp_path / "other")
    weights = {"flow.a": torch.tensor([1e9])}
    with pytest.raises(WeightsError, match=r"weight flow\.a must be finite in half precision"):
        save_networks(tmp_path / "large", weights, model={}, stage="flow")


def test_weights_of_other_networks(tmp_path) -> None:
    # bug: a traceback of a hundred lines when the architecture has changed
    weights = puppets.small_networks().state_dict()
    weights["flow.stem.weight"] = weights["flow.stem.weight"][:, 1:]
    save_networks(tmp_path / "w", weights, model=puppets.SMALL, stage="flow")
    with pytest.raises(WeightsError, match=r"does not fit the networks of this version: .*stem"):
        load_pretrained(tmp_path / "w")
    with pytest.raises(WeightsError, match=r"stage must be one of flow, .*got 'hands'"):
        save_networks(tmp_path / "v", weights, model=puppets.SMALL, stage="hands")
    save_file({"a": torch.zeros(1)}, tmp_path / "v", {"format": FORMAT, "stage": "hands"})
    with pytest.raises(WeightsError, match=r"stage must be one of flow, .*got 'hands'"):
        load_pretrained(tmp_path / "v")


def test_none_ship(monkeypatch, tmp_path) -> None:
    # bug: the user is told of a path, not of what to do
    monkeypatch.setitem(shipped.SHIPPED, "refined", tmp_path / "none")
    with pytest.raises(WeightsError, match=r"--generator refined: .* give them as --weights FILE"):
        load_generator("refined")


def test_weights_of_another_generator(tmp_path) -> None:
    # bug: an untrained network draws the person
    weights = puppets.small_networks().state_dict()
    save_networks(tmp_path / "flow", weights, model=puppets.SMALL, stage="flow")
    assert load_generator("pose-flow", tmp_path / "flow").stage == "flow"
    with pytest.raises(WeightsError, match="trains refinement for --generator refined, got stage"):
        load_generator("refined", tmp_path / "flow")
