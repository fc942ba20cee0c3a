"""What the command line does with the engine: sheets to look at, shards, speed, asset packs."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from pathlib import Path

import numpy as np
from PIL import Image

from motion_transfer.synth.assets import Assets, Split
from motion_transfer.synth.pack import MANIFEST, make_pack
from motion_transfer.synth.sample import render_scene
from motion_transfer.synth.scene import SceneSettings, SceneStream
from motion_transfer.synth.shards import write_shard
from motion_transfer.synth.sheet import contact_sheet, sample_row
from motion_transfer.threads import use_one_thread


def sheet(
    *,
    assets: Path,
    output: Path,
    seed: int = 0,
    num: int = 16,
    split: Split = "train",
    size: tuple[int, int] = (256, 192),
    pairs_only: bool = False,
    columns: int = 1,
) -> None:
    """Draw a contact sheet of random pairs with all their maps.

    Args:
        assets: folder of the asset pack.
        output: picture to write (PNG or JPEG).
        seed: of the draw.
        num: how many pairs.
        split: "train" or "held-out".
        size: height and width of a picture in pixels.
        pairs_only: show source and target only.
        columns: pairs side by side.
    """
    settings = SceneSettings(size_hw=size, group=1)
    stream = SceneStream(Assets(assets), split=split, seed=seed, settings=settings)
    rows = []
    for index in range(num):
        row = sample_row(render_scene(stream.scene(index)))
        rows.append(row[:, : 2 * size[1]] if pairs_only else row)
    output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(contact_sheet(rows, columns)).save(output)
    print(f"{num} pairs -> {output}")


def shards(
    *,
    assets: Path,
    output: Path,
    seed: int = 0,
    num: int = 1024,
    per_shard: int = 64,
    split: Split = "train",
    size: tuple[int, int] = (256, 192),
    frames: int = 1,
    workers: int = 1,
) -> None:
    """Render samples to disk; a run that was stopped goes on where it was.

    Args:
        assets: folder of the asset pack.
        output: folder for the shards.
        seed: of the stream.
        num: how many samples.
        per_shard: samples per file.
        split: "train" or "held-out".
        size: height and width of a picture in pixels.
        frames: target views per sample; more than one are consecutive frames.
        workers: processes.
    """
    settings = SceneSettings(size_hw=size, num_targets=frames)
    jobs = []
    for number, first in enumerate(range(0, num, per_shard)):
        path = output / f"{split}-{seed:04d}-{number:05d}.npz"
        if not path.exists():
            count = min(per_shard, num - first)
            jobs.append(_ShardJob(assets, path, split, seed, settings, first, count))
    if workers == 1:
        for job in jobs:
            _run_shard_job(job)
    else:
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, initializer=use_one_thread) as pool:
            for _ in pool.imap_unordered(_run_shard_job, jobs):
                pass
    print(f"{num} samples in {len(list(output.glob('*.npz')))} shards -> {output}")


@dataclasses.dataclass(frozen=True)
class _ShardJob:
    """One file to render."""

    assets: Path
    path: Path
    split: Split
    seed: int
    settings: SceneSettings
    first: int
    count: int


def _run_shard_job(job: _ShardJob) -> None:
    stream = SceneStream(Assets(job.assets), split=job.split, seed=job.seed, settings=job.settings)
    indices = range(job.first, job.first + job.count)
    write_shard(job.path, [render_scene(stream.scene(index)) for index in indices])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speed:
    """What `bench` measured.

    Args:
        size_hw: picture size.
        workers: processes.
        images_per_second: of wall time, all processes together.
        images_per_cpu_second: of processor time, per process; what a free core would do.
    """

    size_hw: tuple[int, int]
    workers: int
    images_per_second: float
    images_per_cpu_second: float


def bench(
    *,
    assets: Path,
    size: tuple[int, int] = (256, 192),
    workers: int = 1,
    num: int = 96,
    seed: int = 0,
) -> Speed:
    """Measure rendering with all ground truth, random clothes, backgrounds and camera looks.

    Args:
        assets: folder of the asset pack.
        size: height and width of a picture in pixels.
        workers: processes that render at the same time.
        num: pairs per process that are timed, after a pool of bodies was warmed up.
        seed: of the stream.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, initializer=use_one_thread) as pool:
        jobs = [(assets, size, num, seed + k) for k in range(workers)]
        results = pool.starmap(_time_pairs, jobs, chunksize=1)
    wall = float(np.mean([r[0] for r in results]))
    cpu = float(np.mean([r[1] for r in results]))
    speed = Speed(
        size_hw=size, workers=workers, images_per_second=2 * num * workers / wall,
        images_per_cpu_second=2 * num / cpu,
    )  # fmt: skip
    print(
        f"{size[0]}x{size[1]}, {workers} process(es): {speed.images_per_second:.1f} images/s, "
        f"{speed.images_per_cpu_second:.1f} per second of one core"
    )
    return speed


def _time_pairs(assets: Path, size: tuple[int, int], num: int, seed: int) -> tuple[float, float]:
    """Seconds of wall and processor time for `num` pairs."""
    stream = SceneStream(Assets(assets), seed=seed, settings=SceneSettings(size_hw=size))
    group = stream.settings.group
    for index in range(0, 12 * group, group):
        render_scene(stream.scene(index))
    wall, cpu = time.perf_counter(), time.process_time()
    for index in range(12 * group, 12 * group + num):
        render_scene(stream.scene(index))
    return time.perf_counter() - wall, time.process_time() - cpu


def pack(*, downloads: Path, output: Path) -> None:
    """Turn downloaded characters, motion and environment maps into an asset folder.

    Each file is checked; what is not usable is said in one line each.

    Args:
        downloads: folder with GLB characters, BVH motion and HDR or EXR environment maps.
        output: folder for the assets; must be empty or missing.
    """
    manifest = make_pack(downloads, output)
    print(
        f"{len(manifest['gltf'])} characters, {len(manifest['bvh'])} clips, "
        f"{len(manifest['hdri'])} environment maps -> {output} (listed in {MANIFEST})"
    )
