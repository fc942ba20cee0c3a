"""The matte: how much of each pixel of a photo belongs to the person.

U2-Net finds the outline, closed-form matting draws it at full resolution. U2-Net sees 320x320
pixels, so it is run on a crop around the person; its outline is then some pixels soft, and hair,
fingers and heels are decided by the colours of the photo in a band around that outline. Hands and
feet that it loses altogether are opened to that decision by the tracker's joints and mask; a foot's
bone is the person's for sure, or dark shoes on a dark floor are half transparent.

Tried and dropped: a guided filter for the outline (halo of 5-10 px on light backdrops), LKM matting
(as good, 20 times slower), U2-Net on the upper and lower half alone (sharper, but it loses the
hem of a white shirt that it recognises when it sees the whole person).
"""

from __future__ import annotations

import itertools
import os
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.sparse
from scipy import ndimage

from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.pose.skeleton import BONES, INDEX

NET_SIZE_PX = 320
NET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
NET_STD = np.array([0.229, 0.224, 0.225], np.float32)
REFINE_MAX_PIXELS = 1_500_000  # a larger crop is refined at this size and scaled up
BAND_PER_HEIGHT = 1 / 250  # half width of the band that is refined, per height of the person
KNOWN_WEIGHT = 100.0
PRIOR_WEIGHT_CLEAR = 0.02  # pull towards U2-Net where colours tell person and backdrop apart
PRIOR_WEIGHT_ALIKE = 2.0  # and where they do not: white shoes on a white floor
PRIOR_WEIGHT_THROUGH = 0.2  # towards the share that the colour tells, in hair
CONTRAST_CLEAR = 0.25  # distance in RGB [0, 1] at which colours tell them apart fully
CONTRAST_ALIKE = 0.08
CLOSED_FORM_EPSILON = 1e-5
LIMBS = (
    ("elbow", "wrist"), ("wrist", "pinky", "index", "thumb"),
    ("knee", "ankle"), ("ankle", "foot_index"),
)  # fmt: skip
LIMB_CONFIDENCE = 0.7  # of the tracker in all joints of a limb that may be restored
LIMB_LOST = 0.35  # share of a limb's bones that U2-Net must have left out
LIMB_MASK = 0.75  # mean of the tracker's mask there
LIMB_RADIUS = {"elbow": 0.25, "wrist": 0.8, "knee": 0.2, "ankle": 0.5}
"""How far from its bones a limb may reach, per their length."""


def open_u2net(path: str | os.PathLike[str] | None = None, *, num_threads: int = 0) -> Any:
    """Open U2-Net for `estimate_matte`, so that several photos share one session.

    Args:
        path: `u2net.onnx`; fetched when None.
        num_threads: threads of the network; 0 lets onnxruntime choose.

    Returns:
        An `onnxruntime.InferenceSession`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    import onnxruntime

    if path is None:
        from motion_transfer.weights import fetch

        path = fetch("u2net.onnx")
    if not Path(path).is_file():
        raise FileNotFoundError(f"no such U2-Net file: {path}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 3
    # idle threads that spin would take the cores from the stages that run at the same time
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def estimate_matte(
    rgb: np.ndarray,
    *,
    person_mask: np.ndarray | None = None,
    joints_xy: np.ndarray | None = None,
    joints_confidence: np.ndarray | None = None,
    session: Any | None = None,
) -> np.ndarray:
    """Cut the person out of a photo.

    Outline from U2-Net (Qin et al., "U2-Net: Going Deeper with Nested U-Structure for Salient
    Object Detection", Pattern Recognition 2020), edges from closed-form matting (Levin et al.,
    "A Closed-Form Solution to Natural Image Matting", PAMI 2008) with U2-Net as a soft prior.

    Args:
        rgb: (H, W, 3) uint8.
        person_mask: (H, W) float in [0, 1], the tracker's coarse mask of the wanted person. With
            it other people and props are left out, and one run of U2-Net is saved.
        joints_xy: (33, 2) pixels, the wanted person's joints.
        joints_confidence: (33,) in [0, 1]; 1 when None.
        session: from `open_u2net`; opened here when None.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        InputError: an argument has the wrong shape.
        NoPersonError: nothing stands out from the background.
    """
    _check(rgb, person_mask, joints_xy, joints_confidence)
    session = open_u2net() if session is None else session
    skeleton = _draw_skeleton(rgb.shape[:2], joints_xy, joints_confidence)
    hint = skeleton > 0
    if person_mask is not None:
        hint = hint | (person_mask > 0.5)
    if not hint.any():
        hint = _run_u2net(session, rgb) > 0.3
        if not hint.any():
            raise NoPersonError(
                "photo: nothing stands out from the background; "
                "use a photo in which one person is large and clear"
            )
    coarse = _run_on_crop(session, rgb, hint)
    del session  # hundreds of MB, and the edges need as much again
    if person_mask is not None:
        inside = person_mask > 0.5
        both = np.count_nonzero(inside & (coarse > 0.5))
        if both < 0.5 * np.count_nonzero(inside):
            warnings.warn(
                "matte: U2-Net did not find the person that the tracker found; "
                "the tracker's own mask is used, the outline will be rough",
                stacklevel=2,
            )
            return matte_from_mask(rgb, person_mask)
    coarse = _keep_person(coarse, person_mask=person_mask, skeleton=skeleton)
    if coarse.max() < 0.3:
        raise NoPersonError(
            "photo: nothing stands out from the background; "
            "use a photo in which one person is large and clear"
        )
    feet = None
    if person_mask is not None and joints_xy is not None:
        coarse = _restore_limbs(coarse, person_mask, joints_xy, joints_confidence)
        feet = _foot_bones(person_mask, joints_xy, joints_confidence)
    hair = _hair_zone(rgb.shape[:2], joints_xy, joints_confidence)
    return refine_matte(rgb, coarse, hair_zone=hair, person=feet)


def matte_from_mask(rgb: np.ndarray, person_mask: np.ndarray) -> np.ndarray:
    """The fast matte: the tracker's mask, its outline moved to the edges of the photo.

    Args:
        rgb: (H, W, 3) uint8.
        person_mask: (H, W) float in [0, 1].

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        InputError: an argument has the wrong shape.
        NoPersonError: the mask is empty.
    """
    _check(rgb, person_mask, None, None)
    coarse = np.clip(person_mask, 0, 1).astype(np.float32)
    if coarse.max() < 0.5:
        raise NoPersonError("person_mask must show a person, got an empty mask; use another photo")
    coarse = _keep_person(coarse, person_mask=None, skeleton=np.zeros(rgb.shape[:2], np.uint8))
    return refine_matte(rgb, coarse, band_per_height=2.5 * BAND_PER_HEIGHT)


def refine_matte(
    rgb: np.ndarray,
    coarse: np.ndarray,
    *,
    hair_zone: np.ndarray | None = None,
    person: np.ndarray | None = None,
    band_per_height: float = BAND_PER_HEIGHT,
) -> np.ndarray:
    """Redraw the outline of a coarse matte by the colours of the photo.

    Closed-form matting in a band around the outline with the coarse matte as a soft data term: weak
    where person and backdrop differ in colour, strong where they look alike.

    Args:
        rgb: (H, W, 3) uint8.
        coarse: (H, W) float in [0, 1].
        hair_zone: (H, W) bool, where pixels in the colour of a plain backdrop are taken for
            backdrop that shows through, although the coarse matte covers them.
        person: (H, W) bool, what is the person's for sure, whatever the coarse matte says.
        band_per_height: half width of the band, per height of the person.

    Returns:
        (H, W) float32 in [0, 1].
    """
    height, width = coarse.shape
    rows, columns = np.flatnonzero((coarse > 0.02).any(1)), np.flatnonzero((coarse > 0.02).any(0))
    if not len(rows):
        return np.zeros((height, width), np.float32)
    margin = max(8, round((rows[-1] - rows[0]) * 0.06))
    y0, y1 = max(rows[0] - margin, 0), min(rows[-1] + 1 + margin, height)
    x0, x1 = max(columns[0] - margin, 0), min(columns[-1] + 1 + margin, width)
    crop, prior = rgb[y0:y1, x0:x1], coarse[y0:y1, x0:x1]
    nothing = np.zeros((height, width), bool)
    hair, sure = ((nothing if m is None else m)[y0:y1, x0:x1] for m in (hair_zone, person))
    shrink = min(1.0, (REFINE_MAX_PIXELS / prior.size) ** 0.5)
    if shrink < 1:
        size = round(prior.shape[1] * shrink), round(prior.shape[0] * shrink)
        crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        prior = cv2.resize(prior, size, interpolation=cv2.INTER_AREA)
        hair, sure = (
            cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
            for m in (hair, sure)
        )
    band_px = max(2, round(len(prior) * band_per_height))
    fine = _closed_form(crop, prior, hair_zone=hair, sure=sure, band_px=band_px)
    if shrink < 1:
        fine = cv2.resize(fine, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
    alpha = np.zeros((height, width), np.float32)
    alpha[y0:y1, x0:x1] = np.clip(fine, 0, 1)
    return alpha


def _closed_form(
    rgb: np.ndarray, coarse: np.ndarray, *, hair_zone: np.ndarray, sure: np.ndarray, band_px: int
) -> np.ndarray:
    """Solve (L + D) alpha = D prior in the band (Levin et al. 2008, formula 14, D graded)."""
    from pymatting import cf_laplacian, cg, ichol

    image = rgb.astype(np.float64) / 255
    prior = np.clip((coarse.astype(np.float64) - 0.25) / 0.5, 0, 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band_px + 1,) * 2)
    inner = cv2.erode((coarse > 0.9).astype(np.uint8), kernel, borderValue=1) > 0
    inner |= sure
    outer = (cv2.dilate((coarse > 0.1).astype(np.uint8), kernel) == 0) & ~sure
    backdrop, backdrop_std = _local_mean(image, outer, scale_px=6 * band_px)
    through, share = _through_hair(image, backdrop, hair_zone & ~outer & (backdrop_std < 0.05))
    inner &= cv2.dilate(through.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    person, _ = _local_mean(image, inner, scale_px=4 * band_px)
    contrast = np.linalg.norm(person - backdrop, axis=2)
    alike = np.clip((CONTRAST_CLEAR - contrast) / (CONTRAST_CLEAR - CONTRAST_ALIKE), 0, 1)
    weight = PRIOR_WEIGHT_CLEAR * (PRIOR_WEIGHT_ALIKE / PRIOR_WEIGHT_CLEAR) ** alike
    # Closed-form matting cannot reach a gap in the hair from outside; its colour tells.
    prior = np.where(through, np.minimum(prior, share), prior)
    weight = np.where(through, PRIOR_WEIGHT_THROUGH, weight)

    known = (inner | outer).ravel()
    unknown = np.flatnonzero(~known)
    if not len(unknown):
        return inner.astype(np.float32)
    laplacian = cf_laplacian(image, epsilon=CLOSED_FORM_EPSILON, is_known=known)
    d = np.where(known, KNOWN_WEIGHT, weight.ravel())
    system = (laplacian + scipy.sparse.diags(d)).tocsr()[unknown]
    right = (d * prior.ravel())[unknown] - system[:, known] @ inner.ravel()[known].astype(float)
    system = system[:, unknown]
    solved = cg(
        system, right, x0=prior.ravel()[unknown].copy(), M=ichol(system.tocsc()), rtol=1e-6, atol=0
    )
    alpha = inner.ravel().astype(np.float64)
    alpha[unknown] = np.clip(solved, 0, 1)
    return alpha.reshape(prior.shape).astype(np.float32)


def _through_hair(
    image: np.ndarray, backdrop: np.ndarray, where: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels tinted by a coloured backdrop, bool (H, W), and the person's share in them.

    A chroma key: only the tint counts, so that skin, white collars and grey walls are safe.
    """
    tint, key = (c - c.mean(2, keepdims=True) for c in (image, backdrop))
    strength = np.linalg.norm(key, axis=2)
    along = (tint * key).sum(2)
    angle = along / np.maximum(strength * np.linalg.norm(tint, axis=2), 1e-6)
    share = np.clip(1 - along / np.maximum(strength**2, 1e-6), 0, 1)
    return where & (strength > 0.15) & (angle > 0.93) & (share < 0.75), share


def _local_mean(
    image: np.ndarray, where: np.ndarray, *, scale_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Mean colour and its standard deviation over the pixels `where`, near every pixel."""
    step = max(1, round(scale_px / 2))
    size = -(-image.shape[1] // step), -(-image.shape[0] // step)
    weight = where.astype(np.float32)
    colour = cv2.resize(
        np.dstack([image * weight[..., None], weight]).astype(np.float32),
        size,
        interpolation=cv2.INTER_AREA,
    )
    square = cv2.resize(
        ((image**2).sum(2) * weight).astype(np.float32), size, interpolation=cv2.INTER_AREA
    )
    moments = np.dstack([colour, square]).astype(np.float64)
    total = np.zeros_like(moments)
    for octave in range(5):  # ever wider, ever weaker, so that far pixels have a mean as well
        sigma = scale_px / step * 2**octave
        total += 1e-3**octave * cv2.GaussianBlur(moments, (0, 0), sigma)
    mean = total[..., :4] / np.maximum(total[..., [3]], 1e-30)
    variance = total[..., 4] / np.maximum(total[..., 3], 1e-30) - (mean[..., :3] ** 2).sum(2)
    std = np.sqrt(np.maximum(variance, 0) / 3)
    shape = image.shape[1::-1]
    return cv2.resize(mean[..., :3], shape), cv2.resize(std, shape)


def _run_u2net(session: Any, rgb: np.ndarray) -> np.ndarray:
    """U2-Net's saliency of a picture, (H, W) float32 in [0, 1]."""
    height, width = rgb.shape[:2]
    shrinks = min(height, width) > NET_SIZE_PX
    small = cv2.resize(
        rgb,
        (NET_SIZE_PX, NET_SIZE_PX),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    ).astype(np.float32)
    small = (small / max(float(small.max()), 1.0) - NET_MEAN) / NET_STD
    feed = {session.get_inputs()[0].name: small.transpose(2, 0, 1)[None]}
    (saliency,) = session.run([session.get_outputs()[0].name], feed)
    large = cv2.resize(saliency[0, 0], (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(large, 0, 1)


def _run_on_crop(session: Any, rgb: np.ndarray, hint: np.ndarray) -> np.ndarray:
    """U2-Net on a box around the hint; once more on a larger box when the person is cut by it."""
    height, width = hint.shape
    rows, columns = np.flatnonzero(hint.any(1)), np.flatnonzero(hint.any(0))
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    pad = 0.1 * max(y1 - y0, x1 - x0)
    sides = [pad] * 4
    for _ in range(2):
        top, bottom = max(round(y0 - sides[0]), 0), min(round(y1 + sides[1]), height)
        left, right = max(round(x0 - sides[2]), 0), min(round(x1 + sides[3]), width)
        crop = _run_u2net(session, rgb[top:bottom, left:right])
        cut = (
            top > 0 and (crop[0] > 0.3).any(),
            bottom < height and (crop[-1] > 0.3).any(),
            left > 0 and (crop[:, 0] > 0.3).any(),
            right < width and (crop[:, -1] > 0.3).any(),
        )
        if not any(cut):
            break
        sides = [3 * pad if c else s for c, s in zip(cut, sides, strict=True)]
    coarse = np.zeros((height, width), np.float32)
    coarse[top:bottom, left:right] = crop
    return coarse


def _draw_skeleton(
    size_hw: tuple[int, ...], joints_xy: np.ndarray | None, confidence: np.ndarray | None
) -> np.ndarray:
    """The bones of the confident joints as thin lines, (H, W) uint8."""
    canvas = np.zeros(size_hw, np.uint8)
    if joints_xy is None:
        return canvas
    good = np.isfinite(joints_xy).all(1)
    if confidence is not None:
        good &= confidence >= 0.5
    for a, b in BONES:
        if good[a] and good[b]:
            ends = [tuple(round(float(v)) for v in joints_xy[i]) for i in (a, b)]
            cv2.line(canvas, ends[0], ends[1], 1, 3)
    return canvas


def _hair_zone(
    size_hw: tuple[int, ...], joints_xy: np.ndarray | None, confidence: np.ndarray | None
) -> np.ndarray | None:
    """Around the face and above the shoulders; skin and white clothes are not to be opened."""
    if joints_xy is None:
        return None
    used = [INDEX[name] for name in ("nose", "left_shoulder", "right_shoulder")]
    if not np.isfinite(joints_xy[used]).all():
        return None
    if confidence is not None and (confidence[used] < 0.5).any():
        return None
    nose, shoulders = joints_xy[used[0]], joints_xy[used[1:]].mean(0)
    neck = float(np.linalg.norm(shoulders - nose))
    up = (nose - shoulders) / max(neck, 1e-6)
    y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    above = (x - shoulders[0]) * up[0] + (y - shoulders[1]) * up[1] > 0.35 * neck
    from_nose = np.hypot(x - nose[0], y - nose[1])
    return above & (from_nose < 2.2 * neck) & (from_nose > 0.65 * neck)


def _keep_person(
    coarse: np.ndarray, *, person_mask: np.ndarray | None, skeleton: np.ndarray
) -> np.ndarray:
    """Drop regions that are not the wanted person; cut off what is far from the tracker's mask."""
    labels, areas = _label(coarse)
    touch = np.bincount(labels[(skeleton > 0) & (coarse > 0.3)], minlength=len(areas))
    if person_mask is not None:
        sure = labels[(person_mask > 0.7) & (coarse > 0.3)]
        touch = touch + (np.bincount(sure, minlength=len(areas)) > 0.2 * areas)
    keep = touch > 0
    if not keep[1:].any():
        keep = areas >= 0.05 * areas[1:].max(initial=1)
    keep[0] = False
    kept = keep[labels]
    if person_mask is not None:
        kept &= ~_other_people(kept, person_mask)
    # A soft edge is weaker than the region's threshold: it goes with the nearest region.
    soft = 3 + round(0.01 * np.count_nonzero(kept.any(1)))
    near = cv2.dilate(kept.astype(np.uint8), np.ones((2 * soft + 1,) * 2, np.uint8)) > 0
    return np.where(near & (kept | (labels == 0)), coarse, 0).astype(np.float32)


def _restore_limbs(
    coarse: np.ndarray,
    person_mask: np.ndarray,
    joints_xy: np.ndarray,
    confidence: np.ndarray | None,
) -> np.ndarray:
    """Forearms, hands, shins and feet that U2-Net lost, for the refinement to decide.

    A pale shoe on a pale floor, a hand before a curtain: where the tracker is sure of the joints
    and its mask covers the bones between them, the bones are the person's, and what lies around
    them is open, with the tracker's mask as the prior.
    """
    result = coarse
    for side, limb in itertools.product(("left", "right"), LIMBS):
        drawn = _draw_limb(side, limb, coarse.shape, joints_xy, confidence)
        if drawn is None:
            continue
        bones, reach = drawn
        on = bones > 0
        lost = on & (coarse < 0.3)
        if lost.sum() <= LIMB_LOST * on.sum() or person_mask[lost].mean() < LIMB_MASK:
            continue
        near = cv2.distanceTransform(1 - bones, cv2.DIST_L2, 3) < LIMB_RADIUS[limb[0]] * reach
        open_to_colours = 0.25 + 0.5 * person_mask
        result = np.where(near, np.maximum(result, open_to_colours), result)
        result = np.where(on & (person_mask > 0.5), 1.0, result)
    return result.astype(np.float32)


def _foot_bones(
    person_mask: np.ndarray, joints_xy: np.ndarray, confidence: np.ndarray | None
) -> np.ndarray:
    """What is a foot's for sure, (H, W) bool: a dark shoe on a dark floor has no outline."""
    found = np.zeros(person_mask.shape, bool)
    for side in ("left", "right"):
        drawn = _draw_limb(side, LIMBS[-1], found.shape, joints_xy, confidence)
        if drawn is not None:
            found |= (drawn[0] > 0) & (person_mask > 0.5)
    return found


def _draw_limb(
    side: str,
    limb: tuple[str, ...],
    shape_hw: tuple[int, ...],
    joints_xy: np.ndarray,
    confidence: np.ndarray | None,
) -> tuple[np.ndarray, float] | None:
    """The bones from a limb's first joint to the others, (H, W) uint8, and the longest's length.

    None where the tracker is not sure of all joints.
    """
    used = [INDEX[f"{side}_{name}"] for name in limb]
    xy = joints_xy[used]
    sure = confidence is None or (confidence[used] >= LIMB_CONFIDENCE).all()
    if not sure or not np.isfinite(xy).all():
        return None
    reach = float(np.linalg.norm(xy[1:] - xy[0], axis=1).max())
    lines = [np.round(np.stack([xy[0], end])).astype(np.int32) for end in xy[1:]]
    bones = np.zeros(shape_hw, np.uint8)
    cv2.polylines(bones, lines, False, 1, max(1, round(0.15 * reach)))
    return bones, reach


def _other_people(kept: np.ndarray, person_mask: np.ndarray) -> np.ndarray:
    """Large parts of the region that stick out far from the tracker's mask, as bool (H, W).

    A skirt or a bag reaches out of the mask too, but only by a fraction of the person's height.
    """
    mask = person_mask > 0.3
    if not mask.any():
        return np.zeros_like(kept)
    height_px = np.count_nonzero(mask.any(1))
    distance = ndimage.distance_transform_edt(~mask)
    labels, areas = _label((kept & (distance > 0.05 * height_px)).astype(np.float32))
    reach = np.asarray(ndimage.maximum(distance, labels, np.arange(len(areas))))
    other = (reach > 0.15 * height_px) & (areas > 0.1 * np.count_nonzero(mask))
    other[0] = False
    return other[labels]


def _label(coarse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected regions above 0.3: labels (H, W), and the area of each label in pixels."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        (coarse > 0.3).astype(np.uint8), connectivity=8
    )
    return labels, stats[:count, cv2.CC_STAT_AREA]


def _check(
    rgb: np.ndarray,
    person_mask: np.ndarray | None,
    joints_xy: np.ndarray | None,
    joints_confidence: np.ndarray | None,
) -> None:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise InputError(
            f"rgb must be uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}; pass one frame in RGB"
        )
    if person_mask is not None and person_mask.shape != rgb.shape[:2]:
        raise InputError(
            f"person_mask must have the photo's shape {rgb.shape[:2]}, got {person_mask.shape}; "
            "scale it to the photo"
        )
    if joints_xy is not None and (joints_xy.ndim != 2 or joints_xy.shape[1] != 2):
        raise InputError(
            f"joints_xy must have shape (33, 2), got {joints_xy.shape}; pass one frame of a track"
        )
    if (
        joints_confidence is not None
        and joints_xy is not None
        and joints_confidence.shape != joints_xy.shape[:1]
    ):
        raise InputError(
            f"joints_confidence must have shape {joints_xy.shape[:1]}, "
            f"got {joints_confidence.shape}; pass one value per joint"
        )
