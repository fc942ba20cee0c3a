"""Pictures that carry their number, and ways to find beeps and flashes in a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np

from motion_transfer.media.decode import Frame

SIZE_HW = (64, 96)
SAMPLE_RATE = 48000


def draw(index: int, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """A picture with `index` as eight black or white blocks along the top edge."""
    height, width = size_hw
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0] = np.linspace(40, 220, width)
    rgb[..., 1] = np.linspace(200, 60, height)[:, None]
    rgb[..., 2] = 90
    for bit in range(8):
        left, right = bit * width // 8, (bit + 1) * width // 8
        rgb[: height // 4, left:right] = 255 if index >> bit & 1 else 0
    return rgb


def number(rgb: np.ndarray) -> int:
    """Read back what `draw` has drawn."""
    height, width = rgb.shape[:2]
    row = rgb[height // 8, :, :].mean(axis=1)
    return sum(1 << b for b in range(8) if row[(2 * b + 1) * width // 16] > 127)


def numbers(frames: Iterable[Frame]) -> list[int]:
    return [number(f.rgb) for f in frames]


def beep_time(path: Path) -> float:
    """When the first loud sample is heard, in container time."""
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = np.abs(frame.to_ndarray().astype(np.float64))
            if frame.format.name.startswith("s16"):
                samples /= 32768
            samples = (
                samples.reshape(len(frame.layout.channels), -1).max(axis=0)
                if frame.format.is_planar
                else samples.max(axis=0)
            )
            loud = np.flatnonzero(samples > 0.2)
            if len(loud):
                return float(frame.pts * frame.time_base) + loud[0] / frame.sample_rate
    raise AssertionError("no beep")


def flash_time(path: Path) -> float:
    """When the first bright picture is shown, in container time."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.to_ndarray(format="gray").mean() > 128:
                return float(frame.pts * frame.time_base)
    raise AssertionError("no flash")
