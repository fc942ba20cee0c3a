"""Change bodies: proportions, girth, loose clothes, skirts that hang between the legs."""

from __future__ import annotations

import dataclasses

import numpy as np

from motion_transfer.synth.body import WIG, Body
from motion_transfer.synth.rig import PARSE_INDEX, PART


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shape:
    """How a body differs from its asset.

    Args:
        leg_scale: length of the legs.
        torso_scale: length of the trunk.
        arm_scale: length of the arms.
        head_scale: size of the head.
        girth_m: added thickness of trunk and thighs.
        limb_girth_m: added thickness of arms and shins.
        loose_m: how far clothes stand off the body.
    """

    leg_scale: float = 1.0
    torso_scale: float = 1.0
    arm_scale: float = 1.0
    head_scale: float = 1.0
    girth_m: float = 0.0
    limb_girth_m: float = 0.0
    loose_m: float = 0.0


def random_shape(rng: np.random.Generator) -> Shape:
    """Draw a shape within limits that do not break the mesh."""
    return Shape(
        leg_scale=float(np.exp(rng.normal(0, 0.045))),
        torso_scale=float(np.exp(rng.normal(0, 0.04))),
        arm_scale=float(np.exp(rng.normal(0, 0.035))),
        head_scale=float(np.exp(rng.normal(0, 0.04))),
        girth_m=float(np.clip(rng.normal(0.004, 0.014), -0.015, 0.045)),
        limb_girth_m=float(np.clip(rng.normal(0.001, 0.005), -0.008, 0.015)),
        loose_m=float(max(0.0, rng.normal(-0.004, 0.012))),
    )


def reshape(body: Body, shape: Shape) -> Body:
    """A body with other proportions.

    Lengths are changed by warping the space of the T-shaped rest pose (vertices and joints
    alike), thickness by moving vertices along their normals.
    """
    rest = body.rest_joints
    hip_y = rest[body.joint("LeftUpLeg"), 1]
    neck = rest[body.joint("Neck")]
    shoulder_x = abs(rest[body.joint("LeftArm"), 0])

    def warp(points: np.ndarray) -> np.ndarray:
        out = points.astype(np.float64).copy()
        y = points[:, 1]
        legs = np.minimum(y, hip_y) * shape.leg_scale
        trunk = np.clip(y - hip_y, 0, neck[1] - hip_y) * shape.torso_scale
        head = np.maximum(y - neck[1], 0) * shape.head_scale
        out[:, 1] = legs + trunk + head
        side = np.abs(points[:, 0])
        beyond = np.maximum(side - shoulder_x, 0)
        out[:, 0] = np.sign(points[:, 0]) * (side + beyond * (shape.arm_scale - 1))
        above = np.clip((y - neck[1]) / 0.06, 0, 1)
        near = side < shoulder_x * 0.9
        grow = 1 + np.where(near, above, 0) * (shape.head_scale - 1)
        out[:, 0] *= grow
        out[:, 2] = neck[2] + (points[:, 2] - neck[2]) * grow
        return out

    texel = np.clip((body.uv * body.texture.label.shape[0]).astype(int), 0, None)
    texel = np.minimum(texel, body.texture.label.shape[0] - 1)
    label = body.texture.label[texel[:, 1], texel[:, 0]]
    label[np.unique(body.triangles[body.material == WIG])] = PARSE_INDEX["hair"]
    thick = np.zeros(len(body.vertices))
    trunk_parts = [PART[n] for n in ("torso", "left_upper_leg", "right_upper_leg")]
    limb_parts = [
        PART[side + limb]
        for side in ("left_", "right_")
        for limb in ("upper_arm", "lower_arm", "lower_leg")
    ]
    thick[np.isin(body.part, trunk_parts)] += shape.girth_m
    thick[np.isin(body.part, limb_parts)] += shape.limb_girth_m
    cloth = np.isin(label, [PARSE_INDEX[n] for n in ("upper", "lower", "dress")])
    thick[cloth] += shape.loose_m
    thick = _smooth(thick, body.triangles, rounds=4)
    vertices = warp(body.vertices + body.normals * thick[:, None].astype(np.float32))
    return dataclasses.replace(body, vertices=vertices.astype(np.float32), rest_joints=warp(rest))


def join_skirt(
    vertices: np.ndarray,
    joints: np.ndarray,
    weights: np.ndarray,
    label: np.ndarray,
    rest_joints: np.ndarray,
    joint_names: tuple[str, ...],
    *,
    skirt: bool | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Make skirts, dresses and coats hang between the legs instead of splitting like trousers.

    Below the hips their vertices follow the hips and a mixture of both thighs that changes
    smoothly from left to right, and never the shins.

    Args:
        vertices: (V, 3) rest positions.
        joints: (V, 4) joint indices.
        weights: (V, 4).
        label: (V,) of `rig.PARSE`; 0 where a vertex is no garment.
        rest_joints: (J, 3).
        joint_names: J names.
        skirt: whether a garment labelled "lower" is a skirt; None: only dresses and what hangs
            low of "upper" (coats) count.

    Returns:
        Joints and weights, changed or as they were.
    """
    index = {name: number for number, name in enumerate(joint_names)}
    hip_y = rest_joints[index["LeftUpLeg"], 1]
    kinds = [PARSE_INDEX["dress"], PARSE_INDEX["upper"]]
    if skirt:
        kinds.append(PARSE_INDEX["lower"])
    hanging = np.isin(label, kinds) & (vertices[:, 1] < hip_y)
    if hanging.sum() < 100 or np.percentile(vertices[hanging, 1], 15) > 0.85 * hip_y:
        return joints, weights
    hanging &= vertices[:, 1] > 0.2 * hip_y
    joints, weights = joints.copy(), weights.copy()
    x, y = vertices[hanging, 0], vertices[hanging, 1]
    drop = np.clip((hip_y - y) / 0.22, 0, 1)
    left = np.clip(x / 0.30 + 0.5, 0, 1)
    left = left * left * (3 - 2 * left)
    joints[hanging] = np.array(
        [index["Hips"], index["LeftUpLeg"], index["RightUpLeg"], index["Hips"]], joints.dtype
    )
    weights[hanging] = np.stack(
        [1 - 0.85 * drop, 0.85 * drop * left, 0.85 * drop * (1 - left), 0 * drop], 1
    )
    return joints, weights


def _smooth(values: np.ndarray, triangles: np.ndarray, rounds: int) -> np.ndarray:
    """Average per-vertex values over triangles a few times."""
    count = np.bincount(triangles.ravel(), minlength=len(values)).clip(1)
    for _ in range(rounds):
        mean = values[triangles].mean(1)
        total = np.zeros(len(values))
        for k in range(3):
            total += np.bincount(triangles[:, k], mean, minlength=len(values))
        values = total / count
    return values
