"""Bodies for the tests: the asset pack where it is at hand, else one drawn from tubes."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from motion_transfer.synth.assets import Assets
from motion_transfer.synth.body import Body, Texture, vertex_normals
from motion_transfer.synth.motion import Clip
from motion_transfer.synth.rig import PART

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def assets(tmp_path_factory) -> Assets:
    """The asset pack; tests that ask for it are skipped where there is none."""
    given = os.environ.get("MOTION_TRANSFER_ASSETS")
    if given:
        return Assets(given)
    packed = HERE.parents[2] / "shared" / "synth" / "pack.tar.xz"
    if not packed.is_file():
        pytest.skip("no asset pack: set MOTION_TRANSFER_ASSETS to its folder")
    folder = tmp_path_factory.mktemp("assets")
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    return Assets(folder)


def tube(start, end, radius, part, first, sides=20, rings=12, uv_tile=0):
    """A closed tube: vertices, triangles, UV, part."""
    start, end = np.array(start, float), np.array(end, float)
    axis = (end - start) / np.linalg.norm(end - start)
    one = np.cross(axis, (0.3, 0.5, 0.8))
    one /= np.linalg.norm(one)
    two = np.cross(axis, one)
    vertices, uv, triangles = [], [], []
    for r in range(rings + 1):
        along = r / rings
        swell = radius * np.sqrt(max(1e-4, 1 - (2 * along - 1) ** 6))
        for s in range(sides + 1):
            angle = 2 * np.pi * s / sides
            ring = np.cos(angle) * one + np.sin(angle) * two
            vertices.append(start + along * (end - start) + swell * ring)
            uv.append([(uv_tile % 4 + 0.05 + 0.9 * s / sides) / 4,
                       (uv_tile // 4 + 0.05 + 0.9 * along) / 4])  # fmt: skip
    for r in range(rings):
        for s in range(sides):
            a = first + r * (sides + 1) + s
            b, c, d = a + 1, a + sides + 1, a + sides + 2
            triangles += [[a, b, d], [a, d, c]]
    return vertices, triangles, uv, [part] * len(vertices)


JOINTS = (
    ("Hips", "", (0, 1.0, 0)), ("Spine2", "Hips", (0, 1.3, 0)), ("Neck", "Spine2", (0, 1.5, 0)),
    ("Head", "Neck", (0, 1.58, 0)), ("LeftEye", "Head", (0.03, 1.66, 0.09)),
    ("RightEye", "Head", (-0.03, 1.66, 0.09)), ("LeftArm", "Spine2", (0.18, 1.45, 0)),
    ("LeftForeArm", "LeftArm", (0.45, 1.45, 0)), ("LeftHand", "LeftForeArm", (0.70, 1.45, 0)),
    ("RightArm", "Spine2", (-0.18, 1.45, 0)), ("RightForeArm", "RightArm", (-0.45, 1.45, 0)),
    ("RightHand", "RightForeArm", (-0.70, 1.45, 0)), ("LeftUpLeg", "Hips", (0.10, 0.95, 0)),
    ("LeftLeg", "LeftUpLeg", (0.10, 0.50, 0)), ("LeftFoot", "LeftLeg", (0.10, 0.08, 0)),
    ("LeftToeBase", "LeftFoot", (0.10, 0.03, 0.14)), ("RightUpLeg", "Hips", (-0.10, 0.95, 0)),
    ("RightLeg", "RightUpLeg", (-0.10, 0.50, 0)), ("RightFoot", "RightLeg", (-0.10, 0.08, 0)),
    ("RightToeBase", "RightFoot", (-0.10, 0.03, 0.14)),
    *(
        (side + "Hand" + finger, side + "Hand", (x * 0.78, 1.45 + dy, 0))
        for side, x in (("Left", 1), ("Right", -1))
        for finger, dy in (("Middle1", 0), ("Index1", 0.02), ("Pinky1", -0.03), ("Thumb2", 0.04))
    ),
)  # fmt: skip
TUBES = (
    ("Hips", "Spine2", 0.15, "torso"), ("Spine2", "Neck", 0.14, "torso"),
    ("Neck", "Head", 0.06, "head"), ("LeftArm", "LeftForeArm", 0.055, "left_upper_arm"),
    ("RightArm", "RightForeArm", 0.055, "right_upper_arm"),
    ("LeftForeArm", "LeftHand", 0.045, "left_lower_arm"),
    ("RightForeArm", "RightHand", 0.045, "right_lower_arm"),
    ("LeftUpLeg", "LeftLeg", 0.085, "left_upper_leg"),
    ("RightUpLeg", "RightLeg", 0.085, "right_upper_leg"),
    ("LeftLeg", "LeftFoot", 0.06, "left_lower_leg"),
    ("RightLeg", "RightFoot", 0.06, "right_lower_leg"),
)  # fmt: skip


@pytest.fixture(scope="session")
def doll() -> Body:
    """A person made of tubes with a smooth, varied texture."""
    names = tuple(j[0] for j in JOINTS)
    rest = np.array([j[2] for j in JOINTS], float)
    parents = np.array([names.index(j[1]) if j[1] else -1 for j in JOINTS])
    pieces = [
        tube(rest[names.index(a)], rest[names.index(b)], radius, PART[part], 0, uv_tile=k)
        for k, (a, b, radius, part) in enumerate(TUBES)
    ]
    pieces.append(tube((0, 1.52, 0.01), (0, 1.80, 0.01), 0.10, PART["head"], 0, uv_tile=11))
    owners = [names.index(t[0]) for t in TUBES] + [names.index("Head")]
    vertices, triangles, uv, part, joint = [], [], [], [], []
    for (v, t, u, p), owner in zip(pieces, owners, strict=True):
        triangles += [[i + len(vertices) for i in tri] for tri in t]
        vertices, uv, part = vertices + v, uv + u, part + p
        joint += [owner] * len(v)
    vertices = np.array(vertices, np.float32)
    triangles = np.array(triangles, np.int32)
    joints = np.zeros((len(vertices), 4), np.uint8)
    joints[:, 0] = joint
    weights = np.zeros((len(vertices), 4), np.float32)
    weights[:, 0] = 1
    y, x = np.mgrid[:256, :256]
    waves = [np.sin(x / 17 + k) * np.cos(y / 23 - k) for k in range(3)]
    colour = np.stack([128 + 90 * w for w in waves] + [0 * x + 255], -1).astype(np.uint8)
    head = np.flatnonzero(np.array(part) == PART["head"])
    marks = {
        n: int(head[vertices[head, 2].argmax()]) for n in ("nose", "mouth_left", "mouth_right")
    }
    marks |= {"left_ear": int(head[vertices[head, 0].argmax()]),
              "right_ear": int(head[vertices[head, 0].argmin()])}  # fmt: skip
    for side in ("left", "right"):
        foot = np.flatnonzero(np.array(part) == PART[side + "_lower_leg"])
        marks[side + "_heel"] = int(foot[vertices[foot, 1].argmin()])
    return Body(
        name="doll", vertices=vertices, normals=vertex_normals(vertices, triangles),
        uv=np.array(uv, np.float32), triangles=triangles,
        material=np.zeros(len(triangles), np.uint8), joints=joints, weights=weights,
        rest_joints=rest, joint_names=names, parents=parents, part=np.array(part, np.uint8),
        landmarks=marks,
        texture=Texture(
            colour=colour, normal=np.full((2, 2, 3), (128, 128, 255), np.uint8),
            wig=np.full((2, 2, 4), 255, np.uint8), label=np.zeros((2, 2), np.uint8),
        ),
    )  # fmt: skip


@pytest.fixture(scope="session")
def wave() -> Clip:
    """Arms and a leg that swing, the body turning a little."""
    names = ("Hips", "LeftArm", "RightArm", "LeftUpLeg")
    frames = np.arange(40)
    rotations = np.zeros((40, 4, 4), np.float32)
    rotations[..., 3] = 1
    for k, (axis, swing) in enumerate(((1, 0.4), (2, -0.9), (2, 0.9), (0, -0.5))):
        half = 0.5 * swing * np.sin(frames / 9 + k)
        rotations[:, k, axis], rotations[:, k, 3] = np.sin(half), np.cos(half)
    return Clip(
        name="wave", rotations=rotations, root=np.tile([0, 1.0, 0], (40, 1)).astype(np.float32),
        joint_names=names, child_names=("",) * 4, rest_directions=np.zeros((4, 3), np.float32),
        leg_length=0.87,
    )  # fmt: skip
