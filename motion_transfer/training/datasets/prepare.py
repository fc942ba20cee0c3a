"""Pose and matte of every picture of a data set, once, into shards (see `pictures`).

What is done to a picture, in this order: key points are the data set's own or the tracker's, in
the picture as it is; it is resized (Pillow's bicubic filter, which does not alias) and cut or
filled to the size asked for; the matte is made in that size.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import tyro

from motion_transfer.driver import Progress, silent
from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.person.matte import estimate_matte, matte_from_mask, open_u2net
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.people import locate_person
from motion_transfer.pose.skeleton import JOINTS
from motion_transfer.threads import use_one_thread
from motion_transfer.training.datasets.clips import own_videos, tiktok, ubc_fashion
from motion_transfer.training.datasets.deepfashion import deepfashion
from motion_transfer.training.datasets.groups import DataSet, Group, write_pairs
from motion_transfer.training.datasets.mvc import mvc
from motion_transfer.training.datasets.pictures import (
    LeftOut,
    Picture,
    read_left_out,
    write_shard,
)
from motion_transfer.training.datasets.placement import Fit, place_picture

Kind = Literal["deepfashion", "mvc", "ubc", "tiktok", "videos"]
PoseBy = Literal["dataset", "tracker"]
MatteBy = Literal["u2net", "fast"]

SIZES: dict[Kind, tuple[int, int]] = {
    "deepfashion": (256, 176), "mvc": (256, 224), "ubc": (256, 256), "tiktok": (256, 256),
    "videos": (512, 384),
}  # fmt: skip
FITS: dict[Kind, Fit] = {
    "deepfashion": "stretch", "mvc": "cover", "ubc": "contain", "tiktok": "cover",
    "videos": "person",
}  # fmt: skip
PICTURES_PER_SHARD = 64


class Job(NamedTuple):
    """What makes one shard."""

    path: Path
    groups: list[Group]
    read: Callable[[Group], Iterator[np.ndarray | str]]
    size_hw: tuple[int, int]
    fit: Fit
    pose: PoseBy
    matte: MatteBy


def prepare(
    kind: Annotated[Kind, tyro.conf.Positional],
    folder: Annotated[str | Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")],
    output: Annotated[str | Path, tyro.conf.arg(metavar="PATH", aliases=("-o",))],
    *,
    size: tuple[int, int] | None = None,
    fit: Fit | None = None,
    pose: PoseBy | None = None,
    matte: MatteBy = "u2net",
    frames: int = 32,
    skip_missing: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Find pose and matte of every picture of a data set and write them as shards.

    A run that was stopped goes on where it was. Nothing is downloaded but this program's own model
    files; errors say which file of the data set is missing and where it is to be had.

    Args:
        kind: of data set; `videos` is a folder of your own, one person in each.
        folder: where the data set lies, in its official layout.
        output: folder for the shards.
        size: height and width of the pictures in pixels; see docs/datasets.md for the defaults.
        fit: `stretch` to the size; `contain`, the rest white; `cover`, the rest cut off; `person`,
            a cut-out that follows the person.
        pose: key points of the `dataset` (DeepFashion has some) or of the `tracker`.
        matte: `u2net` is clean; `fast` is rough and saves most of the time.
        frames: taken from each clip.
        skip_missing: go on without pictures that are not there.
        workers: processes.
        progress: called with the stage, what is done, and how much there is.

    Returns:
        The output folder.

    Raises:
        InputError: something given cannot be used.
        FileNotFoundError: the data set, or a part of it, is not there.
    """
    report = progress or silent
    dataset = open_dataset(kind, folder, frames=frames)
    pose = pose or ("dataset" if dataset.groups[0].joints is not None else "tracker")
    if pose == "dataset" and dataset.groups[0].joints is None:
        raise InputError(f"--pose: {kind} has no key points of its own, got dataset; use tracker")
    size_hw = size or SIZES[kind]
    if min(size_hw) < 64 or any(n % 16 for n in size_hw):
        raise InputError(
            f"--size must be height and width, multiples of 16 of at least 64, got {size_hw}"
        )
    if workers < 1:
        raise InputError(f"--workers must be at least 1, got {workers}")
    if not skip_missing:
        check_files(dataset)
    output = Path(output)
    about = {
        "kind": kind, "size": list(size_hw), "fit": fit or FITS[kind], "pose": pose,
        "matte": matte, **dataset.about,
    }  # fmt: skip
    if pose == "tracker" or matte == "fast":
        _blazepose()  # model files are missed here, not in the middle
    if matte == "u2net":
        _u2net()
    _begin(output, about)
    jobs = [
        Job(output / f"{split}-{number:05d}.npz", groups, dataset.read, size_hw, fit or FITS[kind],
            pose, matte)
        for split in ("train", "test")
        for number, groups in enumerate(_divide([g for g in dataset.groups if g.split == split]))
    ]  # fmt: skip
    _run(jobs, workers, report)
    for name, pairs in dataset.pairs.items():
        write_pairs(output / f"pairs-{name}.csv", pairs)
    return output


def open_dataset(kind: Kind, folder: str | Path, *, frames: int) -> DataSet:
    """The loader of a kind of data set on its folder."""
    if kind == "deepfashion":
        return deepfashion(folder)
    if kind == "mvc":
        return mvc(folder)
    clips = {"ubc": ubc_fashion, "tiktok": tiktok, "videos": own_videos}
    return clips[kind](folder, frames=frames)


def check_files(dataset: DataSet) -> None:
    """Whether every file is there.

    Raises:
        FileNotFoundError: names the first that is missing and how many are.
    """
    paths = sorted({path for group in dataset.groups for path in group.paths})
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(
            f"no such file: {missing[0]} ({len(missing)} of {len(paths)} are missing); complete "
            "the data set, or go on without them with --skip-missing"
        )


def _begin(output: Path, about: dict[str, Any]) -> None:
    """Note what is made, or see that a run that was stopped made the same."""
    path = output / "about.json"
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        for name, value in about.items():
            if before.get(name) != value:
                raise InputError(
                    f"--output: {output} was begun with {name} {before.get(name)}, got {value}; "
                    "choose another folder"
                )
        return
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"--output: {output} must be empty or missing, got other files in it")
    output.mkdir(parents=True, exist_ok=True)
    _write_text(path, json.dumps(about, indent=1) + "\n")


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _divide(groups: list[Group]) -> Iterator[list[Group]]:
    """Whole groups in parts of at least `PICTURES_PER_SHARD` pictures, but for the last."""
    part: list[Group] = []
    for group in groups:
        part.append(group)
        if sum(len(g.pictures) for g in part) >= PICTURES_PER_SHARD:
            yield part
            part = []
    if part:
        yield part


def _run(jobs: list[Job], workers: int, report: Progress) -> None:
    """Make the shards that are not there yet, and the list of what was left out."""
    total = sum(len(group.pictures) for job in jobs for group in job.groups)
    open_jobs = [job for job in jobs if not job.path.exists()]
    done = total - sum(len(group.pictures) for job in open_jobs for group in job.groups)
    report("prepare", done, total)
    if workers == 1:
        for job in open_jobs:
            for _ in _make_shard(job):
                done += 1
                report("prepare", done, total)
    else:
        context = multiprocessing.get_context("spawn")
        with context.Pool(workers, initializer=use_one_thread) as pool:
            for count in pool.imap_unordered(_count_made, open_jobs):
                done += count
                report("prepare", done, total)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("picture", "reason"))
    for job in jobs:
        writer.writerows(read_left_out(job.path))
    _write_text(jobs[0].path.with_name("left-out.csv"), table.getvalue())


def _count_made(job: Job) -> int:
    return sum(1 for _ in _make_shard(job))


def _make_shard(job: Job) -> Iterator[None]:
    """Write a shard; yields after every picture."""
    pictures: list[Picture] = []
    left_out: list[LeftOut] = []
    for group in job.groups:
        for number, (name, rgb) in enumerate(zip(group.pictures, job.read(group), strict=True)):
            shares = group.joints[number] if group.joints is not None else None
            if isinstance(rgb, str):
                left_out.append(LeftOut(name, rgb))
            else:
                try:
                    pictures.append(_make_picture(name, rgb, shares, job))
                except NoPersonError as error:
                    left_out.append(LeftOut(name, str(error)))
            yield
    write_shard(job.path, pictures, left_out)


def _make_picture(name: str, rgb: np.ndarray, shares: np.ndarray | None, job: Job) -> Picture:
    """One picture: pose, size, matte.

    Raises:
        NoPersonError: nobody is found in it.
    """
    size_hw = (rgb.shape[0], rgb.shape[1])
    joints, mask = _find_pose(rgb, shares, job)
    place = place_picture(job.fit, size_hw, job.size_hw, joints)
    joints[:, :2] = place.points(joints[:, :2])
    joints[:, 2] *= place.scale_xy[1]
    rgb = place.picture(rgb, fill=255)
    if mask is not None:
        mask = np.clip(place.picture(mask, fill=0), 0, 1)
    if job.matte == "fast":
        assert mask is not None
        alpha = matte_from_mask(rgb, mask)
    else:
        alpha = estimate_matte(
            rgb, person_mask=mask, joints_xy=joints[:, :2], joints_confidence=joints[:, 3],
            session=_u2net(),
        )  # fmt: skip
    alpha = (alpha * 255 + 0.5).astype(np.uint8)
    return Picture(name=name, rgb=rgb, alpha=alpha, joints=joints)


def _find_pose(
    rgb: np.ndarray, shares: np.ndarray | None, job: Job
) -> tuple[np.ndarray, np.ndarray | None]:
    """Joints as in `Picture.joints`, and the tracker's mask (H, W) where it was asked.

    Raises:
        NoPersonError: the tracker finds nobody, or the data set has no torso.
    """
    height, width = rgb.shape[:2]
    mask = None
    if job.pose == "tracker" or job.matte == "fast":
        sample = locate_person(rgb, blazepose=_blazepose())
        mask = sample.mask((height, width))
    if job.pose == "tracker":
        joints = np.column_stack([sample.xy, sample.depth, sample.confidence])
    else:
        assert shares is not None
        joints = np.full((len(JOINTS), 4), np.nan, np.float32)
        joints[:, :2] = shares[:, :2] * (width, height) - 0.5
        joints[:, 3] = shares[:, 2]
    if not joints[:, 3].any():
        raise NoPersonError("no key points of shoulders and hips")
    return joints, mask


@functools.cache
def _blazepose() -> BlazePose:
    return BlazePose(num_threads=1)


@functools.cache
def _u2net() -> Any:
    return open_u2net(num_threads=1)
