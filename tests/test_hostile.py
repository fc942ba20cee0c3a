"""Files that were made to break programs: a right result, or one clear line.

The real ones cannot be distributed; tests with them skip where they are not at hand. The same
kinds are made here by the tests themselves.
"""

from __future__ import annotations

import os
import warnings
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from demo_clips import DEMOS, dance_frames, write_clip
from PIL import Image

from motion_transfer.errors import InputError
from motion_transfer.media.decode import probe, read_frames
from motion_transfer.pipeline import transfer

QUICK = {"matte": "fast", "background": "teal"}
pytestmark = pytest.mark.timeout(240)
# As a photo: height and width of the result, or the start of the message.
PHOTOS: dict[str, tuple[int, int] | str] = {
    "cmyk.jpg": (1101, 750),
    "exif2_mirrored.jpg": (1101, 750),
    "exif6_rotated.jpg": (1101, 750),
    "gray_L.jpg": (1101, 750),
    "huge_3750x5505.jpg": (1280, 872),
    "jpeg_named_png.png": (1101, 750),
    "la_gray_alpha.png": (675, 500),
    "palette_P.png": (1101, 750),
    "partial_half_left_cut.jpg": (1101, 375),
    "partial_upper_body.jpg": (495, 750),
    "rgba_transparent_cutout.png": (675, 500),
    "tiny_96px.jpg": (140, 96),
    "truncated.jpg": "truncated.jpg: the photo must be a complete image file",
    "two_people.jpg": (940, 1280),
    "very_small_person.jpg": (720, 1280),
}
# As a driver: frames in the first half second and those without the person, or the message.
DRIVERS: dict[str, tuple[int, int] | str] = {
    "audio_only.m4a": "audio_only.m4a",
    "dance.gif": (4, 0),
    "empty.mp4": "empty.mp4",
    "hevc_60fps.mp4": (30, 0),
    "no_person_sky.mp4": "--driving: no person was found in no_person_sky.mp4",
    "not_a_video.mp4": "not_a_video.mp4",
    "odd_719x1277.webm": (12, 0),
    "one_frame.mp4": (1, 0),
    "person_half_out.mp4": (12, 0),
    "rot270_meta.mov": (12, 0),
    "rot90_meta.mp4": (12, 0),
    "three_frames.mp4": (3, 0),
    "truncated_moov_missing.mp4": (12, 0),
    "two_dancers.mp4": (15, 0),
    "very_small_person.mp4": (12, 0),
    "vfr_dropped.mp4": (8, 0),
}


@pytest.fixture(scope="session")
def hostile() -> Path:
    root = Path(__file__).parents[1]
    folder = Path(os.environ.get("MOTION_TRANSFER_MEDIA", root / "../shared/media")) / "hostile"
    if not folder.is_dir():
        pytest.skip("no folder of real media: set MOTION_TRANSFER_MEDIA")
    return folder.resolve()


def expect_line(folder: Path, message: str, **arguments) -> None:
    before = sorted(folder.rglob("*"))
    with pytest.raises((InputError, FileNotFoundError)) as caught:
        transfer(**arguments, **QUICK)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(folder.rglob("*")) == before  # nothing half-written


def check_photo(photo: Path, dance: Path, folder: Path, expected: tuple[int, int] | str) -> None:
    arguments = {"source": photo, "driving": dance, "output": folder / "out.mp4", "end": 0.1}
    if isinstance(expected, str):
        expect_line(folder, expected, **arguments)
        return
    result = transfer(**arguments, **QUICK)
    height, width = expected
    assert probe(result.output).size_hw == (height + height % 2, width + width % 2)
    assert result.num_frames == 3
    person = np.abs(next(read_frames(result.output)).rgb.astype(int) - (0, 128, 128)).max(-1) > 30
    assert 0.001 < person.mean() < 0.9  # somebody is there, and not the whole frame


def check_driver(driver: Path, person: Path, folder: Path, expected: tuple[int, int] | str) -> None:
    arguments = {"source": person, "driving": driver, "output": folder / "out.mp4"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged pictures that were left out
        if isinstance(expected, str):
            expect_line(folder, expected, **arguments)
            return
        length = probe(driver).duration_seconds
        end = 0.5 if length > Fraction(1, 2) else None
        result = transfer(**arguments, end=end, **QUICK)
    assert (result.num_frames, result.num_missing) == expected
    info = probe(result.output)
    assert info.num_frames == result.num_frames
    assert info.has_audio == probe(driver).has_audio


@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOS)
def test_real_photo(hostile: Path, dance: Path, tmp_path: Path, name: str) -> None:
    check_photo(hostile / name, dance, tmp_path, PHOTOS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", DRIVERS)
def test_real_driver(hostile: Path, person: Path, tmp_path: Path, name: str) -> None:
    check_driver(hostile / name, person, tmp_path, DRIVERS[name])


# --- the same kinds, made here --------------------------------------------------------------------


def make_photo(kind: str, person: Path, folder: Path) -> Path:
    """The demo person in a form that somebody's phone, camera or editor writes."""
    image = Image.open(person).convert("RGB")
    path = folder / f"{kind}.jpg"
    if kind == "exif6_rotated":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    elif kind == "cmyk":
        image.convert("CMYK").save(path, quality=95)
    elif kind == "grey":
        image.convert("L").save(path, quality=95)
    elif kind == "palette_named_jpg":
        image.quantize(64).save(path, format="PNG")
    elif kind == "cut_out":
        path = folder / "cut_out.png"
        alpha = Image.new("L", image.size, 0)
        alpha.paste(255, (60, 20, 210, 350))
        image.putalpha(alpha)
        image.save(path)
    elif kind == "16_bit":
        path = folder / "16_bit.png"
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        Image.fromarray(grey).save(path)
    elif kind == "upper_body":
        image.crop((0, 0, 270, 190)).resize((540, 380)).save(path, quality=95)
    elif kind == "two_people":
        both = Image.new("RGB", (540, 360))
        both.paste(image, (0, 0))
        both.paste(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (270, 0))
        both.save(path, quality=95)
    elif kind == "truncated":
        whole = folder / "whole.jpg"
        image.save(whole, quality=95)
        path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        whole.unlink()
    elif kind == "tiny":
        image.resize((40, 54)).save(path)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a photo")
    elif kind == "bomb":
        path = folder / "bomb.png"
        Image.new("1", (11_000, 10_000)).save(path)
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("exif6_rotated", (360, 270)),
        ("cmyk", (360, 270)),
        ("cut_out", (360, 270)),
        ("upper_body", (380, 540)),
        ("two_people", (360, 540)),
        pytest.param("grey", (360, 270), marks=pytest.mark.slow),
        pytest.param("palette_named_jpg", (360, 270), marks=pytest.mark.slow),
        pytest.param("16_bit", (360, 270), marks=pytest.mark.slow),
        ("truncated", "truncated.jpg: the photo must be a complete image file"),
        ("tiny", "tiny.jpg: the short side must have at least 64 px, got 40x54"),
        ("empty", "empty.jpg: a photo must be an image file such as JPEG, PNG, WebP or HEIC"),
        ("text", "text.jpg: a photo must be an image file"),
        ("bomb", "bomb.png: a photo may have at most 100 megapixels"),
    ],
)
def test_photo(person: Path, dance: Path, tmp_path: Path, kind: str, expected) -> None:
    # bug: what phones and editors write is lying down, negative, black, or a traceback
    check_photo(make_photo(kind, person, tmp_path), dance, tmp_path, expected)


def make_driver(kind: str, folder: Path) -> Path:
    """A few frames of the demo dance in a form that somebody's phone or editor writes."""
    frames = dance_frames(6)
    path = folder / f"{kind}.mp4"
    if kind == "gif":
        path = write_clip(folder / "dance.gif", frames, fps=Fraction(10))
    elif kind == "odd_webm":
        path = write_clip(folder / "odd.webm", [f[:335, :399].copy() for f in frames])
    elif kind == "rotated":
        lying = [np.ascontiguousarray(np.rot90(f)) for f in frames]
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=30)
            stream.height, stream.width = lying[0].shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.set_display_rotation(-90)
            for rgb in lying:
                output.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            output.mux(stream.encode())
    elif kind in ("one_frame", "three_frames"):
        write_clip(path, frames[: 1 if kind == "one_frame" else 3])
    elif kind == "folder":
        path = folder / "pictures"
        path.mkdir()
        for k, rgb in enumerate(frames):
            Image.fromarray(rgb).save(path / f"frame_{k}.png")
    elif kind == "truncated":
        write_clip(folder / "whole.mp4", frames)
        whole = (folder / "whole.mp4").read_bytes()
        path.write_bytes(whole[: len(whole) // 3])
        (folder / "whole.mp4").unlink()
    elif kind == "half_out":
        write_clip(path, [f[:, 210:].copy() for f in frames])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not a video")
    elif kind == "photo":
        path = folder / "photo.png"
        Image.fromarray(frames[0]).save(path)
    elif kind == "empty_folder":
        path = folder / "nothing"
        path.mkdir()
    elif kind == "audio_only":
        path = folder / "sound.m4a"
        with av.open(str(DEMOS / "dance.mp4")) as source, av.open(str(path), "w") as output:
            stream = output.add_stream_from_template(source.streams.audio[0])
            for packet in source.demux(audio=0):
                if packet.dts is not None and packet.dts < 48000:
                    packet.stream = stream
                    output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("gif", (5, 0)),
        ("odd_webm", (6, 0)),
        ("rotated", (6, 0)),
        ("one_frame", (1, 0)),
        ("folder", (6, 0)),
        ("half_out", (6, 0)),
        pytest.param("three_frames", (3, 0), marks=pytest.mark.slow),
        ("truncated", "truncated.mp4"),
        ("empty", "empty.mp4: a video must not be empty, got 0 bytes"),
        ("text", "text.mp4: a video must be a complete media file"),
        ("photo", "photo.png"),
        ("empty_folder", "nothing"),
        ("audio_only", "sound.m4a: a video must have moving pictures, got only sound"),
    ],
)
def test_driver(person: Path, tmp_path: Path, kind: str, expected) -> None:
    # bug: a dancer lying on her side, one frame too many, or a traceback
    check_driver(make_driver(kind, tmp_path), person, tmp_path, expected)


@pytest.mark.slow
def test_a_dancer_far_away(person: Path, tmp_path: Path) -> None:
    # bug: scaled down for the tracker, a small dancer vanishes
    scene = np.full((1080, 1920, 3), 150, np.uint8)
    frames = []
    for rgb in dance_frames(6):
        small = np.asarray(Image.fromarray(rgb).resize((200, 168)))
        frame = scene.copy()
        frame[600:768, 900:1100] = small
        frames.append(frame)
    clip = write_clip(tmp_path / "far.mp4", frames)
    result = transfer(person, clip, tmp_path / "out.mp4", **QUICK)
    assert (result.num_frames, result.num_missing) == (6, 0)
