"""Draws a photo in given poses with the articulated warp of another revision of this repository.

    python -m benchmarks.revision e704a15 photo.png track.npz output

What the puppet has gained since then is measured by giving this to `evaluate` as a generator:

    - name: then
      kind: command
      command: "python -m benchmarks.revision e704a15 {photo} {track} {output}"

Matte, own colours and plate are that revision's too, as everything that its users got. Revisions
from e704a15 on, the first that had weights, have what is called here.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DRAW = """
import sys
from pathlib import Path
import cv2
from motion_transfer.compositing import over
from motion_transfer.generator.articulated import ArticulatedGenerator, Source
from motion_transfer.media.photo import read_photo
from motion_transfer.person.subject import build_subject, locate
from motion_transfer.pose.track import PoseTrack

photo, track, output = read_photo(sys.argv[1]), PoseTrack.load(sys.argv[2]), Path(sys.argv[3])
pose, mask = locate(photo)
subject = build_subject(photo, pose, mask, matte="u2net")
face = {"face": subject.face} if hasattr(subject, "face") else {}
source = Source(rgb=subject.rgb, alpha=subject.alpha, pose=pose, **face)
puppet = ArticulatedGenerator(source, flow_smoothing=float(sys.argv[4]))
plan, _ = puppet.plan(track, slice(0, len(track)))
output.mkdir(parents=True)
for frame in range(len(track)):
    drawn = over(puppet.draw(plan, frame), subject.plate)
    path = str(output / f"{frame:06d}.png")
    cv2.imwrite(path, drawn[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision")
    parser.add_argument("photo", type=Path)
    parser.add_argument("track", type=Path, help="NPZ, poses in pixels of the photo")
    parser.add_argument("output", type=Path, help="folder for the frames; must not be there yet")
    parser.add_argument("--smooth", type=float, default=0.5)
    a = parser.parse_args()
    command = ["git", "-C", str(ROOT), "archive", a.revision, "motion_transfer"]
    archived = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archived)) as tar:
            tar.extractall(folder, filter="data")
        paths = [str(p.absolute()) for p in (a.photo, a.track, a.output)]
        subprocess.run(
            [sys.executable, "-c", DRAW, *paths, str(a.smooth)],
            check=True, cwd=folder, env=dict(os.environ) | {"PYTHONPATH": folder},
        )  # fmt: skip


if __name__ == "__main__":
    main()
