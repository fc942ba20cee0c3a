"""A small photo and a short dance: rendered people who do not exist."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from demo_clips import DEMOS, dance_frames, write_clip
from PIL import Image

from motion_transfer import weights


@pytest.fixture(scope="session")
def networks() -> None:
    """Skip where the tracker's model files are not there and cannot be fetched."""
    try:
        for name in ("pose_detection", "pose_landmark_full", "face_landmark"):
            weights.fetch(f"{name}.tflite", progress=False)
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
