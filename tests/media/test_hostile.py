"""Real files that were made to break readers; skipped where they are not at hand."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from motion_transfer.errors import MediaError
from motion_transfer.media.decode import probe, read_frames
from motion_transfer.media.photo import read_photo

PHOTOS = {
    "cmyk.jpg": (1101, 750),
    "exif2_mirrored.jpg": (1101, 750),
    "exif6_rotated.jpg": (1101, 750),
    "gray_L.jpg": (1101, 750),
    "huge_3750x5505.jpg": (2048, 1395),
    "jpeg_named_png.png": (1101, 750),
    "la_gray_alpha.png": (675, 500),
    "palette_P.png": (1101, 750),
    "partial_half_left_cut.jpg": (1101, 375),
    "partial_upper_body.jpg": (495, 750),
    "rgba_transparent_cutout.png": (675, 500),
    "tiny_96px.jpg": (140, 96),
    "two_people.jpg": (1101, 1500),
    "very_small_person.jpg": (1080, 1920),
    "dance.gif": (320, 180),
}
VIDEOS = {  # size, rate, variable, frames
    "dance.gif": ((320, 180), Fraction(25, 3), False, 24),
    "hevc_60fps.mp4": ((1280, 720), Fraction(60), False, 96),
    "no_person_sky.mp4": ((256, 720), Fraction(24), False, 72),
    "odd_719x1277.webm": ((1277, 719), Fraction(24), False, 48),
    "one_frame.mp4": ((1280, 720), Fraction(24), False, 1),
    "person_half_out.mp4": ((1280, 360), Fraction(24), False, 72),
    "rot270_meta.mov": ((1280, 720), Fraction(24), False, 96),
    "rot90_meta.mp4": ((1280, 720), Fraction(24), False, 212),
    "three_frames.mp4": ((1280, 720), Fraction(24), False, 3),
    "truncated_moov_missing.mp4": ((1280, 720), Fraction(24), False, 69),
    "two_dancers.mp4": ((1920, 1080), Fraction(30), False, 345),
    "very_small_person.mp4": ((1080, 1920), Fraction(24), False, 72),
    "vfr_dropped.mp4": ((1280, 720), None, True, 141),
}
NOT_PHOTOS = ["truncated.jpg", "audio_only.m4a", "empty.mp4", "not_a_video.mp4", "one_frame.mp4"]
NOT_VIDEOS = ["audio_only.m4a", "empty.mp4", "not_a_video.mp4", "cmyk.jpg", "palette_P.png"]


@pytest.mark.parametrize("name", PHOTOS)
def test_photo(real_media: Path, name: str) -> None:
    photo = read_photo(real_media / "hostile" / name, max_side=2048)
    assert photo.size_hw == PHOTOS[name]
    has_alpha = name in ("la_gray_alpha.png", "rgba_transparent_cutout.png")
    assert (photo.alpha is not None) == has_alpha


def test_the_same_photo_in_many_forms(real_media: Path) -> None:
    reference = read_photo(real_media / "hostile" / "jpeg_named_png.png").rgb.astype(float)
    for name in ("cmyk.jpg", "exif2_mirrored.jpg", "exif6_rotated.jpg", "palette_P.png"):
        rgb = read_photo(real_media / "hostile" / name).rgb
        assert np.abs(rgb - reference).mean() < 4, name


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.filterwarnings("ignore:truncated_moov_missing.mp4")
def test_video(real_media: Path, name: str) -> None:
    size_hw, fps, is_variable, num_frames = VIDEOS[name]
    path = real_media / "hostile" / name
    info = probe(path)
    assert (info.size_hw, info.is_variable, info.num_frames) == (size_hw, is_variable, num_frames)
    assert fps is None or info.fps == fps
    frames = list(islice(read_frames(path, max_side=320), 30))
    assert len(frames) == min(30, num_frames)
    assert max(frames[0].rgb.shape) == min(320, max(size_hw))
    late = list(read_frames(path, start_seconds=info.duration_seconds * 9 / 10, max_side=320))
    assert late and late[0].time == 0


@pytest.mark.parametrize("name", NOT_PHOTOS)
def test_not_a_photo(real_media: Path, name: str) -> None:
    with pytest.raises(MediaError, match=name) as caught:
        read_photo(real_media / "hostile" / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NOT_VIDEOS)
def test_not_a_video(real_media: Path, name: str) -> None:
    with pytest.raises(MediaError, match=name) as caught:
        read_frames(real_media / "hostile" / name)
    assert "\n" not in str(caught.value)


def test_every_file_is_covered(real_media: Path) -> None:
    known = {*PHOTOS, *VIDEOS, *NOT_PHOTOS, *NOT_VIDEOS}
    assert {p.name for p in (real_media / "hostile").iterdir()} <= known
