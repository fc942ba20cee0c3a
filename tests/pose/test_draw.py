"""Skeletons for people to look at."""

import numpy as np

from motion_transfer.pose.draw import LEFT, RIGHT, draw_pose
from motion_transfer.pose.skeleton import INDEX


def spread() -> np.ndarray:
    """Joints far enough from each other to be told apart."""
    return np.stack([np.arange(33) * 12.0 + 10, np.tile([20.0, 60.0, 100.0], 11)], -1)


def drawn(xy: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    return draw_pose(np.zeros((120, 420, 3), np.uint8), xy, confidence)


def test_sides_have_their_colours_where_the_joints_are() -> None:
    # bug: left and right exchanged, or x and y
    xy = spread()
    image = drawn(xy, np.ones(33))
    for name, colour in (("left_wrist", LEFT), ("right_ankle", RIGHT)):
        x, y = xy[INDEX[name]].astype(int)
        assert tuple(image[y, x]) == colour


def test_what_is_not_shown_is_not_drawn() -> None:
    # bug: joints that the photo does not show are drawn at the corner of the picture
    xy = spread()
    xy[INDEX["left_knee"]] = np.nan
    confidence = np.zeros(33)
    assert not drawn(xy, confidence).any()
    confidence[[INDEX["left_knee"], INDEX["left_hip"]]] = 1
    image = drawn(xy, confidence)
    x, y = xy[INDEX["left_hip"]].astype(int)
    assert image[y, x].any() and not image[:5, :5].any()


def test_far_outside_of_the_picture() -> None:
    # bug: cv2 refuses or wraps coordinates of people half out of the frame
    xy = spread()
    xy[5], xy[6] = (-5000, 40), (9000, -300)
    assert drawn(xy, np.ones(33)).shape == (120, 420, 3)


def test_the_picture_given_stays() -> None:
    # bug: preview draws into the photo
    photo = np.zeros((120, 420, 3), np.uint8)
    draw_pose(photo, spread(), np.ones(33))
    assert not photo.any()
