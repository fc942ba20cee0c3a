"""What a finished file must keep of the driving video: its frames, its rate, its sound."""

from __future__ import annotations

import os
from fractions import Fraction

import av
import numpy as np
from scipy.signal import correlate, correlation_lags

from motion_transfer.errors import MediaError
from motion_transfer.media.probe import probe

SAMPLE_RATE = 16_000
_Path = str | os.PathLike[str]


def frame_count_error(output: _Path, driving: _Path) -> int:
    """Frames of the output minus frames of the driving video, by decoding what is not declared.

    Raises:
        MediaError: a file is not a video.
    """
    return _count(output) - _count(driving)


def fps_error(output: _Path, driving: _Path) -> Fraction:
    """Rate of the output minus that of the driving video, exactly; 0 is right.

    Raises:
        MediaError: a file is not a video.
    """
    return probe(output).fps - probe(driving).fps


def audio_offset_seconds(output: _Path, driving: _Path, *, most_seconds: float = 2.0) -> float:
    """How much later the sound comes than in the driving video, by cross-correlation.

    Only the first minute of each is used, at 16 kHz, one channel.

    Args:
        output: file with sound.
        driving: file with the same sound.
        most_seconds: largest offset that is looked for, either way.

    Raises:
        MediaError: a file has no sound.
    """
    found, truth = _sound(output), _sound(driving)
    strength = correlate(found, truth, mode="full", method="fft")
    lags = correlation_lags(len(found), len(truth))
    near = np.abs(lags) <= most_seconds * SAMPLE_RATE
    return float(lags[near][np.argmax(strength[near])] / SAMPLE_RATE)


def _count(path: _Path) -> int:
    info = probe(path)
    if info.num_frames is not None:
        return info.num_frames
    with av.open(os.fspath(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def _sound(path: _Path) -> np.ndarray:
    """(N,) float32: the first minute, from time 0 on, so that a late start counts."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    pieces: list[np.ndarray] = []
    start: float | None = None
    with av.open(os.fspath(path)) as container:
        if not container.streams.audio:
            raise MediaError(f"{os.fspath(path)} has no sound; compare files that have")
        first = container.streams.video[0].start_time if container.streams.video else None
        origin = 0.0
        if first is not None:
            origin = float(first * container.streams.video[0].time_base)
        for frame in container.decode(audio=0):
            if start is None:
                start = float(frame.time or 0.0) - origin
            pieces += [f.to_ndarray()[0] for f in resampler.resample(frame)]
            if sum(map(len, pieces)) > 60 * SAMPLE_RATE:
                break
    sound = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    lead = round((start or 0.0) * SAMPLE_RATE)
    return np.concatenate([np.zeros(lead, np.float32), sound]) if lead > 0 else sound[-lead:]
