"""A pinhole camera: x right, y down, z forward; an integer pixel coordinate is a pixel centre."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    """Where the camera stands and how it projects.

    Args:
        position: (3,) metres, world (y up).
        turn: (3, 3) world to camera.
        focal_px: focal length.
        centre_xy: principal point in pixels.
        size_hw: height and width of the picture in pixels.
    """

    position: np.ndarray
    turn: np.ndarray
    focal_px: float
    centre_xy: tuple[float, float]
    size_hw: tuple[int, int]

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (N, 3) to (N, 3): x and y in pixels, z in metres in front of the camera."""
        local = (points - self.position) @ self.turn.T
        xy = local[:, :2] / local[:, 2:] * self.focal_px + np.asarray(self.centre_xy)
        return np.concatenate([xy, local[:, 2:]], 1)

    def rays(self, size_hw: tuple[int, int] | None = None) -> np.ndarray:
        """(H, W, 3) float32 directions of the pixel centres in the world, not normalised.

        One step along a ray is one metre of depth. With `size_hw` the picture is sampled at
        another resolution.
        """
        height, width = size_hw or self.size_hw
        y = (np.arange(height) + 0.5) * self.size_hw[0] / height - 0.5
        x = (np.arange(width) + 0.5) * self.size_hw[1] / width - 0.5
        local = np.ones((height, width, 3))
        local[..., 0] = ((x - self.centre_xy[0]) / self.focal_px)[None]
        local[..., 1] = ((y - self.centre_xy[1]) / self.focal_px)[:, None]
        return (local @ self.turn).astype(np.float32)


def look_at(
    position: np.ndarray,
    target: np.ndarray,
    *,
    focal_px: float,
    size_hw: tuple[int, int],
    centre_xy: tuple[float, float] | None = None,
    roll: float = 0.0,
) -> Camera:
    """A camera at `position` that looks at `target`, turned by `roll` radians about its axis."""
    forward = np.asarray(target, float) - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 1.0, 0.0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    turn = np.stack([c * right + s * down, c * down - s * right, forward])
    if centre_xy is None:
        centre_xy = ((size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2)
    return Camera(
        position=np.asarray(position, float), turn=turn, focal_px=focal_px,
        centre_xy=centre_xy, size_hw=size_hw,
    )  # fmt: skip
