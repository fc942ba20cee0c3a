"""What a finished video keeps: frames, rate and sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from demo_clips import dance_frames, write_clip

from motion_transfer.errors import MediaError
from motion_transfer.evaluation import metrics

NTSC = Fraction(30000, 1001)


def write_sound(path: Path, samples: np.ndarray) -> Path:
    """A WAV file at 16 kHz."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            (samples * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    return write_clip(folder / "a.mp4", dance_frames(12), fps=NTSC, sound=True)


def test_a_clip_is_exactly_itself(clip):
    assert metrics.frame_count_error(clip, 12) == 0
    assert metrics.fps_error(clip, NTSC) == 0
    assert metrics.audio_offset_seconds(clip, clip) == 0


def test_a_rate_that_was_rounded_down_is_seen(tmp_path, clip):
    """Peers read 29.97 as 29, or halve it by floor division; the exact rate shows it."""
    theirs = write_clip(tmp_path / "b.mp4", dance_frames(12), fps=Fraction(int(NTSC)), sound=False)
    assert metrics.fps_error(theirs, NTSC) == 29 - NTSC != 0
    halved = write_clip(tmp_path / "c.mp4", dance_frames(6), fps=Fraction(30 // 2), sound=False)
    assert metrics.fps_error(halved, NTSC) == 15 - NTSC
    assert metrics.frame_count_error(halved, 12) == -6


@pytest.mark.parametrize("seconds", [0.05, -0.12, 0.4])
def test_sound_that_comes_late_or_early_is_measured(tmp_path, seconds):
    noise = np.random.default_rng(0).normal(0, 0.2, 48_000).clip(-1, 1)
    shift = round(seconds * 16_000)
    moved = np.concatenate([np.zeros(max(shift, 0)), noise[max(-shift, 0) :]])
    found = metrics.audio_offset_seconds(
        write_sound(tmp_path / "found.wav", moved), write_sound(tmp_path / "true.wav", noise)
    )
    assert found == pytest.approx(seconds, abs=1e-3)


def test_a_range_of_the_driving_sound(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.2, 48_000).clip(-1, 1)
    whole = write_sound(tmp_path / "whole.wav", noise)
    cut = write_sound(tmp_path / "cut.wav", noise[16_000:])
    assert metrics.audio_offset_seconds(cut, whole, start_seconds=1) == pytest.approx(0, abs=1e-3)


def test_no_sound_is_said(tmp_path, clip):
    silent = write_clip(tmp_path / "b.mp4", dance_frames(3), fps=NTSC, sound=False)
    with pytest.raises(MediaError, match=r"b\.mp4 has no sound"):
        metrics.audio_offset_seconds(silent, clip)
