"""Hands that the photo does not show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from puppet import COLOURS, PX, at, cut, draw, pose

from motion_transfer.generator.articulated import Source
from motion_transfer.generator.working import Layer
from motion_transfer.pose.skeleton import INDEX


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
