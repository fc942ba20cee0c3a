"""The shipped pose tracks load and show one whole person who moves."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from demos.make_tracks import PIECES
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.track import PoseTrack
from motion_transfer.synth.assets import split_of_clip

FOLDER = Path(__file__).parents[1] / "demos" / "tracks"


def test_every_piece_is_shipped_and_listed():
    assert {p.stem for p in FOLDER.glob("*.npz")} == {piece.name for piece in PIECES}
    readme = (FOLDER / "README.md").read_text()
    for piece in PIECES:
        assert split_of_clip(piece.clip) == "train"
        assert f"| `{piece.name}.npz` | {piece.clip} |" in readme


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.name)
def test_track_is_sane(piece):
    path = FOLDER / f"{piece.name}.npz"
    assert path.stat().st_size <= 120_000
    track = PoseTrack.load(path)
    assert track.fps == Fraction(30)
    assert 6 <= len(track) / 30 <= 8
    assert track.present.all()
    height, width = track.size_hw
    assert (track.xy >= 0).all()
    assert (track.xy <= (width - 1, height - 1)).all()

    def place(name):
        return track.xy[:, INDEX[name]]

    # The camera sees the person's front in most frames: the left side lies to the right.
    assert (place("left_shoulder") > place("right_shoulder"))[:, 0].mean() > 0.8
    assert (place("left_ankle")[:, 1] > place("left_hip")[:, 1]).mean() > 0.95
    moved = np.abs(np.diff(track.xy, axis=0))
    assert 0.5 < moved.mean() * 30 / height * 100  # per cent of the picture a second
    assert moved.max() < 0.2 * height  # nothing jumps
    hips = track.world[:, [INDEX["left_hip"], INDEX["right_hip"]]].mean(1)
    assert np.abs(hips).max() < 5e-3
    thigh = track.world[:, INDEX["left_knee"]] - track.world[:, INDEX["left_hip"]]
    assert np.ptp(np.linalg.norm(thigh, axis=1)) < 0.02  # bones keep their length
    # World and picture agree: y down, to scale, depth grows away from the camera.
    assert track.px_per_metre is not None
    scaled = track.world[:, INDEX["nose"], 1] * track.px_per_metre
    middle = (place("left_hip") + place("right_hip"))[:, 1] / 2
    assert np.corrcoef(scaled, place("nose")[:, 1] - middle)[0, 1] > 0.9
    wrist = INDEX["left_wrist"]
    assert np.corrcoef(track.world[:, wrist, 2], track.depth[:, wrist])[0, 1] > 0.99
