"""Draw scenes at random: who, in which poses, seen and lit how, before what.

A scene is one person in one source view and T target views. `SceneStream` makes the scene of any
index: scene ``i`` depends on the seed and on ``i`` alone, whatever was drawn before. Scenes come
in groups that share the body with its clothes and the backgrounds, because those cost more than
a picture.
"""

from __future__ import annotations

import collections
import dataclasses

import cv2
import numpy as np

from motion_transfer.synth.assets import Assets, Split
from motion_transfer.synth.backdrop import random_backdrop
from motion_transfer.synth.body import Body
from motion_transfer.synth.camera import Camera, look_at
from motion_transfer.synth.dress import Wardrobe, redress
from motion_transfer.synth.light import Lighting, project_environment, turn_environment
from motion_transfer.synth.motion import Clip, Pose, axis_turn, clip_pose, curl_fingers
from motion_transfer.synth.photo import Look, random_look
from motion_transfer.synth.shape import random_shape, reshape

_YAWS = 16
_POOL_BODIES = 16
_POOL_GROUPS = 64
"""Loading a body costs as much as twenty pictures: this many groups share so many bodies."""
_TRUNK_JOINTS = ("Hips", "LeftArm", "RightArm", "Head", "LeftUpLeg", "RightUpLeg")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """What is drawn; probabilities unless a unit is given.

    Args:
        size_hw: picture size in pixels.
        num_targets: target views per scene; more than one are consecutive frames of a clip.
        group: scenes that share a body and its backgrounds.
        height_share: person's share of the picture's height, lower and upper end.
        close_up: only part of the body is in the picture.
        same_frame: source and target show the same pose.
        near_frame: source and target are at most 8 frames apart.
        same_clip: source and target are from one clip (if neither of the above).
        dance: a clip is drawn from the dance subjects.
        turned: the target may face anywhere.
        same_camera: the target view has the source's camera.
        casual: weight of casual outfits against uniforms.
        frame_step: clip frames between consecutive targets.
    """

    size_hw: tuple[int, int] = (256, 192)
    num_targets: int = 1
    group: int = 16
    height_share: tuple[float, float] = (0.68, 0.98)
    close_up: float = 0.15
    same_frame: float = 0.06
    near_frame: float = 0.15
    same_clip: float = 0.5
    dance: float = 0.6
    turned: float = 0.25
    same_camera: float = 0.6
    casual: float = 4.0
    frame_step: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that is needed to render one sample; view 0 is the source.

    Args:
        name: body and clips, for the record.
        body: the person, dressed and shaped.
        poses: one per view.
        cameras: one per view.
        lighting: one for all views.
        ground_y: height of the floor, metres; None: no floor.
        backdrops: (H, W, 3) float32 linear RGB, one per view.
        looks: one per view.
        bump: strength of the normal map.
        noise_seed: for the tracker's errors.
    """

    name: str
    body: Body
    poses: tuple[Pose, ...]
    cameras: tuple[Camera, ...]
    lighting: Lighting
    ground_y: float | None
    backdrops: tuple[np.ndarray, ...]
    looks: tuple[Look, ...]
    bump: float
    noise_seed: int


class SceneStream:
    """Scenes by index.

    Args:
        assets: the pack.
        split: which identities and clips are drawn from.
        seed: of everything.
        settings: what is drawn.
        wardrobe: how clothes are changed.
    """

    def __init__(
        self,
        assets: Assets,
        *,
        split: Split = "train",
        seed: int = 0,
        settings: SceneSettings | None = None,
        wardrobe: Wardrobe | None = None,
    ) -> None:
        self.assets = assets
        self.split: Split = split
        self.seed = seed
        self.settings = settings or SceneSettings()
        self.wardrobe = wardrobe or Wardrobe()
        self.body_names = assets.body_names(split)
        self.clip_names = assets.clip_names(split)
        if not self.body_names or not self.clip_names:
            raise ValueError(f"the asset pack has no bodies or no clips of the split {split!r}")
        if not assets.environments:
            raise ValueError("the asset pack has no environment maps: put .hdr files into hdri/")
        self._dances = [n for n in self.clip_names if n[:2] in ("05", "49")] or self.clip_names
        self._weights = np.array([self._weight(name) for name in self.body_names])
        self._weights /= self._weights.sum()
        self._bodies: collections.OrderedDict[str, Body] = collections.OrderedDict()
        self._clips: dict[str, Clip] = {}
        self._environments: dict[str, np.ndarray] = {}
        self._ambients: dict[tuple[str, int], np.ndarray] = {}
        self._group: tuple[int, Body, list[np.ndarray]] | None = None

    def scene(self, index: int) -> Scene:
        """The scene of an index."""
        settings = self.settings
        body, backdrops = self._shared(index // settings.group)
        rng = np.random.default_rng([self.seed, index, 1])
        clips, poses = self._poses(body, rng)
        cameras = _cameras(poses, body, settings, rng)
        lowest = min(
            float(pose.positions[body.joint(name), 1])
            for pose in poses
            for name in ("LeftToeBase", "RightToeBase", "LeftFoot", "RightFoot")
        )
        lighting = self._lighting(cameras[0], rng)
        plate = backdrops[rng.integers(len(backdrops))]
        crops = [_crop(plate, settings.size_hw, rng)]
        for camera in cameras[1:]:
            moved = not np.array_equal(camera.position, cameras[0].position)
            crops.append(_crop(plate, settings.size_hw, rng) if moved else crops[0])
        if settings.num_targets > 1:
            crops[2:] = [crops[1]] * (settings.num_targets - 1)
        first, second = (random_look(rng, settings.size_hw) for _ in range(2))
        if rng.random() < 0.6:
            second = dataclasses.replace(first, noise_at=second.noise_at)
        return Scene(
            name=f"{body.name} {'/'.join(clips)}",
            body=body,
            poses=tuple(poses),
            cameras=tuple(cameras),
            lighting=lighting,
            ground_y=lowest - 0.03 if rng.random() < 0.8 else None,
            backdrops=tuple(crops),
            looks=(first, *([second] * settings.num_targets)),
            bump=float(rng.uniform(0.4, 1.2)),
            noise_seed=int(rng.integers(1 << 31)),
        )

    def _weight(self, name: str) -> float:
        if name.startswith("MH_"):
            return 0.75 * self.settings.casual
        return self.settings.casual if name.endswith(("Casual", "Default")) else 1.0

    def _shared(self, group: int) -> tuple[Body, list[np.ndarray]]:
        """The dressed body and the backgrounds of a group."""
        if self._group is not None and self._group[0] == group:
            return self._group[1], self._group[2]
        rng = np.random.default_rng([self.seed, group, 0])
        pool = self._pool(group // _POOL_GROUPS)
        body = self._body(str(rng.choice(pool)))
        shared = self.assets.shares_atlas(body.name)
        donor = None
        if shared:
            donors = [name for name in pool if self.assets.shares_atlas(name)]
            donor = self._body(str(rng.choice(donors))).texture
        body = redress(
            body, rng, atlas=self.assets.atlas if shared else None, donor=donor,
            wardrobe=self.wardrobe, size=512 if shared else 768,
        )  # fmt: skip
        body = reshape(body, random_shape(rng))
        height, width = self.settings.size_hw
        large = (round(height * 1.25), round(width * 1.25))
        backdrops = [
            random_backdrop(rng, large, self._environment(self._some_environment(rng)))
            for _ in range(2)
        ]
        self._group = (group, body, backdrops)
        return body, backdrops

    def _pool(self, number: int) -> list[str]:
        """The bodies of some consecutive groups."""
        rng = np.random.default_rng([self.seed, number, 2])
        count = min(_POOL_BODIES, len(self.body_names))
        names = rng.choice(self.body_names, count, replace=False, p=self._weights)
        return [str(name) for name in names]

    def _body(self, name: str) -> Body:
        if name in self._bodies:
            self._bodies.move_to_end(name)
        else:
            body = self.assets.body(name)
            small = body.texture.level(512 if self.assets.shares_atlas(name) else 768)
            self._bodies[name] = dataclasses.replace(body, texture=small)
            if len(self._bodies) > _POOL_BODIES + 4:
                self._bodies.popitem(last=False)
        return self._bodies[name]

    def _clip(self, name: str) -> Clip:
        if name not in self._clips:
            self._clips[name] = self.assets.clip(name)
        return self._clips[name]

    def _some_environment(self, rng: np.random.Generator) -> str:
        return str(rng.choice(self.assets.environments))

    def _environment(self, name: str) -> np.ndarray:
        if name not in self._environments:
            self._environments[name] = self.assets.environment(name)
        return self._environments[name]

    def _ambient(self, name: str, yaw: int) -> np.ndarray:
        """(9, 3) ambient light of an environment turned by one of `_YAWS` angles."""
        if (name, yaw) not in self._ambients:
            rows, columns = 32, 64
            small = np.asarray(
                cv2.resize(self._environment(name), (columns, rows), interpolation=cv2.INTER_AREA)
            )
            for k in range(_YAWS):
                turned = turn_environment(small, 2 * np.pi * k / _YAWS)
                self._ambients[name, k] = project_environment(turned, 97.0)
        return self._ambients[name, yaw]

    def _poses(self, body: Body, rng: np.random.Generator) -> tuple[list[str], list[Pose]]:
        """One pose per view, on the spot, turned towards +z more or less."""
        settings = self.settings

        def draw() -> str:
            names = self._dances if rng.random() < settings.dance else self.clip_names
            return str(rng.choice(names))

        source = draw()
        clip = self._clip(source)
        span = settings.frame_step * (settings.num_targets - 1)
        frame = rng.uniform(0, max(len(clip) - 1 - span, 0))
        kind = rng.random()
        target, start = source, frame
        if kind < settings.same_frame:
            pass
        elif kind < settings.same_frame + settings.near_frame:
            start = frame + rng.uniform(-8, 8)
        elif rng.random() < settings.same_clip:
            start = rng.uniform(0, max(len(clip) - 1 - span, 0))
        else:
            target = draw()
            start = rng.uniform(0, max(len(self._clip(target)) - 1 - span, 0))
        facing = float(rng.normal(0, 0.5))
        near = kind < settings.same_frame + settings.near_frame
        turned = not near and rng.random() < settings.turned
        other = float(rng.uniform(-np.pi, np.pi)) if turned else facing
        if not near and not turned:
            other = float(rng.normal(0, 0.5))
        noise = rng.normal(0, 0.08, (2, 5))
        flexion = tuple(rng.uniform(0, 0.8, 2))
        poses = [self._placed(body, clip, frame, None, facing)]
        last = len(self._clip(target)) - 1
        frames = [
            float(np.clip(start + k * settings.frame_step, 0, last))
            for k in range(settings.num_targets)
        ]
        anchor = None if not near else frame
        for f in frames:
            poses.append(self._placed(body, self._clip(target), f, anchor or frames[0], other))
        poses = [curl_fingers(body, pose, (flexion[0], flexion[1]), noise) for pose in poses]
        return [source, target], poses

    def _placed(
        self, body: Body, clip: Clip, frame: float, anchor: float | None, facing: float
    ) -> Pose:
        """A clip's pose above the origin; heading and place are those of frame `anchor`."""
        pose = clip_pose(body, clip, frame)
        hips = body.joint("Hips")
        fixed = pose if anchor is None or anchor == frame else clip_pose(body, clip, anchor)
        ahead = fixed.turns[hips] @ np.array([0.0, 0.0, 1.0])
        turn = axis_turn((0, 1, 0), facing - float(np.arctan2(ahead[0], ahead[2])))
        centre = fixed.positions[hips] * (1, 0, 1)
        return pose.moved(turn, -turn @ centre)

    def _lighting(self, camera: Camera, rng: np.random.Generator) -> Lighting:
        """An environment's ambient light and, mostly, a sun on the camera's side."""
        ambient = self._ambient(self._some_environment(rng), int(rng.integers(_YAWS)))
        ambient = ambient * rng.uniform(0.7, 1.0) + (1 - rng.uniform(0.7, 1.0)) * ambient.mean()
        ambient *= rng.uniform(0.35, 0.8) / max(float(ambient[0].mean()) * 0.282, 1e-6)
        if rng.random() < 0.2:
            return Lighting(
                ambient=(ambient * 1.3).astype(np.float32),
                directions=np.zeros((0, 3), np.float32),
                colours=np.zeros((0, 3), np.float32),
            )
        direction = rng.normal(size=3)
        direction[1] = abs(direction[1]) + 0.5
        back = camera.position - np.array([0.0, camera.position[1], 0.0])
        direction += rng.uniform(-0.3, 1.8) * back / np.linalg.norm(back)
        direction[1] = max(direction[1], 0.2)
        direction /= np.linalg.norm(direction)
        warm = rng.normal(0, 0.07)
        colour = np.array([1 + warm, 1.0, 1 - warm]) * rng.uniform(0.15, 0.9)
        return Lighting(
            ambient=ambient.astype(np.float32),
            directions=direction[None].astype(np.float32),
            colours=colour[None].astype(np.float32),
            shadow_softness_m=float(rng.uniform(0.005, 0.05)),
        )


def _cameras(
    poses: list[Pose], body: Body, settings: SceneSettings, rng: np.random.Generator
) -> list[Camera]:
    """Cameras that frame the person; the targets share one."""
    height, width = settings.size_hw
    yaw, pitch = rng.uniform(-0.2, 0.2), rng.uniform(-0.12, 0.25)
    distance = rng.uniform(2.2, 6.5)
    share = rng.uniform(*settings.height_share)
    close = rng.random() < settings.close_up
    focus = rng.uniform(0.1, 0.9)
    zoom = rng.uniform(1.3, 2.2)
    offset = rng.normal(0, 0.03, 2)
    roll = float(rng.normal(0, 0.02))
    moved = rng.random() >= settings.same_camera
    joints = np.stack([pose.positions for pose in poses])
    heads = joints[:, body.joint("Head")]
    close = close and float(np.ptp(heads, axis=0).max()) < 0.35
    cameras: list[Camera] = []
    for k in range(2):
        if k == 1 and moved:
            yaw += rng.normal(0, 0.15)
            pitch += rng.normal(0, 0.05)
            distance *= np.exp(rng.normal(0, 0.12))
            share *= np.exp(rng.normal(0, 0.08))
            offset = offset + rng.normal(0, 0.04, 2)
        if k == 1 and not moved:
            cameras.append(cameras[0])
            continue
        points = (joints[:1] if k == 0 and moved else joints).reshape(-1, 3)
        low = points.min(0) - np.array([0.1, 0.05, 0.1])
        high = points.max(0) + np.array([0.1, 0.12, 0.1])
        centre = (low + high) / 2
        back = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
        extent = max(high[1] - low[1], (high[0] - low[0]) * height / width * 0.85)
        if close:
            centre = heads.mean(0) - np.array([0.0, 0.1 + 0.45 * focus, 0.0])
            extent = max(extent, 1.2) / zoom
        focal = share * height * distance / extent
        eye = centre + back * distance
        middle = ((width - 1) / 2 + offset[0] * width, (height - 1) / 2 + offset[1] * height)
        cameras.append(
            look_at(
                eye,
                centre,
                focal_px=float(focal),
                size_hw=settings.size_hw,
                centre_xy=(float(middle[0]), float(middle[1])),
                roll=roll,
            )
        )
    return [cameras[0], *([cameras[1]] * settings.num_targets)]


def _crop(plate: np.ndarray, size_hw: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    height, width = size_hw
    top = rng.integers(plate.shape[0] - height + 1)
    left = rng.integers(plate.shape[1] - width + 1)
    piece = plate[top : top + height, left : left + width]
    return np.ascontiguousarray(piece[:, ::-1] if rng.random() < 0.5 else piece)
