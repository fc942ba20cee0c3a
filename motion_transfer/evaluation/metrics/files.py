"""What a finished file must keep of the driving video: its frames, its rate, its sound."""

from __future__ import annotations

import os
from fractions import Fraction

import av
import numpy as np
from scipy.signal import correlate, correlation_lags

from motion_transfer.errors import MediaError
from motion_transfer.media.decode import read_frames
from motion_transfer.media.probe import probe

SAMPLE_RATE = 16_000
USED_SECONDS = 60
_Path = str | os.PathLike[str]


def frame_count_error(output: _Path, expected: int) -> int:
    """Frames of a video, counted by decoding where they are not declared, minus what it should be.

    Raises:
        MediaError: the file is not a video.
    """
    num_frames = probe(output).num_frames
    if num_frames is None:
        num_frames = sum(1 for _ in read_frames(output))
    return num_frames - expected


def fps_error(output: _Path, expected: Fraction) -> Fraction:
    """Rate of a video minus what it should be, exactly; 0 is right.

    Raises:
        MediaError: the file is not a video.
    """
    return probe(output).fps - expected


def audio_offset_seconds(
    output: _Path, driving: _Path, *, start_seconds: float = 0.0, most_seconds: float = 2.0
) -> float:
    """How much later the sound comes than in the driving video, by cross-correlation.

    Only the first minute of each is used, at 16 kHz, one channel.

    Args:
        output: file with sound.
        driving: file with the same sound.
        start_seconds: where in it the output begins.
        most_seconds: largest offset that is looked for, either way.

    Raises:
        MediaError: a file has no sound.
    """
    found = _sound(output)[: SAMPLE_RATE * USED_SECONDS]
    first = round(start_seconds * SAMPLE_RATE)
    truth = _sound(driving, start_seconds)[first : first + SAMPLE_RATE * USED_SECONDS]
    strength = correlate(found, truth, mode="full", method="fft")
    lags = correlation_lags(len(found), len(truth))
    near = np.abs(lags) <= most_seconds * SAMPLE_RATE
    return float(lags[near][np.argmax(strength[near])] / SAMPLE_RATE)


def _sound(path: _Path, skip_seconds: float = 0.0) -> np.ndarray:
    """(N,) float32 from the first picture on, so that a late start counts; a minute or more."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    pieces: list[np.ndarray] = []
    start: float | None = None
    with av.open(os.fspath(path)) as container:
        if not container.streams.audio:
            raise MediaError(f"{os.fspath(path)} has no sound; compare files that have")
        origin = 0.0
        for video in container.streams.video[:1]:
            if video.start_time is not None and video.time_base is not None:
                origin = float(video.start_time * video.time_base)
        for frame in container.decode(audio=0):
            if start is None:
                start = float(frame.time or 0.0) - origin
            pieces += [f.to_ndarray()[0] for f in resampler.resample(frame)]
            if sum(map(len, pieces)) > (skip_seconds + USED_SECONDS + 1) * SAMPLE_RATE:
                break
    sound = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    lead = round((start or 0.0) * SAMPLE_RATE)
    return np.concatenate([np.zeros(lead, np.float32), sound]) if lead > 0 else sound[-lead:]
