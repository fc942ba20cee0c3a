"""Downloads become an asset folder; what is not usable is named."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("pygltflib", reason="the extra 'synth-assets' is not installed")

from characters import write_character
from test_bvh import BVH

from motion_transfer import cli
from motion_transfer.synth.assets import Assets
from motion_transfer.synth.commands import pack
from motion_transfer.synth.sample import render_scene
from motion_transfer.synth.scene import SceneSettings, SceneStream


@pytest.fixture
def downloads(tmp_path):
    folder = tmp_path / "downloads"
    write_character(folder / "people" / "box man.glb")
    (folder / "people" / "LICENSE.txt").write_text("CC0, box maker")
    (folder / "people" / "broken.glb").write_bytes(b"glTF but not really")
    write_character(folder / "people" / "snake.glb", without=("LeftArm",))
    (folder / "motion").mkdir()
    head, _, motion = BVH.partition("Frames: 4")
    lines = motion.strip().splitlines()
    text = head + "Frames: 40\n" + "\n".join([lines[0], *(lines[1:] * 10)])
    (folder / "motion" / "step.bvh").write_text(text)
    (folder / "motion" / "notes.bvh").write_text("hello")
    (folder / "light").mkdir()
    y = np.linspace(1, 0.1, 600, dtype=np.float32)[:, None, None]
    sky = np.ones((600, 1200, 3), np.float32) * y * (3.0, 2.0, 1.0)
    cv2.imwrite(str(folder / "light" / "sky.hdr"), sky.astype(np.float32))
    cv2.imwrite(str(folder / "light" / "square.hdr"), sky[:, :600].astype(np.float32))
    (folder / "light" / "other.exr").write_bytes(b"v/1\x01 no")
    return folder


def test_pack_checks_and_lists_every_file(downloads, tmp_path, capsys):
    output = tmp_path / "assets"
    pack(downloads=downloads, output=output)
    lines = capsys.readouterr().out.splitlines()
    bad = [line for line in lines if line.startswith("not usable")]
    for name, why in (
        ("broken.glb", ""), ("snake.glb", "no joints found for LeftArm"),
        ("notes.bvh", "not a BVH file"), ("square.hdr", "twice as wide as high"),
        ("other.exr", ""),
    ):  # fmt: skip
        assert sum(name in line and why in line for line in bad) == 1, (name, bad)
    assert len(bad) == 5
    assert "1 characters, 1 clips, 1 environment maps" in lines[-1]
    assert any("no licence file lies beside bvh motion/step.bvh" in line for line in lines)
    manifest = json.loads((output / "manifest.json").read_text())
    (person,) = manifest["gltf"]
    assert person["name"] == "box_man"
    assert person["licence"] == "people/LICENSE.txt: CC0, box maker"
    assert manifest["hdri"][0]["size_hw"] == [512, 1024]


def test_pack_can_be_rendered(downloads, tmp_path):
    output = tmp_path / "assets"
    pack(downloads=downloads, output=output)
    assets = Assets(output)
    assert assets.clip_names() == ["step"]
    sky = assets.environment("sky")
    assert sky.shape == (512, 1024, 3)
    assert np.allclose(sky[0, 0], (1, 2, 3), rtol=0.02)  # RGB, not BGR
    stream = SceneStream(assets, seed=1, settings=SceneSettings(size_hw=(128, 96), group=2))
    sample = render_scene(stream.scene(0))
    assert (sample.alpha > 0).mean() > 0.03


def test_wrong_folders_are_named(downloads, tmp_path, capsys):
    for arguments, message in (
        (["--downloads", "x", "--output", str(tmp_path / "o")], "--downloads: no such folder"),
        (["--downloads", str(downloads), "--output", str(downloads)], "must be empty"),
        (["--downloads", str(downloads / "light"), "--output", str(tmp_path / "p")],
         "no usable character"),
    ):  # fmt: skip
        with pytest.raises(SystemExit) as stop:
            cli.main(["synth", "pack", *arguments])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
