"""Training on prepared pictures: nothing is known of them but matte and pose."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import puppets
import pytest
import torch

from motion_transfer.errors import InputError
from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.synth.tracking import to_blazepose
from motion_transfer.training import losses
from motion_transfer.training.batches import make_pair, make_picture_pair
from motion_transfer.training.config import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
)
from motion_transfer.training.datasets.groups import write_pairs
from motion_transfer.training.datasets.pictures import Picture, write_shard
from motion_transfer.training.objectives import StageNetworks, unpaired_flow_terms
from motion_transfer.training.train import train, try_batch


def features(rgb: torch.Tensor) -> list[torch.Tensor]:
    """Colours at two scales, about their middle, so that angles between them tell something."""
    return [torch.nn.functional.avg_pool2d(rgb - 0.5, factor) for factor in (2, 4)]


def as_pictures(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What `PicturePairs` would give of rendered samples."""
    joints = to_blazepose(batch["tracked"][:, :2].numpy()).astype(np.float32)
    both = {name: batch[name][:, :2] for name in ("rgb", "alpha")}
    return {**both, "joints": torch.from_numpy(joints)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Puppets as a prepared folder: two shards of two pairs each."""
    folder = tmp_path_factory.mktemp("prepared")
    pairs = []
    for shard in range(2):
        made = []
        for seed in (2 * shard, 2 * shard + 1):
            sample = puppets.make_sample(seed)
            made += [
                Picture(
                    name=f"{seed}-{k}", rgb=sample.rgb[k], alpha=sample.alpha[k],
                    joints=to_blazepose(sample.tracked[k]).astype(np.float32),
                )
                for k in range(2)
            ]  # fmt: skip
            pairs.append((f"{seed}-0", f"{seed}-1"))
        write_shard(folder / f"train-{shard:05d}.npz", made, [])
    write_pairs(folder / "pairs-train.csv", pairs)
    (folder / "about.json").write_text(json.dumps({"size": puppets.SIZE_HW}))
    return folder


def make_config(output: Path, folder: Path, **changes) -> TrainConfig:
    loss = LossConfig(supervised=False, feature_warp=1.0, affine=0.1, parse=0.0, parse_source=0.0,
                      parse_coarse=0.0)  # fmt: skip
    values = {
        "output": str(output), "steps": 2, "precision": "fp32", "device": "cpu",
        "size": puppets.SIZE_HW, "log_every": 1, "loss": loss,
        "data": DataConfig(pictures=str(folder), batch_size=2),
        "model": ModelConfig(**puppets.SMALL), "optim": OptimConfig(warm_up=1),
    }  # fmt: skip
    return TrainConfig(**{**values, **changes})


@pytest.mark.parametrize("flip", [False, True])
def test_pictures_are_cut_as_rendered_samples_are(batch, flip) -> None:
    real = make_picture_pair(as_pictures(batch), flip=flip, size_hw=puppets.SIZE_HW)
    rendered = make_pair(batch, flip=flip, size_hw=puppets.SIZE_HW)
    for ours, theirs in ((real.source, rendered.source), (real.target, rendered.target)):
        assert torch.allclose(ours.rgb, theirs.rgb, atol=1e-5)
        assert torch.allclose(ours.alpha, theirs.alpha, atol=1e-5)
        assert torch.allclose(ours.pose.xy, theirs.pose.xy, atol=1e-3)
        assert torch.equal(ours.pose.known, theirs.pose.known)
    assert not real.known.any() and real.flow.shape == rendered.flow.shape


def test_unknown_joints_do_not_move_the_crop(batch) -> None:
    samples = as_pictures(batch)
    samples["joints"][:, :, [27, 28, 31, 32]] = torch.tensor([np.nan, np.nan, np.nan, 0.0])
    pair = make_picture_pair(samples, size_hw=puppets.SIZE_HW)
    assert torch.isfinite(pair.source.rgb).all() and torch.isfinite(pair.target.pose.xy).all()


def test_flow_is_learned_from_pictures_alone(batch) -> None:
    # the key points are wrong, so that only the pictures can tell; the truth is not looked at
    one = {n: t[:1].clone() for n, t in batch.items()}
    shift = torch.randn(one["tracked"].shape[2], 2, generator=torch.Generator().manual_seed(0))
    one["tracked"][:, 1, :, :2] += 3.0 * shift
    pair = make_picture_pair(as_pictures(one), size_hw=puppets.SIZE_HW)
    truth = make_pair(one, size_hw=puppets.SIZE_HW)
    torch.manual_seed(0)
    networks = PoseFlowNetworks(flow_widths=(16, 24, 32, 48))
    stage = StageNetworks(networks, stage="flow", precision="fp32")
    optimizer = torch.optim.AdamW([p for p in stage.parameters() if p.requires_grad], 1e-3)
    errors = []
    for _ in range(31):
        flow = stage(pair.source, pair.target).flow
        full = flow.full()[0]
        off = (full.detach() - truth.flow).norm(dim=1, keepdim=True)
        errors.append(((off * truth.visible).sum() / truth.visible.sum()).item())
        terms = unpaired_flow_terms(flow, pair, features)
        terms["affine"] = losses.local_affine(full, pair.target.alpha)
        optimizer.zero_grad()
        (4 * terms["feature_warp"] + 0.5 * terms["affine"]).backward()
        optimizer.step()
    assert errors[-1] < 0.9 * errors[0]


@pytest.mark.parametrize("stage", ["flow", "synthesis", "joint"])
def test_stages_train_on_pictures(tmp_path, folder, stage) -> None:
    config = make_config(tmp_path, folder, stage=stage)
    train(config, features=features)
    notes = [json.loads(n) for n in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [n["step"] for n in notes] == [1, 2] and all(n["skipped"] == 0 for n in notes)
    forbidden = {"flow", "flow_coarse", "visibility", "part", "gate", "parse", "parse_source"}
    assert not forbidden & notes[0].keys()
    assert ("feature_warp" in notes[0]) == (stage != "synthesis")
    assert ("rgb" in notes[0]) == (stage != "flow")
    assert (tmp_path / "run" / "sheets" / "0000002.png").is_file()


def test_order_goes_on_where_a_run_stopped(folder) -> None:
    config = make_config(Path("x"), folder)
    first = try_batch(config, features=features)
    assert first == try_batch(config, features=features)
    other = dataclasses.replace(config, seed=5)
    assert first != try_batch(other, features=features)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": LossConfig(feature_warp=1.0)}, "data.pictures have no true flow"),
        ({"stage": "garment"}, "stage garment needs garment labels"),
        (
            {"stage": "joint", "loss": LossConfig(supervised=False, feature_warp=1.0)},
            r"loss\.parse_source must be 0",
        ),
        (
            {"loss": LossConfig(supervised=False, feature_warp=1.0, temporal=0.1)},
            r"loss\.temporal must be 0",
        ),
        (
            {"data": DataConfig(pictures="a", shards="b")},
            "exactly one of .*, got shards and pictures",
        ),
    ],
)
def test_what_pictures_cannot_teach(tmp_path, folder, changes, message) -> None:
    with pytest.raises(InputError, match=message):
        make_config(tmp_path, folder, **changes)


def test_a_folder_that_is_not_prepared(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="motion-transfer dataset prepare"):
        train(make_config(tmp_path, tmp_path / "none"), features=features)
