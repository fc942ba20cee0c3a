"""The photos' pixels by layer: what a limb may copy.

A flow that is a little wrong, or a body that is a little wide, makes the torso copy an arm that
hung beside it, or one leg the other: ghosts. So every layer of the puppet (`layers.py`) has a
texture of its own, which holds the photo's pixels only where they belong to the layer or to one
that goes on from it; what a nearer layer hid is filled in, or left out for the networks to paint.

The textures lie behind each other in one array of pixels.

Axes: S photos, L layers of `limbs.NAMES`, N pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from motion_transfer.generator.articulated import Source
from motion_transfer.generator.limbs import NAMES
from motion_transfer.generator.parts import PART_NAMES
from motion_transfer.generator.working import Layer


def _layer_of(part: str) -> str:
    side, _, kind = part.partition("_")
    same = {"lower_leg": "shin", "upper_leg": "thigh", "foot": "shin", "hand": "lower_arm"}
    if part in NAMES:
        return part
    return f"{side}_{same[kind]}" if kind else "head"


LAYER_OF_PART = tuple(NAMES.index(_layer_of(part)) for part in PART_NAMES)
"""Which layer shows what a part of `parts.PART_NAMES` moves; hair goes with the head."""


def _goes_on(layer: str, other: str) -> bool:
    """Whether a layer may show pixels of another: cloth and skin go on there, nothing is doubled.

    An arm before the body does not go on in it, nor one leg in the other.
    """
    if layer == other or "arm" in layer or "arm" in other:
        return layer == other or layer.replace("upper", "lower") == other.replace("upper", "lower")
    if "_" in layer and "_" in other:
        return layer.partition("_")[0] == other.partition("_")[0]
    pair = {layer.partition("_")[2] or layer, other.partition("_")[2] or other}
    return pair != {"head", "thigh"} and pair != {"head", "shin"} and pair != {"torso", "shin"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Atlas:
    """All textures of all photos.

    Args:
        pixels: (N, 4) uint8, straight colour and alpha; the first pixel is transparent.
        boxes: (S, L, 5) int64: number of the first pixel, left, top, height, width; a layer that
            a photo does not show has the height 0.
    """

    pixels: np.ndarray
    boxes: np.ndarray


def make_atlas(
    sources: Sequence[Source], layers: Sequence[dict[str, Layer]], *, filled: bool
) -> Atlas:
    """Cut the textures.

    Args:
        sources: the photos.
        layers: of each, from `layers.cut_layers`.
        filled: also show what was hidden and has been filled in.
    """
    pixels = [np.zeros((1, 4), np.uint8)]
    boxes = np.zeros((len(sources), len(NAMES), 5), np.int64)
    start = 1
    for number, (source, cut) in enumerate(zip(sources, layers, strict=True)):
        owner = find_owners(source.alpha, cut)
        for index, name in enumerate(NAMES):
            texture, (x, y) = _texture(source, owner, name, cut.get(name), filled)
            boxes[number, index] = start, x, y, *texture.shape[:2]
            pixels.append(texture.reshape(-1, 4))
            start += len(pixels[-1])
    return Atlas(pixels=np.concatenate(pixels), boxes=boxes)


def find_owners(alpha: np.ndarray, layers: dict[str, Layer]) -> np.ndarray:
    """Whose pixels the photo shows.

    Args:
        alpha: (H, W) of the photo.
        layers: of it, from `layers.cut_layers`.

    Returns:
        (H, W) int64 index in `limbs.NAMES`, -1 outside of the person.
    """
    owner, best = np.full(alpha.shape, -1), np.full(alpha.shape, 0.02, np.float32)
    for name, layer in layers.items():
        x0, y0, x1, y1 = layer.box_xyxy
        window = (slice(y0, y1), slice(x0, x1))
        shown = layer.visible * layer.rgba[..., 3]
        more = shown > best[window]
        owner[window][more] = NAMES.index(name)
        best[window][more] = shown[more]
    # at an edge against a nearer layer none is sure of its pixels: they go to the next
    rows, columns = distance_transform_edt(owner < 0, return_distances=False, return_indices=True)
    return np.where(alpha > 0, owner[rows, columns], -1)


def _texture(
    source: Source, owner: np.ndarray, name: str, layer: Layer | None, filled: bool
) -> tuple[np.ndarray, tuple[int, int]]:
    """(h, w, 4) uint8 of a layer, (0, 0, 4) if there is nothing to show; and its left upper corner.

    A thigh that lies under a skirt is no layer of the photo, and yet its bone may move the skirt.
    """
    shared = np.isin(owner, [k for k, other in enumerate(NAMES) if _goes_on(name, other)])
    rows, columns = np.flatnonzero(shared.any(1)), np.flatnonzero(shared.any(0))
    corners = [] if layer is None else [layer.box_xyxy]
    if len(rows):
        corners.append((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    if not corners:
        return np.zeros((0, 0, 4), np.uint8), (0, 0)
    (x0, y0), (x1, y1) = np.min(corners, 0)[:2], np.max(corners, 0)[2:]
    window = (slice(y0, y1), slice(x0, x1))
    # soft, so that the border of two layers is no staircase
    share = cv2.GaussianBlur(shared[window].astype(np.float32), (0, 0), 1.0)
    colour = source.rgb[window].astype(np.float32)
    alpha = share * source.alpha[window]
    if layer is not None:
        left, top, right, bottom = layer.box_xyxy
        inner = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        own = layer.rgba[..., 3] * (1.0 if filled else layer.visible)
        part = share[inner][..., None]
        colour[inner] = part * colour[inner] + (1 - part) * layer.rgba[..., :3] * 255
        alpha[inner] = np.maximum(alpha[inner], own)
    texture = np.dstack([colour, alpha * 255])
    return np.round(np.clip(texture, 0, 255)).astype(np.uint8), (int(x0), int(y0))


def look_up(
    pixels: torch.Tensor, boxes: torch.Tensor, layer: torch.Tensor, xy: torch.Tensor
) -> torch.Tensor:
    """Bilinear look-up in the textures of one photo; transparent outside of them.

    Args:
        pixels: (N, 4) in [0, 1].
        boxes: (L, 5).
        layer: (h, w) int64, whose texture to look at.
        xy: (2, h, w) positions in the photo.

    Returns:
        (4, h, w).
    """
    start, left, top, height, width = boxes[layer].unbind(-1)
    x, y = xy[0] - left, xy[1] - top
    inside = (x > -1) & (y > -1) & (x < width) & (y < height)
    x, y = (
        torch.minimum(v.clamp_min(0), (n - 1).clamp_min(0)) for v, n in ((x, width), (y, height))
    )
    column, row = x.floor().long(), y.floor().long()
    u, v = x - column, y - row
    found = torch.zeros(4, *layer.shape, device=pixels.device)
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        i, j = torch.minimum(row + dy, height - 1), torch.minimum(column + dx, width - 1)
        tap = pixels[torch.where(inside, start + i * width + j, torch.zeros_like(i))]
        weight = (u if dx else 1 - u) * (v if dy else 1 - v)
        found = found + weight * tap.permute(2, 0, 1)
    return found
