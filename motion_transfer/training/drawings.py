"""What the puppet makes of rendered people, beside the truth: what RefinementNet learns from.

The errors that a tracker makes on a single picture are far larger than those that are left of a
smoothed track, in which source and target are off in the same way. Drawn with the former, puppets
overlap the truth by 0.71, on real clips by 0.87; what is learned from such drawings does harm to
good ones. So only a share of the errors is kept, and frames that are far off are left out.

Axes: H W pixels of the picture.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from motion_transfer.errors import InputError
from motion_transfer.evaluation.synthetic import make_case
from motion_transfer.generator.articulated import ArticulatedGenerator, Plan
from motion_transfer.generator.puppets import place_map
from motion_transfer.person.foreground import estimate_foreground
from motion_transfer.synth.sample import Sample
from motion_transfer.synth.shards import list_shards, read_shard, write_arrays
from motion_transfer.threads import use_one_thread
from motion_transfer.training.sample_files import SampleFiles, Tensors

PLANES = ("red", "green", "blue", "alpha", "visible", "skirt")
"""Of a drawing: colour multiplied by alpha, alpha, what of it the photo shows, and the skirt's."""
LEAST_OVERLAP = 0.8
_TRACKED_SHARE = 0.6  # of the samples have errors at all
_FORMAT_VERSION = 1
_ARRAYS = ("name", "drawn", "rgb", "alpha", "joints")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """A target view as the puppet draws it, and as it is.

    Args:
        name: of the sample, and which target.
        drawn: (H, W, 6) uint8, `PLANES`.
        rgb: (H, W, 3) uint8 the true picture, with the person's own colour at soft edges.
        alpha: (H, W) uint8 the true matte.
        joints: (33, 4) float32 x, y, depth in pixels and confidence, by which it was drawn.
    """

    name: str
    drawn: np.ndarray
    rgb: np.ndarray
    alpha: np.ndarray
    joints: np.ndarray


def drawings(
    *, shards: Path, output: Path, noise: float = 0.5, seed: int = 0, workers: int = 1
) -> None:
    """Draw the people of shards with the articulated puppet, to train RefinementNet on.

    A run that was stopped goes on where it was.

    Args:
        shards: folder of rendered samples.
        output: folder for the drawings.
        noise: the largest share of the tracker's errors, in [0, 1]; two samples in five have none.
        seed: of those shares.
        workers: processes.

    Raises:
        FileNotFoundError: there are no shards.
        InputError: noise or workers are out of range, or a shard has no usable frame.
    """
    if not 0 <= noise <= 1:
        raise InputError(f"--noise must be in [0, 1], got {noise}")
    if workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}")
    jobs = [
        (path, output / path.name, noise, seed * 1_000_003 + number)
        for number, path in enumerate(list_shards(shards))
        if not (output / path.name).exists()
    ]
    if workers == 1:
        for job in jobs:
            _draw_shard(*job)
    else:
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, initializer=use_one_thread) as pool:
            pool.starmap(_draw_shard, jobs, chunksize=1)
    print(f"{sum(DrawnFrames(output).counts)} drawings -> {output}")


def draw_sample(sampled: Sample, *, noise: float) -> Iterator[Drawing]:
    """The targets of a sample that the puppet hits well enough.

    Args:
        sampled: rendered source and targets.
        noise: share of the tracker's errors in the key points.
    """
    known = sampled.tracked[..., 3:] > 0
    error = np.where(known, sampled.tracked[..., :3] - sampled.keypoints, 0)
    points = np.concatenate([sampled.keypoints + noise * error, np.ones_like(error[..., :1])], -1)
    case = make_case(dataclasses.replace(sampled, tracked=points), sampled.name, pose="tracked")
    targets = case.targets
    puppet = ArticulatedGenerator(case.source)
    plan, _ = puppet.plan(targets, slice(0, len(targets)))
    for frame in range(len(targets)):
        drawn = _planes(puppet, plan, frame)
        ours, truth = drawn[..., 3] > 127, sampled.alpha[frame + 1] > 127
        if (ours & truth).sum() < LEAST_OVERLAP * (ours | truth).sum() or not truth.any():
            continue
        yield Drawing(
            name=f"{sampled.name} {frame}", drawn=drawn,
            rgb=estimate_foreground(sampled.rgb[frame + 1], sampled.alpha[frame + 1] / 255),
            alpha=sampled.alpha[frame + 1],
            joints=np.column_stack(
                [targets.xy[frame], targets.depth[frame], targets.confidence[frame]]
            ).astype(np.float32),
        )  # fmt: skip


def _planes(puppet: ArticulatedGenerator, plan: Plan, frame: int) -> np.ndarray:
    """(H, W, 6) uint8, see `PLANES`."""
    height, width = plan.size_hw
    maps = torch.zeros(len(PLANES), height, width)
    whole = puppet.draw(plan, frame, with_flow=True)
    if whole is not None and whole.visibility is not None:
        shown = torch.cat([whole.rgba, whole.visibility * whole.rgba[3:]])
        maps[:5] = place_map(shown, whole, (0, 0, width, height))
    skirt = puppet.draw(plan.only(["skirt"]), frame)
    if skirt is not None:
        maps[5] = place_map(skirt.rgba[3], skirt, (0, 0, width, height))
    return (maps.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def _draw_shard(source: Path, path: Path, noise: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found: list[Drawing] = []
    for sampled in read_shard(source):
        tracked = rng.random() < _TRACKED_SHARE
        found += draw_sample(sampled, noise=rng.uniform(0, noise) if tracked else 0.0)
    write_drawings(path, found)


def write_drawings(path: Path, found: list[Drawing]) -> None:
    """Write drawings of one size; the file appears whole or not at all."""
    if not found:
        raise InputError(
            f"{path.name}: the puppet overlaps the truth by less than {LEAST_OVERLAP} in all of "
            "the shard's frames; render more samples for each shard, or lower --noise"
        )
    arrays = {name: np.stack([getattr(d, name) for d in found]) for name in _ARRAYS}
    write_arrays(path, {"version": np.int64(_FORMAT_VERSION), **arrays})


class DrawnFrames(SampleFiles):
    """Drawings of a folder by number.

    A sample has ``drawn`` (6, H, W), ``rgb`` (3, H, W) and ``alpha`` (1, H, W) uint8 and
    ``joints`` (33, 4) float32.

    Args:
        folder: of ``*.npz`` files that `drawings` wrote.

    Raises:
        FileNotFoundError: the folder has none.
        InputError: they are no drawings.
    """

    def __init__(self, folder: str | Path) -> None:
        paths = sorted(Path(folder).glob("*.npz"))
        if not paths:
            raise FileNotFoundError(
                f"no drawings (*.npz) in {folder}; make some with 'motion-transfer synth drawings'"
            )
        for path in paths:
            _check(path)
        super().__init__(paths)

    def read(self, path: Path) -> list[Tensors]:
        """The drawings of a file."""
        with np.load(path, allow_pickle=False) as data:
            maps = {n: torch.from_numpy(data[n]) for n in ("drawn", "rgb", "alpha", "joints")}
        maps = {**maps, "drawn": maps["drawn"].movedim(-1, 1), "rgb": maps["rgb"].movedim(-1, 1)}
        maps["alpha"] = maps["alpha"][:, None]
        return [{n: t[k] for n, t in maps.items()} for k in range(len(maps["drawn"]))]


def _check(path: Path) -> None:
    with np.load(path, allow_pickle=False) as data:
        if "drawn" not in data or int(data["version"]) != _FORMAT_VERSION:
            raise InputError(
                f"{path} must hold drawings of version {_FORMAT_VERSION}; make them with "
                "'motion-transfer synth drawings'"
            )
