"""The photographed person cut into layers, as a paper puppet is.

Each limb segment, the torso, the head and, where the outline shows one, a skirt or coat become a
layer of their own: full-resolution pixels with soft edges, caps that overlap at the joints, and
filled-in colour where another layer hides it in the photo. Arms are cut from the body beside and
behind them by closed-form matting, along colour where there is a difference; any other pixel
belongs to the part that is nearest by geodesic distance through the picture, so hair goes with the
head. What is filled in is marked as not visible.

Coordinates are pixels of the photo, (x, y), an integer is a pixel centre.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from pymatting import estimate_alpha_cf, ichol
from scipy import ndimage
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree
from skimage.graph import MCP_Geometric

from motion_transfer.pose.retarget import HEAD, MIDHIP, NECK
from motion_transfer.pose.skeleton import INDEX

HAND_LEFT, HAND_RIGHT = 36, 37
WORKING_HEIGHT = 360
# Radii of the parts in metres: typical adults in everyday clothes.
RADIUS = {"upper_arm": 0.065, "lower_arm": 0.05, "hand": 0.045,
          "thigh": 0.09, "shin": 0.065, "foot": 0.05}  # fmt: skip
SEEN_CONFIDENCE = 0.3
HEM_STEP, HEM_REACH_M, HEM_SLACK_M = 0.17, 0.025, 0.08
"""By how much of its width the outline steps inwards at a hem, over how high a strip that is
measured, and how far cloth may hang below the hem."""
HEM_GAP_M, HEM_APART_M, HEM_LEVEL_M = 0.02, 0.2, 0.1
"""How wide a gap between the legs must be to count; how far apart the bones of legs are that would
show one in trousers; and by how much one knee may be higher than the other."""
HIDES: dict[str, tuple[str, ...]] = {
    "arm": ("torso", "skirt", "head", "thigh", "shin"), "head": ("torso", "upper_arm"),
    "skirt": ("thigh", "shin"), "torso": (), "thigh": (), "shin": (),
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limb:
    """A chain of bones that one layer shows; the first may belong to the layer above it."""

    main: tuple[int, int]
    before: tuple[int, int] | None
    after: tuple[int, int] | None
    radius_m: float
    end_radius_m: float


def _limbs() -> dict[str, Limb]:
    limbs = {}
    for side, hand in (("left", HAND_LEFT), ("right", HAND_RIGHT)):
        j = {n.removeprefix(f"{side}_"): i for n, i in INDEX.items() if n.startswith(f"{side}_")}
        upper, lower = (j["shoulder"], j["elbow"]), (j["elbow"], j["wrist"])
        thigh, shin = (j["hip"], j["knee"]), (j["knee"], j["ankle"])
        limbs[f"{side}_shin"] = Limb(
            main=shin,
            before=thigh,
            after=(j["ankle"], j["foot_index"]),
            radius_m=RADIUS["shin"],
            end_radius_m=RADIUS["foot"],
        )
        limbs[f"{side}_thigh"] = Limb(
            main=thigh,
            before=None,
            after=shin,
            radius_m=RADIUS["thigh"],
            end_radius_m=RADIUS["shin"],
        )
        limbs[f"{side}_upper_arm"] = Limb(
            main=upper,
            before=None,
            after=lower,
            radius_m=RADIUS["upper_arm"],
            end_radius_m=RADIUS["lower_arm"],
        )
        limbs[f"{side}_lower_arm"] = Limb(
            main=lower,
            before=upper,
            after=(j["wrist"], hand),
            radius_m=RADIUS["lower_arm"],
            end_radius_m=RADIUS["hand"],
        )
    return limbs


LIMBS = _limbs()
# From far to near in an ordinary photo; ties in the target are broken the same way.
NAMES = (
    "left_thigh", "right_thigh", "left_shin", "right_shin", "torso", "skirt", "head",
    "left_upper_arm", "right_upper_arm", "left_lower_arm", "right_lower_arm",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """One piece of the person.

    Args:
        name: one of `NAMES`.
        box_xyxy: where it lies in the photo, pixels, right and bottom exclusive.
        rgba: (h, w, 4) float32 in [0, 1], straight colour, extended beyond the outline.
        visible: (h, w) float32, 0 where the photo does not show it.
    """

    name: str
    box_xyxy: tuple[int, int, int, int]
    rgba: np.ndarray
    visible: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Skirt:
    """Outline of a skirt, dress or coat below the hips, photo pixels.

    Args:
        hem_left_xy: lower corner at the left of the picture.
        hem_right_xy: lower corner at the right of the picture.
    """

    hem_left_xy: np.ndarray
    hem_right_xy: np.ndarray


def extend_joints(xy: np.ndarray) -> np.ndarray:
    """(..., 33, C) -> (..., 38, C): with the middles of hips, shoulders, ears and both hands."""

    def middle(a: str, b: str) -> np.ndarray:
        return (xy[..., INDEX[a], :] + xy[..., INDEX[b], :]) / 2

    def fingertips(side: str) -> np.ndarray:  # the key points are the knuckles
        wrist = xy[..., INDEX[f"{side}_wrist"], :]
        return wrist + 1.7 * (middle(f"{side}_index", f"{side}_pinky") - wrist)

    extra = [
        middle("left_hip", "right_hip"),
        middle("left_shoulder", "right_shoulder"),
        middle("left_ear", "right_ear"),
        fingertips("left"),
        fingertips("right"),
    ]
    return np.concatenate([xy, np.stack(extra, -2)], -2)


_ENOUGH = 12  # pixels that a colour can be told from


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
    work = _Working.make(rgb, alpha, joints, px_per_metre, box, scale)
    work = dataclasses.replace(work, pocketed=find_pocketed(work))
    skirt_mask, hem = _find_skirt(work)
    labels = _label(work, shown, skirt_mask)
    layers = {}
    for number, name in enumerate(NAMES):
        if (labels == number).sum() < 12:
            continue
        layer = _make_layer(name, number, work, labels, rgb, alpha)
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Working:
    """The person at working resolution; everything in working pixels."""

    rgb: np.ndarray
    matte: np.ndarray
    joints: np.ndarray
    metre: float
    box: tuple[int, int, int, int]
    scale: float
    grid: np.ndarray
    distance: dict[str, np.ndarray]
    pocketed: tuple[str, ...] = ()  # lower arms whose hands the photo does not show

    def hand_distance(self, names: list[str]) -> np.ndarray:
        """(h, w) distance to the hands of some limbs in units of their radius; far without any."""
        distance = np.full(self.matte.shape, 99.0)
        for limb in (LIMBS[name] for name in names if name not in self.pocketed):
            if limb.after is not None:
                wrist, fingers = (self.joints[j] for j in limb.after)
                away = segment_distance(self.grid, wrist, fingers)
                distance = np.minimum(distance, away / (limb.end_radius_m * self.metre))
        return distance

    @classmethod
    def make(
        cls,
        rgb: np.ndarray,
        alpha: np.ndarray,
        joints: np.ndarray,
        px_per_metre: float,
        box: tuple[int, int, int, int],
        scale: float,
    ) -> _Working:
        x0, y0, x1, y1 = box
        size = (max(8, round((x1 - x0) * scale)), max(8, round((y1 - y0) * scale)))
        small = cv2.resize(rgb[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
        matte = cv2.resize(alpha[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
        points = (joints - np.array([x0, y0]) + 0.5) * scale - 0.5
        grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1).astype(np.float64)
        metre = px_per_metre * scale
        return cls(
            rgb=small,
            matte=matte,
            joints=points,
            metre=metre,
            box=box,
            scale=scale,
            grid=grid,
            distance={n: _limb_distance(grid, points, limb, metre) for n, limb in LIMBS.items()},
        )


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


def segment_distance(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of points (..., 2) to the segment from a (2,) to b (2,)."""
    along = b - a
    t = ((points - a) @ along) / max(float(along @ along), 1e-6)
    return np.linalg.norm(points - a - np.clip(t, 0, 1)[..., None] * along, axis=-1)


def _limb_distance(grid: np.ndarray, joints: np.ndarray, limb: Limb, metre: float) -> np.ndarray:
    """Distance to the layer's own bones in units of their radius: 1 is the usual outline."""
    main = segment_distance(grid, joints[limb.main[0]], joints[limb.main[1]])
    distance = main / (limb.radius_m * metre)
    if limb.before is not None and limb.after is not None:  # hands and feet hang on the last
        end = segment_distance(grid, joints[limb.after[0]], joints[limb.after[1]])
        distance = np.minimum(distance, end / (limb.end_radius_m * metre))
    return distance


def _torso_polygon(work: _Working, widen: float, up_m: float, down_m: float) -> np.ndarray:
    """(4, 2) shoulders and hips, image-left first, widened by a factor."""
    shoulders = work.joints[[INDEX["left_shoulder"], INDEX["right_shoulder"]]]
    hips = work.joints[[INDEX["left_hip"], INDEX["right_hip"]]]
    shoulders, hips = (p[np.argsort(p[:, 0])] for p in (shoulders, hips))
    axis = shoulders.mean(0) - hips.mean(0)
    axis = axis / max(float(np.linalg.norm(axis)), 1e-6)
    least = 0.11 * work.metre  # a torso seen from the side still has depth
    sideways = np.array([-axis[1], axis[0]]) * (1 if axis[1] < 0 else -1)
    corners = []
    for pair, lift in ((shoulders, up_m), (hips, -down_m)):
        half = (pair[1] - pair[0]) / 2 * widen
        if np.linalg.norm(half) < least:
            half = sideways * least
        centre = pair.mean(0) + axis * lift * work.metre
        corners += [centre - half, centre + half]
    return np.array([corners[0], corners[1], corners[3], corners[2]])


def _fill(shape: tuple[int, ...], polygon: np.ndarray) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
    return mask.astype(bool)


def _find_skirt(work: _Working) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Find cloth below the hips that no leg explains: a skirt, a dress, an open coat.

    Returns:
        The mask (h, w) and the two lower corners (2, 2), or None twice.
    """
    joints, metre = work.joints, work.metre
    legs = np.minimum.reduce([work.distance[n] for n in LIMBS if "thigh" in n or "shin" in n])
    arms = np.minimum.reduce([work.distance[n] for n in LIMBS if "arm" in n])
    body = (work.matte > 0.5) & (arms > 1.35)
    loose = body & (legs > 1.25)
    hip_y = float(joints[MIDHIP, 1])
    knees = joints[[INDEX["left_knee"], INDEX["right_knee"]], 1]
    ankles = joints[[INDEX["left_ankle"], INDEX["right_ankle"]], 1]
    thigh = max(float(knees.mean()) - hip_y, 0.2 * metre)
    first = int(hip_y + 0.18 * thigh)
    last = min(int(ankles.max() - 0.06 * metre), len(body) - 1)
    amount = loose[: last + 1].sum(1)
    wide = amount > max(0.085 * metre, 0.35 * float(amount[first:].max(initial=0)))
    gap_rows = _gap_filled(work, body)
    rows = (wide | gap_rows[: last + 1])[first:]
    if len(rows) == 0:
        return None, None
    misses, hem = 0, -1
    for number, row in enumerate(rows):
        misses = 0 if row else misses + 1
        if misses > 0.05 * metre:
            break
        if row:
            hem = number
    hem_y: int | None = first + hem
    if hem < 0.3 * thigh:
        hem_y = _hem_step(work, body, range(first, int(hip_y + 1.3 * thigh)))
    if hem_y is None or hem_y < first + 0.3 * thigh:
        return None, None
    mask = body.copy()
    mask[: int(hip_y - 0.02 * metre)] = False
    mask[hem_y + 1 :] = False
    near = [n for n in LIMBS if "arm" in n]
    mask &= np.minimum.reduce([work.distance[n] for n in near]) > 1.2
    keep = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    mask = keep[1] == 1 + np.argmax(keep[2][1:, cv2.CC_STAT_AREA]) if keep[0] > 1 else mask
    band = mask[max(first, hem_y - max(3, int(0.06 * metre))) : hem_y + 1]
    columns = np.flatnonzero(band.any(0))
    if len(columns) == 0:
        return None, None
    return mask, np.array([[columns[0], hem_y], [columns[-1], hem_y]], np.float64)


def _leg_columns(work: _Working) -> np.ndarray:
    """(h, 2) x of the two legs' bones in each row, the smaller first."""
    height, width = work.matte.shape
    y = np.arange(height)
    legs = np.stack([
        np.interp(y, leg[:, 1], leg[:, 0])
        for side in ("left", "right")
        for leg in [work.joints[[INDEX[f"{side}_{n}"] for n in ("hip", "knee", "ankle")]]]
    ], 1)  # fmt: skip
    return np.sort(legs.clip(0, width - 1), 1)


def _gap_filled(work: _Working, body: np.ndarray) -> np.ndarray:
    """(h,) rows in which the legs stand apart and yet cloth is between them."""
    rows = np.zeros(len(body), bool)
    inset = 1.15 * RADIUS["thigh"] * work.metre
    for y, (low, high) in enumerate(_leg_columns(work)):
        if high - low > 2 * inset + 0.03 * work.metre:
            between = body[y, int(low + inset) : int(high - inset) + 1]
            rows[y] = len(between) > 0 and bool(between.mean() > 0.8)
    return rows


def _hem_step(work: _Working, body: np.ndarray, rows: range) -> int | None:
    """The row at which one piece of cloth ends over two legs, where the outline steps inwards.

    For skirts that hang close. Trousers narrow by degrees, and the legs of shorts have a gap
    between them; so whether it is a skirt can be told only of legs that are seen from the front or
    from behind, beside each other, and apart: below the hem, or so far that trousers would show it.
    """
    metre = work.metre
    hips, knees = (
        work.joints[INDEX[f"left_{n}"]] - work.joints[INDEX[f"right_{n}"]] for n in ("hip", "knee")
    )
    rows = range(rows.start, min(rows.stop, len(body)))
    reach = max(1, round(HEM_REACH_M * metre))
    level = hips[0] * knees[0] > 0 and abs(knees[1]) < HEM_LEVEL_M * metre
    if not level or len(rows) <= 4 * reach:
        return None
    legs = _leg_columns(work)
    gap = np.array([
        (work.matte[y, int(low) : int(high) + 1] < 0.5).sum() / metre
        for y, (low, high) in enumerate(legs)
    ])  # fmt: skip
    inside = [np.flatnonzero(body[y]) for y in rows]
    width = np.array([x[-1] - x[0] + 1 if len(x) else 0 for x in inside], np.float64)
    width = ndimage.uniform_filter1d(width, reach)
    middles = np.arange(2 * reach, len(width) - 2 * reach)
    above, below = width[middles - reach * 3 // 2], width[middles + reach * 3 // 2]
    drop = 1 - below / np.maximum(above, 1.0)
    step = rows.start + int(middles[drop.argmax()])
    whole = gap[rows.start : step - 2 * reach].max(initial=0) <= HEM_GAP_M
    apart = (
        gap[step + 2 * reach : step + 4 * reach].mean() >= HEM_GAP_M
        or legs[step, 1] - legs[step, 0] >= HEM_APART_M * metre
    )
    return step - reach // 2 if drop.max() >= HEM_STEP and whole and apart else None


def _with_hem(work: _Working, skirt: np.ndarray, legs: np.ndarray) -> np.ndarray:
    """The skirt (h, w) with the cloth that hangs below a hem that is not straight.

    Cloth is what looks like the skirt and not like the legs (h, w) further down.
    """
    slack = max(1, round(HEM_SLACK_M * work.metre))
    kernel = np.ones((slack + 1, 1), np.uint8)
    below = cv2.dilate(skirt.astype(np.uint8), kernel, anchor=(0, slack)) > 0
    legs = legs & ~skirt & ~below
    below &= (work.matte > 0.5) & ~skirt
    if not legs.any() or not below.any():
        return skirt
    lab = cv2.cvtColor(work.rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    cloth, leg = (_colour_distance(lab, below, known) for known in (skirt, legs))
    hanging = np.zeros_like(skirt)
    hanging[below] = (cloth < 10) & (leg > 2 * cloth)
    return _connected(skirt, skirt | hanging)


def _label(work: _Working, shown: np.ndarray, skirt: np.ndarray | None) -> np.ndarray:
    """(h, w) int: index into `NAMES`, -1 outside of the person."""
    person = work.matte > 0.05
    visible = {n: all(shown[j] for j in limb.main) for n, limb in LIMBS.items()}
    arms = [n for n in LIMBS if "arm" in n and visible[n]]
    arm_distance = np.minimum.reduce(
        [work.distance[n] for n in arms] or [np.full(person.shape, 9.0)]
    )
    seeds: dict[str, np.ndarray] = {}
    for name in arms:
        seeds[name] = _arm_core(work, name)
    if visible_head(shown):
        centre, radius = head_circle(work.joints, work.metre)
        seeds["head"] = np.linalg.norm(work.grid - centre, axis=-1) < 0.75 * radius
    inner = _fill(person.shape, _torso_polygon(work, 0.85, -0.04, 0.02))
    seeds["torso"] = inner & (arm_distance > 1.2)
    if skirt is not None:
        legs = [work.distance[n] < 0.45 for n in LIMBS if "arm" not in n and visible[n]]
        skirt = _with_hem(work, skirt, person & np.any([~person, *legs], 0))
        seeds["skirt"] = skirt & ~inner
    for name in LIMBS:
        if "arm" not in name and visible[name]:
            core = (work.distance[name] < 0.45) & (arm_distance > 1.4)
            core &= ~_fill(person.shape, _torso_polygon(work, 1.1, 0.0, 0.05))
            seeds[name] = core if skirt is None else core & ~skirt
    taken = np.zeros(person.shape, bool)
    cost = _geodesic_cost(work, person)
    reaches = np.full((len(NAMES), *person.shape), np.inf)
    ordered = sorted(seeds, key=lambda n: ("arm" not in n, NAMES.index(n)))
    for name in ordered:
        seeds[name] = seeds[name] & person & ~taken
        taken |= seeds[name]
        if not seeds[name].any():
            continue
        reach = MCP_Geometric(cost).find_costs(np.argwhere(seeds[name]))[0]
        if name in LIMBS:  # a limb does not own what is far from its bone
            reach = reach + np.maximum(work.distance[name] - 1.6, 0) * 0.06 * work.metre
        if name == "skirt" and skirt is not None:  # not down the calf
            reach[~cv2.dilate(skirt.astype(np.uint8), np.ones((5, 5))).astype(bool)] = 1e6
        reaches[NAMES.index(name)] = reach
    is_arm = np.array(["arm" in name for name in NAMES])[:, None, None]
    others = np.where(is_arm, np.inf, reaches)
    labels = np.where(np.isfinite(others.min(0)), others.argmin(0), reaches.argmin(0))
    nearest_arm = np.where(is_arm, reaches, np.inf).argmin(0)
    for side in ("left", "right"):
        arm = [name for name in arms if name.startswith(side) and seeds[name].any()]
        if arm:
            own = _cut_arm(work, arm, seeds) & np.isin(nearest_arm, [NAMES.index(n) for n in arm])
            labels[own] = nearest_arm[own]
    if "head" in seeds:
        labels[_hair_over_arms(work, labels)] = NAMES.index("head")
    if skirt is not None:
        labels[skirt & ~inner] = NAMES.index("skirt")
    labels[~person] = -1
    return labels


def _hair_over_arms(work: _Working, labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: locks that hang over a shoulder, from what the arms have been given.

    They look like the hair at the crown and not like the arm at the elbow, and hang together
    with the head.
    """
    lab = cv2.cvtColor(work.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    centre, radius = head_circle(work.joints, work.metre)
    head = labels == NAMES.index("head")
    crown = head & (work.grid[..., 1] < centre[1] - 0.5 * radius) & (work.matte > 0.9)
    found = np.zeros(labels.shape, bool)
    for name in LIMBS:
        if not name.endswith("upper_arm"):
            continue
        own = labels == NAMES.index(name)
        start, end = (work.joints[j] for j in LIMBS[name].main)
        lower = own & (
            segment_distance(work.grid, 0.2 * start + 0.8 * end, end) < 0.04 * work.metre
        )
        if crown.sum() < _ENOUGH or lower.sum() < _ENOUGH:
            continue
        like_hair = _colour_distance(lab, own, crown) < 12
        found[own] |= like_hair & (_colour_distance(lab, own, lower) > 25)
    kernel = np.ones((3, 3), np.uint8)
    locks = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    locks = cv2.dilate(locks.astype(np.uint8), kernel) > 0  # with their soft edges
    locks &= np.isin(labels, [NAMES.index(n) for n in LIMBS if n.endswith("upper_arm")])
    return locks & _connected(head, head | locks)


def _cut_arm(work: _Working, names: list[str], seeds: dict[str, np.ndarray]) -> np.ndarray:
    """(h, w) bool: what is arm, hand or sleeve, and not the body beside or behind it.

    Closed-form matting (Levin, Lischinski, Weiss, PAMI 2008) from what is sure: it follows colour
    where there is a difference, and runs half-way where there is none. Geodesic distances alone
    left fingers on the thigh and took strips of cloth along; GrabCut takes half a jacket.
    """
    lab = cv2.cvtColor(work.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    person = work.matte > 0.05
    distance = np.minimum.reduce([work.distance[n] for n in names])
    arm = np.logical_or.reduce([_sure_arm(work, lab, n, seeds[n]) for n in names])
    narrow = _fill(person.shape, _torso_polygon(work, 0.75, -0.04, 0.02))
    wide = _fill(person.shape, _torso_polygon(work, 1.35, -0.04, 0.05))
    body = (narrow & (distance > 1.3)) | (wide & (distance > 1.5)) | (distance > 3.2)
    others = np.logical_or.reduce([seed for name, seed in seeds.items() if name not in names])
    # cloth has a colour that the trunk has, and the arm has not; a sleeve and its hand may have two
    unknown = person & ~arm & ~body & ~others & (work.hand_distance(names) > 3.2)
    trunk = np.logical_or.reduce([s for n, s in seeds.items() if n in ("torso", "skirt")])
    if unknown.any() and trunk.any():
        body[unknown] = (_colour_distance(lab, unknown, arm) > 28) & (
            _colour_distance(lab, unknown, trunk) < 10
        )
    trimap = np.where(arm, 1.0, np.where(body | others, 0.0, 0.5))
    trimap[~person & (distance < 3.2)] = 0.5
    if not (trimap == 0).any() or not (trimap == 1).any():
        return person & (distance < 1)
    alpha = estimate_alpha_cf(work.rgb / 255.0, trimap, preconditioner=_preconditioner)
    own = (alpha > 0.5) & person
    # an arm's dark edge is no part of the body: what is left of that is more than a line
    rest = (person & ~own).astype(np.uint8)
    core = cv2.morphologyEx(rest, cv2.MORPH_OPEN, np.ones((5, 5)))
    lines = (rest > 0) & (cv2.dilate(core, np.ones((5, 5))) == 0)
    own |= lines & (distance < 2.2)
    # a cut through cloth of one colour is straight; fingers are not
    smooth = cv2.GaussianBlur(own.astype(np.float32), (0, 0), 2.0) > 0.5
    own = np.where(work.hand_distance(names) > 3.2, smooth & person, own)
    # no crumbs: whatever does not hang together with what is sure goes to the other
    own &= _connected(arm, own)
    return own | (person & ~own & ~_connected(others, person & ~own) & (distance < 5))


def _preconditioner(system: csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """Incomplete Cholesky that does not first try, and print, what fails with flat colours."""
    return ichol(system, shifts=[1e-3, 1e-2, 0.1, 0.5, 1.0])


def _connected(seeds: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: the connected parts of a mask that hold a seed."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8))
    return mask & np.isin(parts, np.unique(parts[seeds & mask]))


def _sure_arm(work: _Working, lab: np.ndarray, name: str, core: np.ndarray) -> np.ndarray:
    """(h, w) bool: the core's half on the outer side, and of the inner half what looks the same.

    Key points are not exact: about the bone of a bare arm there may be shirt.
    """
    start, end = (work.joints[j] for j in LIMBS[name].main)
    along, middle = end - start, (work.joints[NECK] + work.joints[MIDHIP]) / 2

    def side(at: np.ndarray) -> np.ndarray:
        return (at[..., 0] - start[0]) * along[1] - (at[..., 1] - start[1]) * along[0]

    outer = core & (side(work.grid) * side(middle) <= 0)
    if outer.sum() < 10:
        return core
    inner, result = core & ~outer & (work.distance[name] < 0.25), outer.copy()
    result[inner] = _colour_distance(lab, inner, outer) < 12
    return result


def _colour_distance(lab: np.ndarray, pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N,) CIELAB distance of each pixel's colour to known ones, but for a few, mixed ones."""
    colours = lab[known][:: max(1, int(known.sum()) // 300)]
    few = 1 + len(colours) // 50
    return KDTree(colours).query(lab[pixels], [few])[0][:, 0]


def _arm_core(work: _Working, name: str) -> np.ndarray:
    """(h, w) bool: surely arm. Not the shoulder, where hair may lie, and not past the knuckles."""
    limb = LIMBS[name]
    start, end = work.joints[limb.main[0]], work.joints[limb.main[1]]
    radius = limb.radius_m * work.metre
    if limb.before is None:
        return segment_distance(work.grid, 0.65 * start + 0.35 * end, end) < 0.45 * radius
    assert limb.after is not None
    if name in work.pocketed:
        return segment_distance(work.grid, start, 0.15 * start + 0.85 * end) < 0.45 * radius
    knuckles = end + 0.5 * (work.joints[limb.after[1]] - end)
    hand = segment_distance(work.grid, end, knuckles) < 0.4 * limb.end_radius_m * work.metre
    return hand | (segment_distance(work.grid, start, end) < 0.45 * radius)


def visible_head(shown: np.ndarray) -> bool:
    """Whether the photo shows the head: nose or ears."""
    return bool(shown[[INDEX["nose"], INDEX["left_ear"], INDEX["right_ear"]]].any())


def head_circle(joints: np.ndarray, metre: float) -> tuple[np.ndarray, float]:
    """Centre (2,) and radius of the skull, which the ears lie in the middle of."""
    return joints[HEAD] + 0.15 * (joints[HEAD] - joints[NECK]), 0.11 * metre


def _geodesic_cost(work: _Working, person: np.ndarray) -> np.ndarray:
    lab = cv2.cvtColor(cv2.GaussianBlur(work.rgb, (0, 0), 1.0), cv2.COLOR_RGB2LAB)
    lab = lab.astype(np.float32)
    edge = np.hypot(cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)).max(-1)
    return np.where(person, 1.0 + np.minimum(edge / 12.0, 12.0), 200.0)


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


def _make_layer(
    name: str, number: int, work: _Working, labels: np.ndarray, rgb: np.ndarray, alpha: np.ndarray
) -> Layer | None:
    own = labels == number
    nearer = np.isin(labels, [i for i, n in enumerate(NAMES) if _hides(n, name)])
    if name.endswith("thigh"):  # fingers that no colour tells from a bare thigh
        fingers = _hand_zone(work, labels) & own
        own, nearer = own & ~fingers, nearer | fingers
    # hidden by a nearer layer, but surely there
    hull = _hull(own) if name not in LIMBS else work.distance[name] < 0.95
    if name == "torso":  # an arm that hangs beside the body does not hide it
        hull &= _fill(own.shape, _torso_polygon(work, 1.15, 0.0, 0.08))
        hull &= _within_sides(work, labels)
    hidden = nearer & hull
    if name in LIMBS and not own.any():
        return None
    caps = _caps(name, work, labels) * ((labels >= 0) & (hull | ~nearer))
    # segments of a limb overlap a little, so that no line of background shows between them
    meeting = np.isin(labels, [i for i, n in enumerate(NAMES) if _meets(n, name)])
    overlap = cv2.dilate(own.astype(np.uint8), np.ones((9, 9))).astype(bool) & meeting
    covered = (own | hidden | overlap).astype(np.float32)
    weight = np.maximum(cv2.GaussianBlur(covered, (0, 0), 0.8), caps)
    # what the layer beneath shows through a cap is the same picture, so caps copy it as it is
    source = own | overlap | ((caps > 0.02) & ~hidden)
    # an edge against a nearer layer is mixed colour, and labels are not exact there
    source &= ~cv2.dilate((nearer & (caps < 0.9)).astype(np.uint8), np.ones((7, 7))).astype(bool)
    rows, columns = np.flatnonzero((weight > 0.01).any(1)), np.flatnonzero((weight > 0.01).any(0))
    wx0, wy0 = max(0, columns[0] - 1), max(0, rows[0] - 1)
    wx1, wy1 = min(own.shape[1], columns[-1] + 2), min(own.shape[0], rows[-1] + 2)
    colour = work.rgb.copy()
    inside = (slice(wy0, wy1), slice(wx0, wx1))
    unknown = (~source[inside]).astype(np.uint8)
    colour[inside] = cv2.inpaint(work.rgb[inside].copy(), unknown, 3, cv2.INPAINT_TELEA)
    x0, y0, x1, y1 = work.box
    full = (x1 - x0, y1 - y0)
    fx, fy = full[0] / own.shape[1], full[1] / own.shape[0]
    bx0, by0 = int(wx0 * fx), int(wy0 * fy)
    bx1, by1 = min(full[0], int(np.ceil(wx1 * fx))), min(full[1], int(np.ceil(wy1 * fy)))

    def enlarge(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image, full, interpolation=cv2.INTER_LINEAR)[by0:by1, bx0:bx1]

    mask = enlarge(weight)
    shown = enlarge(cv2.GaussianBlur(source.astype(np.float32), (0, 0), 0.8))
    keep = np.clip(2 * shown - 0.5, 0, 1)[..., None]
    window = (slice(y0 + by0, y0 + by1), slice(x0 + bx0, x0 + bx1))
    mixed = keep * rgb[window] + (1 - keep) * enlarge(colour)
    rgba = np.concatenate([mixed / 255.0, (mask * alpha[window])[..., None]], -1)
    return Layer(
        name=name,
        box_xyxy=(x0 + bx0, y0 + by0, x0 + bx1, y0 + by1),
        rgba=rgba.astype(np.float32),
        visible=np.clip(shown, 0, 1).astype(np.float32),
    )


def _within_sides(work: _Working, labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: between a trunk's sides, as they run where no arm is before or beside them.

    What is taken for trunk beyond them hangs in rags from the armpits when the arm is raised.
    """
    inside = np.ones(labels.shape, bool)
    columns = np.arange(labels.shape[1])
    trunk = labels == NAMES.index("torso")
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


def _hand_zone(work: _Working, labels: np.ndarray) -> np.ndarray:
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


def _hull(mask: np.ndarray) -> np.ndarray:
    points = np.argwhere(mask)[:, ::-1]
    if len(points) < 3:
        return mask
    return _fill(mask.shape, cv2.convexHull(points.astype(np.int32))[:, 0])


def _caps(name: str, work: _Working, labels: np.ndarray) -> np.ndarray:
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
        distance = np.minimum(hips, neck)
    elif name == "head":
        top = 0.6 * joints[HEAD] + 0.4 * joints[NECK]
        distance = segment_distance(work.grid, joints[NECK], top) / (0.07 * metre)
    for joint, limb_name in discs:
        radius = _half_width(limb_name, work, labels)
        distance = np.minimum(distance, np.linalg.norm(work.grid - joints[joint], axis=-1) / radius)
    # full across the joint, or the outline has notches there
    return np.clip((1.35 - distance) / 0.35, 0, 1).astype(np.float32)


def mirrored(name: str) -> str:
    """The limb of the other side."""
    side, _, kind = name.partition("_")
    return f"{'right' if side == 'left' else 'left'}_{kind}"


def find_pocketed(work: _Working) -> tuple[str, ...]:
    """Lower arms whose hands are in a pocket, or behind the body.

    The tracker says where such a hand is all the same. But what the photo shows there looks like
    the clothes around and nothing like the face, while the other hand does look like it (or both
    may wear gloves).
    """
    face = _face(work)
    if face.sum() < _ENOUGH:
        return ()
    lab = cv2.cvtColor(work.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    person = work.matte > 0.5
    arms = np.minimum.reduce([work.distance[n] for n in LIMBS if "arm" in n])
    clothes = _fill(person.shape, _torso_polygon(work, 0.9, -0.1, 0.1))
    clothes |= np.minimum(work.distance["left_thigh"], work.distance["right_thigh"]) < 0.7
    hands = [n for n in LIMBS if n.endswith("lower_arm")]
    clothes &= person & (arms > 1.3) & (work.hand_distance(hands) > 1.6)
    bare, pocketed = set(), []
    for name in hands:
        after = LIMBS[name].after
        assert after is not None
        wrist, fingers = (work.joints[j] for j in after)
        radius = LIMBS[name].end_radius_m * work.metre
        line = segment_distance(work.grid, 0.65 * wrist + 0.35 * fingers, fingers) < 0.55 * radius
        line &= person
        around = clothes & (work.hand_distance([name]) < 6)
        if line.sum() < _ENOUGH:
            continue
        skin = _colour_distance(lab, line, face)
        if (skin < 12).mean() > 0.3:
            bare.add(name)
        elif around.sum() >= _ENOUGH and (skin < 12).mean() < 0.15:
            cloth = float(np.median(_colour_distance(lab, line, around)))
            if cloth < 15 and cloth < 0.6 * float(np.median(skin)):
                pocketed.append(name)
    return tuple(name for name in pocketed if mirrored(name) in bare)


def lend_hand(layer: Layer, other: Layer, work: _Working) -> Layer:
    """A lower arm whose hand is not seen, with the other one's hand, mirrored, under its sleeve."""
    after, before = LIMBS[layer.name].after, LIMBS[other.name].after
    assert after is not None and before is not None
    place = np.array(work.box[:2])
    joints = (work.joints + 0.5) / work.scale - 0.5 + place
    metre = work.metre / work.scale
    (wrist, fingers), (from_wrist, from_fingers) = joints[list(after)], joints[list(before)]
    line, from_line = fingers - wrist, from_fingers - from_wrist
    length = float(np.linalg.norm(from_line))
    if length < 1 or np.linalg.norm(line) < 1:
        return layer
    # the hand of the other layer: about its line, and of the face's colour
    x0, y0, x1, y1 = other.box_xyxy
    grid = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), -1).astype(np.float64)
    along = ((grid - from_wrist) @ from_line) / length**2
    reach = 1.8 * LIMBS[other.name].end_radius_m * metre
    hand = segment_distance(grid, from_wrist, from_fingers) < reach
    lab = cv2.cvtColor(other.rgba[..., :3], cv2.COLOR_RGB2LAB)  # of float32: in CIELAB's own units
    known = cv2.cvtColor(work.rgb[None, _face(work)].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    skin = np.zeros(hand.shape, bool)
    skin[hand] = KDTree(known).query(lab[hand], [1 + len(known) // 50])[0][:, 0] < 18
    kernel = np.ones((5, 5), np.uint8)
    skin = cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
    soft = cv2.GaussianBlur((skin & hand).astype(np.float32), (0, 0), 0.8)
    shade = np.clip((along + 0.25) / 0.15, 0, 1) * soft * other.rgba[..., 3]
    texture = np.dstack([other.rgba[..., :3] * shade[..., None], shade]).astype(np.float32)
    # mirrored about its line, turned to the other line
    size = float(np.clip(np.linalg.norm(line) / length, 0.7, 1.4))
    u, v = from_line / length, np.array([-from_line[1], from_line[0]]) / length
    a, b = line / np.linalg.norm(line), np.array([-line[1], line[0]]) / np.linalg.norm(line)
    turn = size * (np.outer(a, u) - np.outer(b, v))
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]], float)
    lies = (corners[:, :] - from_wrist) @ turn.T + wrist
    extent = np.linalg.norm(line) * 2
    lies = np.clip(lies, wrist - extent, wrist + extent)
    ox0, oy0, ox1, oy1 = layer.box_xyxy
    nx0, ny0 = np.floor(np.minimum(lies.min(0), [ox0, oy0])).astype(int)
    nx1, ny1 = np.ceil(np.maximum(lies.max(0), [ox1, oy1])).astype(int)
    shift = wrist - turn @ (from_wrist - [x0, y0]) - [nx0, ny0]
    matrix = np.column_stack([turn, shift])
    lent = cv2.warpAffine(texture, matrix, (int(nx1 - nx0), int(ny1 - ny0)))
    room = ((oy0 - ny0, ny1 - oy1), (ox0 - nx0, nx1 - ox1))
    own = np.pad(layer.rgba, (*room, (0, 0)))
    visible = np.pad(layer.visible, room)
    under = (1 - own[..., 3:]) * lent
    alpha = own[..., 3:] + under[..., 3:]
    colour = (own[..., :3] * own[..., 3:] + under[..., :3]) / np.maximum(alpha, 1e-4)
    return Layer(
        name=layer.name, box_xyxy=(int(nx0), int(ny0), int(nx1), int(ny1)),
        rgba=np.concatenate([colour, alpha], -1).astype(np.float32), visible=visible,
    )  # fmt: skip


def _face(work: _Working) -> np.ndarray:
    """(h, w) bool: cheeks, nose and mouth."""
    eyes, mouth = (
        (work.joints[INDEX[a]] + work.joints[INDEX[b]]) / 2
        for a, b in (("left_eye", "right_eye"), ("mouth_left", "mouth_right"))
    )
    away = np.linalg.norm(work.grid - (0.4 * eyes + 0.6 * mouth), axis=-1)
    return (away < 0.045 * work.metre) & (work.matte > 0.5)


def _half_width(name: str, work: _Working, labels: np.ndarray) -> float:
    """Half the width of a limb near its upper joint, measured in the picture, working pixels."""
    usual = LIMBS[name].radius_m * work.metre
    own = (labels == NAMES.index(name)) & (work.matte > 0.5)
    start, end = (work.joints[j] for j in LIMBS[name].main)
    depth = cv2.distanceTransform(own.astype(np.uint8), cv2.DIST_L2, 3)
    samples = []
    for t in (0.2, 0.3, 0.4):
        x, y = np.round(start + t * (end - start)).astype(int)
        if 0 <= y < depth.shape[0] and 0 <= x < depth.shape[1] and depth[y, x] > 0:
            samples.append(float(depth[y, x]))
    return float(np.clip(np.median(samples), 0.5 * usual, 1.3 * usual)) if samples else usual
