"""Textures of their own for limbs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from puppet import COLOURS, PX, draw, pose

from motion_transfer.generator.articulated import Source, cut_source
from motion_transfer.generator.atlas import LAYER_OF_PART, Atlas, look_up, make_atlas
from motion_transfer.generator.limbs import NAMES
from motion_transfer.generator.parts import PART_NAMES
from motion_transfer.pose.skeleton import INDEX

ACROSS = {"left_upper_arm": 10, "left_lower_arm": -75}


@pytest.fixture(scope="module")
def across() -> Source:
    """A photo in which the left forearm lies before the chest."""
    source = draw(pose(ACROSS))
    depth = source.pose.depth.copy()
    for part in ("elbow", "wrist", "index", "pinky", "thumb"):
        depth[:, INDEX[f"left_{part}"]] = -0.4 * PX
    return replace(source, pose=replace(source.pose, depth=depth))


def at(atlas: Atlas, layer: str, xy: np.ndarray) -> np.ndarray:
    """Colour and alpha of a layer at a photo position, 0 to 255."""
    found = look_up(
        torch.from_numpy(atlas.pixels).float(), torch.from_numpy(atlas.boxes[0]),
        torch.tensor([[NAMES.index(layer)]]), torch.tensor(xy).float()[:, None, None],
    )  # fmt: skip
    return found[:, 0, 0].numpy()


def test_a_limb_shows_itself_and_not_its_neighbour(across: Source) -> None:
    # bug: the torso copies the arm before it, one leg the other
    atlas = make_atlas([across], [cut_source(across)[0]], filled=False)
    joints = across.pose.xy[0]
    forearm = joints[[INDEX["left_elbow"], INDEX["left_wrist"]]].mean(0)
    shin = joints[[INDEX["left_knee"], INDEX["left_ankle"]]].mean(0)
    own = at(atlas, "left_lower_arm", forearm)
    assert np.abs(own[:3] - COLOURS["left_lower_arm"]).max() < 8 and own[3] > 250
    assert at(atlas, "torso", forearm)[3] < 20
    assert at(atlas, "left_shin", shin)[3] > 250 and at(atlas, "right_shin", shin)[3] < 5
    # where limb goes on in limb and cloth in cloth, nothing is cut
    assert at(atlas, "left_thigh", shin)[3] > 250
    thigh = 0.7 * joints[INDEX["left_hip"]] + 0.3 * joints[INDEX["left_knee"]]
    assert at(atlas, "torso", thigh)[3] > 250


def test_what_was_hidden_is_filled_or_left_out(across: Source) -> None:
    # bug: holes where nobody else paints, or a smear where networks would
    forearm = across.pose.xy[0, [INDEX["left_elbow"], INDEX["left_wrist"]]].mean(0)
    filled = make_atlas([across], [cut_source(across)[0]], filled=True)
    found = at(filled, "torso", forearm)
    assert found[3] > 250 and np.abs(found[:3] - COLOURS["torso"]).max() < 20


def test_outside_it_is_transparent(across: Source) -> None:
    # bug: the pixels of the next texture show through
    atlas = make_atlas([across], [cut_source(across)[0]], filled=True)
    for place in ((-50.0, 10.0), (5000.0, 5000.0), (2.0, 300.0)):
        for layer in NAMES:
            assert at(atlas, layer, np.array(place))[3] == 0


def test_every_part_has_its_layer() -> None:
    # bug: a hand moves and the shin is drawn
    found = {part: NAMES[index] for part, index in zip(PART_NAMES, LAYER_OF_PART, strict=True)}
    assert found["left_hand"] == "left_lower_arm" and found["right_foot"] == "right_shin"
    assert found["hair"] == found["head"] == "head" and found["skirt"] == "skirt"
    assert found["left_upper_leg"] == "left_thigh" and found["torso"] == "torso"
