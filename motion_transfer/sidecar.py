"""What was done, written beside every output, so that it can be done again."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import motion_transfer

PathLike = str | Path
STATEMENT = "Synthetic media: a photographed person was animated by motion-transfer."
_PACKAGES = ("torch", "numpy", "av", "opencv-contrib-python-headless", "ai-edge-litert",
             "onnxruntime")  # fmt: skip


def tags() -> dict[str, str]:
    """Metadata for the file itself: that it is synthetic, and what made it."""
    return {"title": "motion-transfer", "comment": STATEMENT,
            "encoder_application": f"motion-transfer {motion_transfer.__version__}"}  # fmt: skip


def sha256(path: PathLike) -> str:
    """Of a file, or of a folder's files in order of their names."""
    digest = hashlib.sha256()
    path = Path(path)
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def fingerprint(settings: Mapping[str, Any], inputs: Iterable[PathLike | None]) -> str:
    """Identifies a run: a render with another fingerprint is not continued."""
    hashes = [None if path is None else sha256(path) for path in inputs]
    text = json.dumps([motion_transfer.__version__, dict(settings), hashes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of this program, Python and the packages that decide the pixels."""
    found = {"motion-transfer": motion_transfer.__version__, "python": platform.python_version(),
             "machine": platform.machine()}  # fmt: skip
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write(
    output: Path,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, PathLike | None],
    num_frames: int,
    num_missing: int,
    seconds: Mapping[str, float],
) -> Path:
    """Write `OUTPUT.json`; returns its path."""
    path = output.with_name(output.name + ".json")
    content = {
        "statement": STATEMENT,
        "output": output.name,
        "output_sha256": sha256(output),
        "inputs": {
            name: {"name": Path(p).name, "sha256": sha256(p)}
            for name, p in inputs.items()
            if p is not None
        },
        "settings": dict(settings),
        "num_frames": num_frames,
        "num_frames_without_person": num_missing,
        "seconds": dict(seconds),
        "versions": versions(),
    }
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path
