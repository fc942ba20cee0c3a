"""What stands behind the dancer: the photo's own plate, a blur of it, a colour, a picture."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageColor

from motion_transfer.errors import InputError
from motion_transfer.person.plate import make_plate

KINDS = ("original", "blur", "transparent", "driving")
PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif", ".tif", ".tiff", ".bmp", ".gif",
)  # fmt: skip
MASK_MARGIN = 0.02  # around a tracked person, per long side
BLUR_PER_SIDE = 0.02  # sigma per long side: about a portrait lens at its widest


def make_background(kind: str, plate: np.ndarray) -> np.ndarray | None:
    """Make the still background.

    Args:
        kind: `original`, `blur`, `transparent`, `driving`, a colour (`teal`, `#rrggbb`,
            `rgb(…)`, `hsl(…)`) or the path of a picture, which is scaled to cover.
        plate: (H, W, 3) uint8 from `make_plate`; gives the size, too.

    Returns:
        (H, W, 3) uint8, or None for `transparent` and `driving`: there is nothing still to show.

    Raises:
        InputError: the kind is neither of the words nor a colour nor a picture.
        FileNotFoundError: it looks like a picture's path, but there is no such file.
    """
    check_background(kind)
    if kind in ("transparent", "driving"):
        return None
    if kind == "original":
        return plate
    if kind == "blur":
        return cv2.GaussianBlur(plate, (0, 0), BLUR_PER_SIDE * max(plate.shape[:2]))
    if not _is_path(kind):
        return np.broadcast_to(np.array(_colour(kind), np.uint8), plate.shape).copy()
    from motion_transfer.media.photo import read_photo

    picture = read_photo(kind)
    rgb = picture.rgb
    if picture.alpha is not None:  # what is transparent in the picture shows white
        share = picture.alpha[..., None]
        rgb = np.round(rgb * share + 255 * (1 - share)).astype(np.uint8)
    return cover(rgb, plate.shape[:2])


def check_background(kind: str) -> None:
    """Check a background before any work is done.

    Args:
        kind: see `make_background`.

    Raises:
        InputError: the kind is neither of the words nor a colour nor a picture.
        FileNotFoundError: it looks like a picture's path, but there is no such file.
    """
    if kind in KINDS:
        return
    if _is_path(kind):
        if not Path(kind).is_file():
            raise FileNotFoundError(f"background: no such picture: {kind}")
        return
    _colour(kind)


def scene_plate(frames: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
    """The scene of a video without the person: the median of what each pixel shows besides them.

    Made for a camera that stands still. What the person always covers is filled in.

    Args:
        frames: (H, W, 3) uint8, from all over the video.
        masks: (H, W) float in [0, 1], the person in each frame.

    Returns:
        (H, W, 3) uint8.
    """
    reach = max(3, round(max(frames[0].shape[:2]) * MASK_MARGIN)) | 1
    hidden = np.stack(
        [cv2.dilate((m > 0.2).astype(np.uint8), np.ones((reach, reach))) > 0 for m in masks]
    )
    plate = np.empty_like(frames[0])
    for top in range(0, len(plate), 64):  # in strips: a float copy of all frames is large
        rows = slice(top, top + 64)
        strip = np.stack([f[rows] for f in frames]).astype(np.float32)
        strip[hidden[:, rows]] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # pixels that are always hidden
            middle = np.nanmedian(strip, axis=0)
        plate[rows] = np.nan_to_num(middle).astype(np.uint8)
    always = np.asarray(hidden.all(0))
    return make_plate(plate, np.asarray(always, np.float32)) if always.any() else plate


def cover(picture: np.ndarray, size_hw: tuple[int, ...]) -> np.ndarray:
    """Scale a picture so that it covers a size, and cut what sticks out on both sides.

    Args:
        picture: (h, w, 3) uint8.
        size_hw: height and width in pixels.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = size_hw
    scale = max(height / picture.shape[0], width / picture.shape[1])
    wide = max(width, round(picture.shape[1] * scale))
    tall = max(height, round(picture.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(picture, (wide, tall), interpolation=method)
    top, left = (tall - height) // 2, (wide - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


def _is_path(kind: str) -> bool:
    looks_like_one = "/" in kind or "\\" in kind or Path(kind).suffix.lower() in PICTURE_SUFFIXES
    return looks_like_one or Path(kind).is_file()


def _colour(kind: str) -> tuple[int, ...]:
    try:
        return ImageColor.getrgb(kind)[:3]
    except ValueError as error:
        names = [*KINDS, *ImageColor.colormap]
        near = difflib.get_close_matches(kind.lower(), names, n=1, cutoff=0)[0]
        raise InputError(
            f"background must be one of {', '.join(KINDS)}, a colour or a picture, got {kind!r}; "
            f"did you mean {near!r}?"
        ) from error
