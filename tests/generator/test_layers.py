"""A drawn puppet cut into layers."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from puppet import COLOURS, PX, RADII, SIZE_HW, draw, hide, pose

from motion_transfer.generator.articulated import ArticulatedGenerator, Source
from motion_transfer.generator.layers import _within_sides, cut_layers
from motion_transfer.generator.limbs import LIMBS, NAMES
from motion_transfer.generator.working import Layer, Skirt, Working
from motion_transfer.pose.retarget import MIDHIP, NECK
from motion_transfer.pose.skeleton import INDEX


def cut(source: Source) -> tuple[dict[str, Layer], Skirt | None]:
    shown = source.pose.confidence[0] >= 0.3
    return cut_layers(source.rgb, source.alpha, source.pose.xy[0], shown, PX)


def middle_of(source: Source, limb: str) -> tuple[int, int]:
    a, b = LIMBS[limb].main
    x, y = np.round((source.pose.xy[0, a] + source.pose.xy[0, b]) / 2).astype(int)
    return x, y


def at(layer: Layer, x: int, y: int) -> tuple[np.ndarray, float, float]:
    """Colour in 0 to 255, alpha and visibility at a pixel of the photo; 0 outside of the layer."""
    x, y = x - layer.box_xyxy[0], y - layer.box_xyxy[1]
    height, width = layer.visible.shape
    if not (0 <= x < width and 0 <= y < height):
        return np.zeros(3), 0.0, 0.0
    rgba = layer.rgba[y, x]
    return rgba[:3] * 255, float(rgba[3]), float(layer.visible[y, x])


@pytest.fixture(scope="module")
def trousers() -> tuple[Source, dict[str, Layer], Skirt | None]:
    source = draw(pose())
    return source, *cut(source)


def test_each_part_has_its_own_layer(trousers) -> None:
    # bug: a limb is missing, or belongs to its neighbour, and stays where it is
    source, layers, skirt = trousers
    assert set(layers) == set(COLOURS) - {"skirt"} and skirt is None
    for limb in LIMBS:
        x, y = middle_of(source, limb)
        colour, alpha, visible = at(layers[limb], x, y)
        assert np.abs(colour - COLOURS[limb]).max() < 6, limb
        assert alpha > 0.98 and visible > 0.98, limb
        for other, layer in layers.items():
            if other != limb:
                assert at(layer, x, y)[1] < 0.05, (limb, other)


def test_nothing_of_the_person_is_left_out(trousers) -> None:
    # bug: crown of the head, fingertips or toes are cut off
    source, layers, _ = trousers
    covered = np.zeros_like(source.alpha)
    for layer in layers.values():
        x0, y0, x1, y1 = layer.box_xyxy
        window = covered[y0:y1, x0:x1]
        covered[y0:y1, x0:x1] = 1 - (1 - window) * (1 - layer.rgba[..., 3])
    missing = (source.alpha > 0.95) & (covered < 0.8)
    assert missing.sum() < 0.004 * (source.alpha > 0.95).sum()
    assert covered[source.alpha < 0.02].max() < 0.05  # and nothing of the wall is taken along


def test_trousers_are_no_skirt_and_a_skirt_is_one_piece() -> None:
    # bug: skirts turn into culottes; the nearest leg drags its half of the cloth along
    source = draw(pose(), skirt=True)
    layers, skirt = cut(source)
    assert skirt is not None and "skirt" in layers
    cloth = (np.abs(source.rgb.astype(int) - COLOURS["skirt"]).max(-1) < 6) & (source.alpha > 0.95)
    box, pixels = layers["skirt"].box_xyxy, layers["skirt"].rgba[..., 3]
    inside = cloth[box[1] : box[3], box[0] : box[2]]
    assert inside.sum() > 0.99 * cloth.sum()
    assert (pixels[inside] > 0.9).mean() > 0.93
    rows, columns = np.nonzero(cloth)
    lowest = rows.max()
    hem = columns[rows > lowest - 5]
    assert abs(skirt.hem_left_xy[1] - lowest) < 0.06 * PX
    assert abs(skirt.hem_left_xy[0] - hem.min()) < 0.04 * PX
    assert abs(skirt.hem_right_xy[0] - hem.max()) < 0.04 * PX
    for name in ("left_thigh", "right_thigh"):
        if name in layers:
            owned = layers[name].rgba[layers[name].rgba[..., 3] > 0.9][:, :3] * 255
            purple = np.abs(owned - COLOURS["skirt"]).max(-1) < 6
            assert purple.sum() < 0.15 * cloth.sum()


def test_a_close_skirt_is_one_piece_down_to_its_hem() -> None:
    # bug: a skirt that hangs close splits into culottes, or its round hem goes with the legs
    source = draw(pose({"thigh": 3, "shin": 3}), skirt="close")
    layers, skirt = cut(source)
    assert skirt is not None
    cloth = (np.abs(source.rgb.astype(int) - COLOURS["skirt"]).max(-1) < 6) & (source.alpha > 0.95)
    layer = layers["skirt"]
    box, pixels = layer.box_xyxy, layer.rgba[..., 3]
    inside = cloth[box[1] : box[3], box[0] : box[2]]
    assert (pixels[inside] > 0.9).sum() > 0.93 * cloth.sum()
    rows = np.nonzero(cloth.any(1))[0]
    columns = np.flatnonzero(cloth[rows[-1] - 6])  # in the hem's round, below its corners
    assert (pixels[rows[-1] - 6 - box[1], columns - box[0]] > 0.5).all()
    for name in ("left_thigh", "right_thigh"):
        assert shares(layer, COLOURS[name]) < 0.02


def test_shorts_are_no_skirt() -> None:
    layers, skirt = cut(draw(pose({"thigh": 8, "shin": 3}), skirt="shorts"))
    assert skirt is None and "skirt" not in layers


def test_what_an_arm_hides_is_filled_and_marked() -> None:
    # bug: an arm in front of the body leaves its print on the chest
    source = draw(pose({"left_upper_arm": 10, "left_lower_arm": -75}))
    layers, _ = cut(source)
    x, y = middle_of(source, "left_lower_arm")
    assert np.abs(source.rgb[y, x].astype(int) - COLOURS["left_lower_arm"]).max() < 6
    colour, alpha, visible = at(layers["torso"], x, y)
    assert alpha > 0.95
    assert np.abs(colour - COLOURS["torso"]).max() < 20
    assert visible < 0.1
    assert at(layers["left_lower_arm"], x, y)[2] > 0.95


def test_what_the_photo_does_not_show_has_no_layer() -> None:
    # bug: arms cut out of the wall because the tracker guesses them
    source = draw(pose(), bare=True)
    hidden = hide(source.pose, "elbow", "wrist", "index", "pinky", "thumb")
    layers, _ = cut(Source(rgb=source.rgb, alpha=source.alpha, pose=hidden))
    assert not [name for name in layers if "arm" in name]
    assert {"torso", "head", "left_thigh"} <= set(layers)


def test_layers_overlap_at_the_joints(trousers) -> None:
    # bug: a bent elbow opens a gap that shows the wall
    source, layers, _ = trousers
    for upper, lower, joint in (
        ("left_upper_arm", "left_lower_arm", "left_elbow"),
        ("right_thigh", "right_shin", "right_knee"),
    ):
        x, y = np.round(source.pose.xy[0, INDEX[joint]]).astype(int)
        assert at(layers[upper], x, y)[1] > 0.9, joint
        assert at(layers[lower], x, y)[1] > 0.9, joint


def test_tiny_people_and_large_ones_are_cut_alike() -> None:
    # bug: sizes in pixels instead of metres
    source = draw(pose())
    small = Source(
        rgb=source.rgb[::3, ::3].copy(), alpha=source.alpha[::3, ::3].copy(), pose=source.pose
    )
    shown = np.ones(33, bool)
    xy = (source.pose.xy[0] - 1) / 3
    layers, skirt = cut_layers(small.rgb, small.alpha, xy, shown, PX / 3)
    assert skirt is None and set(layers) == set(COLOURS) - {"skirt"}


def test_an_empty_matte_is_no_crash() -> None:
    # bug: an index error when nothing was cut out
    source = draw(pose())
    layers, skirt = cut_layers(
        source.rgb, np.zeros_like(source.alpha), source.pose.xy[0], np.ones(33, bool), PX
    )
    assert layers == {} and skirt is None


def test_radii_are_those_of_the_drawing() -> None:
    # guards the drawing itself: limbs thinner than the layers expect would prove nothing
    assert all(0.03 < r < 0.1 for r in RADII.values())


def test_an_arm_alone_is_an_arm() -> None:
    # bug: a crash where the photo shows nothing that the arm could be cut from
    source = hide(draw(pose()).pose, "shoulder", "hip", "knee", "ankle", "ear", "nose", "right")
    drawn = draw(pose())
    xy, alpha = source.xy[0], drawn.alpha.copy()
    x, y = np.round(xy[INDEX["left_wrist"]]).astype(int)
    alpha[:] = 0
    alpha[y - 40 : y + 20, x - 12 : x + 12] = drawn.alpha[y - 40 : y + 20, x - 12 : x + 12]
    layers, _ = cut(Source(rgb=drawn.rgb, alpha=alpha, pose=source))
    assert "left_lower_arm" in layers and all("arm" in name for name in layers)


BESIDE = {"upper_arm": 3, "lower_arm": 3}  # arms that touch the shirt


def shares(layer: Layer, colour: tuple[int, int, int]) -> float:
    """Share of a layer's visible pixels that have a colour."""
    seen = (layer.rgba[..., 3] > 0.9) & (layer.visible > 0.9)
    apart = np.abs(layer.rgba[..., :3][seen] * 255 - colour).max(-1)
    return float((apart < 25).mean())


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_arm_takes_no_strip_of_the_shirt_along(side: str) -> None:
    # bug: key points that lie a little inside give a raised bare arm a rim of white cloth
    source = draw(pose(BESIDE))
    inwards = -0.03 * PX if side == "left" else 0.03 * PX
    for joint in ("elbow", "wrist", "index", "pinky", "thumb"):
        source.pose.xy[0, INDEX[f"{side}_{joint}"], 0] += inwards
    layers, _ = cut(source)
    for part in ("upper_arm", "lower_arm"):
        layer = layers[f"{side}_{part}"]
        assert shares(layer, COLOURS["torso"]) < 0.03, part
        own = COLOURS[f"{side}_{part}"]
        assert np.abs(np.array(at(layer, *middle_of(draw(pose(BESIDE)), f"{side}_{part}"))[0])
                      - own).max() < 8  # fmt: skip


def test_fingers_do_not_stay_on_the_thigh() -> None:
    # bug: the ends of fingers, beyond the key points, are taken for a pattern of the trousers
    source = draw(pose(BESIDE | {"thigh": 2, "shin": 2}))
    for side in ("left", "right"):
        for joint in ("index", "pinky", "thumb"):
            wrist = source.pose.xy[0, INDEX[f"{side}_wrist"]]
            tip = source.pose.xy[0, INDEX[f"{side}_{joint}"]]
            tip += 0.5 * (wrist - tip)
    layers, _ = cut(source)
    for side in ("left", "right"):
        for part in ("thigh", "shin"):
            assert shares(layers[f"{side}_{part}"], COLOURS[f"{side}_lower_arm"]) < 0.005


def test_there_are_no_crumbs(capfd) -> None:
    # bug: specks of one limb hang in the air when another moves away; a solver talks to the user
    layers, _ = cut(draw(pose(BESIDE)))
    assert "".join(capfd.readouterr()) == ""
    for name, layer in layers.items():
        solid = (layer.rgba[..., 3] > 0.5).astype(np.uint8)
        assert cv2.connectedComponents(solid)[0] == 2, name


def hands(*, left: str, right: str) -> Source:
    """Arms that hang, each hand in a colour of `COLOURS`, over the hips."""
    source = draw(pose({"upper_arm": 12, "lower_arm": -12}))
    rgb = source.rgb.copy()
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    for side, colour in (("left", left), ("right", right)):
        wrist, knuckles = (source.pose.xy[0, INDEX[f"{side}_{j}"]] for j in ("wrist", "index"))
        end = wrist + 1.8 * (knuckles - wrist)
        t = ((x - wrist[0]) * (end - wrist)[0] + (y - wrist[1]) * (end - wrist)[1]) / (
            (end - wrist) ** 2
        ).sum()
        near = np.hypot(x - wrist[0] - t * (end - wrist)[0], y - wrist[1] - t * (end - wrist)[1])
        rgb[(t > 0.1) & (t < 1.3) & (near < 0.06 * PX) & (source.alpha > 0.5)] = COLOURS[colour]
    return replace(source, rgb=rgb)


def lent(source: Source, layers: dict[str, Layer], side: str) -> tuple[np.ndarray, float, float]:
    wrist, knuckles = (source.pose.xy[0, INDEX[f"{side}_{j}"]] for j in ("wrist", "index"))
    x, y = np.round(wrist + 0.9 * (knuckles - wrist)).astype(int)
    return at(layers[f"{side}_lower_arm"], x, y)


def test_a_hand_in_a_pocket_is_the_other_ones() -> None:
    # bug: a piece of the trousers dances along at the end of the sleeve
    source = hands(left="left_thigh", right="head")
    layers, _ = cut(source)
    colour, alpha, visible = lent(source, layers, "left")
    assert np.abs(colour - COLOURS["head"]).max() < 25 and alpha > 0.8
    assert visible < 0.2  # no photo shows it
    colour, alpha, visible = lent(source, layers, "right")
    assert np.abs(colour - COLOURS["head"]).max() < 8 and alpha > 0.9 and visible > 0.9


def test_gloves_stay_on() -> None:
    # bug: hands in gloves of the trousers' colour are taken for hands in pockets
    source = hands(left="left_thigh", right="right_thigh")
    layers, _ = cut(source)
    for side in ("left", "right"):
        colour, alpha, visible = lent(source, layers, side)
        assert np.abs(colour - COLOURS[f"{side}_thigh"]).max() < 8
        assert alpha > 0.9 and visible > 0.9


def with_lock(source: Source) -> tuple[Source, tuple[int, int]]:
    """Dark hair with a lock that hangs from the head over the left upper arm; a place in it."""
    rgb, alpha = source.rgb.copy(), source.alpha.copy()
    ear, shoulder, elbow = (
        source.pose.xy[0, INDEX[f"left_{j}"]] for j in ("ear", "shoulder", "elbow")
    )
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    hair = (y < ear[1] - 4) & (np.hypot(x - SIZE_HW[1] / 2, y - ear[1]) < 0.12 * PX)
    end = shoulder + 0.35 * (elbow - shoulder)
    path = np.round([ear - (0, 10), ear - (-8, -25), shoulder, end]).astype(np.int32)
    lock = np.zeros(alpha.shape, np.uint8)
    cv2.polylines(lock, [path], False, 1, 12)
    rgb[(hair & (alpha > 0.5)) | (lock > 0)] = (30, 20, 15)
    alpha[lock > 0] = 1.0
    at_x, at_y = np.round(shoulder + 0.25 * (elbow - shoulder)).astype(int)
    return replace(source, rgb=rgb, alpha=alpha), (at_x, at_y)


def test_a_lock_over_the_shoulder_is_hair() -> None:
    # bug: hair flies up with the arm that it lies on
    source, place = with_lock(draw(pose()))
    layers, _ = cut(source)
    colour, alpha, visible = at(layers["head"], *place)
    assert colour.max() < 60 and alpha > 0.9 and visible > 0.9
    colour, alpha, visible = at(layers["left_upper_arm"], *place)
    assert np.abs(colour - COLOURS["left_upper_arm"]).max() < 25  # what it hides is arm
    assert alpha > 0.9 and visible < 0.2
    order = ArticulatedGenerator(source).plan(pose({"left_upper_arm": 80}), slice(0, 1))[0].orders
    assert order[0].index("head") > order[0].index("left_upper_arm")


def test_no_rags_hang_from_the_armpits() -> None:
    # bug: what is taken for hidden trunk is wider than the trunk below it
    height, width = 200, 160
    labels = np.full((height, width), -1)
    labels[40:150, 50:110] = NAMES.index("torso")
    for y in range(40, 90):  # the upper arm leaves the trunk at line 90
        labels[y, 104 : 118 + y // 4] = NAMES.index("left_upper_arm")
    labels[100:110, 70:130] = NAMES.index("left_lower_arm")  # and the lower one crosses it
    joints = np.zeros((38, 2))
    for name, place in {"left_shoulder": (110, 40), "right_shoulder": (50, 40),
                        "left_hip": (105, 150), "right_hip": (55, 150)}.items():  # fmt: skip
        joints[INDEX[name]] = place
    joints[NECK], joints[MIDHIP] = (80, 38), (80, 150)
    image = np.zeros((height, width, 3), np.uint8)
    alpha = np.ones((height, width), np.float32)
    work = Working.make(image, alpha, joints, PX, (0, 0, width, height), 1.0)
    inside = _within_sides(work, labels)
    assert not inside[60:88, 112:].any() and inside[60:88, 104:109].all()
    assert inside[100:110, 70:109].all() and not inside[100:110, 112:].any()
