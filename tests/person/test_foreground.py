import cv2
import numpy as np
import pytest

from motion_transfer.errors import InputError
from motion_transfer.person.foreground import EXTEND_PX, estimate_foreground


def known_composite():
    """A red-to-orange disc with a soft edge in front of green."""
    y, x = np.mgrid[:160, :160]
    alpha = np.clip((50 - np.hypot(x - 80, y - 80)) / 8 + 0.5, 0, 1).astype(np.float32)
    figure = np.stack([np.full((160, 160), 220), 40 + y // 2, np.full((160, 160), 30)], -1)
    backdrop = np.array([20, 200, 60])
    photo = np.uint8(figure * alpha[..., None] + backdrop * (1 - alpha[..., None]))
    return photo, alpha, figure


def test_soft_edge_gets_the_figures_own_colour():
    photo, alpha, figure = known_composite()
    edge = (alpha > 0.05) & (alpha < 0.95)
    before = np.abs(photo.astype(int) - figure)[edge].mean()
    after = np.abs(estimate_foreground(photo, alpha).astype(int) - figure)[edge].mean()
    assert after < 8 < before / 5


def test_colours_reach_out_of_the_matte():
    photo, alpha, figure = known_composite()
    pure = estimate_foreground(photo, alpha)
    near = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert np.abs(pure.astype(int) - figure)[near].max() < 40
    far = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((2 * EXTEND_PX + 9,) * 2)) == 0
    assert np.array_equal(pure[far], photo[far])


def test_shifting_by_half_a_pixel_pulls_no_green_in():
    photo, alpha, _ = known_composite()
    shift = np.float32([[1, 0, 0.5], [0, 1, 0.5]])
    pure = cv2.warpAffine(estimate_foreground(photo, alpha), shift, (160, 160)).astype(int)
    moved = cv2.warpAffine(alpha, shift, (160, 160))
    seen = moved > 0.02
    assert (pure[..., 0] > pure[..., 1])[seen].all()


def test_the_solid_inside_is_untouched():
    photo, alpha, _ = known_composite()
    assert np.array_equal(estimate_foreground(photo, alpha)[alpha == 1], photo[alpha == 1])


def test_an_empty_matte_changes_nothing():
    photo, alpha, _ = known_composite()
    assert np.array_equal(estimate_foreground(photo, alpha * 0), photo)


def test_a_matte_of_another_size_is_refused():
    with pytest.raises(InputError, match="alpha must have the photo's shape"):
        estimate_foreground(np.zeros((40, 40, 3), np.uint8), np.zeros((20, 20), np.float32))
