"""Make the demo photo and the demo dance: two rendered people who do not exist.

    python -m demos.make_demo --assets DIR            # person.jpg and dance.mp4, about 5 minutes
    python -m demos.make_demo --assets DIR --only photo

Everything is drawn from the asset pack and from code, and the same pack gives the same files.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from motion_transfer.synth.assets import Assets
from motion_transfer.synth.backdrop import Room, room_backdrop
from motion_transfer.synth.body import Body
from motion_transfer.synth.camera import Camera, look_at
from motion_transfer.synth.light import Lighting, environment_directions, many_lights
from motion_transfer.synth.motion import (
    Clip,
    Pose,
    axis_turn,
    clip_pose,
    curl_fingers,
    stance_pose,
)
from motion_transfer.synth.render import (
    composite,
    contact_points,
    encode_srgb,
    light_view,
    pose_body,
    rasterise,
)

HERE = Path(__file__).parent
PHOTO_BODY = "Hispanic_F_3_Casual"
PHOTO_SIZE_HW = (1280, 960)
DANCE_BODY = "Black_M_1_Casual"
DANCE_PARTS = (("05_09", 132, 281, False), ("05_11", 4, 147, True))
"""Clip, first and last frame, whether mirrored, of the pieces that make the dance."""
DANCE_OVERLAP = 14
DANCE_SIZE_HW = (672, 800)
DANCE_FPS = Fraction(30)
SAMPLE_RATE = 48000
GLOSS = np.array([0.020, 0.030, 0.5, 0.015, 0.02], np.float32)


def soft_boxes(*boxes: tuple[tuple[float, float, float], float, tuple[float, float, float]]):
    """An environment of a dim room and some soft boxes (direction, size, colour)."""
    directions, _ = environment_directions(64, 128)
    up = directions[..., 1:2]
    environment = np.array([0.27, 0.27, 0.28]) * (1 + 0.35 * up)
    environment = environment + np.where(up < 0, np.array([0.15, 0.115, 0.085]), 0)
    for direction, size, colour in boxes:
        towards = np.array(direction) / np.linalg.norm(direction)
        lobe = np.exp((directions @ towards - 1) / size)
        environment = environment + lobe[..., None] * np.array(colour)
    return environment


def relaxed_stance(body: Body) -> Pose:
    """Standing at ease: arms a little away from the body, weight on one leg."""

    def roll(angle_degrees: float) -> np.ndarray:
        return axis_turn((0, 0, 1), np.radians(angle_degrees))

    def yaw(angle_degrees: float) -> np.ndarray:
        return axis_turn((0, 1, 0), np.radians(angle_degrees))

    def pitch(angle_degrees: float) -> np.ndarray:
        return axis_turn((1, 0, 0), np.radians(angle_degrees))

    pose = stance_pose(
        body,
        {
            "Hips": yaw(3) @ roll(-1.2),
            "Spine": yaw(2) @ roll(0.8),
            "Spine2": yaw(-2) @ roll(1.0),
            "Neck": pitch(2),
            "Head": yaw(-5) @ roll(-2.0) @ pitch(1),
            "LeftShoulder": roll(-15),
            "RightShoulder": roll(14),
            "LeftArm": yaw(6) @ roll(-64),
            "LeftForeArm": yaw(-18) @ roll(-73),
            "LeftHand": yaw(-20) @ roll(-80) @ pitch(-18),
            "RightArm": yaw(-4) @ roll(63),
            "RightForeArm": yaw(20) @ roll(74),
            "RightHand": yaw(22) @ roll(81) @ pitch(-18),
            "LeftUpLeg": roll(4.5) @ pitch(-3) @ yaw(8),
            "LeftLeg": roll(3.5) @ pitch(4) @ yaw(10),
            "LeftFoot": yaw(16),
            "RightUpLeg": roll(-3.0) @ yaw(-6),
            "RightLeg": roll(-3.0) @ pitch(1) @ yaw(-6),
            "RightFoot": yaw(-14),
        },
    )
    noise = np.array([[0.00, 0.05, 0.10, 0.14, 0.0], [-0.04, 0.02, 0.09, 0.16, 0.0]])
    return curl_fingers(body, pose, (0.22, 0.26), noise)


def film(linear: np.ndarray, *, seed: int, grain: float, vignette: float) -> np.ndarray:
    """A camera's look: soft highlights, slight vignette, sharpening, grain; uint8 sRGB."""
    height, width = linear.shape[:2]
    y, x = np.mgrid[:height, :width]
    radius = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2
    linear = linear * (1 - vignette * radius)[..., None]
    shoulder = 0.72
    over = np.maximum(linear - shoulder, 0)
    linear = np.minimum(linear, shoulder) + (1 - shoulder) * (1 - np.exp(-over / (1 - shoulder)))
    soft = encode_srgb(linear)
    image = soft + 0.35 * (soft - np.asarray(cv2.GaussianBlur(soft, (0, 0), 1.0)))
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((height, width, 1)) + 0.5 * rng.standard_normal((height, width, 3))
    grains = 2 * np.asarray(cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 0.7))
    strength = grain * (1.2 - image.mean(-1, keepdims=True) / 255)
    return np.clip(image + grains * strength + 0.5, 0, 255).astype(np.uint8)


def irradiance(lighting: Lighting, normal: tuple[float, float, float]) -> np.ndarray:
    """(3,) light on a surface that faces `normal`."""
    facing = np.clip(lighting.directions @ np.array(normal), 0, None)
    return facing @ lighting.colours


def make_photo(assets: Assets) -> bytes:
    """The demo photo as JPEG."""
    body = assets.body(PHOTO_BODY)
    posed = pose_body(body, relaxed_stance(body))
    ground_y = float(posed[:, 1].min())
    lighting = many_lights(
        soft_boxes(
            ((-0.50, 0.90, 0.80), 0.02, (23.0, 21.2, 18.8)),
            ((0.95, 0.35, 0.45), 0.12, (0.80, 0.88, 1.00)),
            ((0.45, 0.70, -0.9), 0.04, (2.0, 2.0, 2.1)),
        ),
        128,
        exposure=1.0,
        softness_m=0.02,
    )  # fmt: skip
    camera = look_at(
        np.array([0.12, 1.30, 4.4]), np.array([0.0, 0.90, 0.0]),
        focal_px=2420.0, size_hw=PHOTO_SIZE_HW, roll=0.004,
    )  # fmt: skip
    layer = light_view(
        body, posed, rasterise(body, posed, camera, factor=4), camera, lighting,
        ground_y=ground_y, contacts=contact_points(body, posed, ground_y), bump=0.8,
        gloss=GLOSS, shadow_size=1024,
    )  # fmt: skip
    room = Room(
        floor="planks", wall="panels", wall_z=-1.9, ground_y=ground_y, light_x=-1.1, seed=5,
        floor_rgb=(0.36, 0.225, 0.135), wall_rgb=(0.42, 0.50, 0.50),
    )  # fmt: skip
    backdrop = room_backdrop(
        room, camera, floor_light=irradiance(lighting, (0, 1, 0)),
        wall_light=0.75 * irradiance(lighting, (0, 0, 1)), factor=3,
    )  # fmt: skip
    backdrop = depth_blur(backdrop, room, camera)
    image = film(composite(layer, backdrop), seed=11, grain=2.6, vignette=0.28)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=88, subsampling=0, optimize=True)
    return buffer.getvalue()


def depth_blur(backdrop: np.ndarray, room: Room, camera: Camera) -> np.ndarray:
    """Blur the wall and, less and less, the floor towards the person."""
    rays = camera.rays()
    with np.errstate(divide="ignore"):
        step = np.where(
            rays[..., 1] < 0, (room.ground_y - camera.position[1]) / rays[..., 1], np.inf
        )
    z = np.maximum(camera.position[2] + step * rays[..., 2], room.wall_z)
    z = np.where(np.isfinite(step), z, room.wall_z)
    share = np.clip(np.abs(z) / abs(room.wall_z), 0, 1)[..., None]
    out = backdrop
    for low, sigma in ((0.1, 1.2), (0.45, 2.2), (0.75, 3.2)):
        weight = np.clip((share - low) / 0.25, 0, 1).astype(np.float32)
        out = out * (1 - weight) + cv2.GaussianBlur(backdrop, (0, 0), sigma) * weight
    return out


def beat(seconds: float, seed: int) -> np.ndarray:
    """A drum machine with a bass line: (N, 2) float32 at 48 kHz, 112 beats a minute."""
    rng = np.random.default_rng(seed)
    step = 60 / 112 / 4
    total = int(seconds * SAMPLE_RATE)
    mix = np.zeros((total + SAMPLE_RATE, 2), np.float32)

    def add(at: float, sound: np.ndarray, left: float = 1.0, right: float = 1.0) -> None:
        start = int(at * SAMPLE_RATE)
        if start < total:
            stop = min(start + len(sound), len(mix))
            mix[start:stop] += sound[: stop - start, None] * np.array([left, right], np.float32)

    def decay(length: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
        t = np.arange(int(length * SAMPLE_RATE)) / SAMPLE_RATE
        return t, np.exp(-rate * t)

    t, fade = decay(0.35, 11)
    kick = np.sin(2 * np.pi * (46 * t + 9.5 * (1 - np.exp(-24 * t)))) * fade * 0.95
    t, fade = decay(0.22, 20)
    snare = (rng.standard_normal(len(t)) * 0.42 + 0.35 * np.sin(2 * np.pi * 185 * t)) * fade
    t, fade = decay(0.06, 75)
    hiss = np.diff(rng.standard_normal(len(t) + 1))
    hat = hiss * fade * 0.16
    t, fade = decay(0.25, 15)
    open_hat = np.diff(rng.standard_normal(len(t) + 1)) * fade * 0.12
    notes = [55.0, 0, 0, 55.0, 0, 65.41, 0, 0, 49.0, 0, 49.0, 0, 0, 73.42, 65.41, 0]
    for k in range(int(seconds / step) + 1):
        at, in_bar = k * step, k % 16
        if in_bar in (0, 6, 8, 11):
            add(at, kick)
        if in_bar in (4, 12):
            add(at, snare, 0.9, 1.0)
        add(at + (0.018 if k % 2 else 0), open_hat if in_bar == 14 else hat, 0.8, 1.1)
        if notes[in_bar]:
            t, fade = decay(step * 1.8, 5)
            phase = 2 * np.pi * notes[in_bar] * t
            tone = np.sin(phase) + 0.4 * np.sin(2 * phase) + 0.2 * np.sin(3 * phase)
            add(at, tone * fade * np.minimum(1, t * 400) * 0.38)
        if in_bar in (2, 10) and k >= 16:
            chord = (220.0, 261.63, 329.63) if in_bar == 2 else (196.0, 246.94, 293.66)
            t, fade = decay(step * 2.5, 7)
            stab = sum(np.sin(2 * np.pi * f * t + 0.4 * np.sin(2 * np.pi * 5 * t)) for f in chord)
            add(at, np.asarray(stab) * fade * np.minimum(1, t * 200) * 0.09, 1.1, 0.8)
    mix = np.tanh(mix[:total] * 0.9) * 0.8
    fade_out = np.minimum(1, (total - np.arange(total)) / (0.25 * SAMPLE_RATE))
    return (mix * fade_out[:, None]).astype(np.float32)


def dance_clip(assets: Assets) -> Clip:
    """The pieces of the dance, each turned to face the camera, one faded into the next."""
    joined: Clip | None = None
    for name, first, last, mirrored in DANCE_PARTS:
        clip = mirror(assets.clip(name)) if mirrored else assets.clip(name)
        rotations, root = clip.rotations[first:last], clip.root[first:last]
        hips = rotations[:, clip.joint_names.index("Hips")].astype(float)
        facing = np.stack(
            [
                2 * (hips[:, 0] * hips[:, 2] + hips[:, 1] * hips[:, 3]),
                1 - 2 * (hips[:, 0] ** 2 + hips[:, 1] ** 2),
            ]
        ).mean(1)
        half = -np.arctan2(facing[0], facing[1]) / 2
        rotations = about_vertical(rotations, half)
        turn = axis_turn((0, 1, 0), 2 * half)
        root = (root @ turn.T).astype(np.float32)
        if joined is None:
            joined = dataclasses.replace(clip, name="dance", rotations=rotations, root=root)
            continue
        n = DANCE_OVERLAP
        root = root + (joined.root[-n:] - root[:n]).mean(0) * (1, 0, 1)
        share = np.linspace(0, 1, n + 2)[1:-1]
        share = (share * share * (3 - 2 * share))[:, None]
        before, after = joined.rotations[-n:], rotations[:n]
        sign = np.where((before * after).sum(-1, keepdims=True) < 0, -1, 1)
        blend = before * (1 - share[..., None]) + sign * after * share[..., None]
        blend /= np.linalg.norm(blend, axis=-1, keepdims=True)
        middle = joined.root[-n:] * (1 - share) + root[:n] * share
        joined = dataclasses.replace(
            joined,
            rotations=np.concatenate([joined.rotations[:-n], blend, rotations[n:]]),
            root=np.concatenate([joined.root[:-n], middle, root[n:]]),
        )
    assert joined is not None
    return joined


def mirror(clip: Clip) -> Clip:
    """The clip with left and right exchanged."""
    other = {"Left": "Right", "Right": "Left"}

    def partner(name: str) -> str:
        side = next((side for side in other if name.startswith(side)), "")
        return other.get(side, "") + name.removeprefix(side)

    order = [clip.joint_names.index(partner(name)) for name in clip.joint_names]
    return dataclasses.replace(
        clip,
        rotations=clip.rotations[:, order] * np.array([1, -1, -1, 1], np.float32),
        root=clip.root * np.array([-1, 1, 1], np.float32),
        rest_directions=clip.rest_directions[order] * np.array([-1, 1, 1], np.float32),
    )


def about_vertical(rotations: np.ndarray, half_angle: float) -> np.ndarray:
    """Quaternions (..., 4) xyzw turned about y by twice `half_angle` radians."""
    x, y, z, w = np.moveaxis(rotations, -1, 0)
    s, c = np.sin(half_angle), np.cos(half_angle)
    turned = np.stack([c * x + s * z, c * y + s * w, c * z - s * x, c * w - s * y], -1)
    return turned.astype(np.float32)


def dance_poses(assets: Assets, body: Body) -> list[Pose]:
    """The dance on a body, in the middle of the floor, one pose per frame."""
    clip = dance_clip(assets)
    poses = [clip_pose(body, clip, frame) for frame in range(len(clip))]
    places = np.array([pose.positions for pose in poses])
    low, high = places.min((0, 1)), places.max((0, 1))
    centre = np.array([(low[0] + high[0]) / 2, 0.0, (low[2] + high[2]) / 2])
    noise = np.random.default_rng(3).normal(0, 0.05, (2, 5))
    return [curl_fingers(body, pose.moved(np.eye(3), -centre), (0.3, 0.3), noise) for pose in poses]


def make_dance(assets: Assets, path: Path) -> None:
    """The demo dance: H.264 and AAC in MP4."""
    import av

    body = assets.body(DANCE_BODY)
    every = [pose_body(body, pose) for pose in dance_poses(assets, body)]
    lowest = np.array([posed[:, 1].min() for posed in every])
    floor = gaussian_filter1d(minimum_filter1d(lowest, 25), 8)
    for posed, height_m in zip(every, floor, strict=True):
        posed[:, 1] -= height_m
    ground_y = 0.0
    lighting = many_lights(
        soft_boxes(
            ((0.50, 1.10, 0.65), 0.018, (21.0, 20.2, 19.2)),
            ((-0.95, 0.30, 0.55), 0.10, (1.2, 1.15, 1.1)),
            ((-0.3, 0.8, -0.8), 0.05, (1.6, 1.7, 1.9)),
        ),
        32,
        exposure=1.0,
        softness_m=0.03,
    )  # fmt: skip
    height, width = DANCE_SIZE_HW
    camera = look_at(
        np.array([0.0, ground_y + 1.25, 6.2]), np.array([0.0, ground_y + 0.93, 0.0]),
        focal_px=width * 2.04, size_hw=DANCE_SIZE_HW,
    )  # fmt: skip
    room = Room(
        floor="concrete", wall="brick", wall_z=-2.6, ground_y=ground_y, light_x=0.8, seed=2,
        floor_rgb=(0.34, 0.33, 0.31), wall_rgb=(0.42, 0.25, 0.19), skirting_m=0,
    )  # fmt: skip
    backdrop = room_backdrop(
        room, camera, floor_light=irradiance(lighting, (0, 1, 0)),
        wall_light=irradiance(lighting, (0, 0, 1)), factor=3,
    )  # fmt: skip
    backdrop = cv2.GaussianBlur(backdrop, (0, 0), 0.8)
    sound = beat(float(len(every) / DANCE_FPS), seed=1)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream(
            "libx264", rate=DANCE_FPS, options={"crf": "25", "preset": "slow", "tune": "film"}
        )
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        audio.bit_rate = 128_000
        for number, posed in enumerate(every):
            layer = light_view(
                body, posed, rasterise(body, posed, camera, factor=3), camera, lighting,
                ground_y=ground_y, contacts=contact_points(body, posed, ground_y), bump=0.8,
                gloss=GLOSS, shadow_size=512,
            )  # fmt: skip
            image = film(composite(layer, backdrop), seed=7, grain=0.8, vignette=0.25)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        samples = np.ascontiguousarray(sound.T)
        for start in range(0, samples.shape[1], 1024):
            block = np.ascontiguousarray(samples[:, start : start + 1024])
            piece = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            piece.sample_rate = SAMPLE_RATE
            piece.pts = start
            piece.time_base = Fraction(1, SAMPLE_RATE)
            container.mux(audio.encode(piece))
        container.mux(audio.encode(None))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assets", type=Path, required=True, help="folder of the asset pack")
    parser.add_argument("--output", type=Path, default=HERE, help="where the files go")
    parser.add_argument("--only", choices=("photo", "dance"), help="make one of the two")
    arguments = parser.parse_args()
    assets = Assets(arguments.assets)
    arguments.output.mkdir(parents=True, exist_ok=True)
    if arguments.only != "dance":
        (arguments.output / "person.jpg").write_bytes(make_photo(assets))
    if arguments.only != "photo":
        make_dance(assets, arguments.output / "dance.mp4")


if __name__ == "__main__":
    main()
