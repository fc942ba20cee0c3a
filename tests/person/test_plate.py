import cv2
import numpy as np
import pytest

from motion_transfer.errors import InputError
from motion_transfer.person.patchfill import fill_patches
from motion_transfer.person.plate import _grain, make_plate, plate_hole


def person_alpha(height: int, width: int) -> np.ndarray:
    """A drawn figure with head, body, arms and legs, its edge soft."""
    alpha = np.zeros((height, width), np.float32)
    x, unit = width // 2, height // 20
    cv2.circle(alpha, (x, 4 * unit), int(1.3 * unit), 1, -1)
    cv2.rectangle(alpha, (x - 2 * unit, 6 * unit), (x + 2 * unit, 11 * unit), 1, -1)
    for side in (-1, 1):
        hand, foot = (x + side * 4 * unit, 11 * unit), (x + side * 2 * unit, 17 * unit)
        cv2.line(alpha, (x + side * 2 * unit, 6 * unit), hand, 1, unit)
        cv2.line(alpha, (x + side * unit, 11 * unit), foot, 1, unit)
    return cv2.GaussianBlur(alpha, (0, 0), 1.2)


def over(background: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """A magenta figure in front of the background."""
    figure = np.array([200, 20, 180])
    return np.uint8(np.round(background * (1 - alpha[..., None]) + figure * alpha[..., None]))


def gradient(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.uint8(np.stack([120 + 80 * y, 200 - 60 * y + 20 * x, 90 + 60 * x], -1))


def brick(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    mortar = (y % 16 < 2) | ((x + 16 * (y // 16 % 2)) % 32 < 2)
    return np.where(mortar[..., None], (210, 205, 195), (150, 80, 60)).astype(np.uint8)


def stripes(height: int, width: int) -> np.ndarray:
    x = np.arange(width) // 12 % 2
    return np.broadcast_to(np.where(x[:, None], (230, 230, 240), (40, 60, 120)), (height, width, 3))


def checker(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width] // 14
    return np.where(((x + y) % 2)[..., None], (240, 240, 240), (60, 60, 60)).astype(np.uint8)


def hole_error(plate: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> float:
    return float(np.abs(plate.astype(int) - truth.astype(int))[hole].mean())


def test_a_gradient_stays_a_gradient():
    truth, alpha = gradient(240, 180), person_alpha(240, 180)
    plate = make_plate(over(truth, alpha), alpha)
    assert np.abs(plate.astype(int) - truth.astype(int)).max() <= 6


def test_plain_backdrop_comes_back_exactly():
    truth, alpha = np.full((160, 120, 3), (255, 0, 128), np.uint8), person_alpha(160, 120)
    assert np.array_equal(make_plate(over(truth, alpha), alpha), truth)


@pytest.mark.parametrize("pattern", [brick, stripes, checker])
def test_patterns_are_completed_better_than_by_telea(pattern):
    truth, alpha = pattern(240, 180).astype(np.uint8), person_alpha(240, 180)
    photo = over(truth, alpha)
    hole = plate_hole(alpha)
    telea = cv2.inpaint(photo, hole.astype(np.uint8), 5, cv2.INPAINT_TELEA)
    plate = make_plate(photo, alpha)
    assert hole_error(plate, truth, hole) < 0.5 * hole_error(telea, truth, hole)


def test_patterns_in_uneven_light_are_filled_without_a_ghost():
    # bug: patches of a wall's darker side stand as a shadow of the person in its lighter one
    alpha = person_alpha(240, 180)
    light = np.linspace(1.0, 0.75, 180)[:, None]
    photo = (checker(240, 180) * light).astype(np.uint8)
    hole = plate_hole(alpha)
    fill = fill_patches(over(photo, alpha).astype(np.float32) / 255, hole) * 255
    wrong = cv2.GaussianBlur(fill - photo, (0, 0), 6)[hole]
    assert np.abs(wrong).mean() < 3


@pytest.mark.parametrize("coarse", [0, 2.0])
def test_grain_in_the_hole_is_like_the_grain_outside(coarse):
    # bug: on a plastered wall stands the person's outline, smooth as glass
    rng = np.random.default_rng(3)
    alpha = person_alpha(240, 180)
    noise = rng.normal(0, 3, (240, 180, 3))
    if coarse:
        noise = cv2.GaussianBlur(noise, (0, 0), coarse)
        noise *= 1.5 / noise.std()
    photo = np.clip(gradient(240, 180) + noise, 0, 255)
    plate = make_plate(over(photo, alpha), alpha).astype(float)
    detail = plate - cv2.GaussianBlur(plate, (0, 0), 1.5 + coarse)
    hole = plate_hole(alpha)
    inside, outside = detail[hole].std(), detail[~hole].std()
    assert 0.7 < inside / outside < 1.3


def test_lines_are_no_grain():
    # bug: pieces of a ledge float on the wall where the person stood
    alpha = person_alpha(240, 180)
    rng = np.random.default_rng(3)
    photo = gradient(240, 180) + cv2.GaussianBlur(rng.normal(0, 12, (240, 180, 3)), (0, 0), 2)
    photo[:, 20:26] += 7
    hole = plate_hole(alpha)
    grain = 255 * _grain(np.float32(photo / 255), hole)
    assert cv2.blur(grain, (3, 41))[hole].max() < 1


def test_nothing_of_the_figure_is_left():
    alpha = person_alpha(240, 180)
    for truth in (gradient(240, 180), brick(240, 180)):
        plate = make_plate(over(truth, alpha), alpha).astype(int)
        magenta = (plate[..., 0] > 160) & (plate[..., 1] < 60) & (plate[..., 2] > 140)
        assert not magenta.any()


def test_a_contact_shadow_goes_with_the_feet():
    truth, alpha = gradient(240, 180), person_alpha(240, 180)
    shade = np.zeros((240, 180), np.float32)
    for x in (66, 114):
        cv2.ellipse(shade, (x, 208), (11, 4), 0, 0, 360, 0.5, -1)
    photo = over(np.uint8(truth * (1 - shade[..., None])), alpha)
    plate = make_plate(photo, alpha).astype(int)
    assert np.abs(plate - truth).max() <= 8


def test_the_rest_of_the_photo_is_untouched():
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (160, 120, 3)).astype(np.uint8)
    alpha = person_alpha(160, 120)
    away = ~plate_hole(alpha)
    assert np.array_equal(make_plate(photo, alpha)[away], photo[away])


def test_the_same_seed_gives_the_same_plate():
    alpha = person_alpha(160, 120)
    photo = over(checker(160, 120), alpha)
    assert np.array_equal(make_plate(photo, alpha, seed=5), make_plate(photo, alpha, seed=5))


@pytest.mark.parametrize(
    "alpha",
    [
        np.zeros((60, 40), np.float32),  # nobody
        np.ones((60, 40), np.float32),  # nothing but the person
        np.pad(np.ones((60, 20), np.float32), ((0, 0), (10, 10))),  # from edge to edge
        np.pad(np.ones((56, 36), np.float32), 2),  # hardly any surroundings
    ],
)
def test_any_matte_gives_a_plate(alpha):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (60, 40, 3)).astype(np.uint8)
    plate = make_plate(photo, alpha)
    assert plate.shape == photo.shape and plate.dtype == np.uint8


def test_a_matte_of_another_size_is_refused():
    with pytest.raises(InputError, match=r"alpha must have the photo's shape \(40, 40\)"):
        make_plate(np.zeros((40, 40, 3), np.uint8), np.zeros((20, 20), np.float32))


def test_a_shadow_on_the_wall_beside_the_person_leaves_no_ghost():
    truth, alpha = np.full((400, 500, 3), 230, np.uint8), person_alpha(400, 500)
    shade = cv2.GaussianBlur(np.roll(alpha, -16, axis=1), (0, 0), 12) * 0.2
    photo = over(np.uint8(truth * (1 - shade[..., None])), alpha)
    plate = make_plate(photo, alpha).astype(int)
    assert np.abs(plate - truth).max() <= 12
