"""Does the tracker find the rendered people, and where does it put their joints?

    python -m benchmarks.synth_tracker --assets DIR --num 200

Renders held-out people in full (no close-ups), looks for them with BlazePose, and compares its
joints with the exact ones: median offset and robust spread (1.48 times the median absolute
deviation) per joint, in units of the torso.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.skeleton import JOINTS
from motion_transfer.synth.assets import Assets
from motion_transfer.synth.rig import KEYPOINTS
from motion_transfer.synth.sample import render_scene
from motion_transfer.synth.scene import SceneSettings, SceneStream
from motion_transfer.synth.tracking import to_blazepose


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True, help="folder of the asset pack")
    parser.add_argument("--num", type=int, default=200, help="pictures")
    parser.add_argument("--seed", type=int, default=77)
    arguments = parser.parse_args()
    settings = SceneSettings(size_hw=(512, 384), group=1, close_up=0.0, turned=0.0)
    stream = SceneStream(
        Assets(arguments.assets), split="held-out", seed=arguments.seed, settings=settings
    )
    tracker = BlazePose(num_threads=1)
    errors, found, pictures, index = [], 0, 0, 0
    while pictures < arguments.num:
        sample = render_scene(stream.scene(index))
        index += 1
        for k in range(2):
            pictures += 1
            detections = tracker.detect(sample.rgb[k])
            if not detections:
                continue
            marks = tracker.landmarks(sample.rgb[k], detections[0].roi)
            marks = tracker.landmarks(sample.rgb[k], marks.next_roi)
            if marks.score < 0.5:
                continue
            found += 1
            exact = to_blazepose(sample.keypoints[k, :, :2])
            neck = sample.keypoints[k, KEYPOINTS.index("neck"), :2]
            hips = exact[[JOINTS.index("left_hip"), JOINTS.index("right_hip")]].mean(0)
            torso = max(float(np.linalg.norm(neck - hips)), 0.1 * settings.size_hw[0])
            errors.append((marks.xy - exact) / torso)
    table = np.array(errors)
    size = np.linalg.norm(table, axis=-1)
    body = [JOINTS.index(n) for n in JOINTS if n.endswith(_BODY)]
    print(f"found {found} of {pictures} ({100 * found / pictures:.1f} %)")
    print(
        f"body joints: median error {np.median(size[:, body]):.3f} torso, "
        f"90 % within {np.percentile(size[:, body], 90):.3f}; whole figure wrong (median joint "
        f"beyond 0.35 torso): {int((np.median(size[:, body], 1) > 0.35).sum())}"
    )
    print("\n| joint | dx | dy | spread x | spread y | 90 % of errors within |")
    print("| --- | --- | --- | --- | --- | --- |")
    for k, name in enumerate(JOINTS):
        middle = np.median(table[:, k], 0)
        spread = 1.48 * np.median(np.abs(table[:, k] - middle), 0)
        print(
            f"| {name} | {middle[0]:+.3f} | {middle[1]:+.3f} | {spread[0]:.3f} | "
            f"{spread[1]:.3f} | {np.percentile(size[:, k], 90):.3f} |"
        )


_BODY = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")

if __name__ == "__main__":
    main()
