"""The learned generator from the command line to the video."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import puppets
import pytest

from motion_transfer import pipeline, sidecar
from motion_transfer.cli import main
from motion_transfer.errors import NoPersonError
from motion_transfer.generator.pose_flow import PoseFlowGenerator
from motion_transfer.generator.pretrained import save_networks
from motion_transfer.media.decode import read_frames
from motion_transfer.media.encode import VideoWriter
from motion_transfer.pipeline import transfer

QUICK = {"matte": "fast", "background": "teal", "generator": "pose-flow"}
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    networks = puppets.small_networks()
    save_networks(path, networks.state_dict(), model=puppets.SMALL, stage="flow")
    return path


def test_from_the_command_line(person: Path, dance: Path, weights: Path, tmp_path: Path) -> None:
    # bug: the option is taken, and the articulated generator runs
    output = tmp_path / "out.mp4"
    main(["transfer", "-s", str(person), "-d", str(dance), "-o", str(output), "--end", "0.3",
          "--matte", "fast", "--background", "teal", "--generator", "pose-flow",
          "--weights", str(weights), "--also", str(person)])  # fmt: skip
    told = json.loads((tmp_path / "out.mp4.json").read_text())
    assert told["inputs"]["weights"]["sha256"] == sidecar.sha256(weights)
    assert told["inputs"]["also 1"]["sha256"] == sidecar.sha256(person)
    assert told["settings"]["generator"] == "pose-flow"
    ours = np.stack([frame.rgb for frame in read_frames(output)]).astype(int)
    puppet = transfer(person, dance, tmp_path / "b.mp4", end=0.3, **QUICK | {
        "generator": "articulated"})  # fmt: skip
    theirs = np.stack([frame.rgb for frame in read_frames(puppet.output)]).astype(int)
    assert ours.shape == theirs.shape == (9, 360, 270, 3)
    shown = np.abs(ours - (0, 128, 128)).max(-1) > 40
    both = shown & (np.abs(theirs - (0, 128, 128)).max(-1) > 40)
    assert both.sum() > 0.7 * shown.sum()  # the same person in the same place
    assert 0.5 < np.abs(ours - theirs)[both].mean() < 40  # and yet another picture
    again = transfer(person, dance, tmp_path / "c.mp4", **told["settings"])
    assert sidecar.sha256(again.output) == told["output_sha256"]


def test_resumed_equals_straight(
    person: Path, dance: Path, weights: Path, tmp_path: Path, monkeypatch
) -> None:
    # bug: a seam where a render was continued, or finished frames are computed again
    monkeypatch.setattr(
        pipeline.VideoWriter, "open", functools.partial(VideoWriter.open, segment_frames=8)
    )
    run = functools.partial(transfer, person, dance, weights=weights, **QUICK)

    def stop(stage: str, done: int, total: int | None) -> None:
        if (stage, done) == ("render", 20):
            raise KeyboardInterrupt

    whole = run(tmp_path / "whole.mp4")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out.mp4", progress=stop)
    computed = []
    look = PoseFlowGenerator._look
    monkeypatch.setattr(PoseFlowGenerator, "_look", lambda *a: computed.extend(a[2]) or look(*a))
    resumed = run(tmp_path / "out.mp4", resume=True)
    assert sidecar.sha256(resumed.output) == sidecar.sha256(whole.output)
    assert min(computed) >= 16 - 2


def test_another_photo_without_a_person(
    person: Path, dance: Path, weights: Path, tmp_path: Path
) -> None:
    # bug: one cannot tell which of the photos is meant
    from PIL import Image

    Image.new("RGB", (200, 260), (120, 130, 140)).save(tmp_path / "grey.png")
    with pytest.raises(NoPersonError, match=r"--also: grey.png: no person was found"):
        transfer(person, dance, tmp_path / "out.mp4", weights=weights,
                 also=[tmp_path / "grey.png"], **QUICK)  # fmt: skip
    with pytest.raises(FileNotFoundError, match=r"--also: no such file: none.png"):
        transfer(person, dance, tmp_path / "out.mp4", weights=weights, also=["none.png"], **QUICK)
    assert [p.name for p in tmp_path.iterdir()] == ["grey.png"]
