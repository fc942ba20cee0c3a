"""The people in one picture: finding all of them, choosing one, and looking at a photo closely."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import cv2
import numpy as np

from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.pose.blazepose import ROI_SCALE, BlazePose, Landmarks, Roi
from motion_transfer.pose.skeleton import INDEX, JOINTS, MIRROR

PersonChoice = str | int | tuple[float, float]  # "largest", number from the left, point (x, y)

# Of somebody not seen before: the detector proposes, the landmark network has the last word after
# a second look. Beside known people more is asked for: what is left of them when they are painted
# over now and then looks like somebody, often upside down.
MIN_DETECTION = 0.3
MIN_NEW_SCORE = 0.7
MIN_OTHER_DETECTION = 0.5
MIN_OTHER_SCORE = 0.9
MAX_OTHER_ANGLE = 2.0  # radians from upright
MIN_SCORE = 0.5  # of the landmark network, in every frame
MIN_JOINTS = 5  # that are surely visible inside the picture
SURE = 0.5  # confidence of a joint that counts as visible
SAME_POSE = 0.15  # torso distance over body radius below which two poses are one person
COVERED = 0.7  # share of a find's joints in a known person's mask above which it is a ghost
MAX_PEOPLE = 8
TILE_SIDES = (0.6, 0.3)  # of the shorter side of the picture, for people who are small in it
TILE_STEP = 0.65  # of the tile's side
MIN_TILE_PX = 160  # a person in a smaller tile is too small to be of use
TORSO = tuple(INDEX[n] for n in ("left_shoulder", "right_shoulder", "right_hip", "left_hip"))
LAB_BINS = 5
LOOK_SCALES = (0.9, 1.0, 1.1)  # sizes in which a photo is looked at


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseSample:
    """The key points of one person in one picture.

    Args:
        xy: (33, 2) float32, pixels, an integer is a pixel centre. NaN when not present.
        depth: (33,) float32, pixels at image scale, smaller is nearer, 0 at the hips.
        confidence: (33,) float32 in [0, 1], visible and inside the frame; 0 when not present.
        world: (33, 3) float32 metres, x right, y down, z away, origin at the middle of the hips.
        present: the person was found.
        time: presentation time in seconds, where the picture is a frame of a video.
        landmarks: the network's whole answer, for `mask`.
    """

    xy: np.ndarray
    depth: np.ndarray
    confidence: np.ndarray
    world: np.ndarray
    present: bool
    time: Fraction | None = None
    landmarks: Landmarks | None = None

    @classmethod
    def of(cls, landmarks: Landmarks, *, time: Fraction | None = None) -> PoseSample:
        """The sample of a person who was found."""
        return cls(
            xy=landmarks.xy,
            depth=landmarks.depth,
            confidence=landmarks.visibility * landmarks.presence,
            world=landmarks.world,
            present=True,
            time=time,
            landmarks=landmarks,
        )

    @classmethod
    def absent(cls, *, time: Fraction | None = None) -> PoseSample:
        """The sample of a picture without the person."""
        k = len(JOINTS)
        return cls(
            xy=np.full((k, 2), np.nan, np.float32),
            depth=np.full(k, np.nan, np.float32),
            confidence=np.zeros(k, np.float32),
            world=np.full((k, 3), np.nan, np.float32),
            present=False,
            time=time,
        )

    @property
    def roi(self) -> Roi | None:
        """The region of interest that the networks looked at."""
        return None if self.landmarks is None else self.landmarks.roi

    def mask(self, size_hw: tuple[int, int]) -> np.ndarray:
        """The network's soft mask of the person, (H, W) float32 in [0, 1], warped on demand.

        Raises:
            ValueError: the person is not present, or the mask was not asked for.
        """
        if self.landmarks is None:
            raise ValueError("there is no mask: the person is not present in this picture")
        return self.landmarks.mask(size_hw)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in a picture.

    Args:
        box_xyxy: (4,) float32 around the visible key points with some air, inside the picture.
        score: of the landmark network, [0, 1].
        number: 0 for the leftmost person, counted by the middle of the box.
        sample: key points, with mask.
    """

    box_xyxy: np.ndarray
    score: float
    number: int
    sample: PoseSample

    @property
    def area_px(self) -> float:
        """Area of the box."""
        return float(np.prod(self.box_xyxy[2:] - self.box_xyxy[:2]))


def find_people(
    rgb: np.ndarray,
    *,
    blazepose: BlazePose | None = None,
    tiles: bool = True,
    max_people: int = MAX_PEOPLE,
) -> list[Person]:
    """Everybody in a picture.

    Args:
        rgb: (H, W, 3) uint8.
        blazepose: the networks; made when None.
        tiles: where nobody is found in the whole picture, look for small people in parts of it.
        max_people: to look for.

    Returns:
        People sorted by area of their boxes, largest first; `number` counts left to right.
    """
    blazepose = blazepose or BlazePose()
    found = find_new(rgb, (), blazepose=blazepose, max_people=max_people)
    if not found and tiles:
        for tile in list_tiles(rgb.shape[:2]):
            found += find_in_tile(rgb, tile, found, blazepose=blazepose)
            if found and tile.is_last_of_size:
                break
    found = found[:max_people]
    boxes = [_box(landmarks, rgb.shape[:2]) for landmarks in found]
    order = np.argsort([box[0] + box[2] for box in boxes], kind="stable")
    people = [
        Person(
            box_xyxy=boxes[i], score=found[i].score, number=number, sample=PoseSample.of(found[i])
        )
        for number, i in enumerate(order)
    ]
    return sorted(people, key=lambda p: -p.area_px)


def choose_person(people: list[Person], person: PersonChoice = "largest") -> Person:
    """One of the people found.

    Args:
        people: from `find_people`, at least one.
        person: "largest"; a number, 0 being the leftmost; or a point (x, y) in pixels: the
            smallest box that holds it, else the nearest box.

    Returns:
        The person.

    Raises:
        NoPersonError: there is nobody, or there is no person of that number.
        InputError: `person` is none of these.
    """
    if not people:
        raise NoPersonError("no person was found; give a picture in which one is clearly visible")
    if isinstance(person, bool) or not isinstance(person, (str, int, tuple)):
        raise InputError(f"person must be 'largest', a number or a point (x, y), got {person!r}")
    if isinstance(person, str):
        if person != "largest":
            raise InputError(
                f"person must be 'largest', a number or a point (x, y), got {person!r}"
            )
        return max(people, key=lambda p: p.area_px)
    if isinstance(person, int):
        for candidate in people:
            if candidate.number == person:
                return candidate
        count = f"{len(people)} people were" if len(people) > 1 else "1 person was"
        raise NoPersonError(
            f"person must be a number from 0 (leftmost) to {len(people) - 1}, got {person}; "
            f"{count} found"
        )
    point = np.array(person, float)

    def distance(candidate: Person) -> tuple[float, float]:
        low, high = candidate.box_xyxy[:2], candidate.box_xyxy[2:]
        return float(np.linalg.norm(point - np.clip(point, low, high))), candidate.area_px

    return min(people, key=distance)


def locate_person(
    photo_rgb: np.ndarray,
    *,
    person: PersonChoice = "largest",
    blazepose: BlazePose | None = None,
) -> PoseSample:
    """The key points of a person in a photo, as exact as the network allows.

    The region of interest is settled in three passes; then the person is looked at in three sizes,
    each also mirrored, and the answers are averaged by their confidence. Slower (9 passes) and
    steadier than what tracking does to a frame.

    Args:
        photo_rgb: (H, W, 3) uint8, upright.
        person: whom to take when there are several, as in `choose_person`.
        blazepose: the networks; made when None.

    Returns:
        The sample, with mask.

    Raises:
        NoPersonError: nobody was found, or not as many as `person` asks for.
    """
    blazepose = blazepose or BlazePose()
    people = find_people(photo_rgb, blazepose=blazepose)
    if not people:
        raise NoPersonError(
            "no person was found in the photo; give one in which a person is clearly visible, "
            "best from head to foot"
        )
    first = choose_person(people, person).sample.landmarks
    assert first is not None
    best = first
    roi = first.next_roi
    for _ in range(2):
        again = blazepose.landmarks(photo_rgb, roi, mask=True)
        if not is_person(again, photo_rgb.shape[:2]) or not same_person(again, first):
            break  # the region wanders off: keep what was good
        best, roi = again, again.next_roi
    looks = [best]
    for factor in LOOK_SCALES:
        for mirrored in (False, True):
            look = _look(blazepose, photo_rgb, best.roi.scaled(factor), mirrored=mirrored)
            if look.score >= MIN_SCORE and same_person(look, best):
                looks.append(look)
    sample = PoseSample.of(best)
    confidence = np.stack([look.visibility * look.presence for look in looks])
    weight = confidence + 1e-3
    weight /= weight.sum(axis=0)
    return dataclasses.replace(
        sample,
        xy=np.einsum("nk,nkc->kc", weight, [look.xy for look in looks]).astype(np.float32),
        depth=np.einsum("nk,nk->k", weight, [look.depth for look in looks]).astype(np.float32),
        world=np.einsum("nk,nkc->kc", weight, [look.world for look in looks]).astype(np.float32),
        confidence=confidence.mean(axis=0).astype(np.float32),
    )


def _look(blazepose: BlazePose, rgb: np.ndarray, roi: Roi, *, mirrored: bool) -> Landmarks:
    """One pass over the region, optionally over its mirror image, told in the picture's terms."""
    if not mirrored:
        return blazepose.landmarks(rgb, roi)
    right = rgb.shape[1] - 1
    flipped = roi._replace(center_x=right - roi.center_x, angle=-roi.angle)
    look = blazepose.landmarks(np.ascontiguousarray(rgb[:, ::-1]), flipped)
    order = list(MIRROR)
    return dataclasses.replace(
        look,
        xy=np.stack([right - look.xy[order, 0], look.xy[order, 1]], axis=-1),
        depth=look.depth[order],
        visibility=look.visibility[order],
        presence=look.presence[order],
        world=look.world[order] * np.array([-1, 1, 1], np.float32),
        roi=roi,
    )


# --- shared with the tracker ---------------------------------------------------------------------


def find_new(
    rgb: np.ndarray,
    known: Sequence[Landmarks],
    *,
    blazepose: BlazePose,
    max_people: int = MAX_PEOPLE,
) -> list[Landmarks]:
    """People who are not known yet: those found are painted over until no more turn up."""
    new: list[Landmarks] = []
    while len(new) < max_people:
        erase = (*known, *new)
        min_score = MIN_OTHER_DETECTION if erase else MIN_DETECTION
        detections = blazepose.detect(rgb, min_score=min_score, erase=erase)
        before = len(new)
        for detection in detections[: max_people - len(new)]:
            landmarks = verify(rgb, detection.roi, (*known, *new), blazepose=blazepose)
            if landmarks is not None:
                new.append(landmarks)
        if len(new) == before:
            break
    return new


def verify(
    rgb: np.ndarray,
    roi: Roi,
    known: Sequence[Landmarks],
    *,
    blazepose: BlazePose,
) -> Landmarks | None:
    """Look twice at a candidate; None where there is no person or one already known."""
    first = blazepose.landmarks(rgb, roi)
    if first.score < MIN_SCORE:
        return None
    second = blazepose.landmarks(rgb, first.next_roi, mask=True)
    min_score = MIN_OTHER_SCORE if known else MIN_NEW_SCORE
    if second.score < min_score or not is_person(second, rgb.shape[:2]):
        return None
    if known and abs(second.next_roi.angle) > MAX_OTHER_ANGLE:
        return None
    if any(same_person(second, other) for other in known) or _is_ghost(second, known):
        return None
    return second


class Tile(NamedTuple):
    """A square part of the picture."""

    left: int
    top: int
    side: int
    is_last_of_size: bool


def list_tiles(size_hw: tuple[int, ...]) -> list[Tile]:
    """Overlapping squares that cover the picture, large ones first."""
    height, width = size_hw[:2]
    tiles: list[Tile] = []
    for part in TILE_SIDES:
        side = int(part * min(height, width))
        if side >= MIN_TILE_PX:
            places = [(x, y) for y in _starts(height, side) for x in _starts(width, side)]
            tiles += [Tile(x, y, side, (x, y) == places[-1]) for x, y in places]
    return tiles


def find_in_tile(
    rgb: np.ndarray, tile: Tile, known: Sequence[Landmarks], *, blazepose: BlazePose
) -> list[Landmarks]:
    """New people in one tile; their key points are looked up in the whole picture."""
    left, top, side, _ = tile
    new: list[Landmarks] = []
    for detection in blazepose.detect(rgb[top : top + side, left : left + side]):
        roi = detection.roi
        roi = roi._replace(center_x=roi.center_x + left, center_y=roi.center_y + top)
        landmarks = verify(rgb, roi, [*known, *new], blazepose=blazepose)
        if landmarks is not None:
            new.append(landmarks)
    return new


def is_person(landmarks: Landmarks, size_hw: tuple[int, ...]) -> bool:
    """Whether the network's answer hangs together: score, visible joints, a sane next region."""
    height, width = size_hw[:2]
    inside = np.all((landmarks.xy > -1) & (landmarks.xy < [width, height]), axis=1)
    sure = inside & (landmarks.visibility * landmarks.presence > SURE)
    roi, following = landmarks.roi, landmarks.next_roi
    moved = np.hypot(following.center_x - roi.center_x, following.center_y - roi.center_y)
    return (
        landmarks.score >= MIN_SCORE
        and int(sure.sum()) >= MIN_JOINTS
        and 1 / 3 < following.side_px / roi.side_px < 3
        and moved < roi.side_px / 2
    )


def same_person(a: Landmarks, b: Landmarks) -> bool:
    """Whether two answers for one picture are about the same body."""
    radius = min(a.next_roi.side_px, b.next_roi.side_px) / (2 * ROI_SCALE)
    distance = np.linalg.norm(a.xy[list(TORSO)] - b.xy[list(TORSO)], axis=1).mean()
    return bool(distance < SAME_POSE * radius)


def _is_ghost(landmarks: Landmarks, known: Sequence[Landmarks]) -> bool:
    """Whether a find is only parts of known people: its sure joints lie in their masks."""
    covered = np.zeros(len(landmarks.xy), bool)
    for person in known:
        to_image = person.roi.crop_to_image()
        crop_xy = (landmarks.xy - to_image[:, 2]) @ np.linalg.inv(to_image[:, :2]).T
        mask = person.mask_crop()
        x, y = np.rint(crop_xy).astype(int).T
        inside = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
        covered[inside] |= mask[y[inside], x[inside]] > 0.5
    sure = landmarks.visibility * landmarks.presence > SURE
    return bool(sure.any() and covered[sure].mean() > COVERED)


def appearance(rgb: np.ndarray, landmarks: Landmarks) -> np.ndarray:
    """Colours of torso and thighs: two Lab histograms, (2, 125) float32; 0 where out of sight."""
    xy = landmarks.xy
    shoulder_l, shoulder_r, hip_r, hip_l = (xy[i] for i in TORSO)
    v, u = (g.reshape(-1, 1) for g in np.meshgrid(*2 * [np.linspace(0.15, 0.85, 10)]))
    torso = (1 - v) * ((1 - u) * shoulder_l + u * shoulder_r) + v * ((1 - u) * hip_l + u * hip_r)
    along = np.linspace(0.1, 0.9, 20)[:, None]
    thighs = np.concatenate(
        [
            (1 - along) * xy[INDEX[f"{side}_hip"]] + along * xy[INDEX[f"{side}_knee"]]
            for side in ("left", "right")
        ]
    )
    return np.stack([_histogram(rgb, torso), _histogram(rgb, thighs)])


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Bhattacharyya coefficient of two appearances, [0, 1], over what both show."""
    shown = (a.sum(axis=1) > 0) & (b.sum(axis=1) > 0)
    if not shown.any():
        return 0.0
    return float(np.sqrt(a * b).sum(axis=1)[shown].mean())


def _histogram(rgb: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Lab histogram at points of the picture, shared out linearly between neighbouring bins."""
    height, width = rgb.shape[:2]
    x, y = np.rint(points).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if inside.sum() < 10:
        return np.zeros(LAB_BINS**3, np.float32)
    pixels = rgb[y[inside], x[inside]][None].astype(np.float32) / 255
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0]
    # Dark to bright; a and b of clothes rarely leave +-50.
    position = np.clip((lab - [0, -50, -50]) / [100, 100, 100], 0, 1) * (LAB_BINS - 1)
    low = np.minimum(np.floor(position).astype(int), LAB_BINS - 2)
    part = position - low
    histogram = np.zeros(LAB_BINS**3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, part, 1 - part).prod(axis=1)
        cell = (low + corner) @ [LAB_BINS**2, LAB_BINS, 1]
        np.add.at(histogram, cell, weight)
    return (histogram / histogram.sum()).astype(np.float32)


# --- private -------------------------------------------------------------------------------------


def _box(landmarks: Landmarks, size_hw: tuple[int, ...]) -> np.ndarray:
    height, width = size_hw[:2]
    visible = landmarks.visibility * landmarks.presence > SURE
    points = landmarks.xy[visible] if visible.any() else landmarks.xy
    air = 0.06 * landmarks.next_roi.side_px  # the crown is above the eyes, hands beyond wrists
    low, high = points.min(axis=0) - air, points.max(axis=0) + air
    limit = [width - 1, height - 1]
    return np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)]).astype(np.float32)


def _starts(length: int, side: int) -> list[int]:
    """First pixels of squares that cover a length evenly."""
    count = int(np.ceil((length - side) / (TILE_STEP * side))) + 1
    return [round(v) for v in np.linspace(0, length - side, count)]
