"""Retargeting: the driver's motion on the photographed person's bones.

Every bone keeps the photo's length and takes the driver's direction and foreshortening; the
whole is put down so that the supporting foot moves as the driver's does, scaled, on the photo's
ground. Nothing asks for a frontal first frame: bone lengths are robust statistics of a
calibration window.

Axes: T frames, K = 33 key points. Image coordinates, y down, pixels.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.ndimage import correlate1d, distance_transform_edt

from motion_transfer.errors import NoPersonError
from motion_transfer.pose.skeleton import INDEX, JOINTS
from motion_transfer.pose.track import PoseTrack

# Virtual joints behind the 33 measured ones.
MIDHIP, NECK, HEAD = 33, 34, 35
_HALVES = {MIDHIP: ("left_hip", "right_hip"), NECK: ("left_shoulder", "right_shoulder"),
           HEAD: ("left_ear", "right_ear")}  # fmt: skip


def _limb(side: str) -> list[tuple[int, int]]:
    j = {n.removeprefix(f"{side}_"): i for n, i in INDEX.items() if n.startswith(f"{side}_")}
    return [
        (MIDHIP, j["hip"]), (NECK, j["shoulder"]),
        (j["shoulder"], j["elbow"]), (j["elbow"], j["wrist"]),
        (j["wrist"], j["index"]), (j["wrist"], j["pinky"]), (j["wrist"], j["thumb"]),
        (j["hip"], j["knee"]), (j["knee"], j["ankle"]),
        (j["ankle"], j["heel"]), (j["ankle"], j["foot_index"]),
    ]  # fmt: skip


_FACE = [j for j in range(INDEX["mouth_right"] + 1)]
# Parent before child. The mirror image of bone i of a left limb is bone i of the right limb.
_LEFT, _RIGHT = _limb("left"), _limb("right")
BONES = [(MIDHIP, NECK), *_LEFT, *_RIGHT, (NECK, HEAD), *((HEAD, j) for j in _FACE)]
_PARENT = np.array([a for a, _ in BONES])
_CHILD = np.array([b for _, b in BONES])
_PAIRS = [(1 + i, 1 + len(_LEFT) + i) for i in range(len(_LEFT))]
_FIRST_FACE = 2 + 2 * len(_LEFT)
_FEET = [INDEX[f"{s}_{p}"] for s in ("left", "right") for p in ("heel", "foot_index")]
_BODY = [INDEX[f"{s}_{p}"] for s in ("left", "right")
         for p in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")]  # fmt: skip

KNOWN_CONFIDENCE = 0.5
SCALE_SIGMA_SECONDS = 0.5
BLEND_SECONDS = 0.25
SUPPORT_M = 0.04  # a foot this much higher carries 1/e
ANCHORS = ("neck", "hips", "feet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retargeting:
    """What `calibrate` found out; `retarget` needs nothing else.

    Args:
        rest_px: (B, 3) the photo's own bone vectors (x, y, depth) in pixels.
        px_per_metre: (B,) photo pixels for a metre of the driver's bone.
        longest_px: (B,) length of the photographed bones when not foreshortened.
        root_xy: (2,) middle of the photographed hips.
        ground_y: lowest point of the photographed feet, or None if the photo does not show them.
        anchors: what may tie the driver's place to the photo's, of "neck", "hips", "feet": where
            each is by default, driver pixels (2,). The last one that is known in a frame counts.
        motion_scale: photo pixels for one pixel of the driver's root motion.
        travel: share of the driver's way to the sides that is gone.
        scale_reference: driver pixels for a metre, by default.
        photo_px_per_metre: size of the photographed person.
        offset_x: shift that puts the usual place of the hips onto the photo's.
        shown: (K,) bool, joints that the photo shows.
        still: (B,) bool, bones that keep the photo's pose: a limb that leaves the picture would
            show where it is cut off if it moved.
        size_hw: size of the photo in pixels.
        scale: of the person in the picture, about the ground below the photographed hips.
        shift: to the right and down, in shares of the photo's width and height.
    """

    rest_px: np.ndarray
    px_per_metre: np.ndarray
    longest_px: np.ndarray
    root_xy: np.ndarray
    ground_y: float | None
    anchors: dict[str, np.ndarray]
    motion_scale: float
    travel: float
    scale_reference: float
    photo_px_per_metre: float
    offset_x: float
    shown: np.ndarray
    still: np.ndarray
    size_hw: tuple[int, int]
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def margin_frames(fps: float) -> int:
    """Frames on either side that a frame's result depends on."""
    return _half_width(SCALE_SIGMA_SECONDS, fps) + int(np.ceil(2 * BLEND_SECONDS * fps)) + 1


def calibrate(
    track: PoseTrack,
    photo: PoseTrack,
    *,
    travel: float = 1.0,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Retargeting:
    """Measure driver and photo against each other.

    Args:
        track: the driver in a calibration window (ten seconds are plenty), smoothed.
        photo: the photographed person, a track of one frame.
        travel: how much of the driver's way to the sides is gone, 0 (on the spot) to 1.
        scale: size of the person in the picture; 1 is as in the photo.
        shift: to the right and down, in shares of the photo's width and height.

    Raises:
        NoPersonError: the window or the photo has no usable person.
    """
    if not photo.present.any():
        raise NoPersonError("no person was found in the photo; use a photo that shows one clearly")
    if not track.present.any():
        raise NoPersonError("no person was found in the driving video's first seconds")
    photo_joints = _with_virtual(_joints(photo))[0]
    photo_known = _known(photo)[0]
    photo_scale = float(px_per_metre(photo)[0])
    joints, known, size = _with_virtual(_joints(track)), _known(track), smooth_scale(track)
    rest = photo_joints[_CHILD] - photo_joints[_PARENT]
    rest = np.where(np.isfinite(rest), rest, 0.0)

    driver_m = _driver_lengths(track, joints, known, size)
    photo_world = _bone_lengths(_with_virtual(photo.world))[0]
    bone_known = photo_known[_CHILD] & photo_known[_PARENT]
    seen_px = np.where(bone_known, np.linalg.norm(rest[:, :2], axis=-1), 0.0)
    longest = np.maximum(seen_px, 0.9 * np.nan_to_num(photo_world) * photo_scale)
    for left, right in _PAIRS:
        longest[left] = longest[right] = max(longest[left], longest[right])
    ratio = longest / np.maximum(driver_m, 1e-3)
    # a head is one piece: all its points share one scale
    head = slice(_FIRST_FACE, None)
    ratio[head] = np.median(ratio[head])

    shown = photo_known[: len(JOINTS)]
    feet_shown = bool(shown[_FEET].any())
    reference = float(np.median(size[track.present]))
    # legs and spine carry the body: their ratio turns the driver's pixels into the photo's
    carrying = [0, *(i for i, (a, b) in enumerate(BONES) if b in (25, 26, 27, 28))]
    motion_scale = float(np.median(ratio[carrying])) / reference
    result = Retargeting(
        rest_px=rest,
        px_per_metre=ratio,
        longest_px=longest,
        root_xy=photo_joints[MIDHIP, :2],
        ground_y=float(np.nanmax(photo.xy[0, _FEET, 1])) if feet_shown else None,
        anchors=_reference_anchors(track, joints, known, size, photo_known, feet_shown),
        motion_scale=motion_scale,
        travel=travel,
        scale_reference=reference,
        photo_px_per_metre=photo_scale,
        offset_x=0.0,
        shown=shown,
        still=_still_bones(photo),
        size_hw=photo.size_hw,
    )
    usual = retarget(track, result)
    hips = usual.xy[track.present][:, [INDEX["left_hip"], INDEX["right_hip"]], 0].mean()
    offset_x = float(result.root_xy[0] - hips)
    return dataclasses.replace(result, offset_x=offset_x, scale=scale, shift=shift)


def _reference_anchors(
    track: PoseTrack,
    joints: np.ndarray,
    known: np.ndarray,
    scale: np.ndarray,
    photo_known: np.ndarray,
    feet_shown: bool,
) -> dict[str, np.ndarray]:
    """Where each possible anchor of the driver is by default."""
    shown = {"neck": photo_known[NECK], "hips": photo_known[MIDHIP], "feet": feet_shown}
    result = {}
    for kind in ANCHORS:
        usable = _anchor_known(known, kind) & track.present
        if shown[kind] and usable.sum() > 0.2 * track.present.sum():
            place = _anchor(joints, kind, scale)[usable]
            # the ground is where the feet mostly are, not where they are in mid-jump
            low = np.percentile(place[:, 1], 70 if kind == "feet" else 50)
            result[kind] = np.array([np.median(place[:, 0]), low])
    return result


def retarget(track: PoseTrack, to: Retargeting) -> PoseTrack:
    """Put the driver's motion onto the photographed person.

    Args:
        track: the smoothed driver. A frame's result depends on `margin_frames` on either side.
        to: from `calibrate`.

    Returns:
        The target poses in pixels of the photo. Joints that the photo does not show have
        confidence 0. Where the driver is unknown, the person keeps the photo's own pose.
    """
    joints, known = _with_virtual(_joints(track)), _known(track)
    scale = smooth_scale(track)
    bone_known = known[:, _CHILD] & known[:, _PARENT]
    metres = (joints[:, _CHILD] - joints[:, _PARENT]) / scale[:, None, None]
    metres = _hold(metres, bone_known)
    vector = metres * to.px_per_metre[:, None]
    length = np.linalg.norm(vector[..., :2], axis=-1)
    # a bone cannot be longer than it is: the excess is noise of scale or lens
    vector *= np.minimum(1.0, to.longest_px / np.maximum(length, 1e-6))[..., None]
    weight = (_ramp(bone_known, float(track.fps)) * ~to.still)[..., None]
    vector = weight * vector + (1 - weight) * to.rest_px
    zoom = np.clip(scale / to.scale_reference, 0.6, 1.7)[:, None, None]
    present = _ramp(track.present[:, None], float(track.fps))
    size = present[..., None] * zoom + (1 - present[..., None])
    vector *= size

    placed = np.zeros((len(track), len(JOINTS) + 3, 3), np.float64)
    for bone, (parent, child) in enumerate(BONES):
        placed[:, child] = placed[:, parent] + vector[:, bone]
    xy = (
        placed[..., :2]
        + _root(placed, joints, known, scale, to, present, float(track.fps))[:, None]
    )
    confidence = np.where(to.shown, np.clip(track.confidence, 0.05, 1.0), 0.0)
    ground = to.root_xy[1] if to.ground_y is None else to.ground_y
    origin = np.array([to.root_xy[0], ground])
    xy = (xy - origin) * to.scale + origin + np.array(to.shift) * to.size_hw[::-1]
    return PoseTrack(
        xy=xy[:, : len(JOINTS)].astype(np.float32),
        depth=(placed[:, : len(JOINTS), 2] * to.scale).astype(np.float32),
        confidence=confidence.astype(np.float32),
        world=track.world,
        present=track.present,
        times_seconds=track.times_seconds,
        fps=track.fps,
        size_hw=to.size_hw,
        skeleton=track.skeleton,
        px_per_metre=(to.photo_px_per_metre * to.scale * size[:, 0, 0]).astype(np.float32),
    )


def _still_bones(photo: PoseTrack) -> np.ndarray:
    """(B,) bool: bones of limbs whose hand or foot lies outside of the photo."""
    height, width = photo.size_hw
    x, y = photo.xy[0, :, 0], photo.xy[0, :, 1]
    with np.errstate(invalid="ignore"):
        outside = (x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)
    still = np.zeros(len(BONES), bool)
    for limb in (_LEFT, _RIGHT):
        arm, leg = [b for _, b in limb[2:7]], [b for _, b in limb[7:11]]
        for end, joints in ((arm[1], arm), (leg[1], leg)):  # wrist, ankle
            if outside[end]:
                still |= np.isin(_CHILD, joints)
    return still


def _root(
    placed: np.ndarray,
    joints: np.ndarray,
    known: np.ndarray,
    scale: np.ndarray,
    to: Retargeting,
    present: np.ndarray,
    fps: float,
) -> np.ndarray:
    """(T, 2) place of the middle of the hips, such that the anchor moves as the driver's.

    Where the feet are not known the hips take over, then the neck, then the photo's own place,
    each fading into the next.
    """
    root = np.tile(to.root_xy, (len(joints), 1))
    for kind, reference in to.anchors.items():
        usable = _anchor_known(known, kind)
        moved = (_anchor(joints, kind, scale) - reference) * to.motion_scale
        moved[:, 0] *= to.travel
        moved = _hold(moved, usable) + np.array([to.offset_x, 0.0])
        if kind == "feet" and to.ground_y is not None:
            foot = (_support(joints, scale)[..., None] * placed[:, _FEET, :2]).sum(1)
            own = np.array([to.root_xy[0], to.ground_y]) + moved - foot
        elif kind == "neck":
            own = to.root_xy + to.rest_px[0, :2] + moved - placed[:, NECK, :2]
        else:
            own = to.root_xy + moved
        weight = _ramp(usable[:, None], fps)
        root = weight * own + (1 - weight) * root
    if to.ground_y is None:
        # the photo ends at the frame's edge: lifting the person would show the cut
        root[:, 1] = np.maximum(root[:, 1], to.root_xy[1])
    return present * root + (1 - present) * to.root_xy


def _anchor_known(known: np.ndarray, kind: str) -> np.ndarray:
    """(T,) bool."""
    if kind == "feet":
        return np.asarray(known[:, _FEET].all(1))
    return known[:, MIDHIP if kind == "hips" else NECK]


def _anchor(joints: np.ndarray, kind: str, scale: np.ndarray) -> np.ndarray:
    """(T, 2) the point that ties the driver's place to the photo's, driver pixels."""
    if kind == "feet":
        feet = np.nan_to_num(joints[:, _FEET, :2])
        return (_support(joints, scale)[..., None] * feet).sum(1)
    return joints[:, MIDHIP if kind == "hips" else NECK, :2]


def _support(joints: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(T, 4) how much each of heel and toe carries the body: the lowest does."""
    y = np.nan_to_num(joints[:, _FEET, 1])
    soft = np.exp((y - y.max(1, keepdims=True)) / (SUPPORT_M * scale[:, None]))
    return soft / soft.sum(1, keepdims=True)


def _joints(track: PoseTrack) -> np.ndarray:
    """(T, K, 3): x, y and depth, all in pixels."""
    return np.concatenate([track.xy, track.depth[..., None]], -1).astype(np.float64)


def _with_virtual(joints: np.ndarray) -> np.ndarray:
    """(T, K + 3, C): the joints with the middle of hips, shoulders and ears."""
    middle = [(joints[:, INDEX[a]] + joints[:, INDEX[b]]) / 2 for a, b in _HALVES.values()]
    return np.concatenate([joints, np.stack(middle, 1)], 1).astype(np.float64)


def _known(track: PoseTrack) -> np.ndarray:
    """(T, K + 3) bool: seen, or at least guessed inside of the frame."""
    height, width = track.size_hw
    margin = 0.02 * max(height, width)
    x, y = track.xy[..., 0], track.xy[..., 1]
    with np.errstate(invalid="ignore"):
        inside = (x > -margin) & (x < width + margin) & (y > -margin) & (y < height + margin)
        known = np.isfinite(x) & (inside | (track.confidence > KNOWN_CONFIDENCE))
    known &= track.present[:, None]
    middle = [known[:, INDEX[a]] & known[:, INDEX[b]] for a, b in _HALVES.values()]
    return np.concatenate([known, np.stack(middle, 1)], 1)


def px_per_metre(track: PoseTrack) -> np.ndarray:
    """(T,) weak-perspective scale: the track's own, or least squares of image on world points."""
    if track.px_per_metre is not None:
        return track.px_per_metre.astype(np.float64)
    weight = track.confidence[:, _BODY] * np.isfinite(track.xy[:, _BODY, 0])
    weight = np.maximum(weight, 1e-6)[..., None]
    image, world = np.nan_to_num(track.xy[:, _BODY]), np.nan_to_num(track.world[:, _BODY, :2])
    total = weight.sum(1, keepdims=True)
    image = image - (weight * image).sum(1, keepdims=True) / total
    world = world - (weight * world).sum(1, keepdims=True) / total
    top, bottom = (weight * image * world).sum((1, 2)), (weight * world**2).sum((1, 2))
    return np.maximum(top / np.maximum(bottom, 1e-9), 1.0)


def smooth_scale(track: PoseTrack) -> np.ndarray:
    """(T,) pixels for a metre, so smooth that the person does not breathe."""
    scale = px_per_metre(track)
    fps = float(track.fps)
    radius = _half_width(SCALE_SIGMA_SECONDS, fps)
    offset = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offset / (SCALE_SIGMA_SECONDS * fps)) ** 2)
    weight = track.present.astype(np.float64)
    top = correlate1d(np.log(scale) * weight, kernel, mode="constant")
    bottom = correlate1d(weight, kernel, mode="constant")
    return np.exp(np.where(bottom > 1e-6, top / np.maximum(bottom, 1e-6), np.log(scale)))


def _half_width(sigma_seconds: float, fps: float) -> int:
    return int(np.ceil(2.5 * sigma_seconds * fps))


def _bone_lengths(joints: np.ndarray) -> np.ndarray:
    return np.linalg.norm(joints[:, _CHILD] - joints[:, _PARENT], axis=-1)


def _driver_lengths(
    track: PoseTrack, joints: np.ndarray, known: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """(B,) the driver's bones in metres, when not foreshortened."""
    seen = _bone_lengths(joints[..., :2]) / scale[:, None]
    seen = np.where(known[:, _CHILD] & known[:, _PARENT], seen, np.nan)
    world = _bone_lengths(_with_virtual(track.world))[track.present]
    result = np.median(world, axis=0)
    enough = np.isfinite(seen).sum(0) > 5
    long = np.nanpercentile(np.where(enough, seen, 0.0), 92, axis=0)
    result = np.maximum(0.9 * result, np.nan_to_num(long))
    for left, right in _PAIRS:
        result[left] = result[right] = (result[left] + result[right]) / 2
    return result


def _hold(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Unknown entries take the nearest known value in time, 0 if there is none."""
    flat = values.reshape(len(values), int(np.prod(known.shape[1:], dtype=int)), -1).copy()
    mask = known.reshape(len(values), -1)
    for column in range(flat.shape[1]):
        if mask[:, column].all():
            continue
        if not mask[:, column].any():
            flat[:, column] = 0.0
            continue
        nearest = distance_transform_edt(
            ~mask[:, column], return_distances=False, return_indices=True
        )[0]
        flat[:, column] = flat[nearest, column]
    return flat.reshape(values.shape)


def _ramp(known: np.ndarray, fps: float) -> np.ndarray:
    """(T, ...) 1 where known, falling to 0 inside of long gaps within `BLEND_SECONDS`."""
    radius = max(1, round(BLEND_SECONDS * fps))
    spread = np.empty(known.shape, np.float64)
    for column in np.ndindex(known.shape[1:]):
        key = (slice(None), *column)
        if known[key].all():
            spread[key] = 1.0
        elif not known[key].any():
            spread[key] = 0.0
        else:
            spread[key] = np.clip(1 - distance_transform_edt(~known[key]) / radius, 0, 1)
    return spread
