"""`Body`: a skinned, textured person at rest, and the arrays that the renderer needs."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numba
import numpy as np

from motion_transfer.synth.rig import PART, part_of_joint

SKIN, WIG, EYES, GARMENT, HAIR = 0, 1, 2, 3, 4
"""Materials: body with painted-on clothes, hair mesh, eyes, garment mesh, hair in the atlas."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Texture:
    """The images that dress a body; UV (0, 0) is the top left corner.

    Args:
        colour: (H, W, 4) uint8 sRGB with alpha, for every material but `WIG`.
        normal: (H, W, 3) uint8 tangent-space normal map, red along u.
        wig: (H, W, 4) uint8 sRGB with alpha, for material `WIG`.
        label: (H, W) uint8, entries of `rig.PARSE`; 0 where not known.
    """

    colour: np.ndarray
    normal: np.ndarray
    wig: np.ndarray
    label: np.ndarray

    def __post_init__(self) -> None:
        for name, channels in (("colour", 4), ("normal", 3), ("wig", 4)):
            image = getattr(self, name)
            if image.ndim != 3 or image.shape[2] != channels or image.dtype != np.uint8:
                raise ValueError(
                    f"{name} must be uint8 (H, W, {channels}), got {image.dtype} {image.shape}"
                )

    def level(self, size: int) -> Texture:
        """A copy whose colour and normal map are at most `size` texels wide (box filtered)."""
        if self.colour.shape[1] <= size:
            return self
        return dataclasses.replace(
            self, colour=shrink(self.colour, size), normal=shrink(self.normal, size)
        )


def shrink(image: np.ndarray, width: int) -> np.ndarray:
    """Scale an image down to `width` texels by area averaging; smaller images stay."""
    if image.shape[1] <= width:
        return image
    height = round(image.shape[0] * width / image.shape[1])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Body:
    """A person in rest pose: metres, y up, facing +z, feet near y = 0.

    Args:
        name: identity and outfit, e.g. ``White_M_1_Casual``.
        vertices: (V, 3) float32.
        normals: (V, 3) float32, unit.
        uv: (V, 2) float32 in [0, 1].
        triangles: (F, 3) int32.
        material: (F,) uint8, one of the materials above.
        joints: (V, 4) uint8, joint indices.
        weights: (V, 4) float32, rows sum to one.
        rest_joints: (J, 3) float64, joint positions.
        joint_names: J names of the rig.
        parents: (J,) int64, -1 for the root.
        part: (V,) uint8, entries of `rig.PARTS`.
        landmarks: vertex index of the key points that lie on the skin.
        texture: images of the body.
    """

    name: str
    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    material: np.ndarray
    joints: np.ndarray
    weights: np.ndarray
    rest_joints: np.ndarray
    joint_names: tuple[str, ...]
    parents: np.ndarray
    part: np.ndarray
    landmarks: dict[str, int]
    texture: Texture

    def __post_init__(self) -> None:
        v, f, j = len(self.vertices), len(self.triangles), len(self.joint_names)
        for name, shape in (
            ("vertices", (v, 3)), ("normals", (v, 3)), ("uv", (v, 2)), ("triangles", (f, 3)),
            ("material", (f,)), ("joints", (v, 4)), ("weights", (v, 4)), ("part", (v,)),
            ("rest_joints", (j, 3)), ("parents", (j,)),
        ):  # fmt: skip
            got = getattr(self, name).shape
            if got != shape:
                raise ValueError(f"{name} must have shape {shape}, got {got}")

    def joint(self, name: str) -> int:
        """Index of a joint of the rig."""
        return self._joint_index[name]

    @functools.cached_property
    def joint_order(self) -> np.ndarray:
        """(J,) joint indices, parents first."""
        return topological_order(self.parents)

    @functools.cached_property
    def clip_rigs(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What `motion.clip_pose` found out about this body, by clip name."""
        return {}

    @functools.cached_property
    def _joint_index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.joint_names)}


def topological_order(parents: np.ndarray) -> np.ndarray:
    """Joint indices, parents first."""
    depth = np.zeros(len(parents), np.int64)
    for j in range(len(parents)):
        k = parents[j]
        while k >= 0:
            depth[j] += 1
            k = parents[k]
    return np.argsort(depth, kind="stable")


def weld(vertices: np.ndarray) -> np.ndarray:
    """(V,) group number of the vertices (V, 3) that lie at one place (texture seams)."""
    place = np.ascontiguousarray(np.round(vertices * 20000).astype(np.int32))
    _, group = np.unique(place.view([("", np.int32)] * 3).ravel(), return_inverse=True)
    return np.asarray(group)


def vertex_normals(
    vertices: np.ndarray, triangles: np.ndarray, group: np.ndarray | None = None
) -> np.ndarray:
    """Area-weighted normals, shared by vertices at one place.

    Args:
        vertices: (V, 3).
        triangles: (F, 3).
        group: from `weld`; None: found from the vertices.

    Returns:
        (V, 3) float32, unit.
    """
    if group is None:
        group = weld(vertices)
    normals = np.zeros((int(group.max()) + 1, 3))
    _sum_normals(vertices.astype(np.float64), triangles, group, normals)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-20
    return normals[group].astype(np.float32)


@numba.njit(cache=True)
def _sum_normals(vertices, triangles, group, out):
    """Add each triangle's cross product to the groups of its corners."""
    for t in range(len(triangles)):
        a, b, c = vertices[triangles[t, 0]], vertices[triangles[t, 1]], vertices[triangles[t, 2]]
        u0, u1, u2 = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        v0, v1, v2 = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        for k in range(3):
            g = group[triangles[t, k]]
            out[g, 0] += u1 * v2 - u2 * v1
            out[g, 1] += u2 * v0 - u0 * v2
            out[g, 2] += u0 * v1 - u1 * v0


def vertex_parts(
    joints: np.ndarray, weights: np.ndarray, joint_names: tuple[str, ...]
) -> np.ndarray:
    """(V,) uint8: the part of each vertex' strongest joint."""
    of_joint = np.array([part_of_joint(name) for name in joint_names], np.uint8)
    return of_joint[joints[np.arange(len(joints)), weights.argmax(1)]]


def face_landmarks(
    vertices: np.ndarray, part: np.ndarray, rest_joints: np.ndarray, joint_names: tuple[str, ...]
) -> dict[str, int]:
    """Skin vertices of nose, ears, mouth corners and heels, found from the shape.

    The nose is the foremost point of the head between eyes and chin, the ears are the outermost
    points at eye height behind the eyes, the mouth corners lie below the nose, the heels are
    the rearmost low points of the feet.
    """
    x, y, z = vertices.T
    left, right = (rest_joints[joint_names.index(side + "Eye")] for side in ("Left", "Right"))
    eye_y, eye_z = left[1], left[2]
    middle_x = (left[0] + right[0]) / 2
    half_eyes = abs(left[0] - right[0]) / 2
    head = part == PART["head"]

    def best(mask: np.ndarray, score: np.ndarray) -> int:
        if not mask.any():  # a coarse mesh
            mask = head
        return int(np.where(mask, score, -np.inf).argmax())

    nose = best(head & (np.abs(x - middle_x) < 0.02) & (y < eye_y) & (y > eye_y - 0.09), z)
    mouth_y = eye_y - 1.75 * (eye_y - y[nose])
    found = {"nose": nose}
    beside = head & (np.abs(y - eye_y + 0.01) < 0.035) & (z < eye_z - 0.02)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        offset = sign * (x - middle_x)
        found[side + "_ear"] = best(beside, offset)
        front = head & (z > eye_z - 0.03)
        target = (offset - 0.75 * half_eyes) ** 2 + (y - mouth_y) ** 2
        found["mouth_" + side] = best(front, -target + 0.02 * z)
        foot = part == PART[side + "_foot"]
        low = foot & (y < y[foot].min() + 0.04)
        found[side + "_heel"] = best(low, -z)
    return found
