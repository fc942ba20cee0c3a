import itertools
from fractions import Fraction

import numpy as np
import pytest

from motion_transfer.errors import InputError, NoPersonError
from motion_transfer.media.decode import Frame, read_frames
from motion_transfer.pose.blazepose import Roi
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.tracker import (
    TrackerState,
    _follow,
    _settle_who_is_who,
    stack_samples,
    track_people,
    track_video,
)

HIPS = [INDEX["left_hip"], INDEX["right_hip"]]
# OpenPose's 18 joints, as DWPose writes them, by our names; the neck has none.
DWPOSE = {
    0: "nose", 2: "right_shoulder", 3: "right_elbow", 4: "right_wrist", 5: "left_shoulder",
    6: "left_elbow", 7: "left_wrist", 8: "right_hip", 9: "right_knee", 10: "right_ankle",
    11: "left_hip", 12: "left_knee", 13: "left_ankle", 14: "right_eye", 15: "left_eye",
    16: "right_ear", 17: "left_ear",
}  # fmt: skip


def every(frames, step):
    return itertools.islice(frames, 0, None, step)


def hip_x(samples):
    return np.array([s.xy[HIPS, 0].mean() for s in samples])


def test_agrees_with_dwpose(blazepose, media):
    path = media / "videos" / "turn_2997fps.mp4"
    with np.load(media / "videos" / "turn_2997fps_dwpose.npz") as file:
        theirs = file["bodies_candidate"][::5]
    frames = every(read_frames(path), 5)
    samples = list(track_people(frames, blazepose=blazepose))
    assert all(s.present for s in samples)
    height, width = 1254, 960
    distances = []
    for sample, points in zip(samples, theirs, strict=True):
        for k, name in DWPOSE.items():
            known = points[k, 0] > 0 and sample.confidence[INDEX[name]] > 0.5
            if known:
                offset = sample.xy[INDEX[name]] - points[k] * [width, height]
                distances.append(np.linalg.norm(offset))
    assert np.median(distances) <= 0.012 * height


@pytest.mark.parametrize("person", [0, 1])
def test_stays_with_one_of_two_dancers(blazepose, media, person):
    frames = every(read_frames(media / "hostile" / "two_dancers.mp4", max_side=960), 12)
    samples = list(track_people(frames, person=person, blazepose=blazepose))
    x = hip_x(samples)
    assert np.isfinite(x).mean() > 0.95
    low, high = [(170, 230), (330, 390)][person]
    assert low < np.nanmin(x) and np.nanmax(x) < high


def test_a_point_chooses_the_dancer(blazepose, media):
    frames = itertools.islice(read_frames(media / "hostile" / "two_dancers.mp4"), 1)
    (sample,) = track_people(frames, person=(380.0, 1200.0), blazepose=blazepose)
    assert hip_x([sample])[0] < 500


def test_a_third_dancer_does_not_exist(blazepose, media):
    path = media / "hostile" / "two_dancers.mp4"
    with pytest.raises(NoPersonError, match=r"from 0 \(leftmost\) to 1, got 2; 2 people were"):
        track_video(path, end_seconds=0.2, person=2, blazepose=blazepose)


def test_a_sky_holds_nobody(blazepose, media):
    path = media / "hostile" / "no_person_sky.mp4"
    frames = every(read_frames(path), 4)
    assert not any(s.present for s in track_people(frames, blazepose=blazepose))
    with pytest.raises(NoPersonError, match=r"no person was found in the .* frames of no_person"):
        track_video(path, fps=Fraction(2), blazepose=blazepose)


def test_a_very_small_person_is_followed(blazepose, media):
    frames = every(read_frames(media / "hostile" / "very_small_person.mp4"), 4)
    samples = list(track_people(frames, blazepose=blazepose))
    assert all(s.present for s in samples)
    assert np.ptp(hip_x(samples)) < 40


def test_who_leaves_is_marked_and_found_again(blazepose, media):
    clip = list(itertools.islice(read_frames(media / "videos" / "taichi_256.mp4"), 8))
    empty = Frame(np.full_like(clip[0].rgb, 120), Fraction(0))
    samples = list(track_people([*clip, empty, empty, *clip], blazepose=blazepose))
    assert [s.present for s in samples] == [True] * 8 + [False] * 2 + [True] * 8
    assert np.isnan(samples[8].xy).all()
    assert (samples[8].confidence == 0).all()
    # Found again where the person is, not somewhere near.
    assert np.abs(samples[10].xy - samples[0].xy).max() < 15


def test_stopping_and_going_on_equals_a_straight_run(blazepose, media, tmp_path):
    clip = list(itertools.islice(read_frames(media / "videos" / "taichi_256.mp4"), 20))
    straight = stack_samples(
        list(track_people(clip, blazepose=blazepose)), fps=Fraction(10), size_hw=(256, 256)
    )
    first = list(track_people(clip[:11], blazepose=blazepose))
    np.savez(tmp_path / "state.npz", **first[-1].state.to_arrays())
    with np.load(tmp_path / "state.npz") as file:
        state = TrackerState.from_arrays(dict(file))
    second = list(track_people(clip[11:], state=state, blazepose=blazepose))
    resumed = stack_samples(first + second, fps=Fraction(10), size_hw=(256, 256))
    for name in ("xy", "depth", "world", "confidence"):
        assert np.array_equal(getattr(straight, name), getattr(resumed, name))


def test_track_video_has_the_times_of_the_video(blazepose, media):
    counts = []
    track = track_video(
        media / "videos" / "turn_2997fps.mp4",
        start_seconds=1,
        end_seconds=1.5,
        blazepose=blazepose,
        progress=counts.append,
    )
    assert track.fps == Fraction(30000, 1001)
    assert counts == list(range(1, len(track) + 1))
    assert track.times_seconds[:3] == pytest.approx([0, 1001 / 30000, 2002 / 30000])
    assert track.size_hw == (1254, 960)


def test_state_checks_its_shapes():
    with pytest.raises(InputError, match=r"velocity of a tracker state must have shape \(2, 2\)"):
        TrackerState(roi=np.zeros((2, 4)))


def test_region_follows_a_fast_move_at_once_and_a_tremble_slowly():
    old = Roi(100, 100, 200, 3.1)
    assert _follow(old, Roi(160, 100, 200, 3.1)).center_x == pytest.approx(160)
    assert 100 < _follow(old, Roi(101, 100, 200, 3.1)).center_x < 100.5
    turned = _follow(old, Roi(100, 100, 200, -3.1))  # across the cut of the angle
    assert abs(turned.angle) > 3.1


def two_known(colours):
    return TrackerState(
        num_frames=5,
        roi=np.array([[100.0, 100, 200, 0], [180, 100, 200, 0]]),
        velocity=np.zeros((2, 2)),
        colours=colours,
        missed=np.zeros(2, np.int64),
    )


def test_two_answers_about_one_body_go_to_its_owner(monkeypatch):
    """The region of a dancer who was passed in front of used to stick to the other one."""
    colours = np.zeros((2, 2, 125), np.float32)
    colours[0, :, 5], colours[1, :, 90] = 1, 1
    body = object()
    monkeypatch.setattr("motion_transfer.pose.tracker.same_person", lambda a, b: a is b)
    monkeypatch.setattr("motion_transfer.pose.tracker.appearance", lambda rgb, s: colours[1])
    seen, _ = _settle_who_is_who(np.zeros((1, 1, 3)), two_known(colours), [body, body])
    assert seen == [None, body]


def test_two_who_were_taken_for_each_other_go_back(monkeypatch):
    colours = np.zeros((2, 2, 125), np.float32)
    colours[0, :, 5], colours[1, :, 90] = 1, 1
    monkeypatch.setattr("motion_transfer.pose.tracker.same_person", lambda a, b: False)
    monkeypatch.setattr("motion_transfer.pose.tracker.appearance", lambda rgb, s: colours[s])
    seen, _ = _settle_who_is_who(np.zeros((1, 1, 3)), two_known(colours), [1, 0])
    assert seen == [0, 1]
