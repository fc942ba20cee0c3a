"""How light falls on a limb."""

import numpy as np
import pytest

from motion_transfer.generator.shading import find_shade

HEIGHT, WIDTH = 120, 40
ACROSS = np.linspace(1.0, 0.6, WIDTH)
ALL = np.ones((HEIGHT, WIDTH), bool)


def shade_of(rgb: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.indices(known.shape)
    offset = np.stack([x - WIDTH // 2, y], -1).astype(float)
    return find_shade(rgb, known=known, covered=ALL, offset=offset, along=np.array([0.0, 110.0]))


def test_what_is_dark_at_its_side_is_so_where_it_is_hidden() -> None:
    # bug: a pale block on a thigh beside which a hand hung
    rgb = np.tile((np.array([230, 190, 160]) * ACROSS[:, None]).round(), (HEIGHT, 1, 1))
    known = ALL.copy()
    known[20:70, 20:] = False
    shade, usual = shade_of(rgb.astype(np.uint8), known)
    expected = ACROSS / ACROSS.mean()
    assert np.abs(shade[45, :, 0] - expected)[2:-2].max() < 0.06
    assert np.abs(usual - np.array([230, 190, 160]) * 0.8).max() < 6


def test_a_knee_does_not_tell_how_a_thigh_is_lit() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 180, np.uint8)
    rgb[100:, 30:] = 60
    known = ALL.copy()
    known[10:60, 20:] = False
    assert np.abs(shade_of(rgb, known)[0] - 1).max() < 0.01


@pytest.mark.parametrize("case", ["nothing hidden", "nothing whole", "black"])
def test_where_nothing_tells_it_there_is_no_shade(case: str) -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), 0 if case == "black" else 180, np.uint8)
    rgb[:, 30:] = rgb[:, 30:] // 2
    known = ALL.copy()
    if case != "nothing hidden":
        known[: HEIGHT if case == "nothing whole" else 60, 20:] = False
    assert np.abs(shade_of(rgb, known)[0] - 1).max() < 1e-6
