"""The photographed person, taken apart: pose, face, matte, own colours, and the plate behind."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.media.photo import Photo
from motion_transfer.person.foreground import estimate_foreground
from motion_transfer.person.matte import estimate_matte, matte_from_mask
from motion_transfer.person.plate import make_plate
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.face_mesh import FaceMesh
from motion_transfer.pose.people import PersonChoice, locate_person
from motion_transfer.pose.skeleton import INDEX, JOINTS
from motion_transfer.pose.track import PoseTrack
from motion_transfer.pose.tracker import stack_samples

MATTES = ("u2net", "fast")
MAX_PIXEL = 100_000  # of a coordinate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """A photographed person, ready to be animated.

    Args:
        rgb: (H, W, 3) uint8, the photo with the person's own colour at soft edges.
        alpha: (H, W) float32 matte in [0, 1].
        plate: (H, W, 3) uint8, the photo without the person; the photo as it is where
            `build_subject` was told that none of it will be seen.
        pose: track of one frame, pixels of the photo.
        face: (468, 3) points of `FaceMesh`, pixels of the photo; None where no face is seen.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    plate: np.ndarray
    pose: PoseTrack
    face: np.ndarray | None = None


def locate(
    photo: Photo,
    *,
    person: PersonChoice = "largest",
    corrections: dict[str, tuple[float, float] | None] | None = None,
    blazepose: BlazePose | None = None,
) -> tuple[PoseTrack, np.ndarray]:
    """Find the person in a photo.

    Args:
        photo: the photo, maybe scaled down.
        person: whom to take where there are several.
        corrections: joints to move, from `read_corrections`.
        blazepose: the networks; made when None.

    Returns:
        The pose as a track of one frame, and the tracker's mask (H, W) in [0, 1].

    Raises:
        NoPersonError: nobody was found.
    """
    sample = locate_person(photo.rgb, person=person, blazepose=blazepose)
    pose = stack_samples([sample], fps=Fraction(25), size_hw=photo.size_hw)
    if corrections:
        xy, confidence = pose.xy.copy(), pose.confidence.copy()
        scale = photo.size_hw[0] / photo.original_size_hw[0]
        for name, place in corrections.items():
            joint = INDEX[name]
            if place is None:
                xy[0, joint], confidence[0, joint] = np.nan, 0.0
            else:
                xy[0, joint] = (np.asarray(place) + 0.5) * scale - 0.5
                confidence[0, joint] = 1.0
        pose = dataclasses.replace(pose, xy=xy, confidence=confidence)
    return pose, sample.mask(photo.size_hw)


def build_subject(
    photo: Photo, pose: PoseTrack, mask: np.ndarray, *, matte: str, with_plate: bool = True
) -> Subject:
    """Cut the person out and fill the hole.

    Args:
        photo: the photo; a real alpha channel is the matte.
        pose: from `locate`.
        mask: from `locate`.
        matte: "u2net", or "fast" for the tracker's own mask.
        with_plate: fill the hole, which takes seconds.

    Raises:
        NoPersonError: nothing stands out from the background.
    """
    if photo.alpha is not None:
        alpha = photo.alpha
    elif matte == "fast":
        alpha = matte_from_mask(photo.rgb, mask)
    else:
        alpha = estimate_matte(
            photo.rgb,
            person_mask=mask,
            joints_xy=np.nan_to_num(pose.xy[0]),
            joints_confidence=pose.confidence[0],
        )
    with ThreadPoolExecutor(1) as pool:  # the two do not depend on each other
        plate = pool.submit(make_plate, photo.rgb, alpha) if with_plate else None
        rgb = estimate_foreground(photo.rgb, alpha)
        face = FaceMesh().find(photo.rgb, pose)
        return Subject(
            rgb=rgb, alpha=alpha, plate=photo.rgb if plate is None else plate.result(),
            pose=pose, face=face,
        )  # fmt: skip


def read_corrections(path: str | os.PathLike[str]) -> dict[str, tuple[float, float] | None]:
    """Read corrected joints: `{"left_wrist": [x, y], "right_wrist": null}`.

    Coordinates are pixels of the upright photo in its original size; null hides a joint.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is not such a file; names the joint that was probably meant.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"--joints: no such file: {path}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # ValueError: not UTF-8, not JSON
        raise InputError(f"--joints: {path.name} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError(
            f"--joints: {path.name} must map joint names to [x, y], got {type(data).__name__}"
        )
    result: dict[str, tuple[float, float] | None] = {}
    for name, place in data.items():
        if name not in INDEX:
            near = difflib.get_close_matches(name, JOINTS, n=1, cutoff=0)[0]
            raise InputError(f"--joints: no joint is called {name!r}; did you mean {near!r}?")
        if place is None:
            result[name] = None
            continue
        ok = isinstance(place, list) and len(place) == 2
        if not (ok and all(type(v) in (int, float) and abs(v) < MAX_PIXEL for v in place)):
            raise InputError(f"--joints: {name} must be [x, y] in pixels or null, got {place!r}")
        result[name] = (float(place[0]), float(place[1]))
    return result


def write_corrections(path: str | os.PathLike[str], photo: Photo, pose: PoseTrack) -> None:
    """Write the found joints in the form that `read_corrections` reads, to be edited."""
    scale = photo.original_size_hw[0] / photo.size_hw[0]
    places = (np.nan_to_num(pose.xy[0]) + 0.5) * scale - 0.5
    lines = (f'  "{n}": [{x:.1f}, {y:.1f}]' for n, (x, y) in zip(JOINTS, places, strict=True))
    path = Path(path)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    os.replace(temporary, path)
