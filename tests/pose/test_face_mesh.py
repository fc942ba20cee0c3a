"""The surface of a face."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from demo_clips import DEMOS

from motion_transfer.errors import WeightsError
from motion_transfer.media.photo import read_photo
from motion_transfer.person.subject import locate
from motion_transfer.pose.face_mesh import SIDES, FaceMesh
from motion_transfer.pose.skeleton import INDEX

TIP = 1  # of the nose


@pytest.fixture(scope="module")
def mesh() -> FaceMesh:
    try:
        return FaceMesh()
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def photo():
    return read_photo(DEMOS / "person.jpg")


@pytest.fixture(scope="module")
def pose(photo, mesh):
    return locate(photo)[0]


def test_the_face_of_the_demo(mesh, photo, pose) -> None:
    points = mesh.find(photo.rgb, pose)
    assert points.shape == (468, 3)
    width = np.linalg.norm(np.subtract(*points[list(SIDES), :2]))
    nose = pose.xy[0, INDEX["nose"]]
    assert np.linalg.norm(points[TIP, :2] - nose) < 0.2 * width
    out = points[list(SIDES), 2].mean() - points[TIP, 2]
    assert 0.4 < out / width < 0.9, "as far before the ears as a nose is"


def test_a_picture_that_is_turned_has_the_same_face(mesh, photo, pose) -> None:
    height = photo.rgb.shape[0]
    upright = mesh.find(photo.rgb, pose)
    xy = np.stack([height - 1 - pose.xy[..., 1], pose.xy[..., 0]], -1)
    turned = mesh.find(cv2.rotate(photo.rgb, cv2.ROTATE_90_CLOCKWISE), _with(pose, xy))
    back = np.stack([turned[:, 1], height - 1 - turned[:, 0], turned[:, 2]], -1)
    width = np.linalg.norm(np.subtract(*upright[list(SIDES), :2]))
    assert np.abs(back - upright).max() < 0.06 * width


def test_no_face_is_none(mesh, photo, pose) -> None:
    assert mesh.find(np.full_like(photo.rgb, 128), pose) is None
    missing = pose.xy.copy()
    missing[0, INDEX["left_eye"]] = np.nan
    assert mesh.find(photo.rgb, _with(pose, missing)) is None
    assert mesh.find(photo.rgb, _with(pose, np.zeros_like(pose.xy))) is None


def test_the_face_of_somebody_else_is_none(mesh, photo, pose) -> None:
    # a joint dragged aside: the crop shows the face, but at its rim
    points = mesh.find(photo.rgb, pose)
    width = np.linalg.norm(np.subtract(*points[list(SIDES), :2]))
    assert mesh.find(photo.rgb, _with(pose, pose.xy + np.array([0.9 * width, 0]))) is None


def _with(pose, xy):
    return replace(pose, xy=xy.astype(np.float32))
