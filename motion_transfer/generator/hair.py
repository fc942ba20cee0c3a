"""Hair that no photo shows: the back of a head whose face it does."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from einops import rearrange
from torch.nn import functional

from motion_transfer.generator.exemplar import continue_picture
from motion_transfer.generator.limbs import eyes_and_mouth, head_circle
from motion_transfer.generator.turning import PIECES_PX
from motion_transfer.generator.working import Layer

MUCH_HAIR = 0.3  # share of the back of a head that the photo shows
HAIR_GUIDED = 0.3  # see `exemplar.GUIDED`: what is guessed of hair is less sure than of cloth
NAPE = (0.25, 0.7)
"""How far below the mouth hair ends in the middle, and how much higher beside the ears, in heights
from the mouth to the eyes."""


def back_of_head(layer: Layer, joints: np.ndarray, metre: float, *, shown: bool) -> torch.Tensor:
    """A head from the other side than the photo's, the same way round.

    Where the photo itself shows the back, all round of the head is hair: nobody knows the face.

    Args:
        layer: the head, of h x w pixels.
        joints: (38, 2) in pixels of the photo.
        metre: pixels.
        shown: whether the photo shows the back.

    Returns:
        (1, 4, h + 2, w + 2) colour, hair where the face is, and how known it is: less and less
        below the nape.
    """
    eyes, mouth = eyes_and_mouth(joints)
    radius = head_circle(joints, metre)[1]
    x0, y0, x1, y1 = layer.box_xyxy
    x, y = np.meshgrid(np.arange(x0, x1), np.arange(y0, y1))
    crown = (layer.rgba[..., 3] > 0.5) & (y < (mouth if shown else eyes - 0.45 * radius)[1])
    if not crown.any():
        return torch.zeros(1, 4, y1 - y0 + 2, x1 - x0 + 2)
    hair, spread = np.median(layer.rgba[crown][:, :3], 0), layer.rgba[crown][:, :3].std()
    # hair that the photo shows stays
    other = np.abs(layer.rgba[..., :3] - hair).max(-1) / max(float(spread), 0.02)
    cover = cv2.GaussianBlur(np.clip(other - 1, 0, 1), (0, 0), 0.1 * radius + 0.5)
    cover = np.clip(4 * cover, 0, 1)
    if not shown:  # nothing of a face is hair, be it as dark as brows and eyes
        middle, reach = (eyes + mouth) / 2, np.linalg.norm(eyes - mouth)
        away = np.hypot(x - middle[0], y - middle[1]) / max(1.25 * float(reach), 1.0)
        cover = np.maximum(cover, np.clip(3 - 2 * away, 0, 1))
    cover = cover[..., None]
    shade = np.clip(1.05 - 0.2 * np.abs(x - eyes[0]) / radius, 0.7, 1.1)[..., None]
    # strands: noise drawn out downwards, fainter than the hair's own contrast, or it is striped
    noise = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    strands = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.02 * radius + 0.5, sigmaY=0.12 * radius)
    strands *= 0.15 * spread / max(float(strands.std()), 1e-6)
    painted = np.clip(hair * shade + strands[..., None], 0, 1)
    back = (1 - cover) * layer.rgba[..., :3] + cover * painted
    aside = np.clip(np.abs(x - eyes[0]) / radius, 0, 1)
    low = mouth[1] + (mouth[1] - eyes[1]) * (NAPE[0] - NAPE[1] * aside**2)
    known = np.clip((low - y) / (0.3 * radius) + 0.5, 0, 1)[..., None]
    if shown:
        known = np.ones_like(known)
    inside = (layer.rgba[..., 3] > 0.5) & (known[..., 0] > 0)
    seen = inside & (cover[..., 0] < 0.2) & (layer.visible > 0.5)
    if seen.sum() > MUCH_HAIR * inside.sum():  # curls are no strands
        back = continue_picture(
            back, seen, inside & ~seen, back, np.array([0.0, 1.0]),
            height=PIECES_PX, guided=HAIR_GUIDED, plain=0.0,
        )  # fmt: skip
    back = np.concatenate([back, known], -1)
    stack = torch.from_numpy(rearrange(back, "h w c -> 1 c h w")).float()
    return functional.pad(stack, (1, 1, 1, 1), mode="replicate")
