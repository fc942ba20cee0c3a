"""A small photo and a short dance: rendered people who do not exist."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from motion_transfer import weights
from motion_transfer.media.decode import read_frames
from motion_transfer.media.encode import VideoWriter

ROOT = Path(__file__).parents[1]
DEMOS = ROOT / "demos"


@pytest.fixture(scope="session")
def networks() -> None:
    """Skip where the tracker's model files are not there and cannot be fetched."""
    try:
        for name in ("pose_detection.tflite", "pose_landmark_full.tflite"):
            weights.fetch(name, progress=False)
    except weights.WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def person(tmp_path_factory: pytest.TempPathFactory, networks: None) -> Path:
    """A photo of 270 x 360 pixels."""
    path = tmp_path_factory.mktemp("photo") / "person.png"
    with Image.open(DEMOS / "person.jpg") as image:
        image.resize((270, 360), Image.Resampling.LANCZOS).save(path)
    return path


@pytest.fixture(scope="session")
def dance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames at 30000/1001 fps, 400 x 336, with sound."""
    path = tmp_path_factory.mktemp("dance") / "dance.mp4"
    return write_clip(path, dance_frames(30), fps=Fraction(30000, 1001), sound=True)


def dance_frames(count: int) -> list[np.ndarray]:
    """The first frames of the demo dance, small."""
    frames = read_frames(DEMOS / "dance.mp4", start_seconds=2, max_side=400)
    return [frame.rgb for frame, _ in zip(frames, range(count), strict=False)]


def write_clip(
    path: Path,
    frames: list[np.ndarray],
    *,
    fps: Fraction = Fraction(30),
    times: list[Fraction] | None = None,
    end: Fraction | None = None,
    sound: bool = False,
) -> Path:
    """A clip of given frames."""
    from motion_transfer.media.audio import AudioRange

    clock = None if times is None else Fraction(1, 12288)
    with VideoWriter.open(
        path, size_hw=frames[0].shape[:2], fps=fps, time_base=clock, crf=12
    ) as writer:
        for k, rgb in enumerate(frames):
            writer.write(rgb, k / fps if times is None else times[k])
        audio = AudioRange(path=DEMOS / "dance.mp4", start_seconds=2) if sound else None
        writer.finish(audio=audio, end_seconds=end)
    return path


@pytest.fixture
def everything_in(tmp_path: Path) -> Callable[[], list[str]]:
    """Names of all that lies in the test's folder, hidden files too."""
    return lambda: sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*"))


@pytest.fixture
def in_folder(tmp_path: Path) -> Iterator[Path]:
    """The test's folder as the present one."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)
