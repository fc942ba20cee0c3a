"""A webcam drives the photo: nothing is known of the pictures to come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from demo_clips import dance_frames

from motion_transfer.errors import InputError
from motion_transfer.live import CALIBRATION_PICTURES, LivePerson
from motion_transfer.media.photo import read_photo

pytestmark = pytest.mark.timeout(120)


def test_measures_then_dances_then_waits(person: Path) -> None:
    # bug: dances before it knows the dancer's size; an empty picture ends the session
    photo = read_photo(person)
    puppet = LivePerson(photo, background="teal", matte="fast")
    frames = dance_frames(CALIBRATION_PICTURES + 10)
    made = [puppet.step(rgb, k / 12) for k, rgb in enumerate(frames)]
    states = [frame.state for frame in made]
    assert states[: CALIBRATION_PICTURES - 1] == ["measuring"] * (CALIBRATION_PICTURES - 1)
    assert states[CALIBRATION_PICTURES - 1 :] == ["dancing"] * 11
    assert np.array_equal(made[0].image, photo.rgb)
    moved = np.abs(made[-1].image.astype(int) - made[CALIBRATION_PICTURES].image).mean()
    assert made[-1].image.shape == photo.rgb.shape and moved > 0.5
    empty = puppet.step(np.full_like(frames[0], 90), 3.0)
    assert empty.state == "nobody" and np.array_equal(empty.image, made[-1].image)


def test_backgrounds_that_need_a_video(person: Path) -> None:
    # bug: None is painted over
    with pytest.raises(InputError, match="'driving' needs a video"):
        LivePerson(read_photo(person), background="driving")


def test_a_learned_generator_dances_too(person: Path) -> None:
    # bug: it waits for frames to come, or computes as many as for a file
    photo = read_photo(person)
    made = {}
    for generator in ("articulated", "refined", "pose-flow"):
        live = LivePerson(photo, background="teal", matte="fast", generator=generator)
        frames = dance_frames(CALIBRATION_PICTURES + 6)
        pictures = [live.step(rgb, k / 12) for k, rgb in enumerate(frames)]
        assert [p.state for p in pictures[CALIBRATION_PICTURES:]] == ["dancing"] * 6
        made[generator] = pictures[-1].image.astype(int)
    for learned in ("refined", "pose-flow"):
        apart = np.abs(made[learned] - made["articulated"]).mean(-1)
        assert 0 < apart.mean() < 8  # the same person at the same place, drawn otherwise
