"""`Sample`: a rendered scene with its ground truth as plain arrays."""

from __future__ import annotations

import dataclasses

import numpy as np

from motion_transfer.synth import truth
from motion_transfer.synth.photo import take_photo
from motion_transfer.synth.render import (
    composite,
    contact_points,
    light_view,
    pose_body,
    rasterise,
)
from motion_transfer.synth.scene import Scene
from motion_transfer.synth.tracking import TrackerNoise, track


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A source view (index 0) and T target views of one person, N = 1 + T views in all.

    Args:
        rgb: (N, H, W, 3) uint8.
        alpha: (N, H, W) uint8 coverage.
        uv: (N, H, W, 2) float32, 0 without body.
        depth: (N, H, W) float32 metres, 0 without body.
        part: (N, H, W) uint8 of `rig.PARTS`.
        parse: (N, H, W) uint8 of `rig.PARSE`.
        keypoints: (N, K, 3) float32 exact x, y, depth in pixels, `rig.KEYPOINTS`.
        tracked: (N, K, 4) float32 x, y, depth, confidence with a tracker's errors.
        flow: (T, H, W, 2) float32, backward: target[y, x] = source[y + dy, x + dx].
        visible: (T, H, W) uint8, 1 where the target's surface shows in the source.
        flow_back: (T, H, W, 2) float32: source[y, x] = target[y + dy, x + dx].
        visible_back: (T, H, W) uint8, 1 where the source's surface shows in the target.
        name: body and clips.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    uv: np.ndarray
    depth: np.ndarray
    part: np.ndarray
    parse: np.ndarray
    keypoints: np.ndarray
    tracked: np.ndarray
    flow: np.ndarray
    visible: np.ndarray
    flow_back: np.ndarray
    visible_back: np.ndarray
    name: str

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        """Names of the array fields."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.name != "name")


def render_scene(
    scene: Scene, *, factor: int = 2, noise: TrackerNoise | None = None, half_rate: bool = True
) -> Sample:
    """Render a scene.

    Args:
        scene: what.
        factor: samples per pixel side.
        noise: of the tracked key points.
        half_rate: light every other sample only.
    """
    body = scene.body
    rgb, alpha, views, surfaces, points = [], [], [], [], []
    for pose, camera, backdrop, look in zip(
        scene.poses, scene.cameras, scene.backdrops, scene.looks, strict=True
    ):
        packed = pose_body(body, pose)
        view = rasterise(body, packed, camera, factor=factor)
        contacts = None
        if scene.ground_y is not None:
            contacts = contact_points(body, packed, scene.ground_y)
        layer = light_view(
            body, packed, view, camera, scene.lighting, ground_y=scene.ground_y,
            contacts=contacts, bump=scene.bump, half_rate=half_rate,
        )  # fmt: skip
        rgb.append(take_photo(composite(layer, backdrop), look))
        alpha.append((layer.alpha * 255 + 0.5).astype(np.uint8))
        views.append(view)
        surfaces.append(truth.surface(body, view))
        points.append(truth.project_keypoints(truth.keypoints(body, pose, packed), camera))
    there = [truth.flow(body, view, views[0]) for view in views[1:]]
    back = [truth.flow(body, views[0], view) for view in views[1:]]
    keypoints = np.stack(points)
    return Sample(
        rgb=np.stack(rgb),
        alpha=np.stack(alpha),
        uv=np.stack([s.uv for s in surfaces]),
        depth=np.stack([s.depth for s in surfaces]),
        part=np.stack([s.part for s in surfaces]),
        parse=np.stack([s.parse for s in surfaces]),
        keypoints=keypoints,
        tracked=track(keypoints, np.random.default_rng(scene.noise_seed), noise),
        flow=np.stack([f for f, _ in there]),
        visible=np.stack([v for _, v in there]),
        flow_back=np.stack([f for f, _ in back]),
        visible_back=np.stack([v for _, v in back]),
        name=scene.name,
    )
