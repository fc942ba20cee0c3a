"""Hands that the photo does not show: found, and lent from the other arm."""

from __future__ import annotations

import cv2
import numpy as np

from motion_transfer.generator.limbs import LIMBS, mirrored, segment_distance
from motion_transfer.generator.working import (
    ENOUGH,
    Layer,
    Working,
    colour_distance,
    fill,
    find_face,
    torso_polygon,
)


def find_pocketed(work: Working) -> tuple[str, ...]:
    """Lower arms whose hands are in a pocket, or behind the body.

    The tracker says where such a hand is all the same. But what the photo shows there looks like
    the clothes around and nothing like the face, while the other hand does look like it (or both
    may wear gloves).
    """
    face = find_face(work)
    if face.sum() < ENOUGH:
        return ()
    lab = cv2.cvtColor(work.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    person = work.matte > 0.5
    arms = np.minimum.reduce([work.distance[n] for n in LIMBS if "arm" in n])
    clothes = fill(person.shape, torso_polygon(work, 0.9, -0.1, 0.1))
    clothes |= np.minimum(work.distance["left_thigh"], work.distance["right_thigh"]) < 0.7
    hands = [n for n in LIMBS if n.endswith("lower_arm")]
    clothes &= person & (arms > 1.3) & (work.hand_distance(hands) > 1.6)
    bare, pocketed = set(), []
    for name in hands:
        wrist, fingers = (work.joints[j] for j in _line_of(name))
        radius = LIMBS[name].end_radius_m * work.metre
        line = segment_distance(work.grid, 0.65 * wrist + 0.35 * fingers, fingers) < 0.55 * radius
        line &= person
        around = clothes & (work.hand_distance([name]) < 6)
        if line.sum() < ENOUGH:
            continue
        skin = colour_distance(lab, line, face)
        if (skin < 12).mean() > 0.3:
            bare.add(name)
        elif around.sum() >= ENOUGH and (skin < 12).mean() < 0.15:
            cloth = float(np.median(colour_distance(lab, line, around)))
            if cloth < 15 and cloth < 0.6 * float(np.median(skin)):
                pocketed.append(name)
    return tuple(name for name in pocketed if mirrored(name) in bare)


def lend_hand(layer: Layer, other: Layer, work: Working) -> Layer:
    """A lower arm whose hand is not seen, with the other one's hand, mirrored, under its sleeve."""
    joints = (work.joints + 0.5) / work.scale - 0.5 + np.array(work.box[:2])
    wrist, fingers = joints[list(_line_of(layer.name))]
    other_wrist, other_fingers = joints[list(_line_of(other.name))]
    line, other_line = fingers - wrist, other_fingers - other_wrist
    length, other_length = float(np.linalg.norm(line)), float(np.linalg.norm(other_line))
    if length < 1 or other_length < 1:
        return layer
    hand = _hand_of(other, other_wrist, other_line, work)
    # mirrored about its line, turned to the other line
    along, across = (_frame(v) for v in (line, other_line))
    size = float(np.clip(length / other_length, 0.7, 1.4))
    turn = size * (np.outer(along[0], across[0]) - np.outer(along[1], across[1]))
    corner = np.array(other.box_xyxy[:2])
    x0, y0, x1, y1 = layer.box_xyxy
    room = round(2 * length)  # about the wrist
    left, top = np.minimum(np.floor(wrist - room), [x0, y0]).astype(int).tolist()
    right, bottom = np.maximum(np.ceil(wrist + room), [x1, y1]).astype(int).tolist()
    shift = wrist - turn @ (other_wrist - corner) - [left, top]
    lent = cv2.warpAffine(hand, np.column_stack([turn, shift]), (right - left, bottom - top))
    around = ((y0 - top, bottom - y1), (x0 - left, right - x1))
    own = np.pad(layer.rgba, (*around, (0, 0)))
    under = (1 - own[..., 3:]) * lent
    alpha = own[..., 3:] + under[..., 3:]
    colour = (own[..., :3] * own[..., 3:] + under[..., :3]) / np.maximum(alpha, 1e-4)
    return Layer(
        name=layer.name, box_xyxy=(left, top, right, bottom),
        rgba=np.concatenate([colour, alpha], -1).astype(np.float32),
        visible=np.pad(layer.visible, around),
    )  # fmt: skip


def _hand_of(layer: Layer, wrist: np.ndarray, line: np.ndarray, work: Working) -> np.ndarray:
    """(h, w, 4) float32 colour times alpha, alpha, of a lower arm's hand.

    It is what lies about the line from the wrist to the fingers, and is of the face's colour.
    """
    x0, y0, x1, y1 = layer.box_xyxy
    grid = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), -1).astype(np.float64)
    reach = 1.8 * LIMBS[layer.name].end_radius_m * work.metre / work.scale
    near = segment_distance(grid, wrist, wrist + line) < reach
    # of float32 pictures, so in CIELAB's own units
    lab = cv2.cvtColor(layer.rgba[..., :3], cv2.COLOR_RGB2LAB)
    face = work.rgb[None, find_face(work)].astype(np.float32) / 255
    skin = np.zeros(near.shape, np.uint8)
    skin[near] = colour_distance(lab, near, cv2.cvtColor(face, cv2.COLOR_RGB2LAB)[0]) < 18
    closed = cv2.morphologyEx(skin, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) * near
    along = ((grid - wrist) @ line) / float(line @ line)
    soft = cv2.GaussianBlur(closed.astype(np.float32), (0, 0), 0.8)
    alpha = np.clip((along + 0.25) / 0.15, 0, 1) * soft * layer.rgba[..., 3]
    stack = np.concatenate([layer.rgba[..., :3] * alpha[..., None], alpha[..., None]], -1)
    return stack.astype(np.float32)


def _line_of(name: str) -> tuple[int, int]:
    """Joints of the wrist and the fingertips."""
    after = LIMBS[name].after
    assert after is not None
    return after


def _frame(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors along and across a line."""
    along = line / np.linalg.norm(line)
    return along, np.array([-along[1], along[0]])
