"""Whose pixel is whose: every pixel of the person goes to a limb, torso, skirt or head.

Arms are cut from the body beside and behind them by closed-form matting, along colour where there
is a difference, and along the crease where there is none (`sleeves.py`); any other pixel belongs to
the part that is nearest by geodesic distance through the picture, so hair goes with the head.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from pymatting import estimate_alpha_cf, ichol
from scipy.ndimage import minimum_filter1d
from scipy.sparse import csr_matrix
from skimage.graph import MCP_Geometric

from motion_transfer.generator.limbs import (
    LIMBS,
    NAMES,
    head_circle,
    segment_distance,
    visible_head,
)
from motion_transfer.generator.skirts import with_hem
from motion_transfer.generator.sleeves import cut_at_crease
from motion_transfer.generator.working import (
    ENOUGH,
    Working,
    colour_distance,
    connected,
    fill,
    find_face,
    torso_polygon,
)
from motion_transfer.pose.retarget import MIDHIP, NECK

_BRIDGE_M = 0.06  # as far from a lock may hair be that was taken for trunk
SEAM_M = 0.03  # standard deviation that evens the cut between two thighs
FAINT = 20  # so many times as far is the way through what the matte hardly holds
CRUMB = 0.1  # of a limb's largest part
HEM = 0.15  # so far from a sleeve's end may cloth be its own, share of an arm's length
CLOTH = 10.0  # CIELAB distance to a trunk's colours, less is its cloth
WIDEST, FAR = 2.2, 3.2  # a sleeve; where nothing is an arm's any more, in radii of its limb


def label_pixels(work: Working, shown: np.ndarray, skirt: np.ndarray | None) -> np.ndarray:
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
    inner = fill(person.shape, torso_polygon(work, 0.85, -0.04, 0.02))
    seeds["torso"] = inner & (arm_distance > 1.2)
    if skirt is not None:
        legs = [work.distance[n] < 0.45 for n in LIMBS if "arm" not in n and visible[n]]
        skirt = with_hem(work, skirt, person & np.any([~person, *legs], 0))
        seeds["skirt"] = skirt & ~inner
    for name in LIMBS:
        if "arm" not in name and visible[name]:
            core = (work.distance[name] < 0.45) & (arm_distance > 1.4)
            core &= ~fill(person.shape, torso_polygon(work, 1.1, 0.0, 0.05))
            if skirt is not None:  # nothing of a leg is above it
                core &= ~skirt & (work.grid[..., 1] > np.argmax(skirt.any(1)))
            seeds[name] = core
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
    for name in (n for n in arms if n.endswith("upper_arm")):
        labels[_outside_of_arm(work, name, labels)] = NAMES.index(name)
    if "head" in seeds:
        labels[_hair_over_arms(work, labels)] = NAMES.index("head")
    if skirt is not None:
        labels[skirt & ~inner] = NAMES.index("skirt")
        own = labels == NAMES.index("skirt")
        beside = (labels == NAMES.index("torso")) & ~inner  # and about a hand that lies on it
        beside[: np.argmax(skirt.any(1))] = False
        labels[beside & connected(own, own | beside)] = NAMES.index("skirt")
    labels[~person] = -1
    _even_between_thighs(labels, reaches, work)
    _round_ends(labels, work)
    _give_crumbs_away(labels, work.matte)
    return labels


def _even_between_thighs(labels: np.ndarray, reaches: np.ndarray, work: Working) -> None:
    """Cut one thigh from the other along an even line: folds bend it; legs that part show it."""
    thighs = [NAMES.index(f"{side}_thigh") for side in ("left", "right")]
    own, sigma = np.isin(labels, thighs), SEAM_M * work.metre
    if not np.isfinite(reaches[thighs]).all():
        return
    farther = np.clip(reaches[thighs[0]] - reaches[thighs[1]], -2 * sigma, 2 * sigma)
    weight = own * work.matte
    even = cv2.GaussianBlur(farther * weight, (0, 0), sigma)
    labels[own] = np.where(even[own] < 0, *thighs)


def _round_ends(labels: np.ndarray, work: Working) -> None:
    """What lies past a limb's lower joint, farther from it than its sides, is the next one's."""
    for name in (n for n, limb in LIMBS.items() if limb.before is None):
        side, _, kind = name.partition("_")
        lower = NAMES.index(f"{side}_{'shin' if kind == 'thigh' else 'lower_arm'}")
        own = labels == NAMES.index(name)
        if (labels == lower).any():
            labels[own & past_round_end(work, name, own)] = lower


def past_round_end(work: Working, name: str, own: np.ndarray) -> np.ndarray:
    """(h, w) bool: past a limb's lower joint, and farther from it than the limb's sides are.

    A square end's corners stand out as spurs when knee or elbow bends.
    """
    start, end = (work.joints[j] for j in LIMBS[name].main)
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-6)
    past, away = (work.grid - end) @ along, np.linalg.norm(work.grid - end, axis=-1)
    section = own & (np.abs(past) < 2)
    return (past > 0) & (away > (away[section].max() if section.any() else np.inf))


def _give_crumbs_away(labels: np.ndarray, matte: np.ndarray) -> None:
    """Small parts of a lower leg that only faint pixels join to it go to what they lie beside.

    A heel that the other foot was given hangs in the air when that one steps aside.
    """
    for name in ("left_shin", "right_shin"):
        number = NAMES.index(name)
        own = labels == number
        _, parts, stats, _ = cv2.connectedComponentsWithStats(
            (own & (matte > 0.5)).astype(np.uint8)
        )
        sizes = stats[1:, cv2.CC_STAT_AREA]
        for part in np.flatnonzero(sizes < CRUMB * sizes.max(initial=0)) + 1:
            around = cv2.dilate((parts == part).astype(np.uint8), np.ones((5, 5))) > 0
            others = labels[around & (labels >= 0) & ~own & (matte > 0.5)]
            if len(others):
                labels[around & own] = np.bincount(others).argmax()


def _hair_over_arms(work: Working, labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: locks that hang over a shoulder or about a hand, of what the arms were given.

    They look like the hair at the crown and not like what is surely arm, and hang together with
    the head, if need be through hair that was taken for trunk.
    """
    lab = cv2.cvtColor(work.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    centre, radius = head_circle(work.joints, work.metre)
    head = labels == NAMES.index("head")
    crown, face = head & (work.grid[..., 1] < centre[1] - 0.5 * radius), find_face(work)
    crown &= work.matte > 0.9
    if crown.any() and face.any():  # without the forehead
        crown[crown] = colour_distance(lab, crown, face) > 25
    kernel, found = np.ones((3, 3), np.uint8), np.zeros(labels.shape, bool)
    arms: list[tuple[np.ndarray, np.ndarray]] = []  # all of it, and what is surely arm
    for name in (n for n in LIMBS if "arm" in n):
        own = labels == NAMES.index(name)
        sure = own & _sure_of_lock(work, name)
        if crown.sum() >= ENOUGH and sure.sum() >= ENOUGH:
            like_hair = colour_distance(lab, own, crown) < 20
            found[own] = like_hair & (colour_distance(lab, own, sure) > 15)
            arms.append((own, sure))
    found = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    if not found.any():
        return found
    locks = cv2.dilate(found.astype(np.uint8), kernel) > 0  # with their soft edges
    locks &= np.logical_or.reduce([own for own, _ in arms])
    size = 2 * round(_BRIDGE_M * work.metre) + 1
    bridge = cv2.dilate(locks.astype(np.uint8), np.ones((size, size))) > 0
    bridge &= labels == NAMES.index("torso")
    if bridge.any():
        bridge[bridge] = colour_distance(lab, bridge, crown) < 12
    hair = (locks | bridge) & connected(head, head | locks | bridge)
    for own, sure in arms:
        if (own & hair).any():  # their thin rims have another colour, but hang in the air
            rest = own & ~hair
            solid = cv2.morphologyEx(rest.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0
            rest &= cv2.dilate(connected(sure, solid).astype(np.uint8), kernel) == 0
            rest[rest] = colour_distance(lab, rest, sure) > 15 if rest.any() else False
            hair |= rest
    return hair


def _sure_of_lock(work: Working, name: str) -> np.ndarray:
    """(h, w) bool: where a limb is arm, and no lock of hair lies."""
    if not name.endswith("upper_arm"):
        return _arm_core(work, name)
    start, end = (work.joints[j] for j in LIMBS[name].main)
    return segment_distance(work.grid, 0.2 * start + 0.8 * end, end) < 0.04 * work.metre


def _cut_arm(work: Working, names: list[str], seeds: dict[str, np.ndarray]) -> np.ndarray:
    """(h, w) bool: what is arm, hand or sleeve, and not the body beside or behind it.

    Closed-form matting (Levin, Lischinski, Weiss, PAMI 2008) from what is sure: it follows colour
    where there is a difference, and runs half-way where there is none. Geodesic distances alone
    left fingers on the thigh and took strips of cloth along; GrabCut takes half a jacket.
    """
    lab = cv2.cvtColor(work.rgb, cv2.COLOR_RGB2LAB).astype(np.float32)
    person = work.matte > 0.05
    distance = np.minimum.reduce([work.distance[n] for n in names])
    trunk = np.logical_or.reduce([s for n, s in seeds.items() if n in ("torso", "skirt")])
    like_trunk = person & (distance <= FAR)
    if like_trunk.any() and trunk.any():
        like_trunk[like_trunk] = colour_distance(lab, like_trunk, trunk) < CLOTH
    kernel = np.ones((5, 5), np.uint8)
    cloth, sleeve = np.zeros(person.shape, bool), np.zeros(person.shape, bool)
    sure = np.logical_or.reduce([_sure_arm(work, lab, name, seeds[name]) for name in names])
    for name in names:
        bare, sleeved = _bare_and_sleeved(work, lab, name, trunk)
        beside = cv2.morphologyEx((bare & like_trunk).astype(np.uint8), cv2.MORPH_OPEN, kernel)
        rim = cv2.dilate(beside, kernel) > 0  # it is shaded
        cloth, sleeve = cloth | (rim & bare), sleeve | sleeved
    arm = sure & ~cloth
    if arm.sum() < ENOUGH:
        arm = sure
    narrow = fill(person.shape, torso_polygon(work, 0.75, -0.04, 0.02))
    wide = fill(person.shape, torso_polygon(work, 1.35, -0.04, 0.05))
    body = (narrow & (distance > 1.3)) | (wide & (distance > 1.5)) | (distance > FAR)
    others = np.logical_or.reduce([seed for name, seed in seeds.items() if name not in names])
    # cloth has a colour that the trunk has, and the arm has not; a sleeve and its hand may have two
    unknown = person & ~arm & ~body & ~others & ~sleeve & (work.hand_distance(names) > 3.2)
    if unknown.any() and trunk.any():
        body[unknown] = (colour_distance(lab, unknown, arm) > 28) & like_trunk[unknown]
    side = names[0].partition("_")[0]
    has_crease = len(names) == 2 and 2 * arm.sum() > sure.sum()
    cut = cut_at_crease(work, lab, side, arm, trunk) if has_crease else None
    if cut is not None:
        arm, body = (arm | cut[0]) & person, (body | cut[1]) & person & ~cut[0]
    trimap = np.where(arm & ~body, 1.0, np.where(body | others, 0.0, 0.5))
    trimap[~person & (distance < FAR)] = 0.5
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
    own &= connected(arm, own)
    return own | (person & ~own & ~connected(others, person & ~own) & (distance < 5))


def _preconditioner(system: csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """Incomplete Cholesky that does not first try, and print, what fails with flat colours."""
    return ichol(system, shifts=[1e-3, 1e-2, 0.1, 0.5, 1.0])


def _sure_arm(work: Working, lab: np.ndarray, name: str, core: np.ndarray) -> np.ndarray:
    """(h, w) bool: the core's half on the outer side, and of the inner half what looks the same.

    Key points are not exact: about the bone of a bare arm there may be shirt.
    """
    outer = core & _outer_side(work, name)
    if outer.sum() < 10:
        return core
    inner, result = core & ~outer & (work.distance[name] < 0.25), outer.copy()
    result[inner] = colour_distance(lab, inner, outer) < 12
    return result


def _outer_side(work: Working, name: str) -> np.ndarray:
    """(h, w) bool: on the side of a bone's line that is away from the trunk's middle."""
    start, end = (work.joints[j] for j in LIMBS[name].main)
    along, middle = end - start, (work.joints[NECK] + work.joints[MIDHIP]) / 2

    def side(at: np.ndarray) -> np.ndarray:
        return (at[..., 0] - start[0]) * along[1] - (at[..., 1] - start[1]) * along[0]

    return side(work.grid) * side(middle) <= 0


def _along(work: Working, name: str) -> tuple[np.ndarray, float]:
    """(h, w) how far along a limb's bone each pixel lies, and how long that is, working pixels."""
    start, end = (work.joints[j] for j in LIMBS[name].main)
    length = float(np.linalg.norm(end - start))
    return (work.grid - start) @ (end - start) / max(length, 1e-6), length


def _outside_of_arm(work: Working, name: str, labels: np.ndarray) -> np.ndarray:
    """(h, w) bool: what the trunk was given beside an arm and farther out than it.

    A cut through cloth of one colour leaves the sleeve's outer corner on the trunk, where it stays
    when the arm rises.
    """
    x, y = np.round(work.joints[LIMBS[name].main[1]]).astype(int)
    before = fill(labels.shape, torso_polygon(work, 1.0, 0.0, 0.0))
    if 0 <= x < labels.shape[1] and 0 <= y < labels.shape[0] and before[y, x]:
        return np.zeros_like(before)
    place, length = _along(work, name)
    section = np.round(place).astype(int)
    beside = (section > 0) & (section < length) & _outer_side(work, name)
    farthest, away = np.zeros(math.ceil(length) + 1), work.distance[name]
    arm = (NAMES.index(name), NAMES.index(name.replace("upper", "lower")))
    own = beside & np.isin(labels, arm)
    np.maximum.at(farthest, section[own], away[own])
    result = beside & (labels == NAMES.index("torso")) & (away < WIDEST) & (work.matte > 0.05)
    result[result] = away[result] > farthest[section[result]]
    if not result.any():
        return result
    whole = (result | (labels == arm[0])).astype(np.uint8)  # without bites between the two
    whole = cv2.morphologyEx(whole, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) > 0
    return result | (whole & beside & (labels == NAMES.index("torso")))


def _bare_and_sleeved(
    work: Working, lab: np.ndarray, name: str, trunk: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) bool: about an arm, where it is bare, and where in a sleeve of the trunk's cloth.

    A sleeve goes all round the arm: where it is bare, its outer side does not look like the trunk,
    even if its bone lies in the shirt, as that of an arm half behind the trunk does.
    """
    (place, length), away = _along(work, name), work.distance[name]
    section = np.clip(np.round(place), 0, round(length)).astype(int)
    beside = (place >= 0) & (away < 1.5)
    outer = _outer_side(work, name) & beside & (place <= length) & (work.matte > 0.9)
    farthest = np.zeros(round(length) + 1)
    np.maximum.at(farthest, section[outer], away[outer])
    outer[outer] = away[outer] > farthest[section[outer]] / 2
    if min(trunk.sum(), outer.sum()) < ENOUGH:
        return np.zeros_like(outer), np.zeros_like(outer)
    apart = colour_distance(lab, outer, trunk)
    skin, cloth = (
        np.bincount(section[outer][here], minlength=len(farthest))
        for here in (apart > CLOTH, apart <= CLOTH)
    )
    bare = skin >= cloth / 2  # a rim has other colours
    hem = round(HEM * length)  # which may be aslant
    surely = minimum_filter1d(bare, 2 * hem + 1, mode="nearest")
    return surely[section] & beside, ~bare[section] & (away < 1)


def _arm_core(work: Working, name: str) -> np.ndarray:
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


def _geodesic_cost(work: Working, person: np.ndarray) -> np.ndarray:
    lab = cv2.cvtColor(cv2.GaussianBlur(work.rgb, (0, 0), 1.0), cv2.COLOR_RGB2LAB)
    lab = lab.astype(np.float32)
    edge = np.hypot(cv2.Sobel(lab, cv2.CV_32F, 1, 0), cv2.Sobel(lab, cv2.CV_32F, 0, 1)).max(-1)
    faint = FAINT * (1 - work.matte)  # legs that part meet in the middle of the gap
    return np.where(person, 1.0 + np.minimum(edge / 12.0, 12.0) + faint, 200.0)
