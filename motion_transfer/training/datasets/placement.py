"""Bringing pictures, masks and key points of any size to one size."""

from __future__ import annotations

from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image

from motion_transfer.generator.canonical import fit_crop, from_blazepose

Fit = Literal["stretch", "contain", "cover", "person"]


class Placement(NamedTuple):
    """Where a picture comes to lie in one of another size.

    scale_xy: new pixels for an old one.
    resized_wh: size of the whole picture after scaling, in pixels.
    left_top: of it in the new picture; negative where it is cut.
    size_hw: of the new picture.
    """

    scale_xy: tuple[float, float]
    resized_wh: tuple[int, int]
    left_top: tuple[int, int]
    size_hw: tuple[int, int]

    def points(self, xy: np.ndarray) -> np.ndarray:
        """Positions (N, 2) in the new picture; an integer is a pixel centre."""
        return (xy + 0.5) * self.scale_xy - 0.5 + self.left_top

    def picture(self, image: np.ndarray, *, fill: float) -> np.ndarray:
        """The new picture of (H, W, 3) uint8 or (H, W) float32, `fill` outside of the old one."""
        resized = np.asarray(
            Image.fromarray(image).resize(self.resized_wh, Image.Resampling.BICUBIC)
        )
        (left, top), (height, width) = self.left_top, self.size_hw
        right, bottom = width - left - self.resized_wh[0], height - top - self.resized_wh[1]
        inner = resized[
            max(-top, 0) : len(resized) - max(-bottom, 0),
            max(-left, 0) : self.resized_wh[0] - max(-right, 0),
        ]
        top, bottom, left, right = (max(n, 0) for n in (top, bottom, left, right))
        return np.asarray(
            cv2.copyMakeBorder(
                inner, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(fill,) * 3
            )
        )


def place_picture(
    fit: Fit, picture_hw: tuple[int, int], size_hw: tuple[int, int], joints: np.ndarray
) -> Placement:
    """How a picture is brought to a size.

    Args:
        fit: `stretch` to the size; `contain`, the rest is filled; `cover`, the rest is cut off;
            `person`: as `contain`, but of the canonical crop around the person.
        picture_hw: of the picture.
        size_hw: of the new one.
        joints: (33, 4) as in `pictures.Picture`; only `person` looks at them.
    """
    (old_h, old_w), (new_h, new_w) = picture_hw, size_hw
    across, down = new_w / old_w, new_h / old_h
    if fit == "stretch":
        return Placement((across, down), (new_w, new_h), (0, 0), size_hw)
    if fit == "person":
        found = torch.from_numpy(joints)[None]
        pose = from_blazepose(found[..., :2], found[..., 2], found[..., 3])
        crop = fit_crop(pose, picture_hw, size_hw=size_hw)
        scale = min(float(crop.scale[0]), 1.0)  # nothing is gained from larger pixels
        centre = (float(crop.centre[0, 0]), float(crop.centre[0, 1]))
    else:
        scale = min(across, down) if fit == "contain" else max(across, down)
        centre = ((old_w - 1) / 2, (old_h - 1) / 2)
    resized = (max(1, round(old_w * scale)), max(1, round(old_h * scale)))
    scale_xy = (resized[0] / old_w, resized[1] / old_h)
    left_top = (
        round((new_w - 1) / 2 - ((centre[0] + 0.5) * scale_xy[0] - 0.5)),
        round((new_h - 1) / 2 - ((centre[1] + 0.5) * scale_xy[1] - 0.5)),
    )
    return Placement(scale_xy, resized, left_top, size_hw)
