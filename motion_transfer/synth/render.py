"""Draw a posed body: skinning, shadow maps, z-buffer, deferred shading, compositing."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from motion_transfer.synth import raster
from motion_transfer.synth.body import Body, Texture
from motion_transfer.synth.camera import Camera
from motion_transfer.synth.light import Lighting
from motion_transfer.synth.motion import Pose
from motion_transfer.synth.rig import PART

_BANDS = np.array(
    [0.282095, 0.488603, 0.488603, 0.488603, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274],
    np.float32,
)
_NEAR_OFFSET = np.float32(100.0)
GLOSS = np.array([0.035, 0.09, 0.5, 0.02, 0.05], np.float32)
"""Highlight strength of the materials skin, wig, eyes, garment, hair."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
    """A body rasterised from a camera; see `raster` for the grid of samples.

    Args:
        screen: (V, 4) float32 screen space in samples.
        near: (h, w) float32 nearness, 0 = empty.
        ids: (h, w) int32 triangle, -1 = empty.
        size_hw: picture size in pixels.
        factor: samples per pixel side.
    """

    screen: np.ndarray
    near: np.ndarray
    ids: np.ndarray
    size_hw: tuple[int, int]
    factor: int


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


def pose_body(body: Body, pose: Pose) -> np.ndarray:
    """Skin a body: (V, 8) float32 positions in metres, unit normals, UV."""
    offsets = pose.positions - np.einsum("jab,jb->ja", pose.turns, body.rest_joints)
    packed = np.empty((len(body.vertices), 8), np.float32)
    raster.skin(
        body.vertices, body.normals, body.uv, body.joints, body.weights,
        pose.turns.astype(np.float32), offsets.astype(np.float32), packed,
    )  # fmt: skip
    return packed


def rasterise(
    body: Body, packed: np.ndarray, camera: Camera, *, factor: int = 2,
    texture: Texture | None = None,
) -> View:  # fmt: skip
    """See a posed body from a camera.

    Args:
        body: supplies triangles and materials.
        packed: the body from `pose_body`.
        camera: from where.
        factor: samples per pixel side.
        texture: in place of the body's own (its alpha cuts hair).
    """
    texture = texture or body.texture
    margin = factor // 2
    height, width = (factor * (size - 1) + 1 + 2 * margin for size in camera.size_hw)
    centre_x, centre_y = (np.float32(c * factor + margin) for c in camera.centre_xy)
    screen = np.empty((len(packed), 4), np.float32)
    raster.project(
        packed, camera.position.astype(np.float32), camera.turn.astype(np.float32),
        np.float32(camera.focal_px * factor), centre_x, centre_y, screen,
    )  # fmt: skip
    near, ids = np.empty((height, width), np.float32), np.empty((height, width), np.int32)
    cut_low, cut_step = (40, 56) if factor > 1 else (128, 0)
    raster.rasterise(
        screen, body.triangles, body.material, body.uv, texture.colour, texture.wig,
        cut_low, cut_step, near, ids,
    )  # fmt: skip
    return View(screen=screen, near=near, ids=ids, size_hw=camera.size_hw, factor=factor)


def light_view(
    body: Body,
    packed: np.ndarray,
    view: View,
    camera: Camera,
    lighting: Lighting,
    *,
    ground_y: float | None = None,
    contacts: np.ndarray | None = None,
    texture: Texture | None = None,
    bump: float = 1.0,
    gloss: np.ndarray = GLOSS,
    shadow_size: int = 192,
    half_rate: bool = False,
) -> Layer:
    """Shade what a view shows.

    Args:
        body: who.
        packed: the body from `pose_body`.
        view: the body from `rasterise`, seen by `camera`.
        camera: the eye.
        lighting: ambient and shadow-casting lights.
        ground_y: height of a floor that receives shadows; None: no floor.
        contacts: (N, 4) x, z, radius, height above the floor of ambient occluders, metres.
        texture: in place of the body's own.
        bump: strength of the normal map.
        gloss: (5,) highlight strength per material.
        shadow_size: side of the shadow maps in pixels.
        half_rate: light every other sample only (for `factor` 2: two per pixel, not four), and
            every fourth pixel of the floor.
    """
    texture = texture or body.texture
    shadows, frames, texel_m = shadow_maps(body, packed, lighting, texture, shadow_size)
    radius = np.float32(lighting.shadow_softness_m / texel_m)
    bias = np.float32(0.006 + 0.5 * texel_m)
    eye = camera.position.astype(np.float32)
    samples = np.empty((*view.ids.shape, 4), np.float32)
    raster.shade(
        view.screen, packed, body.triangles, body.material, view.ids,
        texture.colour, texture.normal, texture.wig, gloss.astype(np.float32), SRGB_TO_LINEAR,
        eye, lighting.ambient.astype(np.float32) * _BANDS[:, None],
        lighting.directions, lighting.colours, shadows, frames, radius, bias,
        np.float32(bump), half_rate, samples,
    )  # fmt: skip
    rgba = np.empty((*view.size_hw, 4), np.float32)
    raster.resolve(samples, view.factor, rgba)
    height, width = view.size_hw
    ground = np.ones((height, width), np.float32)
    if ground_y is not None:
        up = float(lighting.ambient.mean(1) @ (_BANDS * [1, 1, 0, 0, 0, 0, -1, 0, -1]))
        stride = 2 if half_rate else 1
        coarse = np.empty((-(-height // stride), -(-width // stride)), np.float32)
        raster.ground_light(
            camera.turn.astype(np.float32), np.float32(camera.focal_px),
            np.float32(camera.centre_xy[0]), np.float32(camera.centre_xy[1]), eye,
            np.float32(ground_y), lighting.directions, lighting.colours,
            np.float32(max(up, 0.0)), shadows, frames, radius * np.float32(1.5), bias,
            np.zeros((0, 4), np.float32) if contacts is None else contacts.astype(np.float32),
            np.float32(0.35), stride, coarse,
        )  # fmt: skip
        ground = coarse
        if stride > 1:
            ground = np.asarray(cv2.resize(coarse, (width, height)))
    return Layer(rgba=rgba, ground=ground)


def shadow_maps(
    body: Body, packed: np.ndarray, lighting: Lighting, texture: Texture, size: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """What each light sees.

    Returns:
        (L, S, S) float32 nearness, (L, 3, 4) float32 projections, size of a texel in metres.
    """
    low, high = raster.bounds(packed).astype(np.float64)
    middle = (low + high) / 2
    half = float(np.linalg.norm(high - low)) / 2 * 1.04 + 0.02
    scale = (size - 1) / (2 * half)
    shadows = np.empty((len(lighting.directions), size, size), np.float32)
    frames = np.empty((len(lighting.directions), 3, 4), np.float32)
    screen = np.empty((len(packed), 4), np.float32)
    ids = np.empty((size, size), np.int32)
    for k, direction in enumerate(lighting.directions):
        side = np.cross(direction, (0.0, 1.0, 0.0) if abs(direction[1]) < 0.95 else (1, 0, 0))
        side /= np.linalg.norm(side)
        other = np.cross(side, direction)
        axes = np.stack([side * scale, other * scale, direction])
        shift = np.array([(size - 1) / 2, (size - 1) / 2, _NEAR_OFFSET])
        frames[k, :, :3] = axes
        frames[k, :, 3] = shift - axes @ middle
        raster.project_light(packed, frames[k], screen)
        raster.rasterise(
            screen, body.triangles, body.material, body.uv, texture.colour, texture.wig,
            128, 0, shadows[k], ids,
        )  # fmt: skip
    return shadows, frames, 1 / scale


def composite(layer: Layer, backdrop: np.ndarray) -> np.ndarray:
    """Put a person before a background.

    Args:
        layer: the person.
        backdrop: (H, W, 3) float32 linear RGB.

    Returns:
        (H, W, 3) float32 linear RGB.
    """
    out = np.empty((*layer.ground.shape, 3), np.float32)
    raster.compose(layer.rgba, layer.ground, backdrop, out)
    return out


def _srgb_to_linear(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


SRGB_TO_LINEAR = _srgb_to_linear(np.arange(256) / 255).astype(np.float32)
"""(256,) decoding table of the sRGB transfer curve (IEC 61966-2-1)."""

_ENCODE_STEPS = 4096
LINEAR_TO_SRGB = np.interp(
    np.linspace(0, 1, _ENCODE_STEPS + 1) ** 2,
    _srgb_to_linear(np.linspace(0, 1, 4097)),
    np.linspace(0, 255, 4097),
).astype(np.float32)
"""(4097,) sRGB codes over equal steps of the square root of linear light."""


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB: any shape, float32 in [0, 255]; what is brighter than 1 is clipped."""
    out = np.empty(linear.shape, np.float32)
    raster.encode(np.ascontiguousarray(linear, np.float32), LINEAR_TO_SRGB, out)
    return out


def decode_srgb(image: np.ndarray) -> np.ndarray:
    """A uint8 sRGB image to float32 linear light in [0, 1]."""
    return SRGB_TO_LINEAR[image]


def contact_points(body: Body, packed: np.ndarray, ground_y: float) -> np.ndarray:
    """Ambient occluders near the floor for `light_view`: feet, hands, hips, head.

    Returns:
        (N, 4) float32: x, z, radius, height above the floor, metres.
    """
    extents = raster.part_extents(packed, body.part, len(PART))
    rows = []
    for name, radius in (
        ("left_foot", 0.13), ("right_foot", 0.13), ("left_hand", 0.08), ("right_hand", 0.08),
        ("torso", 0.25), ("head", 0.12),
    ):  # fmt: skip
        x, z, lowest, count = extents[PART[name]]
        if count:
            rows.append([x, z, radius, max(0.0, lowest - ground_y)])
    return np.array(rows, np.float32).reshape(-1, 4)
