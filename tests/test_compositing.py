"""The person over a background."""

import numpy as np
import pytest
import torch

from motion_transfer.compositing import over, straight_rgba
from motion_transfer.generator.articulated import Rendition

BACKGROUND = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)


def rendition(colour=(1.0, 0.5, 0.0), alpha: float = 1.0, box=(5, 4, 15, 14)) -> Rendition:
    """A flat square, colour multiplied by alpha."""
    x0, y0, x1, y1 = box
    rgba = torch.tensor([*(c * alpha for c in colour), alpha])[:, None, None]
    return Rendition(rgba.expand(4, y1 - y0, x1 - x0), None, None, box)


def test_outside_of_the_box_nothing_changes() -> None:
    # bug: the background flickers by one grey level because it was converted there and back
    image = over(rendition(), BACKGROUND)
    mask = np.ones((20, 30), bool)
    mask[4:14, 5:15] = False
    assert np.array_equal(image[mask], BACKGROUND[mask])


def test_opaque_hides_and_transparent_shows() -> None:
    # bug: rounding loses a level even where nothing is mixed
    assert (over(rendition(), BACKGROUND)[4:14, 5:15] == (255, 128, 0)).all()
    assert np.array_equal(over(rendition(alpha=0.0), BACKGROUND), BACKGROUND)


def test_half_transparent_is_the_mean() -> None:
    # bug: colour multiplied by alpha twice gives dark fringes
    image = over(rendition((1.0, 1.0, 1.0), 0.5), np.zeros((20, 30, 3), np.uint8))
    assert np.abs(image[4:14, 5:15].astype(int) - 128).max() <= 1


def test_an_empty_frame_is_a_new_picture() -> None:
    # bug: somebody draws into the plate, and all later frames show it
    image = over(None, BACKGROUND)
    assert np.array_equal(image, BACKGROUND)
    image[:] = 0
    assert BACKGROUND.any()


@pytest.mark.parametrize("alpha", [0.25, 0.5, 1.0])
def test_straight_alpha_keeps_the_colour(alpha: float) -> None:
    # bug: editors expect straight alpha; multiplied colour gives dark edges in them
    rgba = straight_rgba(rendition(alpha=alpha), (20, 30))
    assert np.abs(rgba[8, 8, :3].astype(int) - (255, 128, 0)).max() <= 1
    assert abs(int(rgba[8, 8, 3]) - 255 * alpha) <= 1
    assert not rgba[0, 0].any()


def test_an_empty_frame_is_transparent() -> None:
    # bug: a frame without the person ends the run
    assert not straight_rgba(None, (20, 30)).any()
