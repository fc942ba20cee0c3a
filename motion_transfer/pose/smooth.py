"""Smoothing a pose track: offline without lag, live with little.

Offline (`smooth_track`), in this order: left and right that the tracker took for each other are put
back, spikes are taken out, short gaps are filled, and what is left is smoothed by local quadratic
regression in a Gaussian window (Savitzky and Golay 1964; Cleveland 1979), weighted by confidence.
The window is symmetric, so nothing lags; a quadratic follows the turning points of a move, so peaks
stay. Two windows are used: a short one where the body moves, a long one where it rests.

Every step looks at most `support_frames` frames to either side. So smoothing a long track in
blocks with that margin (`smooth_blocks`) gives exactly what smoothing it whole gives.

Live (`OneEuro`): the One-Euro filter, causal (Casiez, Roussel and Vogel, CHI 2012).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.pose.people import PoseSample
from motion_transfer.pose.skeleton import INDEX, JOINTS, MIRROR
from motion_transfer.pose.track import PoseTrack

MAX_GAP_SECONDS = 0.35
SWAP_SECONDS = 0.2  # half window in which left and right are compared with the frames around
SPIKE_SECONDS = 0.1  # half window of the spike filter
SPIKE_MADS = 4.0
SPIKE_FLOOR = 0.2  # of the body size; smaller deviations are never spikes
SWAP_MIN_APART = 0.1  # of the body size, left from right
SWAP_GAIN = 0.5  # exchanged must fit this many times better
# Standard deviation of the windows at strength 1. A quadratic in a Gaussian window keeps
# exp(-x^2/2) (1 + x^2/2) of a swing, x = 2 pi f sigma: at strength 0.5, 98 % of 2.5 Hz.
MOVING_SECONDS = 0.08
RESTING_SECONDS = 0.24
DEPTH_FACTOR = 2.0  # depth is noisier: windows wider by this
WINDOW_SIGMAS = 3.0
REST_LEVEL = 0.012  # of the body size: short and long window differ by less where a joint rests
TANGENT_FRAMES = 3  # on either side of a gap, for the slope there
BLOCK_FRAMES = 2048
RIDGE = 1e-3  # keeps the regression tame where a window holds few frames
LEFT_PARTS = (
    ("hip",),
    ("knee", "ankle", "heel", "foot_index"),
    ("shoulder",),
    ("elbow", "wrist", "pinky", "index", "thumb"),
)
LEFT = tuple(i for i, name in enumerate(JOINTS) if "left" in name)


def _check(strength: float, max_gap_seconds: float) -> None:
    if not 0 <= strength <= 1:
        raise InputError(f"strength must be in [0, 1], got {strength}; 0.5 is the default")
    if max_gap_seconds < 0:
        raise InputError(f"max_gap_seconds must be at least 0, got {max_gap_seconds}")


def smooth_track(
    track: PoseTrack, *, strength: float = 0.5, max_gap_seconds: float = MAX_GAP_SECONDS
) -> PoseTrack:
    """Steady a track without lag.

    Args:
        track: of the tracker, 33 joints.
        strength: 0 gives the track back untouched, 0.5 is right for most dances, 1 is strong.
        max_gap_seconds: gaps up to this long are filled, longer ones stay hidden.

    Returns:
        The track: `present` is True in filled frames, whose confidence is lower; where nothing is
        known `xy`, `depth` and `world` are NaN and the confidence is 0.

    Raises:
        InputError: `strength` is outside of [0, 1] or the gap is negative.
    """
    _check(strength, max_gap_seconds)
    if strength == 0 or len(track) == 0:
        return track
    if len(track) > BLOCK_FRAMES:  # the same, in less memory
        blocks = (track[k : k + BLOCK_FRAMES] for k in range(0, len(track), BLOCK_FRAMES))
        return concatenate_tracks(
            list(smooth_blocks(blocks, strength=strength, max_gap_seconds=max_gap_seconds))
        )
    return _smooth_whole(track, strength, max_gap_seconds)


def support_frames(fps: Fraction, *, max_gap_seconds: float = MAX_GAP_SECONDS) -> int:
    """How many frames to either side can change the smoothed pose of a frame, at any strength.

    Args:
        fps: of the track.
        max_gap_seconds: as given to `smooth_track`.

    Returns:
        Number of frames.
    """
    rate = float(fps)
    swaps, spikes = _frames(SWAP_SECONDS, rate), _frames(SPIKE_SECONDS, rate)
    gaps = int(max_gap_seconds * rate) + TANGENT_FRAMES + 1
    windows = 2 * _half(RESTING_SECONDS * DEPTH_FACTOR, rate)
    return 3 * swaps + 3 * spikes + gaps + windows


def smooth_blocks(
    blocks: Iterable[PoseTrack],
    *,
    strength: float = 0.5,
    max_gap_seconds: float = MAX_GAP_SECONDS,
) -> Iterator[PoseTrack]:
    """Smooth a track that comes in blocks, in constant memory; the same as smoothing it whole.

    Args:
        blocks: consecutive parts of one track. Parts of some seconds cost least.
        strength: as in `smooth_track`.
        max_gap_seconds: as in `smooth_track`.

    Yields:
        Consecutive parts of the smoothed track, later than they came by `support_frames`.

    Raises:
        InputError: as `smooth_track`.
    """
    _check(strength, max_gap_seconds)
    held: PoseTrack | None = None
    done = 0  # frames of `held` that have been given out
    for block in blocks:
        held = block if held is None else concatenate_tracks([held, block])
        margin = support_frames(held.fps, max_gap_seconds=max_gap_seconds)
        ready = len(held) - margin
        if ready > done:
            yield _smooth_or_not(held, strength, max_gap_seconds)[done:ready]
            dropped = max(ready - margin, 0)
            held, done = held[dropped:], ready - dropped
    if held is not None and done < len(held):
        yield _smooth_or_not(held, strength, max_gap_seconds)[done:]


def concatenate_tracks(tracks: list[PoseTrack]) -> PoseTrack:
    """Consecutive parts of one track as one.

    Args:
        tracks: at least one, of equal rate, size and skeleton.

    Returns:
        The whole.
    """
    scales = [t.px_per_metre for t in tracks if t.px_per_metre is not None]
    return dataclasses.replace(
        tracks[0],
        xy=np.concatenate([t.xy for t in tracks]),
        depth=np.concatenate([t.depth for t in tracks]),
        confidence=np.concatenate([t.confidence for t in tracks]),
        world=np.concatenate([t.world for t in tracks]),
        present=np.concatenate([t.present for t in tracks]),
        times_seconds=np.concatenate([t.times_seconds for t in tracks]),
        px_per_metre=np.concatenate(scales) if len(scales) == len(tracks) else None,
    )


# --- live ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneEuroState:
    """What the filter remembers: value and speed, (33, 6) float64, and the time in seconds."""

    value: np.ndarray
    speed: np.ndarray
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneEuro:
    """The One-Euro filter: steady at rest, quick in motion, no look ahead.

    Args:
        min_cutoff_hz: at rest; lower is steadier.
        beta: how much the cut-off rises with speed, in Hz for one body size a second.
        speed_cutoff_hz: of the filter on the speed itself.
    """

    min_cutoff_hz: float = 1.5
    beta: float = 6.0
    speed_cutoff_hz: float = 2.0

    def step(
        self, sample: PoseSample, state: OneEuroState | None, *, seconds: float
    ) -> tuple[PoseSample, OneEuroState | None]:
        """Filter one frame.

        Args:
            sample: of the tracker.
            state: after the frame before, None at the start.
            seconds: time of the frame.

        Returns:
            The filtered sample and the state after it. A frame without the person passes as it
            is and ends the state.
        """
        if not sample.present:
            return sample, None
        value = np.concatenate([sample.xy, sample.depth[:, None], sample.world], axis=-1)
        value = value.astype(np.float64)
        if state is None or seconds <= state.seconds:
            return sample, OneEuroState(value=value, speed=np.zeros_like(value), seconds=seconds)
        elapsed = seconds - state.seconds
        gain = _one_euro_gain(np.array(self.speed_cutoff_hz), elapsed)
        speed = state.speed + gain * ((value - state.value) / elapsed - state.speed)
        centre = value.mean(axis=0)
        spread = np.sqrt(((value - centre) ** 2).sum(axis=-1).mean())
        sizes = np.array([spread, spread, spread, 0.5, 0.5, 0.5])  # pixels; metres
        cutoff = self.min_cutoff_hz + self.beta * np.abs(speed) / sizes
        value = state.value + _one_euro_gain(cutoff, elapsed) * (value - state.value)
        filtered = dataclasses.replace(
            sample,
            xy=value[:, :2].astype(np.float32),
            depth=value[:, 2].astype(np.float32),
            world=value[:, 3:].astype(np.float32),
        )
        return filtered, OneEuroState(value=value, speed=speed, seconds=seconds)


def _one_euro_gain(cutoff_hz: np.ndarray, elapsed_seconds: float) -> np.ndarray:
    """Formula (5) of the paper: 1 / (1 + tau / T), tau = 1 / (2 pi f)."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * elapsed_seconds))


# --- the steps -----------------------------------------------------------------------------------


def _smooth_or_not(track: PoseTrack, strength: float, max_gap_seconds: float) -> PoseTrack:
    return track if strength == 0 else _smooth_whole(track, strength, max_gap_seconds)


def _smooth_whole(track: PoseTrack, strength: float, max_gap_seconds: float) -> PoseTrack:
    fps = float(track.fps)
    known = track.present[:, None] & np.isfinite(track.xy).all(axis=-1)
    values = np.concatenate([track.xy, track.depth[..., None], track.world], axis=-1)
    values = np.where(known[..., None], values, np.nan).astype(np.float64)  # (T, K, 6)
    confidence = np.where(known, track.confidence, 0).astype(np.float64)
    size_px = _body_size(values[..., :2], half=_frames(SWAP_SECONDS, fps))
    values, confidence = _repair_swaps(values, confidence, size_px, _frames(SWAP_SECONDS, fps))
    spikes = _find_spikes(values[..., :2], size_px, _frames(SPIKE_SECONDS, fps))
    values = np.where(spikes[..., None], np.nan, values)
    max_gap = int(max_gap_seconds * fps)
    values, confidence = _fill_gaps(values, np.where(spikes, 0, confidence), max_gap)
    smoothed = _smooth(values, confidence, size_px, strength=strength, fps=fps)
    known = np.isfinite(smoothed[..., 0])
    return dataclasses.replace(
        track,
        xy=smoothed[..., :2].astype(np.float32),
        depth=smoothed[..., 2].astype(np.float32),
        world=smoothed[..., 3:].astype(np.float32),
        confidence=np.where(known, confidence, 0).astype(np.float32),
        present=known.any(axis=1),
    )


def _frames(seconds: float, fps: float) -> int:
    return max(round(seconds * fps), 1)


def _half(sigma_seconds: float, fps: float) -> int:
    return max(int(np.ceil(WINDOW_SIGMAS * sigma_seconds * fps)), 1)


def _windows(x: np.ndarray, half: int) -> np.ndarray:
    """(T, ...) -> (2 half + 1, T, ...): the frames around each frame, NaN beyond the ends."""
    padding = np.full((half, *x.shape[1:]), np.nan)
    padded = np.concatenate([padding, x, padding])
    return np.stack([padded[k : k + len(x)] for k in range(2 * half + 1)])


def _median(x: np.ndarray) -> np.ndarray:
    """Median over the first axis of what is known; NaN where nothing is."""
    count = np.isfinite(x).sum(axis=0)
    ordered = np.sort(x, axis=0)  # NaN last
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None], axis=0)[0]
    high = np.take_along_axis(ordered, np.maximum(count // 2, 0).clip(max=len(x) - 1)[None], 0)[0]
    return (low + high) / 2


def _body_size(xy: np.ndarray, half: int) -> np.ndarray:
    """(T,) pixels: spread of the joints, about the length of the torso, median over a window."""
    count = np.maximum(np.isfinite(xy[..., 0]).sum(axis=1), 1)
    filled = np.nan_to_num(xy)
    centre = filled.sum(axis=1) / count[:, None]
    spread = np.where(np.isfinite(xy), (xy - centre[:, None]) ** 2, 0).sum(axis=(1, 2)) / count
    size = np.sqrt(spread)
    size[size == 0] = np.nan
    return _median(_windows(size, half))


def _repair_swaps(
    values: np.ndarray, confidence: np.ndarray, size_px: np.ndarray, half: int
) -> tuple[np.ndarray, np.ndarray]:
    """Exchange left and right of the body, or of a part, where the frames around say so.

    A frame is compared with the median of the frames around it, once as it is and once exchanged.
    Frames in the window that are exchanged themselves are outvoted.
    """
    values, confidence = values.copy(), confidence.copy()
    centre = _centre(values[..., :2])
    parts = [tuple(INDEX[f"left_{name}"] for name in part) for part in LEFT_PARTS]
    for group in (LEFT, *parts):
        left, right = np.array(group), np.array([MIRROR[i] for i in group])
        here = values[..., :2] - centre[:, None]
        around = _windows(here, half)
        around[half] = np.nan  # not the frame itself
        expected = _median(around)
        straight = _distance(here[:, left], expected[:, left]) + _distance(
            here[:, right], expected[:, right]
        )
        crossed = _distance(here[:, right], expected[:, left]) + _distance(
            here[:, left], expected[:, right]
        )
        apart = _distance(expected[:, left], expected[:, right])
        swapped = (crossed < SWAP_GAIN * straight) & (apart > SWAP_MIN_APART * size_px)
        rows = np.nonzero(swapped)[0][:, None]
        for array in (values, confidence):
            array[rows, left], array[rows, right] = (
                array[rows, right].copy(), array[rows, left].copy(),
            )  # fmt: skip
    return values, confidence


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(T, N, 2) x 2 -> (T,) mean distance over the joints known in both, NaN where none is."""
    distance = _norm(a - b)
    count = np.isfinite(distance).sum(axis=1)
    total = np.nan_to_num(distance).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _centre(xy: np.ndarray) -> np.ndarray:
    """(T, 2) median of the joints: where the body is, whatever single joints do."""
    return _median(np.moveaxis(xy, 1, 0))


def _find_spikes(xy: np.ndarray, size_px: np.ndarray, half: int) -> np.ndarray:
    """(T, K) joints that jump out and come back to where they were.

    Hampel's test (median and MAD of the frames around) alone also takes the fastest frames of a
    sweep away; those do not come back, so the medians before and after must agree as well.
    """
    around = _windows(xy, half)
    before, after = _median(around[:half]), _median(around[half + 1 :])
    jump = _norm(xy - (before + after) / 2)
    middle = _median(around)
    mad = 1.4826 * _median(_windows(_norm(xy - middle), 2 * half))
    limit = np.maximum(SPIKE_FLOOR * size_px[:, None], SPIKE_MADS * mad)
    limit = np.maximum(limit, 2 * _norm(after - before))
    with np.errstate(invalid="ignore"):
        return jump > limit


def _norm(x: np.ndarray) -> np.ndarray:
    return np.sqrt((x**2).sum(axis=-1))


def _fill_gaps(
    values: np.ndarray, confidence: np.ndarray, max_gap: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cubic Hermite interpolation over gaps of at most `max_gap` frames.

    A monotone cubic was tried: it cuts off moves that turn round inside the gap.
    """
    known = np.isfinite(values[..., 0])
    t = len(known)
    frame = np.arange(t)[:, None]
    before = np.maximum.accumulate(np.where(known, frame, -1), axis=0)
    after = np.minimum.accumulate(np.where(known, frame, t)[::-1], axis=0)[::-1]
    gap = after - before - 1
    filled = ~known & (before >= 0) & (after < t) & (gap <= max_gap)
    rows, joints = np.nonzero(filled)
    if len(rows) == 0:
        return values, confidence
    a, b = before[rows, joints], after[rows, joints]
    width = (b - a)[:, None].astype(np.float64)
    start, end = values[a, joints], values[b, joints]
    slope = (end - start) / width

    def tangent(edge: np.ndarray, direction: int) -> np.ndarray:
        """Mean slope of the frames beyond an edge of the gap, else of the gap itself."""
        total, count = np.zeros_like(slope), np.zeros((len(edge), 1))
        for step in range(1, TANGENT_FRAMES + 1):
            beyond = np.clip(edge + direction * step, 0, t - 1)
            outer = (values[beyond, joints] - values[edge, joints]) * (direction / step)
            good = np.isfinite(outer).all(axis=1, keepdims=True) & (beyond != edge)[:, None]
            total += np.where(good, outer, 0)
            count += good
        return np.where(count > 0, total / np.maximum(count, 1), slope)

    u = ((rows - a)[:, None]) / width
    value = (
        (2 * u**3 - 3 * u**2 + 1) * start
        + (u**3 - 2 * u**2 + u) * width * tangent(a, -1)
        + (-2 * u**3 + 3 * u**2) * end
        + (u**3 - u**2) * width * tangent(b, 1)
    )
    values, confidence = values.copy(), confidence.copy()
    values[rows, joints] = value
    lower = np.minimum(confidence[a, joints], confidence[b, joints])
    confidence[rows, joints] = lower * (1 - 0.5 * width[:, 0] / (max_gap + 1))
    return values, confidence


def _smooth(
    values: np.ndarray, confidence: np.ndarray, size_px: np.ndarray, *, strength: float, fps: float
) -> np.ndarray:
    """Long window at rest, short window in motion, blended joint by joint."""
    weight = np.where(np.isfinite(values[..., 0]), 0.05 + confidence, 0)
    parts = []
    # (channels, window factor): x and y and the world's; then both depths.
    image = [0, 1, 3, 4]
    depth = [2, 5]
    blend = None
    for channels, factor in ((image, 1.0), (depth, DEPTH_FACTOR)):
        short, long = (
            _local_quadratic(values[..., channels], weight, seconds * factor * strength, fps)
            for seconds in (MOVING_SECONDS, RESTING_SECONDS)
        )
        if blend is None:
            difference = _norm(short[..., :2] - long[..., :2])
            level = difference / (REST_LEVEL * size_px[:, None])
            half = _half(MOVING_SECONDS, fps)
            level = np.nanmax(_windows(np.nan_to_num(level), half), axis=0)
            blend = np.clip(level - 1, 0, 1)[..., None]  # 1 in motion
        parts.append(long + blend * (short - long))
    smoothed = np.empty_like(values)
    smoothed[..., image], smoothed[..., depth] = parts
    return smoothed


def _local_quadratic(
    values: np.ndarray, weight: np.ndarray, sigma_seconds: float, fps: float
) -> np.ndarray:
    """Weighted least squares of a parabola around each frame; NaN where the frame is unknown.

    Args:
        values: (T, K, C), NaN where unknown.
        weight: (T, K), 0 where unknown.
        sigma_seconds: standard deviation of the Gaussian window.
        fps: frames a second.

    Returns:
        (T, K, C).
    """
    sigma = sigma_seconds * fps
    half = _half(sigma_seconds, fps)
    t = len(values)
    padded_weight = np.pad(weight, ((half, half), (0, 0)))
    padded = np.pad(np.nan_to_num(values), ((half, half), (0, 0), (0, 0)))
    moments = np.zeros((5, *weight.shape))
    sums = np.zeros((3, *values.shape))
    for offset in range(-half, half + 1):
        x = offset / sigma
        here = slice(half + offset, half + offset + t)
        w = np.exp(-0.5 * x * x) * padded_weight[here]
        for power in range(5):
            moments[power] += w * x**power
        for power in range(3):
            sums[power] += (w * x**power)[..., None] * padded[here]
    # Normal equations [[m0 m1 m2] [m1 m2 m3] [m2 m3 m4]] c = s; the value at the frame is c[0].
    m0, m1, m2, m3, m4 = moments
    m2_slope = m2 + RIDGE * m0
    m4_bend = m4 + RIDGE * m0
    a = m2_slope * m4_bend - m3 * m3
    b = m2 * m3 - m1 * m4_bend
    c = m1 * m3 - m2 * m2_slope
    determinant = m0 * a + m1 * b + m2 * c
    known = weight > 0
    scale = np.where(known, 1 / np.where(determinant == 0, 1, determinant), np.nan)
    return (a[..., None] * sums[0] + b[..., None] * sums[1] + c[..., None] * sums[2]) * scale[
        ..., None
    ]
