"""The driver's motion on the photographed person's bones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skeletons import lowest, make_track, metres

from motion_transfer.errors import NoPersonError
from motion_transfer.pose.retarget import Retargeting, calibrate, margin_frames, retarget
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.pose.track import PoseTrack

MAIN_BONES = [(f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for a, b in (
    ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))]  # fmt: skip


def photo_of(**pose) -> PoseTrack:
    return make_track([metres(**pose)], px=300, size_hw=(800, 600), ground_px=760, x_px=290)


def wave(count: int, **fixed) -> list[np.ndarray]:
    """Arms and one leg swing."""
    moves = []
    for k in range(count):
        swing = np.sin(2 * np.pi * k / 40)
        angles = {"upper_arm": 60 + 50 * swing, "lower_arm": 80 + 60 * swing,
                  "right_thigh": 20 + 15 * swing, "right_shin": 10 - 10 * swing}  # fmt: skip
        moves.append(metres(angles=angles | fixed.get("angles", {}),
                            **{k: v for k, v in fixed.items() if k != "angles"}))  # fmt: skip
    return moves


def run(driver: PoseTrack, photo: PoseTrack) -> PoseTrack:
    return retarget(driver, calibrate(driver, photo))


def bone(track: PoseTrack, pair: tuple[str, str]) -> np.ndarray:
    return track.xy[:, INDEX[pair[1]]] - track.xy[:, INDEX[pair[0]]]


def length(track: PoseTrack, pair: tuple[str, str]) -> np.ndarray:
    return np.linalg.norm(bone(track, pair), axis=-1)


def direction(track: PoseTrack, pair: tuple[str, str]) -> np.ndarray:
    return bone(track, pair) / length(track, pair)[:, None]


def foot_y(track: PoseTrack) -> np.ndarray:
    return np.array([lowest(points) for points in track.xy])


def test_bones_of_the_photo_directions_of_the_driver() -> None:
    # bug: a child's photo gets the arms of the grown-up who drives
    photo = photo_of(arms=1.3, legs=0.8)
    driver = make_track(wave(80))
    target = run(driver, photo)
    for pair in MAIN_BONES:
        assert np.allclose(length(target, pair), length(photo, pair), rtol=0.03), pair
        assert ((direction(target, pair) * direction(driver, pair)).sum(-1) > 0.999).all(), pair


def test_foreshortening_stays() -> None:
    # bug: an arm that points at the camera is drawn at full length
    steps = [{"left_upper_arm": a, "left_lower_arm": a} for a in np.linspace(0, 80, 60)]
    people = wave(60) + [metres(angles={"upper_arm": 90, "lower_arm": 90}, out_of_plane=o)
                         for o in steps]  # fmt: skip
    photo = photo_of()
    target = run(make_track(people), photo)
    pair = ("left_shoulder", "left_elbow")
    ratio = length(target, pair)[60:] / length(photo, pair)
    wanted = np.cos(np.deg2rad(np.linspace(0, 80, 60)))
    assert np.abs(ratio - wanted).max() < 0.06
    nearer = target.depth[-1, INDEX["left_elbow"]] - target.depth[-1, INDEX["left_shoulder"]]
    assert nearer == pytest.approx(-0.98 * length(photo, pair)[0], rel=0.06)


def test_far_and_near_leg_of_one_length() -> None:
    # bug: in a photo taken from the side the far leg looks shorter and dances shorter
    photo = photo_of()
    knee, ankle = INDEX["right_knee"], INDEX["right_ankle"]
    shorter = photo.xy.copy()
    shorter[0, ankle] = shorter[0, knee] + 0.8 * (photo.xy[0, ankle] - photo.xy[0, knee])
    target = run(make_track(wave(60)), replace(photo, xy=shorter))
    left = length(target, ("left_knee", "left_ankle"))
    right = length(target, ("right_knee", "right_ankle"))
    assert np.allclose(left, right, rtol=0.02)


def test_root_motion_is_scaled_with_the_person() -> None:
    # bug: a small driver's steps leave the picture of a large photo, or hardly move
    sway = 0.5 * np.sin(np.linspace(0, 2 * np.pi, 90))
    driver = make_track([metres(sway=s) for s in sway])
    target = run(driver, photo_of())
    hips = target.xy[:, [INDEX["left_hip"], INDEX["right_hip"]], 0].mean(1)
    assert np.ptp(hips) == pytest.approx(1.0 * 300, rel=0.05)
    photo_hips = photo_of().xy[0, [INDEX["left_hip"], INDEX["right_hip"]], 0].mean()
    assert hips.mean() == pytest.approx(photo_hips, abs=3)


def test_the_standing_foot_stays_while_the_knees_bend() -> None:
    # bug: feet sink into the floor or float when the hips go down
    bends = 40 * (1 - np.cos(np.linspace(0, 4 * np.pi, 90))) / 2
    people = [metres(angles={"left_thigh": b, "left_shin": -b, "right_thigh": b, "right_shin": -b})
              for b in bends]  # fmt: skip
    photo = photo_of(legs=0.9)
    target = run(make_track(people), photo)
    assert np.abs(foot_y(target) - foot_y(photo)).max() < 0.012 * 300
    hips = target.xy[:, INDEX["left_hip"], 1]
    assert np.ptp(hips) > 0.1 * 300


def test_a_jump_leaves_the_ground_and_lands_on_it() -> None:
    # bug: feet glued to the floor take the jump out of the dance
    lift = [0.0] * 40 + list(0.4 * np.sin(np.linspace(0, np.pi, 20))) + [0.0] * 40
    photo = photo_of()
    target = run(make_track([metres()] * 100, lift_m=lift), photo)
    height = (foot_y(photo) - foot_y(target)) / 300
    assert np.abs(height[:38]).max() < 0.02 and np.abs(height[-38:]).max() < 0.02
    assert height.max() == pytest.approx(0.4, rel=0.05)


def half_body_photo() -> PoseTrack:
    """Cut off below the hips: the tracker guesses legs outside of the picture."""
    photo = make_track([metres()], px=400, size_hw=(620, 600), ground_px=900, x_px=300)
    confidence = photo.confidence.copy()
    outside = photo.xy[0, :, 1] > 620
    assert outside[INDEX["left_knee"]] and not outside[INDEX["left_hip"]]
    confidence[0, outside] = 0.05
    return replace(photo, confidence=confidence)


def test_what_a_half_body_photo_does_not_show_is_not_invented() -> None:
    # bug: legs drawn out of nothing, or the cut edge lifted into the picture
    photo = half_body_photo()
    lift = [0.0] * 30 + [0.3] * 10 + [0.0] * 30
    target = run(make_track(wave(70), lift_m=lift), photo)
    for side in ("left", "right"):
        for part in ("knee", "ankle", "heel", "foot_index"):
            assert (target.confidence[:, INDEX[f"{side}_{part}"]] == 0).all()
        assert (target.confidence[:, INDEX[f"{side}_wrist"]] > 0).all()
    hips = target.xy[:, INDEX["left_hip"], 1]
    assert (hips > photo.xy[0, INDEX["left_hip"], 1] - 1).all()


def absent(track: PoseTrack, frames: slice) -> PoseTrack:
    fields = {
        n: getattr(track, n).copy() for n in ("xy", "depth", "world", "confidence", "present")
    }
    for name in ("xy", "depth", "world"):
        fields[name][frames] = np.nan
    fields["confidence"][frames], fields["present"][frames] = 0, False
    return replace(track, **fields)


def test_without_the_driver_the_photos_own_pose_returns_gently() -> None:
    # bug: NaN where nobody is, or the person jumps back in one frame
    photo = photo_of()
    raised = [metres(angles={"upper_arm": 150, "lower_arm": 160})] * 120
    target = run(absent(make_track(raised), slice(40, 90)), photo)
    assert np.isfinite(target.xy).all() and np.isfinite(target.depth).all()
    assert np.abs(target.xy[65] - photo.xy[0]).max() < 4
    wrist = target.xy[:, INDEX["left_wrist"], 1]
    assert np.ptp(wrist) > 200
    assert np.abs(np.diff(wrist)).max() < 0.3 * np.ptp(wrist)
    assert not target.present[60] and target.confidence[60].max() < 0.1


def test_in_blocks_as_in_one_piece() -> None:
    # bug: the person jumps or changes size where a block begins
    random = np.random.default_rng(0)
    people = [p + random.normal(0, 0.01, p.shape) for p in wave(400)]
    driver = absent(make_track(people), slice(200, 230))
    to = calibrate(driver[:300], photo_of())
    whole = retarget(driver, to)
    margin = margin_frames(30)
    for first in range(0, 400, 64):
        low, high = max(0, first - margin), min(400, first + 64 + margin)
        block = retarget(driver[low:high], to)[first - low : first - low + 64]
        assert np.allclose(block.xy, whole.xy[first : first + 64], atol=0.02)
        assert np.allclose(block.depth, whole.depth[first : first + 64], atol=0.02)
        assert block.px_per_metre is not None and whole.px_per_metre is not None
        assert np.allclose(block.px_per_metre, whole.px_per_metre[first : first + 64], rtol=1e-4)


@pytest.mark.parametrize("first", [0, 60, 90, 180])
def test_no_frontal_first_frame_is_needed(first: int) -> None:
    # bug: calibrated on one frame, a driver who starts sideways gets a torso of a hand's width
    turns = np.linspace(first, first + 360, 120)
    people = [metres(turn=t, angles={"upper_arm": 40, "lower_arm": 40}) for t in turns]
    photo = photo_of()
    target = run(make_track(people), photo)
    frontal = int(np.abs((turns + 180) % 360 - 180).argmin())
    for pair in [*MAIN_BONES, ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")]:
        assert length(target, pair)[frontal] == pytest.approx(length(photo, pair)[0], rel=0.08)
    # seen from behind left and right have changed sides
    behind = int(np.abs((turns + 180) % 360 - 180).argmax())
    width = target.xy[:, INDEX["left_shoulder"], 0] - target.xy[:, INDEX["right_shoulder"], 0]
    assert width[frontal] > 0 > width[behind]


def test_coming_nearer_makes_larger() -> None:
    # bug: a driver who walks towards the camera grows, the target's feet only slide down
    people = [metres()] * 150
    parts = [make_track(people[:1], px=px, ground_px=360 + 0.4 * px)
             for px in np.linspace(170, 240, 150)]  # fmt: skip
    fields = {n: np.concatenate([getattr(p, n) for p in parts]) for n in ("xy", "depth", "world")}
    target = run(replace(make_track(people), **fields), photo_of())
    assert target.px_per_metre is not None
    assert target.px_per_metre[130] / target.px_per_metre[20] == pytest.approx(
        np.linspace(170, 240, 150)[130] / np.linspace(170, 240, 150)[20], rel=0.04
    )


def test_nobody_to_measure() -> None:
    # bug: an empty median deep inside
    driver, photo = make_track(wave(20)), photo_of()
    with pytest.raises(NoPersonError, match="photo"):
        calibrate(driver, absent(photo, slice(0, 1)))
    with pytest.raises(NoPersonError, match="driving video"):
        calibrate(absent(driver, slice(0, 20)), photo)


def test_the_result_is_finite_whatever_is_missing() -> None:
    # bug: one joint that is never seen turns everything below it into NaN
    driver = make_track(wave(60))
    xy = driver.xy.copy()
    xy[:, [INDEX["left_elbow"], INDEX["right_foot_index"], INDEX["left_ear"]]] = np.nan
    confidence = np.where(np.isfinite(xy[..., 0]), driver.confidence, 0).astype(np.float32)
    to = calibrate(replace(driver, xy=xy, confidence=confidence), photo_of())
    assert isinstance(to, Retargeting)
    target = retarget(replace(driver, xy=xy, confidence=confidence), to)
    assert np.isfinite(target.xy).all()


@pytest.mark.parametrize(("scale", "shift"), [(0.5, (0.0, 0.0)), (1.3, (0.2, -0.1))])
def test_size_and_place_in_the_picture(scale: float, shift: tuple[float, float]) -> None:
    # bug: the person grows about a corner and floats, or only the joints grow
    photo, driver = photo_of(), make_track(wave(60))
    plain = retarget(driver, calibrate(driver, photo))
    placed = retarget(driver, calibrate(driver, photo, scale=scale, shift=shift))
    ratio = placed.px_per_metre / plain.px_per_metre
    np.testing.assert_allclose(ratio, scale, rtol=1e-5)
    np.testing.assert_allclose(placed.depth, plain.depth * scale, rtol=1e-4, atol=1e-3)
    move = np.array(shift) * photo.size_hw[::-1]
    hips = photo.xy[0, [INDEX["left_hip"], INDEX["right_hip"]], 0].mean()
    ground = np.array([hips, foot_y(photo)[0]])
    np.testing.assert_allclose(
        placed.xy - ground - move, (plain.xy - ground) * scale, rtol=1e-3, atol=0.05
    )
