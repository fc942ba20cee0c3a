"""`PoseTrack`: the key points of one person over time, and its NPZ form."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import zipfile
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.pose.skeleton import BLAZEPOSE, JOINTS

FORMAT_VERSION = 1
_READ_ERRORS = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, MemoryError)
MAX_BYTES = 2_000_000_000  # unpacked: more than ten hours at 60 frames/s


@dataclasses.dataclass(frozen=True, kw_only=True)
class PoseTrack:
    """Key points of one person in T frames with K joints.

    Args:
        xy: (T, K, 2) float32, pixels, an integer is a pixel centre. NaN where unknown.
        depth: (T, K) float32, pixels at image scale, smaller is nearer, 0 at the middle of the
            hips. NaN where unknown.
        confidence: (T, K) float32 in [0, 1]; 0 in frames without the person.
        world: (T, K, 3) float32, metres, x right, y down, z away from the camera, origin at the
            middle of the hips. NaN where unknown.
        present: (T,) bool, whether the person was found in the frame.
        times_seconds: (T,) float64, presentation time since the start of the driven range.
        fps: nominal frame rate of the driven range.
        size_hw: height and width in pixels of the frames that the key points refer to.
        skeleton: name of the joint set.
        px_per_metre: (T,) float32, size of the person in the image, where it is known.

    Raises:
        InputError: a field has the wrong shape or type.
    """

    xy: np.ndarray
    depth: np.ndarray
    confidence: np.ndarray
    world: np.ndarray
    present: np.ndarray
    times_seconds: np.ndarray
    fps: Fraction
    size_hw: tuple[int, int]
    skeleton: str = BLAZEPOSE
    px_per_metre: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.xy.ndim != 3 or self.xy.shape[2] != 2:
            raise InputError(
                f"xy must have shape (T, K, 2), got {self.xy.shape}; "
                "add a leading axis for a single frame"
            )
        t, k = self.xy.shape[:2]
        if self.skeleton == BLAZEPOSE and k != len(JOINTS):
            raise InputError(f"a {BLAZEPOSE} track must have {len(JOINTS)} joints, got {k}")
        for name, shape in (
            ("depth", (t, k)), ("confidence", (t, k)), ("world", (t, k, 3)),
            ("present", (t,)), ("times_seconds", (t,)),
        ):  # fmt: skip
            got = getattr(self, name).shape
            if got != shape:
                raise InputError(f"{name} must have shape {shape} to match xy, got {got}")
        if self.px_per_metre is not None and self.px_per_metre.shape != (t,):
            raise InputError(
                f"px_per_metre must have shape {(t,)} to match xy, got {self.px_per_metre.shape}"
            )
        if not isinstance(self.fps, Fraction) or self.fps <= 0:
            raise InputError(f"fps must be a positive fractions.Fraction, got {self.fps!r}")

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, frames: slice) -> PoseTrack:
        """The track of a slice of the frames; times keep their origin."""
        names = ["xy", "depth", "confidence", "world", "present", "times_seconds"]
        if self.px_per_metre is not None:
            names.append("px_per_metre")
        return dataclasses.replace(self, **{n: getattr(self, n)[frames] for n in names})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as NPZ; the file appears whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                scale: dict[str, Any] = {}
                if self.px_per_metre is not None:
                    scale["px_per_metre"] = self.px_per_metre.astype(np.float32)
                np.savez_compressed(
                    file,
                    **scale,
                    version=np.int64(FORMAT_VERSION),
                    xy=self.xy.astype(np.float32),
                    depth=self.depth.astype(np.float32),
                    confidence=self.confidence.astype(np.float32),
                    world=self.world.astype(np.float32),
                    present=self.present.astype(bool),
                    times_seconds=self.times_seconds.astype(np.float64),
                    fps=np.array([self.fps.numerator, self.fps.denominator], np.int64),
                    size_hw=np.array(self.size_hw, np.int64),
                    skeleton=np.str_(self.skeleton),
                )
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> PoseTrack:
        """Read an NPZ written by `save`; nothing is ever unpickled.

        Raises:
            FileNotFoundError: there is no such file.
            InputError: the file is not a pose track of a version that is understood.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no such pose track: {path}")
        try:
            with zipfile.ZipFile(path) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > MAX_BYTES:
                raise InputError(f"{path} is not a pose track: it holds {size / 1e9:.1f} GB")
            with np.load(path, allow_pickle=False) as data:
                fields = dict(data)
        except _READ_ERRORS as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path} is not a pose track (NPZ): {error}") from error
        wanted = {f.name for f in dataclasses.fields(cls)} - {"px_per_metre"} | {"version"}
        if missing := sorted(wanted - fields.keys()):
            raise InputError(
                f"{path} is not a pose track: it lacks {', '.join(missing)}; "
                "make one with 'motion-transfer track'"
            )
        version = _whole_numbers(path, "version", fields["version"], ())
        if version != [FORMAT_VERSION]:
            raise InputError(
                f"{path}: pose track version must be {FORMAT_VERSION}, got {version[0]}; "
                "make it again with 'motion-transfer track'"
            )
        top, bottom = _whole_numbers(path, "fps", fields["fps"], (2,))
        height, width = _whole_numbers(path, "size_hw", fields["size_hw"], (2,))
        for name in ("xy", "depth", "confidence", "world", "times_seconds", "px_per_metre"):
            if name in fields and fields[name].dtype.kind != "f":
                raise InputError(f"{path}: {name} must be floats, got {fields[name].dtype}")
        if fields["present"].dtype != bool:
            raise InputError(f"{path}: present must be bool, got {fields['present'].dtype}")
        times = fields["times_seconds"]
        if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
            raise InputError(f"{path}: times_seconds must increase")
        return cls(
            **{n: fields[n] for n in ("xy", "depth", "confidence", "world", "present")},
            times_seconds=times,
            fps=Fraction(top, max(bottom, 1)),
            size_hw=(height, width),
            skeleton=str(fields["skeleton"]),
            px_per_metre=fields.get("px_per_metre"),
        )


def _whole_numbers(path: object, name: str, value: np.ndarray, shape: tuple[int, ...]) -> list[int]:
    """An array of positive integers as a list."""
    if value.shape != shape or value.dtype.kind not in "iu" or (value < 1).any():
        raise InputError(f"{path}: {name} must be positive whole numbers of shape {shape}")
    return [int(v) for v in value.ravel()]
