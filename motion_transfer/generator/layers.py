"""The photographed person cut into layers, as a paper puppet is.

Each limb segment, the torso, the head and, where the outline shows one, a skirt or coat become a
layer of their own: full-resolution pixels with soft edges, caps that overlap at the joints, and
filled-in colour where another layer hides it in the photo. What is filled in is marked as not
visible. Whose pixel is whose is found in `labels.py`, a skirt's outline in `skirts.py`, hands that
are in a pocket in `hands.py`.

Coordinates are pixels of the photo, (x, y), an integer is a pixel centre.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

from motion_transfer.generator.exemplar import continue_texture, grain
from motion_transfer.generator.hands import find_pocketed, lend_hand
from motion_transfer.generator.labels import label_pixels
from motion_transfer.generator.limbs import (
    LIMBS,
    NAMES,
    extend_joints,
    half_widths,
    mirrored,
    segment_distance,
)
from motion_transfer.generator.seams import finger_rims, mixed_rim, same_cloth
from motion_transfer.generator.shading import find_shade
from motion_transfer.generator.skirts import find_skirt
from motion_transfer.generator.working import (
    ENOUGH,
    WORKING_HEIGHT,
    Layer,
    Skirt,
    Working,
    fill,
    torso_polygon,
)
from motion_transfer.pose.retarget import HEAD, MIDHIP, NECK
from motion_transfer.pose.skeleton import INDEX

HIDES: dict[str, tuple[str, ...]] = {
    "upper_arm": ("torso", "skirt", "thigh", "shin"),  # hair falls over it
    "lower_arm": ("torso", "skirt", "head", "thigh", "shin"), "head": ("torso", "upper_arm"),
    "skirt": ("thigh", "shin"), "torso": (), "thigh": (), "shin": (),
}  # fmt: skip

WIDER, TAPER = 0.1, 0.3
"""By so much what is hidden of a thigh, which tapers, is wider than what is shown, and so far along
the thigh from there."""
SEAT_M = (0.09, 0.15)
"""Half the width between the hips of what the trunk keeps of the legs, and how far down."""
SHADOW_PX = 8  # as far as an arm or hand darkens a leg, working pixels
ACROSS = 8  # times nearer is what lies beside a hidden pixel than what lies along the bone
HIPS_M = 0.1  # as far below the waist does a shirt or coat end, and shorts begin
CORDS = 0.2  # share of a trunk; more is no cord, chain or button, but a pattern
MOST_PX, UNLIKE = 12, 40  # what hidden pixels are not filled from differs by more, 1/255
WIDER_JOINT, WIDE_SLEEVE = 1.15, 4.0  # than the limb beside it; than a usual limb
EVENED = 60  # rounds of diffusion, so many times fewer where what lies beside counts more
EVEN_PX = 3.0  # standard deviation, working pixels
SLEEVED = 0.15
"""Share of the trunk about an upper arm's end that looks like that, if they are of one cloth."""
SECTIONS = (0.2, 0.3, 0.4)  # shares of an arm from its elbow, where its sleeve is measured
NEAR_CAP = 1.5  # half widths from the elbow; so near a sleeve has no notches
CUT_PX, SHARP_PX = 1.5, 3.0
"""Standard deviation that smooths a cut, working pixels, and how wide its edge is, photo pixels."""


def cut_layers(
    rgb: np.ndarray,
    alpha: np.ndarray,
    joints_xy: np.ndarray,
    shown: np.ndarray,
    px_per_metre: float,
) -> tuple[dict[str, Layer], Skirt | None]:
    """Cut the person into layers.

    Args:
        rgb: (H, W, 3) uint8, with the person's own colour at soft edges.
        alpha: (H, W) float32 matte in [0, 1].
        joints_xy: (33, 2) key points in pixels.
        shown: (33,) bool, joints that the photo shows.
        px_per_metre: size of the person in the photo.

    Returns:
        The layers that have any pixels, and the skirt's outline if there is a skirt.
    """
    joints = extend_joints(np.nan_to_num(joints_xy).astype(np.float64))
    box = _person_box(alpha, margin=4)
    scale = min(1.0, WORKING_HEIGHT / (box[3] - box[1]))
    work = Working.make(rgb, alpha, joints, px_per_metre, box, scale)
    work = dataclasses.replace(work, pocketed=find_pocketed(work))
    skirt_mask, hem = find_skirt(work)
    labels = label_pixels(work, shown, skirt_mask)
    rims = finger_rims(work, labels)
    layers = {}
    for number, name in enumerate(NAMES):
        if (labels == number).sum() < 12:
            continue
        layer = _make_layer(name, number, work, labels, rims, rgb, alpha)
        if layer is not None:
            layers[name] = layer
    for name in work.pocketed:
        other = mirrored(name)
        if name in layers and other in layers:
            layers[name] = lend_hand(layers[name], layers[other], work)
    skirt = None
    if hem is not None and "skirt" in layers:
        corners = hem / scale + np.array(box[:2])
        skirt = Skirt(hem_left_xy=corners[0], hem_right_xy=corners[1])
    return layers, skirt


def _person_box(alpha: np.ndarray, margin: int) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((alpha > 0.05).any(1)), np.flatnonzero((alpha > 0.05).any(0))
    height, width = alpha.shape
    if len(rows) == 0:
        return 0, 0, width, height
    return (
        max(0, int(columns[0]) - margin),
        max(0, int(rows[0]) - margin),
        min(width, int(columns[-1]) + 1 + margin),
        min(height, int(rows[-1]) + 1 + margin),
    )


def _hides(near: str, far: str) -> bool:
    """Whether one layer may hide another in the photo. Neighbours at a joint meet instead."""
    hidden = next(kinds for word, kinds in HIDES.items() if word in near)
    return any(kind in far for kind in hidden)


def _meets(one: str, other: str) -> bool:
    """Whether two layers are segments of one limb, or head (with long hair) and torso."""
    if {one, other} == {"head", "torso"}:
        return True
    segments = ({"thigh", "shin"}, {"upper_arm", "lower_arm"})
    (side, _, kind), (other_side, _, other_kind) = one.partition("_"), other.partition("_")
    return side == other_side and {kind, other_kind} in segments


class _Cover(NamedTuple):
    """What a layer covers, (h, w) each, and of what its colours are taken.

    share: in [0, 1], 0.5 along the edges.
    caps: in [0, 1], what is covered at the joints, too, where nothing nearer is in the way.
    free: of that the share, 0.5 along the edges.
    source: its colours are the photo's.
    lit: of those, the ones that what is hidden may look like.
    sure: of the source, what no arm or hand darkens.
    lent: hidden by a sleeve of the same cloth, whose colours it has.
    """

    share: np.ndarray
    caps: np.ndarray
    free: np.ndarray
    source: np.ndarray
    lit: np.ndarray
    sure: np.ndarray
    lent: np.ndarray


def _cover(
    name: str, number: int, work: Working, labels: np.ndarray, rims: np.ndarray
) -> _Cover | None:
    own = labels == number
    nearer = np.isin(labels, [i for i, n in enumerate(NAMES) if _hides(n, name)])
    if name.endswith("thigh"):  # fingers that no colour tells from a bare thigh
        fingers = _hand_zone(work, labels) & own
        own, nearer = own & ~fingers, nearer | fingers
    # hidden by a nearer layer, but surely there
    hull = _hull(_solid(own)) if name not in LIMBS else work.distance[name] < 0.95
    if name == "torso":  # an arm that hangs beside the body does not hide it
        hull &= fill(own.shape, torso_polygon(work, 1.15, 0.0, 0.08))
        hull &= _within_sides(work, labels)
        hair = labels == NAMES.index("head")  # over a shoulder
        for side in ("left", "right"):
            hull &= ~(hair & (work.distance[f"{side}_upper_arm"] < 0.9))
    if name.endswith(("thigh", "upper_arm")):
        hull &= _within_outline(work, own, nearer, LIMBS[name].main)
    hidden = nearer & hull
    if name in LIMBS and not own.any():
        return None
    if name == "torso" or name.endswith("thigh"):
        own, hidden = _even(own, hidden, nearer)
    caps, free = _caps(name, work, labels), hull | ~nearer
    if "arm" in name:
        about = cv2.dilate((caps > 0).astype(np.uint8), np.ones((9, 9))) > 0
        trunk = about & (labels == NAMES.index("torso"))
        if same_cloth(work, own & about, trunk).sum() < SLEEVED * trunk.sum():
            free &= ~trunk  # a bare arm takes nothing of the shirt along
    # segments of a limb overlap a little, so that no line of background shows between them
    meeting = np.isin(labels, [i for i, n in enumerate(NAMES) if _meets(n, name)])
    overlap = cv2.dilate(own.astype(np.uint8), np.ones((9, 9))).astype(bool) & meeting
    if name in LIMBS:  # of a bent joint no corner, which stands out when it is straight
        near = (0.65, 0.75, 0.85) if LIMBS[name].before is None else (0.15, 0.25, 0.35)
        ends = (work.joints[j] for j in LIMBS[name].main)
        width = WIDER_JOINT * _half_width(name, work, labels, near, most=WIDE_SLEEVE)
        overlap &= segment_distance(work.grid, *ends) < width
        if "arm" in name:
            overlap |= _wide_cap(name, work, labels) & meeting
    share, free_share = (_even_share(m, labels >= 0) for m in (own | hidden | overlap, free))
    # what the layer beneath shows through a cap is the same picture, so caps copy it as it is
    source = own | overlap | ((caps > 0.02) & (labels >= 0) & ~nearer)
    # an edge against a nearer layer is mixed colour, and labels are not exact there
    edge = (nearer & ((caps < 0.9) | ~free)).astype(np.uint8)
    source &= cv2.dilate(edge, np.ones((7, 7))) == 0
    if "arm" in name:
        behind = np.isin(labels, [i for i, n in enumerate(NAMES) if _hides(name, n)])
        source &= ~mixed_rim(work, name, own, behind)
    if name in ("torso", "skirt"):
        source &= ~rims
    lit = source
    if name in LIMBS:  # what is hidden looks like the limb, and not like what is about its ends
        lit = source & own & (cv2.dilate(edge, np.ones((2 * SHADOW_PX + 1,) * 2)) == 0)
        lit = lit if lit.sum() >= ENOUGH else source
    lent = np.zeros_like(own)
    if name in ("torso", "skirt"):
        arms = np.isin(labels, [i for i, n in enumerate(NAMES) if "arm" in n])
        lent = same_cloth(work, source & own, hidden & arms)
    return _Cover(share, caps, free_share, source, lit | lent, source & (lit | ~own), lent)


def _make_layer(
    name: str,
    number: int,
    work: Working,
    labels: np.ndarray,
    rims: np.ndarray,
    rgb: np.ndarray,
    alpha: np.ndarray,
) -> Layer | None:
    cover = _cover(name, number, work, labels, rims)
    if cover is None:
        return None
    share, caps, free, source, lit, sure, lent = cover
    weight = np.maximum(share, caps * free)
    covered = (weight > 0.5) & (work.matte > 0.5)
    rows, columns = np.flatnonzero((weight > 0.01).any(1)), np.flatnonzero((weight > 0.01).any(0))
    wx0, wy0 = max(0, columns[0] - 1), max(0, rows[0] - 1)
    wx1, wy1 = min(labels.shape[1], columns[-1] + 2), min(labels.shape[0], rows[-1] + 2)
    colour, pieces = work.rgb.copy(), np.zeros((*labels.shape, 2), np.int32)
    inside = (slice(wy0, wy1), slice(wx0, wx1))
    filled, pieces[inside] = _hidden_colours(name, work, inside, lit[inside], covered[inside])
    colour[inside] = np.where((sure | lent)[inside][..., None], work.rgb[inside], filled)
    x0, y0, x1, y1 = work.box
    full = (x1 - x0, y1 - y0)
    fx, fy = full[0] / labels.shape[1], full[1] / labels.shape[0]
    bx0, by0 = int(wx0 * fx), int(wy0 * fy)
    bx1, by1 = min(full[0], int(np.ceil(wx1 * fx))), min(full[1], int(np.ceil(wy1 * fy)))

    def enlarge(image: np.ndarray, how: int = cv2.INTER_LINEAR) -> np.ndarray:
        return cv2.resize(image, full, interpolation=how)[by0:by1, bx0:bx1]

    def cut(share: np.ndarray) -> np.ndarray:  # found at working resolution, sharp at the photo's
        steep = CUT_PX * np.sqrt(2 * np.pi) * max(fx, fy) / SHARP_PX
        return np.clip(0.5 + steep * (enlarge(share, cv2.INTER_CUBIC) - 0.5), 0, 1)

    outline = cv2.GaussianBlur((labels >= 0).astype(np.float32), (0, 0), 0.8)
    mask = np.maximum(cut(share), enlarge(caps) * cut(free)) * enlarge(outline)
    shown = enlarge(cv2.GaussianBlur(source.astype(np.float32), (0, 0), 0.8))
    taken = enlarge(cv2.GaussianBlur((source | lent).astype(np.float32), (0, 0), 0.8))
    keep = np.clip(2 * taken - 0.5, 0, 1)[..., None]
    shadow = cv2.GaussianBlur((source & ~sure).astype(np.float32), (0, 0), SHADOW_PX / 3)
    keep *= 1 - enlarge(shadow)[..., None]
    window = (slice(y0 + by0, y0 + by1), slice(x0 + bx0, x0 + bx1))
    fine = grain(rgb[y0:y1, x0:x1], work.rgb, pieces)[by0:by1, bx0:bx1]
    mixed = keep * rgb[window] + (1 - keep) * (enlarge(colour) + fine).clip(0, 255)
    rgba = np.concatenate([mixed / 255.0, (mask * alpha[window])[..., None]], -1)
    return Layer(
        name=name,
        box_xyxy=(x0 + bx0, y0 + by0, x0 + bx1, y0 + by1),
        rgba=rgba.astype(np.float32),
        visible=np.clip(shown, 0, 1).astype(np.float32),
    )


def _hidden_colours(
    name: str,
    work: Working,
    inside: tuple[slice, slice],
    known: np.ndarray,
    covered: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) of a window, 0 to 255: what is hidden looks like what is known.

    And (h, w, 2), where what is finer than a working pixel is taken from; see `continue_texture`.

    Hems run across, from the hips down; openings and folds do not. Limbs are shaded.
    """
    start, end = (work.joints[j] for j in (LIMBS[name].main if name in LIMBS else (NECK, MIDHIP)))
    rgb, along = work.rgb[inside], end - start
    if name in LIMBS:
        offset = work.grid[inside] - start
        shade, usual = find_shade(rgb, known=known, covered=covered, offset=offset, along=along)
        plain = (rgb / shade).round().clip(0, 255).astype(np.uint8)
        filled = _fill(plain, known, along, ACROSS)
        unlike = np.abs(filled - usual).max(-1, keepdims=True) / UNLIKE - 1
        grey = shade.mean(-1, keepdims=True)  # a tint of bare skin's shade is not that of cloth
        tint = shade + unlike.clip(0, 1) * (grey - shade)
        lit = (filled * tint).round().clip(0, 255)
        return lit, np.zeros((*known.shape, 2), np.int32)
    if name != "torso":
        return continue_texture(rgb, known, covered, _fill(rgb, known, along, 1), along)
    below = (work.grid[inside] - end) @ (along / max(float(np.linalg.norm(along)), 1e-6))
    hems = np.clip(0.5 + below / (HIPS_M * work.metre), 0, 1)[..., None]
    usual = known & ~_thin(rgb, known, axis=1 if abs(along[1]) >= abs(along[0]) else 0)
    guess = (1 - hems) * _fill(rgb, usual, along, 1) + hems * _fill(rgb, known, along, ACROSS)
    cords = (known & ~usual).sum() < CORDS * known.sum()
    own = np.where(hems[..., 0] < 0.5, usual, known) if cords else known
    return continue_texture(rgb, own, covered, guess, along)


def _fill(rgb: np.ndarray, known: np.ndarray, along: np.ndarray, across: int) -> np.ndarray:
    """(h, w, 3) uint8, filled from what is known, rather from beside a pixel than along the bone.

    A pair of shorts that a hand hides ends where it does beside the hand.
    """
    height, width = known.shape
    upright = abs(along[1]) >= abs(along[0])
    narrow = (max(width // across, 1), height) if upright else (width, max(height // across, 1))
    share = cv2.resize(known.astype(np.float32), narrow, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(rgb * known[..., None].astype(np.float32), narrow,
                      interpolation=cv2.INTER_AREA)  # fmt: skip
    mean = (mean / np.maximum(share, 1e-3)[..., None]).round().clip(0, 255).astype(np.uint8)
    if share.max() == 0:
        return rgb
    unknown = share < min(0.5, float(share.max()))
    # with room about it: OpenCV leaves the outermost pixels as they are
    holes = np.pad(unknown.astype(np.uint8), 2, mode="edge")
    padded = np.pad(mean, ((2, 2), (2, 2), (0, 0)), mode="edge")
    filled = cv2.inpaint(padded, holes, 3, cv2.INPAINT_TELEA)[2:-2, 2:-2].astype(np.float32)
    # towards harmonic interpolation: light and shade go over into another
    for _ in range(EVENED // across):
        filled[unknown] = cv2.blur(filled, (3, 3))[unknown]
    return cv2.resize(filled.round().astype(np.uint8), (width, height))


def _thin(rgb: np.ndarray, known: np.ndarray, axis: int) -> np.ndarray:
    """(h, w) bool: known pixels unlike most within `MOST_PX` along an axis: cords, rims."""
    room = [(MOST_PX, MOST_PX) if k == axis else (0, 0) for k in (0, 1, 2)]
    values = np.pad(np.where(known[..., None], rgb, np.nan), room, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(values, 2 * MOST_PX + 1, axis)
    usual = np.nanmedian(windows[known], axis=-1)
    thin = np.zeros_like(known)
    thin[known] = np.abs(rgb[known] - usual).max(-1) > UNLIKE
    return thin


def _within_sides(work: Working, labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: between a trunk's sides, as they run where no arm is before or beside them.

    What is taken for trunk beyond them hangs in rags from the armpits when the arm is raised.
    """
    inside = np.ones(labels.shape, bool)
    columns = np.arange(labels.shape[1])
    trunk = _solid(labels == NAMES.index("torso"))
    spine = work.joints[NECK] - work.joints[MIDHIP]
    if abs(spine[0]) > 0.7 * abs(spine[1]):  # lines are no sections of one who lies or bends
        return inside
    for side in ("left", "right"):
        shoulder, hip = (work.joints[INDEX[f"{side}_{j}"]] for j in ("shoulder", "hip"))
        sign = np.sign(shoulder[0] - work.joints[NECK][0]) or 1.0
        first, last = round(float(shoulder[1])), round(float(hip[1]))
        lines = np.arange(max(0, first), min(labels.shape[0], last))
        lines = lines[trunk[lines].any(1)]
        if len(lines) == 0:
            continue
        arms = np.isin(labels, [NAMES.index(f"{side}_{k}_arm") for k in ("upper", "lower")])
        reach = np.where(trunk[lines], sign * columns, -np.inf).max(1)  # outwards
        beside = [
            arms[lines, np.clip(sign * reach + sign * k, 0, labels.shape[1] - 1).astype(int)]
            for k in range(1, 6)
        ]
        free = ~np.any(beside, 0) & (lines > first + 0.2 * (last - first))  # below the armpit
        if free.sum() < 0.1 * (last - first):
            continue
        at, out = lines[free], ndimage.median_filter(reach[free], 5, mode="nearest")
        limit = np.interp(lines, at, out)
        inside[lines] &= sign * columns <= np.maximum(limit, reach)[:, None]
    return inside


def _within_outline(
    work: Working, own: np.ndarray, nearer: np.ndarray, bone: tuple[int, int]
) -> np.ndarray:
    """(h, w) bool: no farther from a bone than the limb's outline is where nothing hides it.

    A hand beside a thigh would leave its own outline there, as a bump of cloth.
    """
    start, end = (work.joints[j] for j in bone)
    length = float(np.linalg.norm(end - start))
    if length < 8:
        return np.ones(own.shape, bool)
    along = (end - start) / length
    place = np.round((work.grid - start) @ along).astype(int)
    away = (work.grid - start) @ np.array([-along[1], along[0]])
    inside = np.ones(own.shape, bool)
    beside = cv2.dilate(nearer.astype(np.uint8), np.ones((9, 9))) > 0
    sections = np.arange(round(length))
    within = own & (work.matte > 0.5) & (place >= 0) & (place < len(sections))
    for sign in (-1, 1):
        reach = np.full(len(sections), -np.inf)
        np.maximum.at(reach, place[within], sign * away[within])
        edge = within & (sign * away > reach[place.clip(0, len(sections) - 1)] - 1)
        hidden = np.zeros(len(sections), bool)
        hidden[place[edge & beside]] = True
        free = np.isfinite(reach) & ~hidden
        if free.sum() < 0.1 * length:
            continue
        out = ndimage.median_filter(reach[free], 5, mode="nearest")
        limit = np.interp(place, sections[free], out)
        gap = np.abs(sections[:, None] - sections[free]).min(1)[place.clip(0, len(sections) - 1)]
        wider = WIDER * np.clip(gap / (TAPER * length), 0, 1)
        inside &= sign * away <= limit + wider * np.abs(limit)
    return inside


def _even_share(covered: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(h, w) float32: share of what is covered of the person about a pixel; no edge at the outline.

    A cut runs from pixel to pixel as labels do; where the share is one half runs a smooth line.
    """
    about = cv2.GaussianBlur(person.astype(np.float32), (0, 0), CUT_PX)
    share = cv2.GaussianBlur((covered & person).astype(np.float32), (0, 0), CUT_PX)
    return share / np.maximum(about, 1e-3)


def _even(own: np.ndarray, hidden: np.ndarray, nearer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Own and hidden pixels (h, w) with an even edge where they end against what hides them.

    Whose pixel is whose is not known exactly there, and the edge is seen when an arm moves away.
    """
    both = own | hidden
    even = cv2.GaussianBlur(both.astype(np.float32), (0, 0), EVEN_PX) > 0.5
    near = cv2.dilate(nearer.astype(np.uint8), np.ones((5, 5))) > 0
    return own & (even | ~near), np.where(near & ~own, even & (hidden | nearer), hidden)


def _hand_zone(work: Working, labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: where fingers may be, about each hand that is a layer of its own."""
    zone = np.zeros(labels.shape, bool)
    for name, limb in LIMBS.items():
        if limb.after is None or not name.endswith("lower_arm") or name in work.pocketed:
            continue
        if (labels == NAMES.index(name)).any():
            wrist, fingers = (work.joints[j] for j in limb.after)
            radius = limb.end_radius_m * work.metre
            zone |= segment_distance(work.grid, wrist, fingers) < 1.3 * radius
    return zone


def _solid(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: without specks and lines a pixel wide."""
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))) > 0


def _hull(mask: np.ndarray) -> np.ndarray:
    points = np.argwhere(mask)[:, ::-1]
    if len(points) < 3:
        return mask
    return fill(mask.shape, cv2.convexHull(points.astype(np.int32))[:, 0])


def _caps(name: str, work: Working, labels: np.ndarray) -> np.ndarray:
    """(h, w) soft discs at the joints, where the layer goes on under its neighbours."""
    joints, metre = work.joints, work.metre
    distance = np.full(work.matte.shape, 9.0)
    discs: list[tuple[int, str]] = []  # joint, and the limb that sets the width
    if name in LIMBS:
        limb, side = LIMBS[name], name.split("_")[0]
        discs.append((limb.main[0], name))
        if limb.before is None:
            lower = f"{side}_shin" if "thigh" in name else f"{side}_lower_arm"
            discs.append((limb.main[1], lower))
    elif name == "torso":
        for side in ("left", "right"):
            discs.append((INDEX[f"{side}_shoulder"], f"{side}_upper_arm"))
            discs.append((INDEX[f"{side}_hip"], f"{side}_thigh"))
        hips = segment_distance(
            work.grid, joints[INDEX["left_hip"]], joints[INDEX["right_hip"]]
        ) / (0.11 * metre)  # down to the crotch, or legs apart show the background there
        neck = np.linalg.norm(work.grid - joints[NECK], axis=-1) / (0.08 * metre)
        # a wedge down to where the legs part, or they leave a hole when they do so wider
        thighs = (joints[INDEX["left_knee"]] + joints[INDEX["right_knee"]]) / 2 - joints[MIDHIP]
        down = thighs / max(float(np.linalg.norm(thighs)), 1e-6)
        depth = (work.grid - joints[MIDHIP]) @ down / (SEAT_M[1] * metre)
        across = np.abs((work.grid - joints[MIDHIP]) @ np.array([-down[1], down[0]]))
        half = SEAT_M[0] * metre * np.clip(1 - depth, 0, 1) + 1e-6
        seat = np.where((depth > 0) & (depth < 1), across / half, 9.0)
        distance = np.minimum(np.minimum(hips, neck), seat)
    elif name == "head":
        top = 0.6 * joints[HEAD] + 0.4 * joints[NECK]
        distance = segment_distance(work.grid, joints[NECK], top) / (0.07 * metre)
    for joint, limb_name in discs:
        radius = _half_width(limb_name, work, labels)
        distance = np.minimum(distance, np.linalg.norm(work.grid - joints[joint], axis=-1) / radius)
    # full across the joint, or the outline has notches there
    edge, soft = (1.1, 0.2) if name in LIMBS else (1.35, 0.35)
    return np.clip((edge - distance) / soft, 0, 1).astype(np.float32)


def _wide_cap(name: str, work: Working, labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: the round end at its elbow of an arm that is as wide as its sleeve.

    And no notches between that and the arm's own pixels. Sleeves hang: they are wider below the
    bone than above it.
    """
    own = (labels == NAMES.index(name)) & (work.matte > 0.5)
    start, end = (work.joints[j] for j in LIMBS[name].main)
    length = float(np.linalg.norm(end - start))
    if length < 8:
        return np.zeros(own.shape, bool)
    along = (end - start) / length
    across = np.array([-along[1], along[0]])
    lower = LIMBS[name].before is not None
    steps = np.arange(WIDE_SLEEVE * LIMBS[name].radius_m * work.metre)
    reach = []
    for t in SECTIONS:
        middle = start + (t if lower else 1 - t) * (end - start)
        lines = middle + np.array([-1, 1])[:, None, None] * steps[:, None] * across
        x, y = np.round(lines).astype(int).transpose(2, 0, 1)
        inside = (x >= 0) & (y >= 0) & (x < own.shape[1]) & (y < own.shape[0])
        shown = inside & own[y * inside, x * inside]
        reach.append(np.where(shown.all(1), len(steps), shown.argmin(1)))
    left, right = np.median(reach, 0)
    half = (left + right) / 2
    beside = (work.grid - start) @ across - (right - left) / 2
    past = (start - work.grid) @ along if lower else (work.grid - end) @ along
    away = np.hypot(beside, past)
    near = own & (away < NEAR_CAP * half)
    return _hull(near | (away < half)) & (np.abs(beside) < WIDER_JOINT * half)


def _half_width(
    name: str,
    work: Working,
    labels: np.ndarray,
    places: tuple[float, ...] = (0.2, 0.3, 0.4),
    most: float = 1.3,
) -> float:
    """Half the width of a limb at shares of its length, measured in the picture, working pixels.

    No more than so many times the usual.
    """
    usual = LIMBS[name].radius_m * work.metre
    own = (labels == NAMES.index(name)) & (work.matte > 0.5)
    start, end = (work.joints[j] for j in LIMBS[name].main)
    samples = half_widths(own, start, end, places)
    return float(np.clip(np.median(samples), 0.5 * usual, most * usual)) if samples else usual
