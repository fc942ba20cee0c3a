"""Single frames out of a video by random access, and contact sheets of them."""

from __future__ import annotations

import bisect
import logging
import math
import os
from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np

from motion_transfer.errors import MediaError
from motion_transfer.media.decode import fit_side, read_frames, snap_seconds
from motion_transfer.media.probe import VideoInfo, probe, scan_times

_LOG = logging.getLogger(__name__)


def sample_frames(
    path: str | os.PathLike[str],
    *,
    num_frames: int | None = None,
    times_seconds: Sequence[float | Fraction] | None = None,
    max_side: int | None = None,
) -> list[np.ndarray]:
    """Frames at given times, or spread evenly over the video.

    Decord jumps to them; where it cannot (no build for this machine, GIF, folders, turned or
    non-square pictures, more than 8 bits) the same frames are read in order, and the log says why.

    Args:
        path: a video or a folder of images.
        num_frames: how many, each from the middle of its share of the video.
        times_seconds: or at which times, in any order, since the first picture.
        max_side: longest side in pixels; larger frames are scaled down, never up.

    Returns:
        One (H, W, 3) uint8 RGB array per time, in the order given.

    Raises:
        FileNotFoundError: there is no such file.
        MediaError: it is not a video, or a time lies outside of it.
    """
    if (num_frames is None) == (times_seconds is None):
        raise MediaError("sample_frames needs either num_frames or times_seconds, not both or none")
    info = probe(path)
    if num_frames is not None:
        if num_frames < 1:
            raise MediaError(f"num_frames must be at least 1, got {num_frames}")
        step = info.duration_seconds / num_frames
        times = [step * i + step / 2 for i in range(num_frames)]
    else:
        times = [Fraction(t) for t in times_seconds or ()]
    for time in times:
        if not 0 <= time < info.duration_seconds:
            raise MediaError(
                f"times must lie within {info.path.name} "
                f"({float(info.duration_seconds):.3f} s), got {float(time):g}"
            )
    if not times:
        return []
    if info.path.is_dir():
        starts = [k / info.fps for k in range(info.num_frames or 0)]
    else:
        starts = [t - info.start_seconds for t in scan_times(info.path).seconds]
    indices = [_shown_at(starts, time, info) for time in times]
    reason = _why_not_decord(info)
    if reason is None:
        frames = _read_with_decord(info, indices, len(starts), max_side)
        if frames is not None:
            return frames
        reason = "decord cannot read it"
    _LOG.info("%s: frames are read in order, because %s", info.path.name, reason)
    return _read_in_order(info, [starts[i] for i in indices] if starts else times, max_side)


def contact_sheet(
    images: Sequence[np.ndarray], *, columns: int, cell_height: int, gap_px: int = 4
) -> np.ndarray:
    """Images side by side on white, each scaled to one height, in rows from left to right.

    Args:
        images: (H, W, 3) uint8, of any sizes.
        columns: images per row.
        cell_height: height of every image in pixels.
        gap_px: pixels between them and around.

    Returns:
        (H, W, 3) uint8.

    Raises:
        MediaError: no image, or a size below 1.
    """
    if not images or columns < 1 or cell_height < 1:
        raise MediaError(
            "a contact sheet needs an image, a column and a pixel of height at least, "
            f"got {len(images)} images, {columns} columns, {cell_height} px"
        )
    cells = []
    for image in images:
        height, width = image.shape[:2]
        size = (max(1, round(width * cell_height / height)), cell_height)
        shrinks = cell_height < height
        cells.append(
            cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        )
    cell_width = max(cell.shape[1] for cell in cells)
    columns = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns)
    sheet = np.full(
        (rows * (cell_height + gap_px) + gap_px, columns * (cell_width + gap_px) + gap_px, 3),
        255,
        np.uint8,
    )
    for i, cell in enumerate(cells):
        row, column = divmod(i, columns)
        top = gap_px + row * (cell_height + gap_px)
        left = gap_px + column * (cell_width + gap_px) + (cell_width - cell.shape[1]) // 2
        sheet[top : top + cell_height, left : left + cell.shape[1]] = cell
    return sheet


def _why_not_decord(info: VideoInfo) -> str | None:
    """None where decord gives the same frames as `read_frames`."""
    if info.path.is_dir():
        return "it is a folder of images"
    if info.codec in ("gif", "apng"):
        return "decord cannot read GIF and APNG"
    if info.is_transformed:
        return "it has turned or non-square pictures"
    if info.bit_depth > 8:
        return f"it has {info.bit_depth} bits"
    if info.num_frames is None:
        return "its number of frames is unknown"
    return None


def _shown_at(starts: Sequence[Fraction], time: Fraction, info: VideoInfo) -> int:
    """Index of the picture nearest to a time, as `read_frames` chooses it."""
    after = bisect.bisect_right(starts, time)
    if 0 < after < len(starts):
        snap = snap_seconds(info, starts[after] - starts[after - 1])
        return after if starts[after] - time <= snap else after - 1
    return max(0, after - 1)


def _read_with_decord(
    info: VideoInfo, indices: Sequence[int], num_frames: int, max_side: int | None
) -> list[np.ndarray] | None:
    try:
        import decord  # no builds for arm64
    except ImportError:
        return None
    try:
        reader = decord.VideoReader(os.fspath(info.path), ctx=decord.cpu(0))
        if len(reader) != num_frames:
            return None
        frames = reader.get_batch(list(indices)).asnumpy()
    except (decord.DECORDError, RuntimeError):
        return None
    if frames.shape[1:3] != info.size_hw:
        return None
    size_wh = fit_side((info.size_hw[1], info.size_hw[0]), max_side)
    if size_wh == (info.size_hw[1], info.size_hw[0]):
        return list(frames)
    return [cv2.resize(f, size_wh, interpolation=cv2.INTER_AREA) for f in frames]


def _read_in_order(
    info: VideoInfo, times: Sequence[Fraction], max_side: int | None
) -> list[np.ndarray]:
    order = sorted(range(len(times)), key=lambda i: times[i])
    start = times[order[0]]
    tolerance = min(max(info.time_base, Fraction(1, 1000)), 1 / info.fps / 4)  # of rounded times
    picked: dict[int, np.ndarray] = {}
    shown: np.ndarray | None = None
    for frame in read_frames(info.path, start_seconds=start, max_side=max_side):
        while shown is not None and order and times[order[0]] - start + tolerance < frame.time:
            picked[order.pop(0)] = shown
        if not order:
            break
        shown = frame.rgb
    if shown is not None:
        picked |= dict.fromkeys(order, shown)
    return [picked[i] for i in range(len(times))]
