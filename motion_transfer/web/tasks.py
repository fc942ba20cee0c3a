"""What the workers do. Each task is a function of the library with files of a job's folder.

`TASKS` maps a name to `task(folder, report, **arguments) -> answer`; arguments and answers are
plain data. Heavy imports happen inside, so that checking an upload starts in a moment.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from motion_transfer.errors import InputError, MediaError
from motion_transfer.web.limits import too_large, wrong_type

if TYPE_CHECKING:  # what comes with them takes seconds
    from PIL import Image

    from motion_transfer.driver import Progress
    from motion_transfer.live import LivePerson

RESULT = "result"  # stem of a render's output
LIVE = "live.jpg"  # the newest finished picture of a render that runs
LIVE_SECONDS = 0.25  # between two of them
LIVE_SIDE = 640
SHOWN_SIDE = 1280  # of the photo in the page
STILL_SIDE = 640  # of the still in which the dancer is chosen
NUM_THUMBS = 8
THUMB_HEIGHT = 72
MAX_PLOT_POINTS = 600
PLAYER_FPS = 15  # at most, of the skeleton that the page plays
MAX_WEBCAM_SIDE = 1280
_LIVE: dict[str, LivePerson] = {}  # of this process: what its live session moves


def check(
    folder: Path, report: Progress, *, photo: str | None, dance: str | None, picture: str | None,
    max_megapixels: int, max_seconds: float, start: float, end: float | None,
) -> dict[str, Any]:  # fmt: skip
    """Look at headers only: kind, pixels and length of what was uploaded.

    Raises:
        Refused: 415 for a file of another kind, 413 for one that is too large or too long.
    """
    del folder, report
    for path in (photo, picture):
        if path is not None:
            _check_picture(Path(path), max_megapixels)
    seconds = None
    if dance is not None:
        seconds = _dance_seconds(Path(dance))
        driven = min(seconds, seconds if end is None else end) - start
        if driven > max_seconds:
            raise too_large(
                f"{Path(dance).name}: a dance may last {max_seconds:g} s here, got {driven:.1f} s; "
                "choose a shorter range with the trim handles"
            )
    return {"seconds": seconds}


def _check_picture(path: Path, max_megapixels: int) -> None:
    with _open_picture(path, path.name) as image:
        width, height = image.size
    if width * height > max_megapixels * 1_000_000:
        raise too_large(
            f"{path.name}: a photo may have {max_megapixels} megapixels here, got {width}x{height};"
            " scale it down first"
        )


def _open_picture(file: Path | io.BytesIO, name: str) -> Image.Image:
    """A picture of which only the header has been read."""
    import pillow_heif
    from PIL import Image, UnidentifiedImageError

    from motion_transfer.media.photo import FORMATS

    pillow_heif.register_heif_opener()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise too_large(f"{name}: {error}") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise wrong_type(
            f"{name}: a photo must be an image file (JPEG, PNG, WebP, HEIC, AVIF, TIFF)"
        ) from error


def _dance_seconds(path: Path) -> float:
    """Length of a video or a pose track."""
    from motion_transfer.driver import is_track

    try:
        if is_track(path):
            from motion_transfer.pose.track import PoseTrack

            track = PoseTrack.load(path)
            return len(track) / float(track.fps)
        from motion_transfer.media.probe import probe

        return float(probe(path).duration_seconds)
    except InputError as error:
        raise wrong_type(str(error)) from error


def look_photo(
    folder: Path, report: Progress, *, photo: str, source_person: str
) -> dict[str, Any]:  # fmt: skip
    """Find the people in a photo and the joints of the chosen one.

    Returns:
        `size_hw` of the upright original; `people`, boxes in its pixels, from left to right;
        `chosen`, the number of one of them; `joints` by name, [x, y, confidence].
    """
    from motion_transfer.driver import parse_person
    from motion_transfer.media.photo import read_photo
    from motion_transfer.person.subject import locate
    from motion_transfer.pose.blazepose import BlazePose
    from motion_transfer.pose.people import choose_person, find_people
    from motion_transfer.pose.skeleton import JOINTS

    report("photo", 0, 2)
    taken = read_photo(photo, max_side=SHOWN_SIDE)
    _write_picture(folder / "photo.jpg", taken.rgb)
    scale = taken.original_size_hw[0] / taken.size_hw[0]
    blazepose, person = BlazePose(), parse_person(source_person, "--source-person")
    if isinstance(person, tuple):
        person = (person[0] / scale, person[1] / scale)
    people = find_people(taken.rgb, blazepose=blazepose)
    report("photo", 1, 2)
    pose, mask = locate(taken, person=person, blazepose=blazepose)
    np.save(folder / "mask.npy", mask.astype(np.float16))
    pose.save(folder / "pose.npz")
    places = (np.nan_to_num(pose.xy[0]) + 0.5) * scale - 0.5
    report("photo", 2, 2)
    return {
        "size_hw": list(taken.original_size_hw),
        "people": _boxes(people, scale),
        "chosen": choose_person(people, person).number,
        "joints": {
            name: [round(float(x), 1), round(float(y), 1), round(float(c), 3)]
            for name, (x, y), c in zip(JOINTS, places, pose.confidence[0], strict=True)
        },
    }


def cut_out(folder: Path, report: Progress, *, photo: str, seen: str) -> dict[str, Any]:
    """The matte of a photo: `cutout.png`, transparent outside; `seen` is `look_photo`'s folder."""
    from motion_transfer.media.photo import read_photo
    from motion_transfer.person.subject import build_subject
    from motion_transfer.pose.track import PoseTrack

    report("matte", 0, 1)
    taken = read_photo(photo, max_side=SHOWN_SIDE)
    mask = np.load(Path(seen) / "mask.npy", allow_pickle=False).astype(np.float32)
    subject = build_subject(
        taken, PoseTrack.load(Path(seen) / "pose.npz"), mask, matte="u2net", with_plate=False
    )
    rgba = np.dstack([subject.rgb, np.round(subject.alpha * 255).astype(np.uint8)])
    _write_picture(folder / "cutout.png", rgba)
    report("matte", 1, 1)
    return {}


def look_dance(folder: Path, report: Progress, *, dance: str) -> dict[str, Any]:
    """Length, size, a still with its people, and a strip of thumbnails of a video.

    Returns:
        `seconds`, `fps`, `size_hw`, `people` (boxes in video pixels, left to right), `has_audio`.
        A pose track has no picture and no people; it comes with `skeleton` for the page's player.
    """
    from motion_transfer.driver import is_track

    report("dance", 0, 2)
    if is_track(dance):
        from motion_transfer.pose.track import PoseTrack

        track = PoseTrack.load(dance)
        return {
            "seconds": len(track) / float(track.fps), "fps": float(track.fps),
            "size_hw": list(track.size_hw), "people": [], "has_audio": False,
            "skeleton": skeleton(track),
        }  # fmt: skip
    from motion_transfer.media.probe import probe
    from motion_transfer.media.sample import contact_sheet, sample_frames
    from motion_transfer.pose.blazepose import BlazePose
    from motion_transfer.pose.people import find_people

    info = probe(dance)
    frames = sample_frames(dance, num_frames=NUM_THUMBS, max_side=STILL_SIDE)
    strip = contact_sheet(frames, columns=len(frames), cell_height=THUMB_HEIGHT, gap_px=0)
    _write_picture(folder / "strip.jpg", strip)
    report("dance", 1, 2)
    # `--person` is decided in the first frames, so that is where the user has to choose
    first = sample_frames(dance, times_seconds=[0], max_side=SHOWN_SIDE)[0]
    scale = info.size_hw[0] / first.shape[0]
    people = find_people(first, blazepose=BlazePose())
    _write_picture(folder / "still.jpg", first)
    report("dance", 2, 2)
    return {
        "seconds": float(info.duration_seconds), "fps": float(info.fps),
        "size_hw": list(info.size_hw), "people": _boxes(people, scale),
        "has_audio": info.has_audio,
    }  # fmt: skip


def preview(
    folder: Path, report: Progress, *, photo: str, dance: str, tracks: str,
    settings: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The retargeted skeleton over the photo: `preview.mp4`.

    The dance is tracked once for each person and range; `tracks` is the folder for that.
    """
    from motion_transfer.driver import is_track
    from motion_transfer.preview import preview as make_preview
    from motion_transfer.preview import track

    start, end, driver = settings["start"], settings["end"], Path(dance)
    if not is_track(dance):
        name = f"{settings['person']}-{start:g}-{end if end is None else format(end, 'g')}.npz"
        driver = Path(tracks) / name.replace(",", "_")
        if not driver.exists():
            track(dance, driver, start=start, end=end, person=settings["person"], progress=report)
        start, end = 0.0, None
    with _joints_file(folder, settings["joints"]) as joints:
        make_preview(
            photo, driver, folder / "preview.mp4", start=start, end=end,
            source_person=settings["source_person"], smooth=settings["smooth"],
            travel=settings["travel"], scale=settings["scale"], shift=settings["shift"],
            joints=joints, overwrite=True, progress=report,
        )  # fmt: skip
    return {}


def animate(
    folder: Path, report: Progress, *, photo: str, dance: str, picture: str | None,
    settings: dict[str, Any], resume: bool, engine: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Render: the result, its sidecar, and while it runs the newest picture.

    `engine` holds what the server decides: device, generator, weights.
    """
    from motion_transfer.pipeline import transfer

    settings = dict(settings)
    output = folder / f"{RESULT}.{settings.pop('format')}"
    if settings["background"] == "picture":
        if picture is None:
            raise InputError("background: there is no picture; upload one or choose another")
        settings["background"] = picture
    with _joints_file(folder, settings.pop("joints")) as joints:
        made = transfer(
            photo, dance, output, **settings, **engine, joints=joints, resume=resume,
            progress=report, watch=_Watcher(folder / LIVE),
        )  # fmt: skip
    return {
        "output": made.output.name, "sidecar": made.sidecar.name,
        "num_frames": made.num_frames, "num_missing": made.num_missing,
    }  # fmt: skip


def make_track(
    folder: Path, report: Progress, *, dance: str, start: float, end: float | None, person: str
) -> dict[str, Any]:  # fmt: skip
    """A pose track of a video, and what there is to see in it."""
    from motion_transfer.preview import track

    path = track(
        dance, folder / f"{RESULT}.npz", start=start, end=end, person=person, progress=report
    )  # fmt: skip
    return inspect_track(folder, report, dance=str(path)) | {"output": path.name}


def inspect_track(folder: Path, report: Progress, *, dance: str) -> dict[str, Any]:
    """Confidence and speed over time, and the spans that are bad."""
    from motion_transfer.pose.track import PoseTrack
    from motion_transfer.web.inspection import inspect

    del folder
    track = PoseTrack.load(dance)
    report("track", len(track), len(track))
    return inspect(track, MAX_PLOT_POINTS) | {"skeleton": skeleton(track)}


def live_open(
    folder: Path, report: Progress, *, photo: str, background: str, engine: dict[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """Take the person apart that `live_step` moves, who stays in this process; see `render`."""
    from motion_transfer.live import LivePerson
    from motion_transfer.media.photo import read_photo
    from motion_transfer.pipeline import resolve_device

    del folder
    report("photo", 0, 1)
    engine = engine | {"device": resolve_device(engine["device"])}
    _LIVE["person"] = LivePerson(
        read_photo(photo, max_side=LIVE_SIDE), background=background, **engine
    )
    report("photo", 1, 1)
    return {}


def live_step(
    folder: Path, report: Progress, *, picture: bytes, seconds: float
) -> dict[str, Any]:  # fmt: skip
    """One picture of the webcam, JPEG; `picture` of the answer is the moved person, JPEG."""
    del folder, report
    with _open_picture(io.BytesIO(picture), "webcam") as image:
        if max(image.size) > MAX_WEBCAM_SIDE:
            raise too_large(f"webcam: at most {MAX_WEBCAM_SIDE} pixels wide, got {image.size}")
        rgb = np.asarray(image.convert("RGB"))
    frame = _LIVE["person"].step(rgb, seconds)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    return {"picture": jpeg.tobytes(), "state": frame.state, "seconds": frame.seconds}


def skeleton(track: Any) -> dict[str, Any]:
    """A track as the page's player takes it: rate, size, bones, and rounded key points.

    `frames` holds for each shown frame a flat list x0, y0, x1, y1, ... in pixels, or null where
    the person was not found.
    """
    from motion_transfer.pose.skeleton import BONES

    step = max(1, round(float(track.fps) / PLAYER_FPS))
    shown = np.round(np.nan_to_num(track.xy[::step])).astype(int)
    return {
        "fps": float(track.fps) / step,
        "size_hw": [int(v) for v in track.size_hw],
        "bones": [list(pair) for pair in BONES],
        "frames": [
            points.ravel().tolist() if present else None
            for points, present in zip(shown, track.present[::step], strict=True)
        ],
    }


class _Watcher:
    """Keeps the newest finished picture in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0.0

    def __call__(self, image: np.ndarray) -> None:
        if time.monotonic() - self._written < LIVE_SECONDS:
            return
        self._written = time.monotonic()
        if image.shape[2] == 4:  # transparent: shown on grey
            alpha = image[..., 3:].astype(np.float32) / 255
            image = (image[..., :3] * alpha + 128 * (1 - alpha)).astype(np.uint8)
        scale = LIVE_SIDE / max(image.shape[:2])
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _write_picture(self._path, image)


@contextlib.contextmanager
def _joints_file(folder: Path, joints: dict[str, Any]) -> Iterator[Path | None]:
    """Corrected joints as the file that the library reads."""
    if not joints:
        yield None
        return
    path = folder / "joints.json"
    path.write_text(json.dumps(joints), encoding="utf-8")
    yield path


def _boxes(people: list[Any], scale: float) -> list[list[int]]:
    """Boxes from left to right, pixels of the original."""
    ordered = sorted(people, key=lambda person: person.number)
    return [[round(float(v) * scale) for v in person.box_xyxy] for person in ordered]


def _write_picture(path: Path, image: np.ndarray) -> None:
    """RGB or RGBA to JPEG or PNG; appears whole."""
    order = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    temporary = path.with_name(f".{path.name}.new{path.suffix}")
    if not cv2.imwrite(str(temporary), cv2.cvtColor(image, order)):
        raise MediaError(f"{path.name} could not be written; check the server's disk")
    os.replace(temporary, path)


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "check": check,
    "look_photo": look_photo,
    "cut_out": cut_out,
    "look_dance": look_dance,
    "preview": preview,
    "animate": animate,
    "track": make_track,
    "inspect": inspect_track,
    "live_open": live_open,
    "live_step": live_step,
}
