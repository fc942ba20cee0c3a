"""A pose track over time: how sure, how fast, and where it is bad."""

from __future__ import annotations

from typing import Any

import numpy as np

from motion_transfer.pose.retarget import px_per_metre
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.track import PoseTrack

LIMBS = [
    INDEX[f"{side}_{name}"]
    for side in ("left", "right")
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]
LOW_CONFIDENCE = 0.3
# A wrist of a quick dancer reaches about 10 m/s; the middle joint of the body never does.
HIGH_SPEED = 8.0  # metres a second, median over the limbs
SHORTEST_SECONDS = 0.1  # of a bad span that is worth a word


def inspect(track: PoseTrack, max_points: int) -> dict[str, Any]:
    """Curves for a plot and bad spans.

    Args:
        track: at least one frame.
        max_points: of each curve; longer tracks are thinned out.

    Returns:
        `seconds`, `num_frames`, `fps`, `share_found`; `times`, `confidence` (mean over the limbs'
        joints, [0, 1]) and `speed` (median over them, metres a second, None where unknown);
        `bad`: spans [start, end, reason] in seconds.
    """
    times = track.times_seconds - track.times_seconds[0]
    confidence = track.confidence[:, LIMBS].mean(axis=1)
    speed = _speed(track)
    reasons = {
        "nobody found": ~track.present,
        "hardly visible": track.present & (confidence < LOW_CONFIDENCE),
        "jumps": track.present & (np.nan_to_num(speed) > HIGH_SPEED),
    }
    frame = 1 / float(track.fps)
    bad = [
        [round(float(times[a]), 2), round(float(times[b - 1]) + frame, 2), reason]
        for reason, flags in reasons.items()
        for a, b in _runs(flags)
        if reason == "jumps" or (b - a) * frame >= SHORTEST_SECONDS
    ]
    shown = np.unique(np.linspace(0, len(track) - 1, min(len(track), max_points)).astype(int))
    return {
        "seconds": round(float(times[-1]) + frame, 2),
        "num_frames": len(track),
        "fps": float(track.fps),
        "share_found": float(track.present.mean()),
        "times": [round(float(t), 3) for t in times[shown]],
        "confidence": [round(float(c), 3) for c in confidence[shown]],
        "speed": [round(float(s), 3) if np.isfinite(s) else None for s in speed[shown]],
        "bad": sorted(bad),
    }


def _speed(track: PoseTrack) -> np.ndarray:
    """(T,) metres a second, median over the limbs; NaN at the start and beside gaps."""
    speed = np.full(len(track), np.nan)
    if len(track) < 2 or not track.present.any():
        return speed
    moved = np.linalg.norm(np.diff(track.xy[:, LIMBS], axis=0), axis=-1)  # (T - 1, 12)
    elapsed = np.diff(track.times_seconds)
    size = float(np.median(px_per_metre(track)[track.present]))
    both = track.present[1:] & track.present[:-1]
    speed[1:][both] = np.median(moved[both], axis=1) / elapsed[both] / max(size, 1e-6)
    return speed


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
