"""Make the library of small pose tracks: motion capture seen by a still camera.

    python -m demos.make_tracks --assets DIR          # demos/tracks/*.npz, about a minute

Nothing is rendered: the joints of a body that performs a clip are projected as a tracker without
errors would see them.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from motion_transfer.pose.track import PoseTrack
from motion_transfer.synth.assets import Assets, split_of_clip
from motion_transfer.synth.body import Body
from motion_transfer.synth.camera import Camera, look_at
from motion_transfer.synth.motion import Clip, axis_turn, clip_pose, curl_fingers
from motion_transfer.synth.render import pose_body
from motion_transfer.synth.tracking import to_blazepose
from motion_transfer.synth.truth import keypoints, project_keypoints

HERE = Path(__file__).parent
BODY = "Black_M_1_Casual"
FPS = Fraction(30)
HEIGHT_PX = 720
PERSON_SHARE = 0.8
"""Of the picture's height, from the lowest to the highest point of the whole track."""
DISTANCE_M = 7.0
XY_STEPS, WORLD_STEPS = 8, 512
"""Steps per pixel and per metre: rounding halves the files."""


class Piece(NamedTuple):
    """A stretch of a clip: first frame and how many."""

    name: str
    clip: str
    first: int
    num_frames: int


PIECES = (
    Piece("turn", "05_13", 75, 199),
    Piece("kick", "05_09", 86, 200),
    Piece("balance", "49_20", 15, 200),
    Piece("boxing", "02_05", 180, 200),
    Piece("sword", "02_08", 105, 200),
    Piece("stretch", "02_06", 210, 200),
)
"""Chosen because the person stays on the spot and mostly faces the camera."""


def body_points(body: Body, clip: Clip, frames: range) -> np.ndarray:
    """(T, K, 3) key points in metres, turned towards +z on the whole, above the origin."""
    hips = body.joint("Hips")
    poses = [curl_fingers(body, clip_pose(body, clip, frame), (0.35, 0.35)) for frame in frames]
    ahead = np.mean([pose.turns[hips][:, 2] for pose in poses], 0)
    turn = axis_turn((0, 1, 0), -float(np.arctan2(ahead[0], ahead[2])))
    points = np.stack([keypoints(body, pose, pose_body(body, pose)) for pose in poses]) @ turn.T
    low, high = points.min((0, 1)), points.max((0, 1))
    return points - ((low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2)


def still_camera(points: np.ndarray) -> Camera:
    """A camera at breast height that has all points (T, K, 3) in its picture."""
    place, target = np.array([0.0, 1.15, DISTANCE_M]), np.array([0.0, 0.9, 0.0])
    unit = look_at(place, target, focal_px=1.0, size_hw=(1, 1), centre_xy=(0.0, 0.0))
    xy = unit.project(points.reshape(-1, 3))[:, :2]
    low, high = xy.min(0), xy.max(0)
    focal = PERSON_SHARE * HEIGHT_PX / float(high[1] - low[1])
    width = max(480, int(np.ceil(focal * float(high[0] - low[0]) / 0.8 / 16)) * 16)
    size = np.array([width, HEIGHT_PX])
    centre = (size - 1) / 2 - focal * (low + high) / 2
    return look_at(
        place, target, focal_px=focal, size_hw=(HEIGHT_PX, width),
        centre_xy=(float(centre[0]), float(centre[1])),
    )  # fmt: skip


def make_track(body: Body, clip: Clip, frames: range) -> PoseTrack:
    """The track of some frames of a clip."""
    points = body_points(body, clip, frames)
    camera = still_camera(points)
    seen = to_blazepose(np.stack([project_keypoints(p, camera) for p in points]))
    world = to_blazepose(points @ camera.turn.T)
    world = world - world[:, 23:25].mean(1, keepdims=True)
    hips = camera.project(to_blazepose(points)[:, 23:25].mean(1))[:, 2]
    count = len(frames)

    def rounded(values: np.ndarray, steps: int) -> np.ndarray:
        return (np.round(values * steps) / steps).astype(np.float32)

    return PoseTrack(
        xy=rounded(seen[..., :2], XY_STEPS), depth=rounded(seen[..., 2], XY_STEPS),
        confidence=np.ones(seen.shape[:2], np.float32), world=rounded(world, WORLD_STEPS),
        present=np.ones(count, bool), times_seconds=np.arange(count) / float(FPS), fps=FPS,
        size_hw=camera.size_hw, px_per_metre=(camera.focal_px / hips).astype(np.float32),
    )  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True, help="folder of the asset pack")
    parser.add_argument("--output", type=Path, default=HERE / "tracks", help="where the files go")
    arguments = parser.parse_args()
    assets = Assets(arguments.assets)
    body = assets.body(BODY)
    for piece in PIECES:
        if split_of_clip(piece.clip) != "train":
            raise ValueError(f"clip {piece.clip} is held out")
        frames = range(piece.first, piece.first + piece.num_frames)
        path = arguments.output / f"{piece.name}.npz"
        make_track(body, assets.clip(piece.clip), frames).save(path)
        print(f"{path.name}: {len(frames)} frames, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
