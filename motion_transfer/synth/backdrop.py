"""Backgrounds: drawn rooms with perspective, flat studios, environment maps, clutter."""

from __future__ import annotations

import dataclasses
from typing import Literal

import cv2
import numpy as np

from motion_transfer.synth.camera import Camera, look_at

Floor = Literal["planks", "tiles", "concrete", "carpet"]
Wall = Literal["plaster", "brick", "panels"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Room:
    """A floor and a back wall, seen in perspective.

    Args:
        floor: pattern of the floor.
        wall: pattern of the wall.
        floor_rgb: linear albedo.
        wall_rgb: linear albedo.
        wall_z: the wall is the plane z = wall_z, metres; the person stands near z = 0.
        ground_y: height of the floor, metres.
        skirting_m: height of the skirting board; 0: none.
        light_x: where along x the wall is brightest, metres.
        seed: of the patterns.
    """

    floor: Floor = "planks"
    wall: Wall = "plaster"
    floor_rgb: tuple[float, float, float] = (0.34, 0.21, 0.12)
    wall_rgb: tuple[float, float, float] = (0.50, 0.53, 0.52)
    wall_z: float = -1.6
    ground_y: float = 0.0
    skirting_m: float = 0.11
    light_x: float = -1.0
    seed: int = 0


def room_backdrop(
    room: Room, camera: Camera, *, floor_light: np.ndarray, wall_light: np.ndarray, factor: int = 1
) -> np.ndarray:
    """Draw a room.

    Args:
        room: what.
        camera: from where; it must look towards -z.
        floor_light: (3,) irradiance / pi on the floor.
        wall_light: (3,) irradiance / pi on the wall.
        factor: samples per pixel side; the result has the camera's size all the same.

    Returns:
        (H, W, 3) float32 linear RGB.
    """
    height, width = camera.size_hw
    rays = camera.rays((height * factor, width * factor)).astype(np.float32)
    eye = camera.position
    with np.errstate(divide="ignore", invalid="ignore"):
        to_wall = np.where(rays[..., 2] < 0, (room.wall_z - eye[2]) / rays[..., 2], np.inf)
        to_floor = np.where(rays[..., 1] < 0, (room.ground_y - eye[1]) / rays[..., 1], np.inf)
    on_floor = to_floor < to_wall
    distance = np.minimum(np.minimum(to_floor, to_wall), 60.0)
    x = eye[0] + distance * rays[..., 0]
    y = eye[1] + distance * rays[..., 1] - room.ground_y
    z = eye[2] + distance * rays[..., 2]
    out = np.empty(rays.shape, np.float32)
    f = on_floor
    depth = np.clip(z[f] - room.wall_z, 0, None)
    corner = 1 - 0.45 * np.exp(-depth / 0.12) - 0.12 * np.exp(-depth / 0.8)
    spot = 0.78 + 0.32 * np.exp(-((x[f] - 0.6 * room.light_x) ** 2 + (z[f] - 0.4) ** 2) / 5.0)
    out[f] = _floor_albedo(room, x[f], z[f]) * floor_light * (corner * spot)[:, None]
    w = ~on_floor
    albedo = _wall_albedo(room, x[w], y[w])
    corner = 1 - 0.30 * np.exp(-np.clip(y[w], 0, None) / 0.25)
    glow = np.exp(-((x[w] - room.light_x) ** 2) / 3.5 - (y[w] - 1.7) ** 2 / 4.0)
    out[w] = albedo * wall_light * (corner * (0.66 + 0.5 * glow))[:, None]
    if factor > 1:
        return np.asarray(cv2.resize(out, (width, height), interpolation=cv2.INTER_AREA))
    return out


def _floor_albedo(room: Room, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    base = np.array(room.floor_rgb, np.float32)
    if room.floor == "planks":
        width, length = 0.14, 1.3
        row = np.floor(x / width)
        shift = random_lattice(row, 0 * row, room.seed) * length
        plank = np.floor((z + shift) / length)
        tone = 0.72 + 0.5 * random_lattice(row, plank, room.seed + 1)
        phase = 9.0 * random_lattice(row, plank, room.seed + 2)
        grain = value_noise(x * 55 + phase, z * 2.2 + phase, room.seed + 3) - 0.5
        fine = value_noise(x * 210, z * 7 + phase, room.seed + 4) - 0.5
        edge_x = np.minimum(x / width - row, 1 - (x / width - row)) * width
        along = (z + shift) / length
        edge_z = np.minimum(along - plank, 1 - (along - plank)) * length
        gap = 1 - 0.55 * np.exp(-((np.minimum(edge_x, edge_z) / 0.0022) ** 2))
        return base * (tone * (1 + 0.5 * grain + 0.25 * fine) * gap)[:, None]
    if room.floor == "tiles":
        side = 0.45
        row, column = np.floor(x / side), np.floor(z / side)
        tone = 0.9 + 0.16 * random_lattice(row, column, room.seed)
        fx, fz = x / side - row, z / side - column
        edge = np.minimum(np.minimum(fx, 1 - fx), np.minimum(fz, 1 - fz)) * side
        grout = 1 - 0.4 * np.exp(-((edge / 0.004) ** 2))
        spots = 0.16 * (fractal_noise(x * 9, z * 9, room.seed + 1) - 0.5)
        return base * ((tone + spots) * grout)[:, None]
    if room.floor == "carpet":
        fibre = value_noise(x * 260, z * 260, room.seed) - 0.5
        return base * (1 + 0.5 * fibre + 0.2 * (fractal_noise(x * 3, z * 3, 7) - 0.5))[:, None]
    spots = fractal_noise(x * 2.3, z * 2.3, room.seed) - 0.5
    fine = value_noise(x * 90, z * 90, room.seed + 1) - 0.5
    return base * (1 + 0.35 * spots + 0.18 * fine)[:, None]


def _wall_albedo(room: Room, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    base = np.array(room.wall_rgb, np.float32)
    if room.wall == "brick":
        high, wide = 0.075, 0.235
        row = np.floor(y / high)
        column = np.floor(x / wide + 0.5 * (row % 2))
        tone = 0.7 + 0.55 * random_lattice(row, column, room.seed)
        fy, fx = y / high - row, x / wide + 0.5 * (row % 2) - column
        edge = np.minimum(np.minimum(fy, 1 - fy) * high, np.minimum(fx, 1 - fx) * wide)
        mortar = np.clip((edge - 0.004) / 0.003, 0, 1)[:, None]
        rough = 1 + 0.4 * (fractal_noise(x * 30, y * 30, room.seed + 1) - 0.5)
        brick = base * (tone * rough)[:, None]
        return brick * mortar + (0.55 * rough[:, None] * base.mean() + 0.12) * (1 - mortar)
    mottle = fractal_noise(x * 1.7, y * 1.7, room.seed + 5) - 0.5
    fine = value_noise(x * 75, y * 75, room.seed + 6) - 0.5
    tone = 1 + 0.10 * mottle + 0.045 * fine
    albedo = base * tone[:, None]
    if room.wall == "panels":
        wide, low, high = 1.15, 0.28, 2.25
        along = (x / wide - np.floor(x / wide)) * wide
        side = np.minimum(np.abs(along - 0.09), np.abs(along - (wide - 0.09)))
        inside_y = (y > low) & (y < high)
        inside_x = (along > 0.09) & (along < wide - 0.09)
        frame = np.minimum(
            np.where(inside_y, side, 9.0),
            np.where(inside_x, np.minimum(np.abs(y - low), np.abs(y - high)), 9.0),
        )
        ridge = np.exp(-((frame / 0.011) ** 2))
        groove = np.exp(-(((frame - 0.02) / 0.006) ** 2))
        albedo = albedo * (1 + 0.16 * ridge - 0.22 * groove)[:, None]
    if room.skirting_m > 0:
        board = np.clip((room.skirting_m - y) / 0.004, 0, 1)[:, None]
        line = np.exp(-(((y - room.skirting_m) / 0.006) ** 2))[:, None]
        albedo = albedo * (1 - board) + np.minimum(base * 1.25, 0.75) * board
        albedo = albedo * (1 - 0.45 * line)
    return albedo


def random_lattice(i: np.ndarray, j: np.ndarray, seed: int) -> np.ndarray:
    """A fixed pseudo-random number in [0, 1) for every pair of integers (any shape)."""
    a = i.astype(np.int64).astype(np.uint32)
    b = j.astype(np.int64).astype(np.uint32)
    h = a * np.uint32(374761393) + b * np.uint32(668265263)
    h += np.uint32((seed * 2246822519 + 3266489917) & 0xFFFFFFFF)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(1274126177)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(2654435769)
    return ((h ^ (h >> np.uint32(15))) >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)


def value_noise(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Smooth noise in [0, 1] with cells of size one, at any coordinates (any shape)."""
    i, j = np.floor(x), np.floor(y)
    fx, fy = (x - i).astype(np.float32), (y - j).astype(np.float32)
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    a, b = random_lattice(i, j, seed), random_lattice(i + 1, j, seed)
    c, d = random_lattice(i, j + 1, seed), random_lattice(i + 1, j + 1, seed)
    return (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy


def fractal_noise(x: np.ndarray, y: np.ndarray, seed: int, octaves: int = 4) -> np.ndarray:
    """Sum of `octaves` of value noise, about [0, 1]."""
    total = sum(0.5**k * value_noise(x * 2**k, y * 2**k, seed + 31 * k) for k in range(octaves))
    return np.asarray(total) / (2 - 0.5 ** (octaves - 1))


def random_backdrop(
    rng: np.random.Generator, size_hw: tuple[int, int], environment: np.ndarray
) -> np.ndarray:
    """Draw a background at random: room, environment map, plain studio or clutter.

    Args:
        rng: decides.
        size_hw: of the result.
        environment: (H, W, 3) linear map for the second kind.

    Returns:
        (H, W, 3) float32 linear RGB.
    """
    kind = rng.random()
    if kind < 0.30:
        out = _random_room(rng, size_hw)
    elif kind < 0.52:
        out = _environment_crop(rng, size_hw, environment)
    elif kind < 0.72:
        out = _studio(rng, size_hw)
    else:
        out = _clutter(rng, size_hw)
    if rng.random() < 0.5:
        sigma = abs(rng.normal(0, 2.0)) * size_hw[0] / 256
        if sigma > 0.3:
            out = np.asarray(cv2.GaussianBlur(out, (0, 0), sigma))
    return np.clip(out, 0, 4).astype(np.float32)


def _random_albedo(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    grey = rng.uniform(low, high)
    return np.clip(grey * np.exp(rng.normal(0, 0.25, 3)), 0.02, 0.95)


def _random_room(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    floors: tuple[Floor, ...] = ("planks", "tiles", "concrete", "carpet")
    walls: tuple[Wall, ...] = ("plaster", "brick", "panels")
    floor_rgb, wall_rgb = _random_albedo(rng, 0.08, 0.6), _random_albedo(rng, 0.1, 0.8)
    room = Room(
        floor=floors[rng.integers(4)], wall=walls[rng.integers(3)],
        floor_rgb=(float(floor_rgb[0]), float(floor_rgb[1]), float(floor_rgb[2])),
        wall_rgb=(float(wall_rgb[0]), float(wall_rgb[1]), float(wall_rgb[2])),
        wall_z=-float(rng.uniform(0.5, 4)), skirting_m=float(rng.choice([0.0, 0.08, 0.14])),
        light_x=float(rng.normal(0, 1.2)), seed=int(rng.integers(1 << 20)),
    )  # fmt: skip
    camera = look_at(
        np.array([rng.normal(0, 0.3), rng.uniform(0.7, 1.7), rng.uniform(2.5, 6)]),
        np.array([rng.normal(0, 0.3), 0.9, 0.0]),
        focal_px=size_hw[0] * rng.uniform(1.1, 2.2), size_hw=size_hw,
    )  # fmt: skip
    light = np.exp(rng.normal(0, 0.06, 3)) * rng.uniform(0.5, 1.1)
    return room_backdrop(room, camera, floor_light=light, wall_light=light * rng.uniform(0.6, 1.2))


def _environment_crop(
    rng: np.random.Generator, size_hw: tuple[int, int], environment: np.ndarray
) -> np.ndarray:
    """A perspective look into an environment map."""
    focal = size_hw[0] * rng.uniform(0.55, 1.1)
    camera = look_at(
        np.zeros(3),
        np.array([0.0, rng.uniform(-0.25, 0.12), -1.0]),
        focal_px=focal,
        size_hw=size_hw,
    )
    rays = camera.rays()
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    rows, columns = environment.shape[:2]
    phi = np.arctan2(rays[..., 0], rays[..., 2]) + rng.uniform(0, 2 * np.pi)
    u = (phi / (2 * np.pi) % 1.0 * columns).astype(np.float32)
    v = (np.arccos(np.clip(rays[..., 1], -1, 1)) / np.pi * rows).astype(np.float32)
    wrapped = np.concatenate([environment, environment[:, :1]], 1)
    out = np.asarray(cv2.remap(wrapped, u, np.minimum(v, rows - 1), cv2.INTER_LINEAR))
    out = np.maximum(out, 0) * (0.3 / max(float(np.median(out)), 1e-4))
    return out / (1 + 0.25 * out)


def _studio(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """A plain or softly graded backdrop."""
    height, width = size_hw
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = x / width, y / height
    one, two = _random_albedo(rng, 0.02, 0.9), _random_albedo(rng, 0.02, 0.9)
    if rng.random() < 0.4:
        two = one
    angle = rng.uniform(0, np.pi)
    share = np.clip((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5, 0, 1)
    out = one + (two - one) * share[..., None]
    centre = rng.uniform(0.2, 0.8, 2)
    glow = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / rng.uniform(0.05, 0.6))
    grain = value_noise(x * 60, y * 60, int(rng.integers(1 << 20))) - 0.5
    return out * (1 + rng.uniform(-0.3, 0.5) * glow + 0.04 * grain)[..., None]


def _clutter(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """Random shapes with textures: nothing in particular, much of it."""
    height, width = size_hw
    canvas = np.empty((height, width, 3), np.float32)
    canvas[:] = _random_albedo(rng, 0.05, 0.7)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scale = rng.uniform(0.01, 0.06) * 256 / height
    noise = fractal_noise(x * scale, y * scale, int(rng.integers(1 << 20)), octaves=3)
    canvas *= (0.6 + 0.8 * noise)[..., None]
    for _ in range(int(rng.integers(4, 28))):
        colour = [float(c) for c in _random_albedo(rng, 0.02, 0.9)]
        at = rng.uniform(0, 1, 2) * (width, height)
        size = np.exp(rng.normal(-2.0, 0.8)) * height
        kind = rng.integers(4)
        if kind == 0:
            points = at + rng.normal(0, size, (int(rng.integers(3, 7)), 2))
            cv2.fillPoly(canvas, [points.astype(np.int32)], colour, cv2.LINE_AA)
        elif kind == 1:
            axes = np.maximum(rng.uniform(0.2, 1, 2) * size, 1).astype(int)
            cv2.ellipse(
                canvas, (int(at[0]), int(at[1])), (int(axes[0]), int(axes[1])),
                float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA,
            )  # fmt: skip
        elif kind == 2:
            half = rng.uniform(0.1, 1.5, 2) * size
            low, high = (at - half).astype(int), (at + half).astype(int)
            cv2.rectangle(
                canvas, (int(low[0]), int(low[1])), (int(high[0]), int(high[1])), colour, -1
            )
        else:
            end = at + rng.normal(0, 3 * size, 2)
            cv2.line(
                canvas, (int(at[0]), int(at[1])), (int(end[0]), int(end[1])), colour,
                int(rng.integers(1, 8)), cv2.LINE_AA,
            )  # fmt: skip
    fine = value_noise(x * 0.5, y * 0.5, int(rng.integers(1 << 20))) - 0.5
    return canvas * (1 + 0.25 * fine)[..., None]
