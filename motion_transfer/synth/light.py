"""Light: an environment's low frequencies as spherical harmonics, and directional lights.

The nine coefficients hold irradiance / pi (Ramamoorthi and Hanrahan, "An Efficient
Representation for Irradiance Environment Maps", SIGGRAPH 2001), so that a white diffuse surface
shows the coefficient sum itself. World axes: y up; an equirectangular map has +z at its middle
columns' quarter, direction = (sin(theta) sin(phi), cos(theta), sin(theta) cos(phi)).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from einops import rearrange


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lighting:
    """What shines on a body.

    Args:
        ambient: (9, 3) float32, irradiance / pi as spherical harmonics.
        directions: (L, 3) float32, unit, towards the lights; each casts shadows.
        colours: (L, 3) float32, irradiance / pi of a surface that faces the light.
        shadow_softness_m: half width of the shadows' edge, metres.
    """

    ambient: np.ndarray
    directions: np.ndarray
    colours: np.ndarray
    shadow_softness_m: float = 0.015


def harmonics(directions: np.ndarray) -> np.ndarray:
    """The first nine real spherical harmonics of unit directions (..., 3), as (..., 9)."""
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.stack(
        [
            np.full_like(x, 0.282095), 0.488603 * y, 0.488603 * z, 0.488603 * x,
            1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1), 1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        -1,
    )  # fmt: skip


def environment_directions(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (H, W, 3) and solid angles (H, W) of an equirectangular map's texels."""
    theta = (np.arange(height) + 0.5) / height * np.pi
    phi = (np.arange(width) + 0.5) / width * 2 * np.pi
    sin = np.sin(theta)[:, None]
    directions = np.stack(
        [sin * np.sin(phi), np.cos(theta)[:, None] + 0 * phi, sin * np.cos(phi)], -1
    )
    solid = np.broadcast_to(sin * (np.pi / height) * (2 * np.pi / width), (height, width))
    return directions, solid


def project_environment(environment: np.ndarray, percentile: float = 99.5) -> np.ndarray:
    """(9, 3) irradiance / pi of a map (H, W, 3) whose brightest texels are clipped."""
    clipped = np.minimum(environment, np.percentile(environment, percentile))
    directions, solid = environment_directions(*environment.shape[:2])
    basis = rearrange(harmonics(directions) * solid[..., None], "h w k -> k (h w)")
    coefficients = basis @ rearrange(clipped, "h w c -> (h w) c")
    bands = np.array([1.0] + [2 / 3] * 3 + [1 / 4] * 5)
    return (coefficients * bands[:, None]).astype(np.float32)


def turn_environment(environment: np.ndarray, yaw: float) -> np.ndarray:
    """The map rotated about the vertical by `yaw` radians (to the nearest column)."""
    return np.roll(environment, round(yaw / (2 * np.pi) * environment.shape[1]), 1)


def many_lights(
    environment: np.ndarray, count: int, *, exposure: float = 1.0, softness_m: float = 0.03
) -> Lighting:
    """Replace a whole environment by `count` shadow-casting lights and no ambient term.

    The map is cut into `count` regions of about equal power along its rows and columns (median
    cut, Debevec, "A Median Cut Algorithm for Light Probe Sampling", SIGGRAPH posters 2005);
    what results has ambient occlusion and soft shadows, at `count` times the cost.

    Args:
        environment: (H, W, 3) linear.
        count: power of two.
        exposure: factor on all light.
        softness_m: see `Lighting`.
    """
    directions, solid = environment_directions(*environment.shape[:2])
    power = environment.mean(-1) * solid
    height, width = power.shape
    regions = [(0, height, 0, width)]
    while len(regions) < count:
        cut = []
        for top, bottom, left, right in regions:
            block = power[top:bottom, left:right]
            middle = np.cos(np.pi * (top + bottom) / 2 / height)
            wide = (right - left) * np.sqrt(max(1e-3, 1 - middle**2)) > bottom - top
            if (wide and right - left > 1) or bottom - top < 2:
                share = np.cumsum(block.sum(0)) / block.sum()
                at = left + int(np.clip(np.searchsorted(share, 0.5), 1, right - left - 1))
                cut += [(top, bottom, left, at), (top, bottom, at, right)]
            else:
                share = np.cumsum(block.sum(1)) / block.sum()
                at = top + int(np.clip(np.searchsorted(share, 0.5), 1, bottom - top - 1))
                cut += [(top, at, left, right), (at, bottom, left, right)]
        regions = cut
    where, colour = [], []
    for top, bottom, left, right in regions:
        weight = power[top:bottom, left:right]
        mean = np.einsum("hwk,hw->k", directions[top:bottom, left:right], weight)
        where.append(mean / np.linalg.norm(mean))
        texels = environment[top:bottom, left:right] * solid[top:bottom, left:right, None]
        colour.append(texels.sum((0, 1)) / np.pi * exposure)
    return Lighting(
        ambient=np.zeros((9, 3), np.float32),
        directions=np.array(where, np.float32),
        colours=np.array(colour, np.float32),
        shadow_softness_m=softness_m,
    )
