import cv2
import numpy as np
import pytest

from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.pose.people import (
    Person,
    PoseSample,
    choose_person,
    find_people,
    list_tiles,
    locate_person,
    similarity,
)


def read(path):
    return cv2.imread(str(path))[:, :, ::-1].copy()


def person(number, box):
    return Person(
        box_xyxy=np.array(box, np.float32), score=1.0, number=number, sample=PoseSample.absent()
    )


PEOPLE = [
    person(1, (100, 0, 200, 200)),  # the largest, in the middle
    person(0, (0, 0, 50, 100)),
    person(2, (190, 0, 230, 100)),  # overlaps the largest a little
]


@pytest.mark.parametrize(
    ("choice", "number"),
    [
        ("largest", 1),
        (0, 0),  # leftmost
        (2, 2),
        ((120.0, 50.0), 1),  # in one box
        ((195.0, 50.0), 2),  # in two: the smaller
        ((60.0, 300.0), 1),  # in none: the nearest
        ((-50.0, 50.0), 0),
    ],
)
def test_choose(choice, number):
    assert choose_person(PEOPLE, choice).number == number


def test_a_number_too_high_says_how_many_there_are():
    with pytest.raises(NoPersonError, match=r"from 0 \(leftmost\) to 2, got 3; 3 people were"):
        choose_person(PEOPLE, 3)
    with pytest.raises(NoPersonError, match=r"got -1"):
        choose_person(PEOPLE, -1)


def test_a_choice_that_is_none():
    with pytest.raises(InputError, match="person must be 'largest', a number or a point"):
        choose_person(PEOPLE, "tallest")


def test_tiles_cover_the_picture():
    seen = np.zeros((1080, 1920), bool)
    tiles = list_tiles(seen.shape)
    for left, top, side, _ in tiles[: [t.is_last_of_size for t in tiles].index(True) + 1]:
        seen[top : top + side, left : left + side] = True
    assert seen.all()


def test_colours_tell_people_apart():
    red, grey = np.zeros((2, 2, 125), np.float32)
    red[:, 3], grey[:, 60] = 1, 1
    assert similarity(red, red) == pytest.approx(1)
    assert similarity(red, grey) == 0
    assert similarity(red, np.zeros_like(red)) == 0


def test_nobody_in_the_photo(blazepose):
    sky = np.linspace(80, 220, 400)[:, None, None] * np.ones((1, 300, 3))
    with pytest.raises(NoPersonError, match="no person was found in the photo"):
        locate_person(sky.astype(np.uint8), blazepose=blazepose)


def test_two_people_are_both_found(blazepose, media):
    rgb = read(media / "hostile" / "two_people.jpg")
    people = find_people(rgb, blazepose=blazepose)
    assert len(people) == 2
    assert people[0].area_px >= people[1].area_px
    left, right = (choose_person(people, n).box_xyxy for n in (0, 1))
    assert left[2] < right[0]


def test_one_person_in_a_wide_coat_is_one(blazepose, media):
    """Coat tails once came back as two more people when the man was painted over."""
    assert (
        len(find_people(read(media / "photos" / "man_coat_street.jpg"), blazepose=blazepose)) == 1
    )


def test_a_very_small_person_is_found(blazepose, media):
    sample = locate_person(read(media / "hostile" / "very_small_person.jpg"), blazepose=blazepose)
    assert np.linalg.norm(sample.xy.mean(axis=0) - [1530, 950]) < 30


def test_half_a_body_shows_only_what_is_there(blazepose, media):
    sample = locate_person(read(media / "hostile" / "partial_upper_body.jpg"), blazepose=blazepose)
    assert sample.confidence[[0, 11, 12]].min() > 0.9  # nose, shoulders
    assert sample.confidence[25:].max() < 0.1  # knees and below
    assert sample.mask((495, 750)).max() > 0.9


def test_a_mirrored_photo_gives_mirrored_key_points(blazepose, media):
    rgb = read(media / "photos" / "woman_top_shorts.jpg")
    mirrored = np.ascontiguousarray(rgb[:, ::-1])
    a, b = (locate_person(image, blazepose=blazepose) for image in (rgb, mirrored))
    shoulders = a.xy[[11, 12]], b.xy[[12, 11]]
    assert rgb.shape[1] - 1 - shoulders[1][:, 0] == pytest.approx(shoulders[0][:, 0], abs=4)
