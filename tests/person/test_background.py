import numpy as np
import pytest
from PIL import Image

from motion_transfer.errors import InputError
from motion_transfer.person.background import cover, make_background

PLATE = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)


def test_original_is_the_plate():
    assert np.array_equal(make_background("original", PLATE), PLATE)


@pytest.mark.parametrize(
    ("colour", "rgb"),
    [("teal", (0, 128, 128)), ("#10ff03", (16, 255, 3)), ("rgb(1, 2, 3)", (1, 2, 3))],
)
def test_colours(colour, rgb):
    background = make_background(colour, PLATE)
    assert background.shape == PLATE.shape and (background == rgb).all()


def test_blur_keeps_the_mean_and_loses_the_detail():
    blurred = make_background("blur", PLATE).astype(float)
    assert abs(blurred.mean() - PLATE.mean()) < 4
    assert blurred.std() < 0.4 * PLATE.std()


@pytest.mark.parametrize("kind", ["transparent", "driving"])
def test_kinds_without_a_still(kind):
    assert make_background(kind, PLATE) is None


def test_a_picture_covers_the_plate(tmp_path):
    picture = np.zeros((80, 800, 3), np.uint8)
    picture[:, 380:420] = 255
    Image.fromarray(picture).save(tmp_path / "wide.png")
    background = make_background(str(tmp_path / "wide.png"), PLATE)
    assert background.shape == PLATE.shape
    assert background[:, 32].min() > 200 and background[:, 0].max() < 50


@pytest.mark.parametrize("size_hw", [(10, 10), (33, 7), (7, 33), (48, 64), (301, 200)])
def test_cover_has_the_asked_size(size_hw):
    assert cover(PLATE, size_hw).shape == (*size_hw, 3)


def test_a_misspelt_colour_names_the_nearest():
    with pytest.raises(InputError, match="got 'tael'; did you mean 'teal'"):
        make_background("tael", PLATE)


def test_a_misspelt_word_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'original'"):
        make_background("orignal", PLATE)


def test_a_missing_picture_is_named():
    with pytest.raises(FileNotFoundError, match=r"background: no such picture: beach\.jpg"):
        make_background("beach.jpg", PLATE)
