"""Identity by the face: the same face is near, no face is none."""

from __future__ import annotations

import numpy as np
import pytest
import skimage

from motion_transfer.errors import WeightsError
from motion_transfer.evaluation import metrics

JOINTS = np.full((33, 2), np.nan)
JOINTS[:11] = (222, 110)
JOINTS[7], JOINTS[8], JOINTS[10] = (262, 105), (186, 110), (225, 150)  # ears and mouth


@pytest.fixture(scope="module")
def embed() -> metrics.FaceEmbedder:
    try:
        return metrics.FaceEmbedder()
    except WeightsError as error:
        pytest.skip(str(error))


def test_a_face_is_itself_mirrored_small_or_dark(embed):
    rgb = skimage.data.astronaut()
    face = embed(rgb, JOINTS)
    assert face is not None and face.shape == (128,)
    mirrored = JOINTS.copy()
    mirrored[:, 0] = 511 - mirrored[:, 0]
    small = (rgb[::4, ::4], (JOINTS - 1.5) / 4)
    others = (np.ascontiguousarray(rgb[:, ::-1]), mirrored), small, (rgb // 2, JOINTS)
    for picture, joints in others:
        found = embed(np.ascontiguousarray(picture), joints)
        assert found is not None and np.linalg.norm(found - face) < 0.5


def test_no_face_is_none(embed):
    assert embed(skimage.data.coffee(), JOINTS) is None
    assert embed(skimage.data.astronaut(), np.full((33, 2), np.nan)) is None


def test_without_its_files_a_line_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTION_TRANSFER_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="motion-transfer weights fetch --group faces"):
        metrics.FaceEmbedder()


def test_cosine():
    a = np.array([3.0, 4.0])
    assert metrics.cosine_similarity(a, 2 * a) == pytest.approx(1)
    assert metrics.cosine_similarity(a, np.array([-4.0, 3.0])) == pytest.approx(0)
