from fractions import Fraction

import numpy as np
import pytest

from motion_transfer.errors import InputError
from motion_transfer.pose import smooth as module
from motion_transfer.pose.people import PoseSample
from motion_transfer.pose.skeleton import INDEX, JOINTS, MIRROR
from motion_transfer.pose.smooth import (
    OneEuro,
    smooth_blocks,
    smooth_track,
    support_frames,
)
from motion_transfer.pose.track import PoseTrack

FPS = Fraction(30000, 1001)
NAMES = ("xy", "depth", "confidence", "world", "present", "times_seconds")


def standing():
    """A person 600 px tall, joint by joint, left on the right side of the picture."""
    heights = {
        "nose": 60, "eye": 50, "ear": 55, "mouth": 75, "shoulder": 130, "elbow": 220, "wrist": 300,
        "pinky": 320, "index": 325, "thumb": 315, "hip": 310, "knee": 450, "ankle": 570,
        "heel": 585, "foot": 595,
    }  # fmt: skip
    widths = {"shoulder": 60, "elbow": 80, "wrist": 90, "hip": 40, "knee": 45, "ankle": 45}
    points = []
    for name in JOINTS:
        part = next(p for p in heights if p in name)
        side = 1 if "left" in name else -1 if "right" in name else 0
        points.append((400 + side * widths.get(part, 70 if part != "eye" else 15), heights[part]))
    return np.array(points, float)


def dance(num_frames=300, hz=1.5, seed=0):
    rng = np.random.default_rng(seed)
    t = np.arange(num_frames)[:, None, None] / float(FPS)
    swing = 40 * np.sin(2 * np.pi * hz * t + rng.uniform(0, 1, (1, len(JOINTS), 2)))
    sway = 60 * np.sin(2 * np.pi * 0.4 * t + np.array([0, 1]))
    return standing() + swing + sway


def make(xy, *, present=None):
    t, k = xy.shape[:2]
    present = np.ones(t, bool) if present is None else present
    gone = np.where(present, 1, np.nan)[:, None]
    return PoseTrack(
        xy=(xy * gone[..., None]).astype(np.float32),
        depth=(xy[..., 0] * 0.3 * gone).astype(np.float32),
        confidence=np.repeat(present[:, None], k, 1).astype(np.float32),
        world=(np.concatenate([xy, xy[..., :1]], -1) / 300 * gone[..., None]).astype(np.float32),
        present=present,
        times_seconds=np.arange(t) / float(FPS),
        fps=FPS,
        size_hw=(800, 800),
    )


def rms(x):
    return float(np.sqrt(np.nanmean(x**2)))


def test_noise_spikes_and_a_gap_are_repaired_without_lag_or_flattening():
    clean = dance()
    rng = np.random.default_rng(1)
    noisy = clean + rng.normal(0, 4, clean.shape)
    spikes = rng.random(clean.shape[:2]) < 0.01
    noisy[spikes] += rng.choice([-1, 1], (spikes.sum(), 2)) * 120
    present = np.ones(len(clean), bool)
    present[140:147] = False  # 0.23 s
    raw = make(noisy, present=present)
    smoothed = smooth_track(raw)
    assert smoothed.present.all()
    inside = slice(10, -10)
    error = rms((smoothed.xy - clean)[inside])
    assert error < 0.3 * rms((raw.xy - clean)[inside])
    assert error < 4 * 0.9  # also below the noise without spikes
    assert np.abs(smoothed.xy - clean)[140:147].mean() < 8
    assert (smoothed.confidence[140:147] < 1).all()
    # Peaks: the swing of a wrist about the sway keeps its size.
    wrist = INDEX["left_wrist"]
    spread = [np.ptp(x[inside, wrist], axis=0) for x in (smoothed.xy, clean)]
    assert spread[0] == pytest.approx(spread[1], rel=0.05)
    # Lag: best match with the clean motion at shift 0.
    lags = range(-3, 4)
    errors = [rms(smoothed.xy[10 + lag : 280 + lag] - clean[10:280]) for lag in lags]
    assert lags[int(np.argmin(errors))] == 0


@pytest.mark.parametrize("hz", [0.5, 1.5, 2.5])
def test_fast_moves_keep_their_peaks(hz):
    clean = dance(hz=hz)
    smoothed = smooth_track(make(clean)).xy
    wrist = INDEX["right_wrist"]
    amplitude = [np.ptp(x[20:-20, wrist], axis=0) for x in (smoothed, clean)]
    assert amplitude[0] == pytest.approx(amplitude[1], rel=0.05)


def test_a_sweep_is_not_a_spike():
    """An arm thrown from up to down in three frames was once taken out as a spike."""
    xy = np.repeat(standing()[None], 60, axis=0)
    wrist = INDEX["left_wrist"]
    xy[30:, wrist, 1] += 300
    xy[29, wrist, 1] += 100
    xy[30, wrist, 1] -= 100
    found = module._find_spikes(xy, module._body_size(xy, 6), 3)
    assert not found.any()


def test_a_still_person_stands_still():
    xy = np.repeat(standing()[None], 200, axis=0)
    noisy = xy + np.random.default_rng(0).normal(0, 2, xy.shape)
    smoothed = smooth_track(make(noisy))
    assert np.diff(smoothed.xy, axis=0).std() < 0.15 * np.diff(noisy, axis=0).std()


def test_left_and_right_are_put_back():
    clean = dance()
    swapped = clean.copy()
    order = list(MIRROR)
    swapped[100:103] = swapped[100:103][:, order]  # whole body
    lower = ("knee", "ankle", "heel", "foot")
    legs = [i for i, n in enumerate(JOINTS) if any(part in n for part in lower)]
    swapped[200, legs] = swapped[200, [MIRROR[i] for i in legs]]
    smoothed = smooth_track(make(swapped))
    assert np.abs(smoothed.xy - clean)[95:108].max() < 12
    assert np.abs(smoothed.xy - clean)[195:205].max() < 25


def test_a_long_gap_stays_hidden():
    present = np.ones(120, bool)
    present[50:80] = False
    smoothed = smooth_track(make(dance(120), present=present))
    assert np.array_equal(smoothed.present, present)
    assert np.isnan(smoothed.xy[60]).all()
    assert (smoothed.confidence[60] == 0).all()
    assert np.isfinite(smoothed.xy[present]).all()
    assert smooth_track(make(dance(120), present=present), max_gap_seconds=1.1).present.all()


@pytest.mark.parametrize("block", [25, 60, 333])
def test_blocks_equal_the_whole_exactly(block, monkeypatch):
    rng = np.random.default_rng(2)
    xy = dance(700) + rng.normal(0, 4, (700, len(JOINTS), 2))
    xy[rng.random(xy.shape[:2]) < 0.02] += 90
    present = rng.random(700) > 0.1
    present[300:330] = False
    track = make(xy, present=present)
    whole = smooth_track(track)
    parts = list(smooth_blocks(track[k : k + block] for k in range(0, 700, block)))
    for name in NAMES:
        joined = np.concatenate([getattr(p, name) for p in parts])
        assert np.array_equal(joined, getattr(whole, name), equal_nan=name != "present"), name
    monkeypatch.setattr(module, "BLOCK_FRAMES", 100)
    long = smooth_track(track)
    assert np.array_equal(long.xy, whole.xy, equal_nan=True)


def test_support_is_what_it_says():
    """A change of one frame may not reach farther than announced."""
    xy = dance(500) + np.random.default_rng(0).normal(0, 3, (500, len(JOINTS), 2))
    other = xy.copy()
    other[250] += 500
    a, b = (smooth_track(make(x), strength=1.0) for x in (xy, other))
    changed = np.nonzero((a.xy != b.xy).any(axis=(1, 2)) | (a.depth != b.depth).any(axis=1))[0]
    reach = support_frames(FPS)
    assert 250 - reach <= changed.min() and changed.max() <= 250 + reach


def test_strength_zero_touches_nothing():
    track = make(dance(30))
    assert smooth_track(track, strength=0) is track
    (part,) = smooth_blocks([track], strength=0)
    assert np.array_equal(part.xy, track.xy)


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_very_short_clips(num_frames):
    clean = dance(num_frames)
    smoothed = smooth_track(make(clean))
    assert np.abs(smoothed.xy - clean).max() < 15


def test_nobody_at_all():
    smoothed = smooth_track(make(dance(20), present=np.zeros(20, bool)))
    assert not smoothed.present.any()


def test_bad_settings():
    with pytest.raises(InputError, match=r"strength must be in \[0, 1\], got 2"):
        smooth_track(make(dance(5)), strength=2)
    with pytest.raises(InputError, match="max_gap_seconds must be at least 0, got -1"):
        smooth_track(make(dance(5)), max_gap_seconds=-1)


def test_one_euro_steadies_rest_and_follows_motion():
    rng = np.random.default_rng(0)
    still = np.repeat(standing()[None], 90, axis=0)
    moving = standing() + np.linspace(0, 900, 90)[:, None, None]  # 300 px/s
    results = {}
    for name, clean in (("still", still), ("moving", moving)):
        state, out = None, []
        for k, xy in enumerate(clean + rng.normal(0, 3, clean.shape)):
            sample = PoseSample(
                xy=xy.astype(np.float32), depth=xy[:, 0].astype(np.float32),
                confidence=np.ones(33, np.float32), world=np.zeros((33, 3), np.float32),
                present=True,
            )  # fmt: skip
            sample, state = OneEuro().step(sample, state, seconds=k / 30)
            out.append(sample.xy)
        results[name] = np.array(out)[30:] - clean[30:]
    assert rms(results["still"]) < 3 * 0.65
    assert abs(results["moving"].mean()) < 300 * 0.1  # less than a tenth of a second behind


def test_one_euro_begins_anew_after_a_gap():
    filtered, state = OneEuro().step(PoseSample.absent(), None, seconds=0)
    assert state is None
    assert not filtered.present
