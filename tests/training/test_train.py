"""The loop: it learns, it resumes, it refuses what cannot work."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import puppets
import pytest
import torch
import yaml
from safetensors.torch import load_file

from motion_transfer.errors import Cancelled, InputError
from motion_transfer.evaluation.features import FeatureNetwork
from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.training import checkpoints, stopping
from motion_transfer.training import train as loop
from motion_transfer.training.batches import make_pair
from motion_transfer.training.checkpoints import latest_checkpoint, load_trained
from motion_transfer.training.commands import export
from motion_transfer.training.config import (
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
    as_tree,
)
from motion_transfer.training.discriminators import ClipDiscriminator, MultiScaleDiscriminator
from motion_transfer.training.ema import Ema
from motion_transfer.training.objectives import StageNetworks, flow_terms
from motion_transfer.training.train import schedule, train


def make_config(folder: Path, shards: Path, **changes) -> TrainConfig:
    data = DataConfig(shards=str(shards), batch_size=2)
    values = {
        "output": str(folder), "steps": 4, "precision": "fp32", "device": "cpu",
        "size": puppets.SIZE_HW, "log_every": 1, "checkpoint_every": 100, "data": data,
        "model": ModelConfig(**puppets.SMALL), "optim": OptimConfig(warm_up=2),
    }  # fmt: skip
    return TrainConfig(**{**values, **changes})


def entries(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_thirty_steps_on_one_pair_lower_the_flow_error(batch) -> None:
    # the tracker is wrong here: the network must learn to look past its key points
    one = {n: t[:1].clone() for n, t in batch.items()}
    shift = torch.randn(one["tracked"].shape[2], 2, generator=torch.Generator().manual_seed(0))
    one["tracked"][:, 1, :, :2] += 3.0 * shift
    pair = make_pair(one, size_hw=puppets.SIZE_HW)
    torch.manual_seed(0)
    networks = PoseFlowNetworks(flow_widths=(16, 24, 32, 48))
    stage = StageNetworks(networks, stage="flow", precision="fp32")
    optimizer = torch.optim.AdamW([p for p in stage.parameters() if p.requires_grad], 3e-3)

    def error() -> torch.Tensor:
        off = (stage(pair.source, pair.target).flow.full()[0] - pair.flow).norm(dim=1)
        return (off * pair.visible[:, 0]).sum() / pair.visible.sum()

    before = error().item()
    for _ in range(30):
        terms = flow_terms(stage(pair.source, pair.target).flow, pair, LossConfig())
        optimizer.zero_grad()
        (terms["flow"] + terms["mask"] + terms["visibility"]).backward()
        optimizer.step()
    assert error().item() < 0.8 * before


@pytest.mark.parametrize("stage", ["flow", "garment", "synthesis", "joint"])
def test_every_stage_trains_its_own_networks(tmp_path, shards, stage) -> None:
    loss = LossConfig(adversarial=0.1, matching=0.5, clip=0.1, temporal=0.2, affine=0.1)
    config = make_config(tmp_path, shards, stage=stage, steps=2, loss=loss)
    done = train(config)
    torch.manual_seed(0)
    start = PoseFlowNetworks(**as_tree(config.model)).state_dict()
    moved = {n.split(".")[0] for n, t in load_trained(done).weights.items()
             if not torch.equal(t, start[n])}  # fmt: skip
    expected = {"flow": {"flow"}, "garment": {"parser", "garment"}, "synthesis": {"synthesis"}}
    assert moved == expected.get(stage, {"flow", "parser", "garment", "synthesis"})
    notes = entries(tmp_path / "run")
    assert [n["step"] for n in notes] == [1, 2]
    assert all(n["skipped"] == 0 for n in notes)
    for name in ("adversarial", "clip", "face", "hands"):
        assert (name in notes[0]) == (stage in ("synthesis", "joint"))
    assert "temporal" in notes[0]
    assert (tmp_path / "run" / "sheets" / "0000002.png").is_file()
    page = (tmp_path / "run" / "index.html").read_text()
    assert "gradient" in page and "sheets/0000002.png" in page
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["stage"] == stage


@pytest.mark.parametrize("stage", ["flow", "joint"])
def test_resumed_run_equals_a_straight_one(tmp_path, shards, stage) -> None:
    # bug: optimiser, running mean, discriminator, order of data or augmentation start anew
    loss = LossConfig(adversarial=0.1, clip=0.1, temporal=0.2)
    straight = make_config(tmp_path / "a", shards, stage=stage, loss=loss)
    broken = dataclasses.replace(straight, output=str(tmp_path / "b"), checkpoint_every=2)
    first = train(straight)

    class Stopped(Exception):
        pass

    save = loop._save

    def save_and_stop(*args):
        save(*args)
        raise Stopped

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_save", save_and_stop)
        with pytest.raises(Stopped):
            train(broken)
    assert latest_checkpoint(tmp_path / "b" / "run").name == "step-0000002"
    second = train(broken)
    files = sorted(p.name for p in first.glob("*.safetensors"))
    assert files == sorted(p.name for p in second.glob("*.safetensors")) and len(files) >= 2
    for name in files:
        ours, theirs = load_file(first / name), load_file(second / name)
        assert all(torch.equal(ours[n], theirs[n]) for n in ours), name


def test_stages_follow_each_other(tmp_path, shards) -> None:
    flow = make_config(tmp_path, shards, name="flow", steps=2)
    train(flow)
    garment = make_config(
        tmp_path, shards, name="garment", stage="garment", steps=1, init=str(tmp_path / "flow")
    )
    done = train(garment)
    before = load_trained(tmp_path / "flow").weights
    after = load_trained(done).weights
    assert all(torch.equal(after[n], t) for n, t in before.items() if n.startswith("flow."))
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        train(dataclasses.replace(garment, name="x", init=str(tmp_path / "none")))
    with pytest.raises(InputError, match="made with another stage"):
        train(dataclasses.replace(garment, name="flow"))


def test_a_run_starts_from_exported_weights(tmp_path, shards) -> None:
    flow = make_config(tmp_path, shards, name="flow", steps=1)
    export(train(flow), tmp_path / "flow.safetensors")
    on = make_config(tmp_path, shards, name="on", steps=1, init=str(tmp_path / "flow.safetensors"),
                     stage="garment")  # fmt: skip
    after, before = load_trained(train(on)).weights, load_trained(tmp_path / "flow").weights
    same = [torch.equal(after[n], t.half().float()) for n, t in before.items() if "flow." in n]
    assert same and all(same)


def test_a_network_of_other_widths_starts_anew(tmp_path, shards) -> None:
    train(make_config(tmp_path, shards, name="flow", steps=1))
    wider = ModelConfig(**{**puppets.SMALL, "garment_widths": (12, 20, 28)})
    on = make_config(tmp_path, shards, name="on", steps=1, init=str(tmp_path / "flow"),
                     stage="garment", model=wider)  # fmt: skip
    after, before = load_trained(train(on)).weights, load_trained(tmp_path / "flow").weights
    assert all(torch.equal(after[n], t) for n, t in before.items() if n.startswith("flow."))
    other = ModelConfig(**{**puppets.SMALL, "flow_widths": (12, 20, 28, 36)})
    with pytest.raises(InputError, match="flow_widths must be those"):
        train(dataclasses.replace(on, name="no", model=other))


def test_no_part_of_a_checkpoint_is_too_large_to_carry(tmp_path, shards, monkeypatch) -> None:
    monkeypatch.setattr(checkpoints, "PART_BYTES", 40_000)
    done = train(make_config(tmp_path, shards, steps=1))
    parts = sorted(done.glob("weights-*.safetensors"))
    assert len(parts) > 1
    largest = max(t.numel() * 4 for t in load_trained(done).weights.values())
    assert max(p.stat().st_size for p in parts) < max(40_000, largest) + 30_000
    networks = PoseFlowNetworks(**puppets.SMALL)
    networks.load_state_dict(load_trained(done).weights)  # nothing is lost


def test_a_bad_step_is_skipped_and_many_end_the_run(tmp_path, shards, monkeypatch) -> None:
    # bug: one NaN destroys the weights and the running mean
    terms = loop._terms

    def bad_terms(*args):
        return {n: v * float("nan") for n, v in terms(*args).items()}

    monkeypatch.setattr(loop, "_terms", bad_terms)
    done = train(make_config(tmp_path, shards, steps=2))
    assert all(torch.isfinite(t).all() for t in load_trained(done).weights.values())
    assert [n["skipped"] for n in entries(tmp_path / "run")] == [1, 1]
    optim = OptimConfig(max_bad_steps=1)
    with pytest.raises(InputError, match="were not finite at step"):
        train(make_config(tmp_path, shards, name="x", optim=optim))


def test_terms_that_need_a_network_say_so(tmp_path, shards) -> None:
    with pytest.raises(InputError, match=r"loss\.perceptual needs an ImageNet network"):
        train(make_config(tmp_path, shards, loss=LossConfig(perceptual=1.0)))
    loss = LossConfig(supervised=False)
    with pytest.raises(InputError, match=r"loss\.feature_warp must be above 0"):
        train(make_config(tmp_path, shards, loss=loss))


def test_the_named_network_judges(tmp_path, shards, monkeypatch) -> None:
    stages = [torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(2), torch.nn.AvgPool2d(4)]
    network = FeatureNetwork(stages, mean=(0.5,) * 3, std=(1.0,) * 3)
    monkeypatch.setattr(loop, "mobilenet_v2", lambda: network)
    loss = LossConfig(perceptual=1.0, style=1.0, network="mobilenet_v2", stages=2)
    train(make_config(tmp_path, shards, steps=1, stage="synthesis", loss=loss))
    note = entries(tmp_path / "run")[0]
    assert note["perceptual"] > 0 and note["style"] > 0
    config = make_config(tmp_path, shards, stage="synthesis", loss=loss)
    features = loop.load_features(config, torch.device("cpu"))
    assert [f.shape[-1] for f in features(torch.zeros(1, 3, 32, 32))] == [16, 8]
    too_many = dataclasses.replace(config, loss=LossConfig(network="mobilenet_v2", stages=4))
    with pytest.raises(InputError, match="stages must be 1 to 3, got 4"):
        loop.load_features(too_many, torch.device("cpu"))


def test_learning_without_correspondences(tmp_path, shards) -> None:
    loss = LossConfig(supervised=False, feature_warp=1.0, affine=0.1)

    def features(rgb: torch.Tensor) -> list[torch.Tensor]:
        return [torch.nn.functional.avg_pool2d(rgb, 2), torch.nn.functional.avg_pool2d(rgb, 4)]

    train(make_config(tmp_path, shards, steps=1, loss=loss), features=features)
    note = entries(tmp_path / "run")[0]
    assert "feature_warp" in note and "flow" not in note and "flow_coarse" not in note


def test_held_out_scores_stand_beside_the_prior(tmp_path, shards, monkeypatch) -> None:
    monkeypatch.setattr(loop, "NUM_HELD_OUT", 4)
    data = DataConfig(shards=str(shards), held_out=str(shards), batch_size=2)
    train(make_config(tmp_path, shards, steps=1, data=data, stage="joint"))
    note = entries(tmp_path / "run")[-1]
    for name in ("epe", "epe_prior", "mask_iou", "visible_iou", "parse_iou", "result_l1"):
        assert note[f"held_out/{name}"] >= 0


def run_two(config: TrainConfig, folder: Path, *lines: str) -> subprocess.CompletedProcess:
    """Train in two processes, after some lines of Python."""
    (folder / "two.yaml").write_text(yaml.safe_dump(as_tree(config)))
    script = folder / "go.py"
    head = ("import os, signal, sys, torch", "from motion_transfer.training import train as loop",
            "from motion_transfer.training.config import load_config")  # fmt: skip
    script.write_text("\n".join(
        (*head, "torch.set_num_threads(1)", *lines, "loop.train(load_config(sys.argv[1]))")
    ))  # fmt: skip
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return subprocess.run(
        [*command, str(script), str(folder / "two.yaml")], timeout=120, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
    )  # fmt: skip


def test_two_processes_train_as_one(tmp_path, shards) -> None:
    # bug: gradients are not shared, or both processes see the same samples
    config = make_config(tmp_path, shards, name="two", steps=2, optim=OptimConfig(clip=1e9))
    data = dataclasses.replace(config.data, modality_drop=0.0, part_maps=0.0, exact=1.0)
    done = run_two(dataclasses.replace(config, data=data), tmp_path)
    assert done.returncode == 0, done.stderr
    notes = entries(tmp_path / "two")
    assert [n["step"] for n in notes] == [1, 2]  # one process writes
    weights = load_trained(tmp_path / "two").weights
    assert all(torch.isfinite(t).all() for t in weights.values())


def test_a_signal_to_one_process_stops_both(tmp_path, shards) -> None:
    # bug: the other waits for its gradients until the time-out
    config = make_config(tmp_path, shards, name="two", steps=1000)
    done = run_two(
        config, tmp_path, "first = loop.schedule", "def schedule(step, config, share):",
        "    if step == 1 and os.environ['RANK'] == '1': signal.raise_signal(signal.SIGTERM)",
        "    return first(step, config, share=share)", "loop.schedule = schedule",
    )  # fmt: skip
    assert "the same command goes on from" in done.stderr
    assert latest_checkpoint(tmp_path / "two").name == "step-0000002"


def test_ctrl_c_writes_a_checkpoint(tmp_path, shards, monkeypatch) -> None:
    # bug: all since the last checkpoint is lost
    note, before = loop._note, signal.getsignal(signal.SIGINT)

    def note_and_press(folder, writer, step, entry):
        note(folder, writer, step, entry)
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop, "_note", note_and_press)
    with pytest.raises(Cancelled, match=r"stopped; the same command goes on from .*step-0000003"):
        train(make_config(tmp_path, shards, steps=100))
    assert latest_checkpoint(tmp_path / "run").name == "step-0000003"
    assert signal.getsignal(signal.SIGINT) == before


def test_tensorboard(tmp_path, shards, monkeypatch) -> None:
    # bug: the last scalars never reach the disk; it is missing, and a run folder is left behind
    told = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            told.append(("open", folder))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, step))

        def close(self) -> None:
            told.append(("close", None))

    config = make_config(tmp_path, shards, steps=2, log_every=1, tensorboard=True)
    fake = types.SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    final = train(config)
    assert told[0] == ("open", str(final.parent)) and told[-1] == ("close", None)
    assert ("total", 1) in told and ("total", 2) in told
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    absent = make_config(tmp_path / "absent", shards, steps=2, tensorboard=True)
    with pytest.raises(InputError, match="tensorboard is on but not installed; pip install"):
        train(absent)
    assert not list((tmp_path / "absent").rglob("config.yaml"))


def test_minutes(tmp_path, shards) -> None:
    # bug: a slice of a lent machine ends without a checkpoint
    last = train(make_config(tmp_path, shards, steps=100_000, minutes=0.02))
    assert latest_checkpoint(tmp_path / "run") == last and "0100000" not in last.name


def test_the_rate_follows_the_minutes_without_steps(tmp_path, shards, monkeypatch) -> None:
    # bug: a lent machine's minutes are over while the rate is still high
    config, shares = make_config(tmp_path, shards, steps=None, minutes=0.05), []

    def note(step, config, share):
        shares.append(share)
        return schedule(step, config, share=share)

    clock = itertools.count(0, 0.5)  # seconds: a busy machine makes one step in three of them
    monkeypatch.setattr(stopping, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(loop, "schedule", note)
    train(config)
    assert shares == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    rates = [schedule(1000, config, share=s) for s in (0.0, 0.5, 1.0)]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] == pytest.approx(config.optim.final_rate)


def test_pairs_have_a_share_of_the_errors_and_other_colours(tmp_path, shards, monkeypatch) -> None:
    # bug: the options are read and change nothing
    seen = []

    def note(samples, **kind):
        seen.append((samples["rgb"], kind["noise"]))
        return make_pair(samples, **kind)

    monkeypatch.setattr(loop, "make_pair", note)
    config = make_config(tmp_path, shards, steps=1, name="plain")
    train(config)
    data = dataclasses.replace(config.data, noise=0.5, recoloured=1.0, exact=0.0)
    train(dataclasses.replace(config, data=data, name="changed"))
    (plain, full), (changed, some) = seen[0], seen[-1]
    assert plain.dtype == changed.dtype and not torch.equal(plain, changed)
    assert set(full.tolist()) <= {0.0, 1.0} and 0 < some.min() and some.max() <= 0.5


def test_rate() -> None:
    config = TrainConfig(data=DataConfig(shards="x"), steps=100, optim=OptimConfig(warm_up=10))
    rates = [schedule(k, config) for k in range(101)]
    assert rates[0] == pytest.approx(0.1, rel=0.01) and max(rates) == max(rates[8:12])
    assert rates[100] == pytest.approx(config.optim.final_rate)


def test_running_mean() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    ema = Ema(layer, decay=0.5)
    torch.nn.init.ones_(layer.weight)
    ema.update(layer, 100)
    assert ema.mean["weight"].item() == pytest.approx(0.5)
    ema.update(layer, 0)  # the first steps count more
    assert ema.mean["weight"].item() == pytest.approx(0.95)
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\)"):
        Ema(layer, decay=1.0)


def test_discriminators() -> None:
    picture = torch.rand(2, 4, 64, 48)
    judged = MultiScaleDiscriminator(channels=4, width=8)(picture)
    assert [j.logits.shape[-2:] for j in judged] == [(8, 6), (4, 3)]
    assert all(len(j.features) == 3 for j in judged)
    clip = ClipDiscriminator(channels=4, frames=2, width=8)
    assert clip(torch.stack([picture, picture], 1)).logits.shape == (2, 1, 8, 6)
    with pytest.raises(ValueError, match="clip must have 2 frames, got 1"):
        clip(picture[:, None])
    # spectral normalisation: no input is amplified without bound
    large = MultiScaleDiscriminator(channels=4, width=8)
    with torch.no_grad():
        for _ in range(20):
            spread = (large(picture)[0].logits - large(picture + 0.1)[0].logits).abs().max()
    assert spread < 10
