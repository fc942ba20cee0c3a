import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motion_transfer.errors import MediaError
from motion_transfer.media.sample import contact_sheet, sample_frames

from .clips import draw, number

MakeClip = Callable[..., Path]
NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("a.mp4", {"options": {"g": "15"}}, None),
        ("a.webm", {"codec": "libvpx-vp9"}, None),
        ("a.gif", {"codec": "gif", "pix_fmt": "rgb8", "fps": Fraction(25)}, "GIF"),
        ("a.mp4", {"rotation": (90, False, False)}, "turned"),
        ("a.mp4", {"pix_fmt": "yuv420p10le"}, "10 bits"),
    ],
)
def test_frames_at_times(
    make_clip: MakeClip,
    caplog: pytest.LogCaptureFixture,
    name: str,
    options: dict,
    reason: str | None,
) -> None:
    fps = options.get("fps", NTSC)
    path = make_clip(name, num_frames=50, **({"fps": fps} | options))
    wanted = [40, 3, 17, 17, 49, 0]
    with caplog.at_level("INFO"):
        frames = sample_frames(path, times_seconds=[i / fps for i in wanted])
    if "rotation" in options:
        frames = [np.rot90(f) for f in frames]
        frames = frames if number(frames[0]) == 40 else [np.rot90(f, 2) for f in frames]
    assert [number(f) for f in frames] == wanted
    assert (reason in caplog.text) if reason else not caplog.text


def test_without_decord_the_frames_are_the_same(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_clip(num_frames=50, fps=NTSC)
    fast = sample_frames(path, num_frames=7)
    monkeypatch.setitem(sys.modules, "decord", None)
    with caplog.at_level("INFO"):
        slow = sample_frames(path, num_frames=7)
    assert "read in order, because decord" in caplog.text
    assert all((a == b).all() for a, b in zip(fast, slow, strict=True))


def test_spread_evenly_and_scaled(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=50, fps=Fraction(10))
    frames = sample_frames(path, num_frames=5, max_side=48)
    assert [number(f) for f in frames] == [5, 15, 25, 35, 45]
    assert frames[0].shape == (32, 48, 3)


def test_uneven_times_show_what_is_on_display(make_clip: MakeClip) -> None:
    given = [Fraction(t) for t in (0, Fraction(1, 10), 2, Fraction(21, 10))]
    path = make_clip(times=given, fps=Fraction(10))
    assert [number(f) for f in sample_frames(path, times_seconds=[0, 1, 1.9, 2, 2.12])] == [
        0, 1, 1, 2, 3,
    ]  # fmt: skip


def test_a_folder(tmp_path: Path) -> None:
    for i in range(12):
        Image.fromarray(draw(i)).save(tmp_path / f"{i}.png")
    assert [number(f) for f in sample_frames(tmp_path, num_frames=3)] == [2, 6, 10]


def test_arguments(make_clip: MakeClip) -> None:
    path = make_clip(num_frames=10, fps=Fraction(10))
    assert sample_frames(path, times_seconds=[]) == []
    for options, match in (
        ({}, "either num_frames or times_seconds"),
        ({"num_frames": 0}, "num_frames must be at least 1, got 0"),
        ({"times_seconds": [0.5, 1.0]}, r"times must lie within clip.mp4 \(1.000 s\), got 1"),
    ):
        with pytest.raises(MediaError, match=match):
            sample_frames(path, **options)


def test_contact_sheet() -> None:
    images = [np.full((40, 20 + 10 * i, 3), i, np.uint8) for i in range(5)]
    sheet = contact_sheet(images, columns=3, cell_height=20, gap_px=2)
    assert sheet.shape == (2 * 22 + 2, 3 * 32 + 2, 3) and sheet.dtype == np.uint8
    assert (sheet[10, 2 + 15] == 0).all() and (sheet[2 + 22 + 5, 2 + 32 + 15] == 4).all()
    assert (sheet[2 + 22 + 5, -5] == 255).all()  # no sixth image
    with pytest.raises(MediaError, match="got 0 images, 3 columns, 20 px"):
        contact_sheet([], columns=3, cell_height=20)
