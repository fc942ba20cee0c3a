"""Garment labels in UV for the avatars of the shared topology.

Their clothes are painted on, so the labels are measured from the texture: every texel knows its
island of the atlas and its place on the mean body at rest; along the legs, the trunk and the
arms the colour profile tells where skin ends and where shirt and trousers meet. Texels near the
waist go to the nearer of the two colours. Checked by eye on a sheet of all outfits
(`synth.commands.label_sheet`).
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from motion_transfer.synth.body import GARMENT
from motion_transfer.synth.rig import PARSE_INDEX, PART

DRESSES = ("Black_F_3_Casual", "Hispanic_F_2_Casual", "White_F_3_Casual")
"""Outfits of the pack that are dresses, found by looking."""
LABEL_SIZE = 256
"""Side of the label maps in texels."""

_SKIN_SPREAD = np.array([45.0, 11.0, 13.0])
_SKIN_LIMIT = 1.5
_DEFAULT_WAIST_M = 0.98
_TILES = 3
_SHOE_TILE = 2
"""Bodies with separate garments have 3 x 3 tiles: body, outfit, shoes, hair, eyes."""
_SAME_CLOTH = 13.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class AtlasMap:
    """Where each texel of the shared atlas lies on the mean body.

    Args:
        part: (S, S) uint8 of `rig.PARTS`; 0 outside the islands.
        place: (S, S, 3) float32, rest position on the mean body, metres.
        region: (S, S) uint8, one of the numbers below.
    """

    part: np.ndarray
    place: np.ndarray
    region: np.ndarray


HEAD, TRUNK, ARM, HAND, FOOT, ANKLE, EYE = 1, 2, 3, 4, 5, 6, 7


def map_atlas(
    vertices: np.ndarray, uv: np.ndarray, triangles: np.ndarray, part: np.ndarray
) -> AtlasMap:
    """Rasterise the mean body into its atlas.

    Args:
        vertices: (V, 3) rest positions.
        uv: (V, 2).
        triangles: (F, 3).
        part: (V,) of `rig.PARTS`.
    """
    island = _islands(len(vertices), triangles)
    region = np.zeros(len(vertices), np.uint8)
    for number in np.unique(island):
        members = island == number
        region[members] = _region(np.bincount(part[members], minlength=16))
    size = LABEL_SIZE
    maps = np.zeros((size, size, 5), np.float32)
    values = np.concatenate([vertices, part[:, None], region[:, None]], 1).astype(np.float32)
    corner = uv[triangles] * size - 0.5
    # Eyes and the inside of the mouth lie under other islands' texels: the large ones come last.
    order = np.argsort([{EYE: 0, HEAD: 1}.get(int(r), 2) for r in region[triangles[:, 0]]])
    for t in order:
        x, y = corner[t].T
        left, right = int(np.floor(x.min())), int(np.ceil(x.max()))
        top, bottom = int(np.floor(y.min())), int(np.ceil(y.max()))
        mean = values[triangles[t]].mean(0)
        mean[3:] = values[triangles[t, 0], 3:]
        maps[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = mean
    return AtlasMap(
        part=maps[..., 3].astype(np.uint8),
        place=np.ascontiguousarray(maps[..., :3]),
        region=maps[..., 4].astype(np.uint8),
    )


def label_texture(colour: np.ndarray, atlas: AtlasMap, *, painted_hair: bool) -> np.ndarray:
    """Label an avatar's texture.

    Args:
        colour: (H, W, 3 or 4) uint8 sRGB.
        atlas: from `map_atlas`.
        painted_hair: the avatar has no wig.

    Returns:
        (S, S) uint8 of `rig.PARSE`; 0 outside the islands.
    """
    small = cv2.resize(
        np.ascontiguousarray(colour[..., :3]), (LABEL_SIZE, LABEL_SIZE),
        interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB)).astype(np.float32)
    x, y, z = np.abs(atlas.place[..., 0]), atlas.place[..., 1], atlas.place[..., 2]
    region = atlas.region
    skin = _skin_colour(lab, atlas)
    away = np.sqrt((((lab - skin) / _SKIN_SPREAD) ** 2).sum(-1))
    cloth = away > _SKIN_LIMIT
    out = np.zeros(region.shape, np.uint8)
    name = PARSE_INDEX

    trunk = region == TRUNK
    hem = _cloth_end(cloth[trunk], y[trunk], start=0.75, stop=0.10)
    waist, above, below = _waist(lab, y, trunk, max(hem + 0.1, 0.80))
    one_piece = float(np.linalg.norm(above - below)) < _SAME_CLOTH
    upper = y > waist
    near = trunk & (np.abs(y - waist) < 0.07)
    if not one_piece:
        to_above = ((lab - above) ** 2).sum(-1)
        upper = np.where(near, to_above < ((lab - below) ** 2).sum(-1), upper)
    out[trunk] = np.where(
        upper[trunk],
        name["upper"],
        np.where(y[trunk] < hem, name["legs"], name["lower"]),
    )

    arm = region == ARM
    sleeve = -_cloth_end(cloth[arm], -x[arm], start=-0.22, stop=-0.62)
    out[arm] = np.where(x[arm] < sleeve, name["upper"], name["arms"])
    out[region == HAND] = name["arms"]
    hand_cloth = (region == HAND) & (atlas.part != PART["left_hand"])
    hand_cloth &= (atlas.part != PART["right_hand"]) & cloth
    if sleeve > 0.55:
        out[hand_cloth] = name["upper"]
    out[region == FOOT] = name["shoes"]
    out[region == ANKLE] = name["legs"] if hem > 0.2 else name["lower"]

    head = region == HEAD
    out[head] = name["face"]
    out[head & (atlas.part == PART["torso"]) & cloth] = name["upper"]
    if painted_hair:
        skull = head & (atlas.part == PART["head"])
        eye_y = float(np.median(y[region == EYE]))
        eye_z = float(np.median(z[region == EYE]))
        scalp = skull & ((y > eye_y + 0.045) | ((z < eye_z - 0.07) & (y > eye_y - 0.09)))
        out[scalp & (away > 1.1)] = name["hair"]
    out[region == EYE] = name["face"]
    return out


def as_dress(label: np.ndarray) -> np.ndarray:
    """The labels of an outfit whose shirt is a dress and whose trousers are tights."""
    table = np.arange(len(PARSE_INDEX), dtype=np.uint8)
    table[PARSE_INDEX["upper"]] = PARSE_INDEX["dress"]
    table[PARSE_INDEX["lower"]] = PARSE_INDEX["legs"]
    return table[label]


def label_tiles(
    vertices: np.ndarray,
    uv: np.ndarray,
    triangles: np.ndarray,
    material: np.ndarray,
    *,
    waist_y: float,
    one_piece: bool,
) -> np.ndarray:
    """Label the atlas of a body with separate garments (outfit and shoes each have a tile).

    Args:
        vertices: (V, 3) rest positions.
        uv: (V, 2).
        triangles: (F, 3).
        material: (V,) of the materials in `body`.
        waist_y: where shirt and trousers meet, metres.
        one_piece: the outfit is a dress.

    Returns:
        (S, S) uint8 of `rig.PARSE`; 0 where the body part decides.
    """
    label = np.zeros((LABEL_SIZE, LABEL_SIZE), np.uint8)
    garment = triangles[material[triangles[:, 0]] == GARMENT]
    for t in garment:
        height = vertices[t, 1].mean()
        middle = uv[t].mean(0) * _TILES
        if int(middle[1]) * _TILES + int(middle[0]) == _SHOE_TILE:
            kind = "shoes"
        elif one_piece:
            kind = "dress"
        else:
            kind = "upper" if height > waist_y else "lower"
        points = np.round(uv[t] * LABEL_SIZE - 0.5).astype(np.int32)
        cv2.fillConvexPoly(label, points, PARSE_INDEX[kind])
    return label


def _islands(num_vertices: int, triangles: np.ndarray) -> np.ndarray:
    """(V,) number of the connected piece of the atlas that each vertex belongs to."""
    label = np.arange(num_vertices)
    while True:
        least = label[triangles].min(1)
        new = label.copy()
        for k in range(3):
            np.minimum.at(new, triangles[:, k], least)
        new = new[new]
        if np.array_equal(new, label):
            return label
        label = new


def _region(parts: np.ndarray) -> int:
    """What kind of island has these counts of `rig.PARTS`."""
    if parts[PART["left_upper_leg"]]:
        return TRUNK
    if parts[PART["left_upper_arm"]] or parts[PART["right_upper_arm"]]:
        return ARM
    if parts[PART["left_hand"]] or parts[PART["right_hand"]]:
        return HAND
    foot = parts[PART["left_foot"]] + parts[PART["right_foot"]]
    shin = parts[PART["left_lower_leg"]] + parts[PART["right_lower_leg"]]
    if foot or shin:
        return FOOT if foot > shin else ANKLE
    return EYE if parts.sum() == 201 else HEAD


def _skin_colour(lab: np.ndarray, atlas: AtlasMap) -> np.ndarray:
    """Median colour of the hands' backs and the middle of the face."""
    hand = (atlas.region == HAND) & (np.abs(atlas.place[..., 0]) > 0.70)
    return np.asarray(np.median(lab[hand], 0))


def _cloth_end(cloth: np.ndarray, along: np.ndarray, *, start: float, stop: float) -> float:
    """Follow a limb from `start` down to `stop`: where most texels stop being cloth."""
    step = 0.02
    at = start
    misses = 0
    while at > stop:
        ring = (along > at - step) & (along <= at)
        if ring.sum() >= 5 and cloth[ring].mean() < 0.4:
            misses += 1
            if misses == 3:
                return at + 2 * step
        else:
            misses = 0
        at -= step
    return -1.0 if stop > 0 else stop


def _waist(
    lab: np.ndarray, y: np.ndarray, trunk: np.ndarray, lowest: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Height where the colour changes most, and the colours above and below."""
    lab, y, trunk = lab[::2, ::2], y[::2, ::2], trunk[::2, ::2]
    lab, y = lab[trunk], y[trunk]
    best, found = 0.0, _DEFAULT_WAIST_M
    for height in np.arange(max(0.86, lowest), 1.14, 0.01):
        up = (y > height + 0.01) & (y < height + 0.13)
        down = (y < height - 0.01) & (y > height - 0.13)
        if up.sum() < 10 or down.sum() < 10:
            continue
        change = float(np.linalg.norm(np.median(lab[up], 0) - np.median(lab[down], 0)))
        change -= 4.0 * abs(height - _DEFAULT_WAIST_M) / 0.1
        if change > best:
            best, found = change, float(height)
    up = (y > found + 0.03) & (y < found + 0.25)
    down = (y < found - 0.03) & (y > found - 0.25)
    return found, np.median(lab[up], 0), np.median(lab[down], 0)
