"""Draw a posed body: skinning, shadow maps, z-buffer, deferred shading, compositing."""

from __future__ import annotations

import dataclasses

import numpy as np

from motion_transfer.synth import raster
from motion_transfer.synth.body import Body, Texture
from motion_transfer.synth.camera import Camera
from motion_transfer.synth.light import Lighting
from motion_transfer.synth.motion import Pose

_BANDS = np.array(
    [0.282095, 0.488603, 0.488603, 0.488603, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274],
    np.float32,
)
_NEAR_OFFSET = np.float32(100.0)
GLOSS = np.array([0.035, 0.09, 0.5, 0.02, 0.05], np.float32)
"""Highlight strength of the materials skin, wig, eyes, garment, hair."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Posed:
    """Vertices of a body in a pose, world space.

    Args:
        points: (V, 3) float32, metres.
        normals: (V, 3) float32, unit.
    """

    points: np.ndarray
    normals: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """A rendered person without a background.

    Args:
        rgba: (H, W, 4) float32, linear RGB premultiplied by alpha, and alpha.
        ground: (H, W) float32, share of its light that reaches the floor seen there.
    """

    rgba: np.ndarray
    ground: np.ndarray

    @property
    def alpha(self) -> np.ndarray:
        """(H, W) float32 coverage in [0, 1]."""
        return self.rgba[..., 3]


def pose_body(body: Body, pose: Pose) -> Posed:
    """Skin a body: linear blend skinning of positions and normals."""
    offsets = pose.positions - np.einsum("jab,jb->ja", pose.turns, body.rest_joints)
    points = np.empty_like(body.vertices)
    normals = np.empty_like(body.normals)
    raster.skin(
        body.vertices, body.normals, body.joints, body.weights,
        pose.turns.astype(np.float32), offsets.astype(np.float32), points, normals,
    )  # fmt: skip
    return Posed(points=points, normals=normals)


def to_screen(points: np.ndarray, camera: Camera, factor: int = 1) -> np.ndarray:
    """Screen space (V, 3) of a raster with `factor` samples per pixel side."""
    screen = np.empty((len(points), 3), np.float32)
    centre = [(c + 0.5) * factor - 0.5 for c in camera.centre_xy]
    raster.project(
        points, camera.position.astype(np.float32), camera.turn.astype(np.float32),
        np.float32(camera.focal_px * factor), np.float32(centre[0]), np.float32(centre[1]), screen,
    )  # fmt: skip
    return screen


@dataclasses.dataclass
class Raster:
    """A z-buffer: nearness (0 = empty) and triangle (-1 = empty) of each sample."""

    near: np.ndarray
    ids: np.ndarray

    @classmethod
    def empty(cls, height: int, width: int) -> Raster:
        """A cleared raster."""
        return cls(np.zeros((height, width), np.float32), np.full((height, width), -1, np.int32))

    def draw(self, screen: np.ndarray, body: Body, texture: Texture) -> None:
        """Draw a body; what was there before is cleared."""
        raster.rasterise(
            screen, body.triangles, body.material, body.uv, texture.colour, texture.wig,
            self.near, self.ids,
        )  # fmt: skip


class Renderer:
    """Buffers of one picture size; draws one body at a time.

    Args:
        size_hw: picture size in pixels.
        factor: samples per pixel side.
        shadow_size: side of the shadow maps in pixels.
    """

    def __init__(
        self, size_hw: tuple[int, int], *, factor: int = 2, shadow_size: int = 384
    ) -> None:
        self.size_hw = size_hw
        self.factor = factor
        self._samples = Raster.empty(size_hw[0] * factor, size_hw[1] * factor)
        self._shadow = Raster.empty(shadow_size, shadow_size)

    def draw(
        self,
        body: Body,
        posed: Posed,
        camera: Camera,
        lighting: Lighting,
        *,
        ground_y: float | None = None,
        contacts: np.ndarray | None = None,
        texture: Texture | None = None,
        bump: float = 1.0,
        gloss: np.ndarray = GLOSS,
    ) -> Layer:
        """Draw a body.

        Args:
            body: who, and the topology of `posed`.
            posed: the body in its pose.
            camera: its `size_hw` must be the renderer's.
            lighting: ambient and shadow-casting lights.
            ground_y: height of a floor that receives shadows; None: no floor.
            contacts: (N, 4) x, z, radius, height above the floor of ambient occluders, metres.
            texture: in place of the body's own.
            bump: strength of the normal map.
            gloss: (5,) highlight strength per material.

        Raises:
            ValueError: the camera has another picture size.
        """
        if camera.size_hw != self.size_hw:
            raise ValueError(
                f"camera.size_hw must be the renderer's {self.size_hw}, got {camera.size_hw}"
            )
        texture = texture or body.texture
        shadows, frames, texel_m = self._shadow_maps(body, posed, lighting, texture)
        radius = np.float32(lighting.shadow_softness_m / texel_m)
        bias = np.float32(0.006 + 0.5 * texel_m)
        screen = to_screen(posed.points, camera, self.factor)
        self._samples.draw(screen, body, texture)
        eye = camera.position.astype(np.float32)
        rgba = np.empty((*self.size_hw, 4), np.float32)
        raster.shade(
            screen, posed.points, posed.normals, body.uv, body.triangles, body.material,
            self._samples.ids, self.factor, texture.colour, texture.normal, texture.wig,
            gloss.astype(np.float32), SRGB_TO_LINEAR, eye,
            lighting.ambient.astype(np.float32) * _BANDS[:, None],
            lighting.directions, lighting.colours, shadows, frames, radius, bias,
            np.float32(bump), rgba,
        )  # fmt: skip
        ground = np.ones(self.size_hw, np.float32)
        if ground_y is not None:
            up = float(lighting.ambient.mean(1) @ (_BANDS * [1, 1, 0, 0, 0, 0, -1, 0, -1]))
            raster.ground_light(
                camera.rays(), eye, np.float32(ground_y), lighting.directions, lighting.colours,
                np.float32(max(up, 0.0)), shadows, frames, radius * np.float32(1.5), bias,
                np.zeros((0, 4), np.float32) if contacts is None else contacts.astype(np.float32),
                np.float32(0.35), ground,
            )  # fmt: skip
        return Layer(rgba=rgba, ground=ground)

    def _shadow_maps(
        self, body: Body, posed: Posed, lighting: Lighting, texture: Texture
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Nearness maps (L, S, S), their projections (L, 3, 4), size of a texel in metres."""
        size = self._shadow.ids.shape[0]
        low, high = posed.points.min(0), posed.points.max(0)
        middle = (low + high) / 2
        half = float(np.linalg.norm(high - low)) / 2 * 1.04 + 0.02
        scale = (size - 1) / (2 * half)
        shadows = np.empty((len(lighting.directions), size, size), np.float32)
        frames = np.empty((len(lighting.directions), 3, 4), np.float32)
        screen = np.empty_like(posed.points)
        for k, direction in enumerate(lighting.directions):
            side = np.cross(direction, (0.0, 1.0, 0.0) if abs(direction[1]) < 0.95 else (1, 0, 0))
            side /= np.linalg.norm(side)
            other = np.cross(direction, side)
            axes = np.stack([side * scale, other * scale, direction])
            frames[k, :, :3] = axes
            frames[k, :, 3] = np.array([(size - 1) / 2, (size - 1) / 2, _NEAR_OFFSET]) - axes @ (
                middle
            )
            raster.project_light(posed.points, frames[k], screen)
            self._shadow.draw(screen, body, texture)
            shadows[k] = self._shadow.near
        return shadows, frames, 1 / scale


def composite(layer: Layer, backdrop: np.ndarray) -> np.ndarray:
    """Put a person before a background.

    Args:
        layer: the person.
        backdrop: (H, W, 3) float32 linear RGB.

    Returns:
        (H, W, 3) float32 linear RGB.
    """
    seen = (1 - layer.alpha) * layer.ground
    return layer.rgba[..., :3] + backdrop * seen[..., None]


def _srgb_to_linear(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


SRGB_TO_LINEAR = _srgb_to_linear(np.arange(256) / 255).astype(np.float32)
"""(256,) decoding table of the sRGB transfer curve (IEC 61966-2-1)."""

_ENCODE_STEPS = 4096
_LINEAR_TO_SRGB = np.interp(
    np.linspace(0, 1, _ENCODE_STEPS + 1) ** 2,
    _srgb_to_linear(np.linspace(0, 1, 4097)),
    np.linspace(0, 255, 4097),
).astype(np.float32)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB: any shape, float32 in [0, 255]; what is brighter than 1 is clipped."""
    index = np.sqrt(np.clip(linear, 0, 1)) * _ENCODE_STEPS + 0.5
    return _LINEAR_TO_SRGB[index.astype(np.int32)]


def decode_srgb(image: np.ndarray) -> np.ndarray:
    """A uint8 sRGB image to float32 linear light in [0, 1]."""
    return SRGB_TO_LINEAR[image]


def contact_points(body: Body, posed: Posed, ground_y: float) -> np.ndarray:
    """Ambient occluders near the floor for `Renderer.draw`: feet, hands, hips, head.

    Returns:
        (N, 4) float32: x, z, radius, height above the floor, metres.
    """
    from motion_transfer.synth.rig import PART

    rows = []
    for name, radius in (
        ("left_foot", 0.13), ("right_foot", 0.13), ("left_hand", 0.08), ("right_hand", 0.08),
        ("torso", 0.25), ("head", 0.12),
    ):  # fmt: skip
        points = posed.points[body.part == PART[name]]
        if len(points):
            middle = points.mean(0)
            rows.append([middle[0], middle[2], radius, max(0.0, points[:, 1].min() - ground_y)])
    return np.array(rows, np.float32).reshape(-1, 4)
