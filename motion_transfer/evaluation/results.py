"""Results on disk: one small JSON file for each case and generator, written when it is done.

So a run that was stopped goes on where it was, and memory does not grow with the number of cases.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from motion_transfer.evaluation.cases import Case
from motion_transfer.media.decode import fit_side

PICTURE_SIDE = 320  # of what is kept for the report, pixels
_JPEG_QUALITY = 88
PHOTO, TRUTH = "-photo", "-truth"
"""Under these names photos and true frames are kept beside the generators'."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What one generator did in one case.

    Args:
        protocol: of the case.
        case: its name.
        generator: its name.
        values: mean over the frames, by metric.
        frames: values by frame number.
    """

    protocol: str
    case: str
    generator: str
    values: dict[str, float]
    frames: dict[int, dict[str, float]]


class Store:
    """The results of a run.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_done(self, protocol: str, case: str, generator: str, key: str) -> bool:
        """Whether a result is there that was made with the same options and files."""
        path = self._path(protocol, case, generator)
        return path.is_file() and json.loads(path.read_text("utf-8"))["key"] == key

    def write(self, result: Result, embeddings: np.ndarray, *, key: str) -> None:
        """Keep a result; it appears whole or not at all.

        Args:
            result: the values.
            embeddings: (T, C) of the frames, maybe (0, 0).
            key: of options and files.
        """
        path = self._path(result.protocol, result.case, result.generator)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path.with_suffix(".npy"), embeddings.astype(np.float32))
        tree = dataclasses.asdict(result) | {"key": key}
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(without_nan(tree)), "utf-8")
        os.replace(temporary, path)

    def read(self) -> Iterator[Result]:
        """All results, sorted by protocol and case; values that could not be measured are NaN."""
        for path in sorted(self.folder.glob("results/*/*/*.json")):
            tree = json.loads(path.read_text("utf-8"))
            yield Result(
                protocol=tree["protocol"], case=tree["case"], generator=tree["generator"],
                values=_with_nan(tree["values"]),
                frames={int(f): _with_nan(v) for f, v in tree["frames"].items()},
            )  # fmt: skip

    def embeddings(self, protocol: str, generator: str) -> np.ndarray:
        """(N, C) of all frames of a generator."""
        paths = sorted(self.folder.glob(f"results/{protocol}/{slug(generator)}/*.npy"))
        found = [e for e in (np.load(p, allow_pickle=False) for p in paths) if e.size]
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)

    def keep_picture(
        self, protocol: str, case: str, generator: str, frame: int, rgb: np.ndarray
    ) -> None:
        """Keep a small copy of a frame for the report."""
        path = self.picture_path(protocol, case, generator, frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        width, height = fit_side((rgb.shape[1], rgb.shape[0]), PICTURE_SIDE)
        small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(path), small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])

    def keep_frame(self, case: Case, generator: str, frame: int, rgb: np.ndarray) -> None:
        """Keep a frame and the true one as they are, for metrics of whole sets of pictures."""
        truth = case.truths[frame].rgb
        for name, picture in ((generator, rgb), (TRUTH, truth)):
            folder = self.folder / "frames" / case.protocol / slug(name)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{slug(case.name)}-{frame:06d}.png"
            cv2.imwrite(str(path), picture[..., ::-1])

    def frame_pairs(self, protocol: str, generator: str) -> Iterator[tuple[Path, Path]]:
        """Kept frames of a generator, each with the true one."""
        folder = self.folder / "frames" / protocol
        for path in sorted((folder / slug(generator)).glob("*.png")):
            yield path, folder / slug(TRUTH) / path.name

    def picture_path(self, protocol: str, case: str, generator: str, frame: int) -> Path:
        """Where the small copy of a frame lies, or would."""
        return (
            self.folder / "pictures" / protocol / slug(generator) / slug(case) / f"{frame:06d}.jpg"
        )

    def _path(self, protocol: str, case: str, generator: str) -> Path:
        return self.folder / "results" / protocol / slug(generator) / f"{slug(case)}.json"


def slug(name: str) -> str:
    """A name as it can stand in a path."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


def without_nan(tree: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(tree, dict):
        return {str(n): without_nan(v) for n, v in tree.items()}
    if isinstance(tree, float) and not math.isfinite(tree):
        return str(tree) if math.isinf(tree) else None
    return tree


def _with_nan(values: dict[str, Any]) -> dict[str, float]:
    return {n: float("nan") if v is None else float(v) for n, v in values.items()}
