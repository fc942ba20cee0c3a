"""Turn downloaded characters, motion and environment maps into an asset folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.synth.bvh import read_bvh
from motion_transfer.synth.exr import read_environment
from motion_transfer.synth.gltf import SUFFIXES, read_gltf

MAX_MAP_WIDTH = 1024
MIN_CLIP_FRAMES = 10
MANIFEST = "manifest.json"
_UNREADABLE = (  # what broken files of the three kinds raise
    ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, struct.error, zlib.error,
)  # fmt: skip
_LICENCES = ("licen", "copying", "credits", "readme")


def make_pack(
    downloads: Path, output: Path, report: Callable[[str], None] = print
) -> dict[str, list[dict[str, object]]]:
    """Check every character, clip and environment map of a folder and copy what is usable.

    Characters (`.glb`, `.vrm`) go into `gltf/`, motion (`.bvh`) into `bvh/`, environment maps
    (`.hdr`, `.exr`) into `hdri/` as Radiance pictures at most 1024 wide. `manifest.json` lists
    each file with its source, checksum, and the text of the licence that lies nearest to it.

    Args:
        downloads: folder that is searched with all its subfolders.
        output: folder for the assets; must be empty or missing.
        report: receives one line for each file that is not usable.

    Returns:
        The manifest's entries by kind.

    Raises:
        InputError: no character is usable, or a folder is not as it must be.
    """
    if not downloads.is_dir():
        raise InputError(f"--downloads: no such folder: {downloads}")
    if output.exists() and any(output.iterdir()):
        raise InputError(f"--output: {output} must be empty; choose another folder")
    if output.resolve().is_relative_to(downloads.resolve()):
        raise InputError(f"--output: {output} must not lie in the downloads")
    kinds: tuple[tuple[str, tuple[str, ...], Callable[[Path, Path], dict[str, object]]], ...] = (
        ("gltf", SUFFIXES, _add_character),
        ("bvh", (".bvh",), _add_clip),
        ("hdri", (".hdr", ".exr"), _add_map),
    )
    files = sorted(p for p in downloads.rglob("*") if p.is_file())
    manifest: dict[str, list[dict[str, object]]] = {}
    for kind, suffixes, add in kinds:
        manifest[kind] = []
        taken: set[str] = set()
        for path in (p for p in files if p.suffix.lower() in suffixes):
            name = path.stem.replace(" ", "_")
            target = output / kind / (name + path.suffix.lower())
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                if name in taken:
                    raise InputError(f"{path}: another file is called {name}; rename one")
                entry = add(path, target)
            except _UNREADABLE as error:
                report(f"not usable: {_one_line(error, path)}")
                continue
            taken.add(name)
            manifest[kind].append(
                {**entry, "source": path.relative_to(downloads).as_posix(),
                 "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                 "licence": _licence(path, downloads)}
            )  # fmt: skip
    if not manifest["gltf"]:
        raise InputError(f"--downloads: {downloads} has no usable character (.glb, .vrm)")
    for kind, what in (("bvh", "motion (.bvh)"), ("hdri", "environment map (.hdr, .exr)")):
        if not manifest[kind]:
            report(f"no usable {what} was found; rendering needs at least one")
    for kind, entries in manifest.items():
        for entry in entries:
            if entry["licence"] is None:
                report(f"no licence file lies beside {kind} {entry['source']}")
    temporary = output / f".{MANIFEST}.new"
    temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, output / MANIFEST)
    return manifest


def _add_character(path: Path, target: Path) -> dict[str, object]:
    if path.suffix.lower() == ".gltf":
        raise InputError(f"{path}: export it as one file (.glb)")
    body = read_gltf(path)
    shutil.copyfile(path, target)
    return {"name": target.stem, "file": target.name, "num_vertices": len(body.vertices),
            "height_m": round(float(np.ptp(body.vertices[:, 1])), 3)}  # fmt: skip


def _add_clip(path: Path, target: Path) -> dict[str, object]:
    clip = read_bvh(path)
    if len(clip) < MIN_CLIP_FRAMES:
        raise InputError(f"{path}: a clip must have at least {MIN_CLIP_FRAMES} frames at 30 fps")
    if not (np.isfinite(clip.rotations).all() and np.isfinite(clip.root).all()):
        raise InputError(f"{path} holds values that are not numbers")
    shutil.copyfile(path, target)
    return {"name": target.stem, "file": target.name, "num_frames": len(clip)}


def _add_map(path: Path, target: Path) -> dict[str, object]:
    image = read_environment(path)
    height, width = image.shape[:2]
    if width != 2 * height or height < 16:
        raise InputError(f"{path}: an environment map must be twice as wide as high, "
                         f"got {width} x {height}")  # fmt: skip
    if not np.isfinite(image).all():
        raise InputError(f"{path} holds values that are not numbers")
    if width > MAX_MAP_WIDTH:
        size = (MAX_MAP_WIDTH, MAX_MAP_WIDTH // 2)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    target = target.with_suffix(".hdr")
    if not cv2.imwrite(str(target), np.maximum(image, 0)[..., ::-1]):
        raise OSError(f"cannot write {target}")
    return {"name": target.stem, "file": target.name, "size_hw": list(image.shape[:2])}


def _licence(path: Path, downloads: Path) -> str | None:
    """The licence that belongs to a file: in its folder, or in the nearest one above."""
    folder = path.parent
    while True:
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.name.lower().startswith(_LICENCES):
                return (
                    f"{file.relative_to(downloads).as_posix()}: "
                    + file.read_text(errors="replace")[:4000]
                )
        if folder == downloads:
            return None
        folder = folder.parent


def _one_line(error: Exception, path: Path) -> str:
    text = " ".join(str(error).split())
    return text if str(path) in text else f"{path}: {text}"
