"""What a camera does to light: exposure, colour cast, blur, noise, compression."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from motion_transfer.synth import raster
from motion_transfer.synth.render import LINEAR_TO_SRGB

_NOISE_SIDE = 1024
_noise_tile: np.ndarray | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """How a picture is taken.

    Args:
        exposure: factor on linear light.
        tint: (3,) factors per channel.
        contrast: strength of an S curve, 0 = none.
        blur_px: Gaussian sigma.
        motion_px: length of a motion blur; below 1: none.
        motion_angle: direction of the motion blur, radians.
        noise: standard deviation of the luminance noise, 8-bit steps.
        colour_noise: the same of the noise per channel.
        jpeg_quality: 0 = no compression.
        noise_at: where the noise is cut from its tile.
    """

    exposure: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 0.0
    blur_px: float = 0.0
    motion_px: float = 0.0
    motion_angle: float = 0.0
    noise: float = 0.0
    colour_noise: float = 0.0
    jpeg_quality: int = 0
    noise_at: tuple[int, int] = (0, 0)


def random_look(rng: np.random.Generator, size_hw: tuple[int, int]) -> Look:
    """Draw a look; blur is relative to a picture 256 pixels high."""
    scale = size_hw[0] / 256
    warm = rng.normal(0, 0.05)
    green = rng.normal(0, 0.02)
    return Look(
        exposure=float(np.exp(rng.normal(0, 0.22))),
        tint=(float(np.exp(warm)), float(np.exp(green)), float(np.exp(-warm))),
        contrast=float(np.clip(rng.normal(0.12, 0.2), -0.3, 0.6)),
        blur_px=float(max(0.0, rng.normal(0.0, 0.5)) * scale),
        motion_px=float(rng.uniform(1, 5) * scale) if rng.random() < 0.08 else 0.0,
        motion_angle=float(rng.uniform(0, np.pi)),
        noise=float(abs(rng.normal(0, 2.2))),
        colour_noise=float(abs(rng.normal(0, 1.0))),
        jpeg_quality=int(rng.integers(35, 98)) if rng.random() < 0.6 else 0,
        noise_at=(int(rng.integers(1 << 20)), int(rng.integers(1 << 20))),
    )


def take_photo(linear: np.ndarray, look: Look) -> np.ndarray:
    """Turn light into a picture.

    Args:
        linear: (H, W, 3) float32 linear RGB.
        look: how.

    Returns:
        (H, W, 3) uint8 sRGB.
    """
    factors = np.array(look.tint, np.float32) * np.float32(look.exposure)
    if look.blur_px > 0.15:
        linear = np.asarray(cv2.GaussianBlur(linear, (0, 0), look.blur_px))
    if look.motion_px >= 1:
        linear = np.asarray(cv2.filter2D(linear, -1, _streak(look)))
    out = np.empty(linear.shape, np.uint8)
    raster.develop(
        linear, factors, np.float32(look.contrast), np.float32(look.noise),
        np.float32(look.colour_noise), _noise(linear.shape[:2], look.noise_at), LINEAR_TO_SRGB, out,
    )  # fmt: skip
    if look.jpeg_quality:
        _, data = cv2.imencode(
            ".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality]
        )
        out = np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])
    return out


def _streak(look: Look) -> np.ndarray:
    side = 2 * int(np.ceil(look.motion_px / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    middle = side // 2
    for step in np.linspace(-0.5, 0.5, 4 * side):
        x = middle + step * look.motion_px * np.cos(look.motion_angle)
        y = middle + step * look.motion_px * np.sin(look.motion_angle)
        kernel[round(y), round(x)] += 1
    return kernel / kernel.sum()


def _noise(size_hw: tuple[int, ...], at: tuple[int, int]) -> np.ndarray:
    """(H, W, 4) unit noise cut from a fixed tile, a little blurred as demosaicing does."""
    global _noise_tile
    if _noise_tile is None:
        white = np.random.default_rng(20).standard_normal((_NOISE_SIDE, _NOISE_SIDE, 4))
        soft = np.asarray(cv2.GaussianBlur(white.astype(np.float32), (0, 0), 0.55))
        _noise_tile = soft / soft.std()
    height, width = size_hw
    if height > _NOISE_SIDE or width > _NOISE_SIDE:
        reps = (-(-height // _NOISE_SIDE), -(-width // _NOISE_SIDE), 1)
        return np.ascontiguousarray(np.tile(_noise_tile, reps)[:height, :width])
    top, left = at[0] % (_NOISE_SIDE - height + 1), at[1] % (_NOISE_SIDE - width + 1)
    return _noise_tile[top : top + height, left : left + width]
