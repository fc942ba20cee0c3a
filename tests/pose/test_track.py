"""The container of key points and its file."""

import io
import zipfile
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from motion_transfer.errors import InputError
from motion_transfer.pose.track import PoseTrack


def make_track(num_frames: int = 5, **changed) -> PoseTrack:
    random = np.random.default_rng(3)
    values = {
        "xy": random.uniform(0, 300, (num_frames, 33, 2)).astype(np.float32),
        "depth": random.normal(size=(num_frames, 33)).astype(np.float32),
        "confidence": random.uniform(0, 1, (num_frames, 33)).astype(np.float32),
        "world": random.normal(size=(num_frames, 33, 3)).astype(np.float32),
        "present": np.ones(num_frames, bool),
        "times_seconds": np.arange(num_frames) * 1001 / 30000,
        "fps": Fraction(30000, 1001),
        "size_hw": (480, 270),
    }
    return PoseTrack(**(values | changed))


@pytest.mark.parametrize("scale", [None, np.full(5, 212.5, np.float32)])
def test_round_trip(tmp_path: Path, scale) -> None:
    # bug: NTSC rates come back as 29, unknown joints as 0
    track = make_track(px_per_metre=scale)
    track.xy[2], track.confidence[2], track.present[2] = np.nan, 0, False
    track.save(tmp_path / "new folder" / "a.npz")
    back = PoseTrack.load(tmp_path / "new folder" / "a.npz")
    for field in fields(PoseTrack):
        wanted, got = getattr(track, field.name), getattr(back, field.name)
        if isinstance(wanted, np.ndarray):
            assert np.array_equal(wanted, got, equal_nan=wanted.dtype.kind == "f"), field.name
        else:
            assert wanted == got, field.name
    assert [p.name for p in (tmp_path / "new folder").iterdir()] == ["a.npz"]


def test_slices_keep_all_that_belongs_to_a_frame() -> None:
    # bug: a cut track pairs poses with times or sizes of other frames
    track = make_track(px_per_metre=np.arange(1, 6, dtype=np.float32))
    part = track[1:3]
    assert len(part) == 2
    assert part.px_per_metre is not None and part.px_per_metre.tolist() == [2, 3]
    assert np.array_equal(part.times_seconds, track.times_seconds[1:3])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        # a single frame without the time axis
        ({"xy": np.zeros((33, 2), np.float32)}, r"xy must have shape \(T, K, 2\).*leading axis"),
        # another skeleton under this one's name
        ({"xy": np.zeros((5, 18, 2), np.float32)}, "must have 33 joints, got 18"),
        # arrays of different clips
        ({"depth": np.zeros((4, 33), np.float32)}, r"depth must have shape \(5, 33\)"),
        ({"present": np.ones(6, bool)}, r"present must have shape \(5,\)"),
        ({"px_per_metre": np.ones(2)}, r"px_per_metre must have shape \(5,\)"),
        # a rate that is rounded is a rate that drifts
        ({"fps": 29.97}, "fps must be a positive fractions.Fraction"),
    ],
)
def test_wrong_shapes_say_which(changed: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_track(**changed)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    # bug: a track from the net runs its author's code
    trap = np.empty(1, object)
    trap[0] = Trap(tmp_path / "sprung")
    with pytest.raises(InputError, match="not a pose track"):
        PoseTrack.load(save(tmp_path, xy=trap))
    np.save(tmp_path / "bare.npy", trap, allow_pickle=True)
    with pytest.raises(InputError, match="not a pose track"):
        PoseTrack.load(tmp_path / "bare.npy")
    assert not (tmp_path / "sprung").exists()


def save(folder: Path, **changed) -> Path:
    """A track's file with some arrays exchanged (None: left out)."""
    make_track().save(folder / "good.npz")
    with np.load(folder / "good.npz") as data:
        arrays = dict(data) | changed
    path = folder / "bad.npz"
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None}, allow_pickle=True)
    return path


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"world": None}, "lacks world; make one with 'motion-transfer track'"),
        ({"version": np.int64(9)}, "version must be 1, got 9"),
        ({"version": np.array([1, 2])}, "version must be positive whole numbers"),
        ({"fps": np.array([30, 0])}, "fps must be positive whole numbers"),
        ({"fps": np.array([30])}, "fps must be positive whole numbers"),
        ({"size_hw": np.array([0.5, 2.0])}, "size_hw must be positive whole numbers"),
        ({"xy": np.full((5, 33, 2), "a")}, "xy must be floats"),
        ({"present": np.ones(5)}, "present must be bool"),
        ({"times_seconds": np.zeros(5)}, "times_seconds must increase"),
        ({"times_seconds": np.full(5, np.nan)}, "times_seconds must increase"),
    ],
)
def test_files_that_are_no_tracks(tmp_path: Path, changed: dict, message: str) -> None:
    # bug: a traceback from deep inside of numpy for a file of somebody else
    with pytest.raises(InputError, match=message) as caught:
        PoseTrack.load(save(tmp_path, **changed))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(100), b"\x93NUMPY"])
def test_files_that_are_no_archives(tmp_path: Path, content: bytes) -> None:
    # bug: EOFError, AttributeError or BadZipFile as a traceback
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a pose track"):
        PoseTrack.load(path)


def test_truncated_archive(tmp_path: Path) -> None:
    # bug: a half-copied file is read as far as it goes
    make_track().save(tmp_path / "a.npz")
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a pose track"):
        PoseTrack.load(tmp_path / "a.npz")


def test_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # bug: a megabyte on disk becomes gigabytes in memory
    make_track().save(tmp_path / "a.npz")
    monkeypatch.setattr("motion_transfer.pose.track.MAX_BYTES", 5000)
    with pytest.raises(InputError, match="not a pose track: it holds"):
        PoseTrack.load(tmp_path / "a.npz")


def test_array_that_claims_to_be_huge(tmp_path: Path) -> None:
    # bug: a header of a few bytes asks for terabytes
    header = io.BytesIO()
    shape = {"descr": "<f4", "fortran_order": False, "shape": (1 << 46,)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("xy.npy", header.getvalue())
    with pytest.raises(InputError, match="not a pose track"):
        PoseTrack.load(tmp_path / "a.npz")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such pose track"):
        PoseTrack.load(tmp_path / "none.npz")


def test_frozen() -> None:
    # bug: a stage changes the track of the stage before
    track = make_track()
    with pytest.raises(AttributeError):
        track.fps = Fraction(1)  # type: ignore[misc]
    assert replace(track, fps=Fraction(1)).fps == 1
