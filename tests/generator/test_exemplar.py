"""Pieces of what is shown for what is hidden."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from motion_transfer.generator.exemplar import continue_picture, continue_texture, grain

HEIGHT, WIDTH, EDGE = 90, 70, 45
DOWN = np.array([0.0, 1.0])
KNOWN = np.tile(np.arange(WIDTH) < EDGE, (HEIGHT, 1))
HIDDEN = np.tile((np.arange(WIDTH) >= EDGE) & (np.arange(WIDTH) < WIDTH - 5), (HEIGHT, 1))


def checks(side: int = 5) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    light = ((x // side + y // side) % 2)[..., None]
    return np.where(light, (230, 220, 90), (30, 60, 160)).astype(np.uint8)


def smooth(rgb: np.ndarray) -> np.ndarray:
    """What a smooth fill makes of it."""
    return np.where(
        KNOWN[..., None], rgb, cv2.blur(rgb, (1, 9))[:, EDGE - 9 : EDGE].mean(1)[:, None]
    )


def fill(rgb: np.ndarray, known: np.ndarray = KNOWN, **kind) -> np.ndarray:
    seen = np.where(known[..., None], rgb, (255, 0, 255)).astype(np.uint8)
    return continue_texture(seen, known, HIDDEN, smooth(rgb), DOWN, **kind)[0]


def test_a_pattern_goes_on() -> None:
    # bug: the part of a patterned dress that an arm hid is one flat colour
    rgb = checks()
    found = fill(rgb)
    inner = (slice(8, -8), slice(EDGE, EDGE + 14))
    assert found[inner].std((0, 1)).min() > 0.75 * rgb[inner].std((0, 1)).min()
    assert np.median(np.abs(found[inner] - rgb[inner])) < 15
    assert np.abs(found - (255, 0, 255)).max(-1)[HIDDEN].min() > 60  # nothing that is not known


def test_a_hem_stays_sharp() -> None:
    # bug: at the hips the blue of shorts goes over into the white of a shirt
    rgb = np.full((HEIGHT, WIDTH, 3), (240, 240, 245), np.uint8)
    rgb[50:] = (40, 60, 120)
    guess = cv2.GaussianBlur(rgb, (0, 0), 8)
    found, _ = continue_texture(rgb, KNOWN, HIDDEN, guess, DOWN)
    column = found[:, EDGE + 8].mean(-1)
    assert (
        np.abs(np.diff(column)).max() > 60 and np.abs(np.diff(guess[:, EDGE].mean(-1))).max() < 12
    )
    assert column[40] > 220 and column[60] < 90


def test_a_pattern_above_does_not_come_down_to_other_cloth() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), (200, 40, 50), np.uint8)
    rgb[:35] = checks()[:35]
    found = fill(rgb)
    assert np.abs(found[48:, EDGE : EDGE + 15] - (200, 40, 50)).max() < 20


def test_plain_cloth_keeps_its_shade() -> None:
    # bug: a step in the shade of a shirt where the piece ends
    rgb = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    guess = np.full((HEIGHT, WIDTH, 3), 126.0)
    found, _ = continue_texture(rgb, KNOWN, HIDDEN, guess, DOWN)
    assert np.abs(found[HIDDEN] - 126).max() < 1


@pytest.mark.parametrize("known", [np.zeros_like(KNOWN), KNOWN & (np.arange(WIDTH) < 5)])
def test_too_little_is_known(known: np.ndarray) -> None:
    rgb = checks()
    found, pieces = continue_texture(rgb, known, HIDDEN, smooth(rgb), DOWN)
    assert np.array_equal(found, smooth(rgb).astype(np.float32)) and not pieces.any()


def test_nothing_is_hidden() -> None:
    rgb = checks()
    found, pieces = continue_texture(rgb, KNOWN, np.zeros_like(HIDDEN), smooth(rgb), DOWN)
    assert np.array_equal(found[KNOWN], rgb[KNOWN]) and not pieces.any()


def test_twice_is_the_same() -> None:
    assert np.array_equal(fill(checks()), fill(checks()))


def test_what_is_finer_than_working_pixels_comes_along() -> None:
    # bug: curls that a hand hid are a smooth brown patch in a large photo
    rng = np.random.default_rng(3)
    large = (180, 140)
    picture = np.full((*large, 3), 0.5) + 0.2 * rng.standard_normal((*large, 1))
    picture = picture.clip(0, 1).astype(np.float32)
    known, hidden = (cv2.resize(m.astype(np.uint8), large[::-1]) > 0 for m in (KNOWN, HIDDEN))
    guess = np.full_like(picture, 0.5)
    found = continue_picture(picture, known, hidden, guess, DOWN, height=HEIGHT)
    assert found.shape == picture.shape and found.min() >= 0 and found.max() <= 1
    assert found[hidden].std() > 0.7 * picture[known].std()


def test_grain_is_that_of_the_piece() -> None:
    picture = np.zeros((8, 16, 3), np.float32)
    picture[:, :8:2] = 1.0
    working = cv2.resize(picture, (8, 4), interpolation=cv2.INTER_AREA)
    pieces = np.zeros((4, 8, 2), np.int32)
    pieces[:, 4:, 1] = -4
    found = grain(picture, working, pieces)
    assert not found[:, :8].any()
    assert found[4, 10:14] == pytest.approx((picture - cv2.resize(working, (16, 8)))[4, 2:6])
