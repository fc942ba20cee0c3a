"""Clips made from the demo dance: a rendered person who does not exist."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from motion_transfer.media.audio import AudioRange
from motion_transfer.media.decode import read_frames
from motion_transfer.media.encode import VideoWriter

DEMOS = Path(__file__).parents[1] / "demos"


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
    clock = None if times is None else Fraction(1, 12288)
    with VideoWriter.open(
        path, size_hw=frames[0].shape[:2], fps=fps, time_base=clock, crf=12
    ) as writer:
        for k, rgb in enumerate(frames):
            writer.write(rgb, k / fps if times is None else times[k])
        audio = AudioRange(path=DEMOS / "dance.mp4", start_seconds=2) if sound else None
        writer.finish(audio=audio, end_seconds=end)
    return path
