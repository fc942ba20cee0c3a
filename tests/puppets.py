"""Samples as the data engine makes them, drawn from flat capsules in a few milliseconds.

Every limb turns about its joint without stretching, so the true flow is known exactly.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import default_collate

from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.synth.dataset import to_tensors
from motion_transfer.synth.rig import KEYPOINTS, PARTS
from motion_transfer.synth.sample import Sample
from motion_transfer.synth.shards import write_shard

SIZE_HW = (128, 96)
TORSO = 28.0
# part, from, to, radius in torsos, nearer ones last
BONES = (
    ("left_upper_leg", "left_hip", "left_knee", 0.17),
    ("left_lower_leg", "left_knee", "left_ankle", 0.13),
    ("left_foot", "left_ankle", "left_toe", 0.1),
    ("right_upper_leg", "right_hip", "right_knee", 0.17),
    ("right_lower_leg", "right_knee", "right_ankle", 0.13),
    ("right_foot", "right_ankle", "right_toe", 0.1),
    ("torso", "neck", "midhip", 0.32),
    ("head", "neck", "crown", 0.2),
    ("left_upper_arm", "left_shoulder", "left_elbow", 0.12),
    ("left_lower_arm", "left_elbow", "left_wrist", 0.1),
    ("left_hand", "left_wrist", "left_hand", 0.1),
    ("right_upper_arm", "right_shoulder", "right_elbow", 0.12),
    ("right_lower_arm", "right_elbow", "right_wrist", 0.1),
    ("right_hand", "right_wrist", "right_hand", 0.1),
)
PARSE_OF = {"torso": 3, "head": 2, "upper_leg": 4, "lower_leg": 4, "foot": 8, "upper_arm": 3,
            "lower_arm": 6, "hand": 6}  # fmt: skip


def joints(rng: np.random.Generator, swing: float) -> dict[str, np.ndarray]:
    """Positions of a person who faces the camera, limbs swung at random."""
    height, width = SIZE_HW
    at = {"midhip": np.array([width / 2, 0.53 * height]) + rng.normal(0, 2, 2) * swing}
    lean = rng.normal(0, 0.1) * swing

    def turned(x: float, y: float, angle: float) -> np.ndarray:
        c, s = np.cos(angle), np.sin(angle)
        return TORSO * np.array([c * x - s * y, s * x + c * y])

    at["neck"] = at["midhip"] + turned(0, -1, lean)
    at["crown"] = at["neck"] + turned(0, -0.55, lean)
    for name, x, y in (("nose", 0, -0.38), ("left_eye", 0.06, -0.45), ("right_eye", -0.06, -0.45),
                       ("left_ear", 0.14, -0.42), ("right_ear", -0.14, -0.42),
                       ("mouth_left", 0.05, -0.28), ("mouth_right", -0.05, -0.28)):  # fmt: skip
        at[name] = at["neck"] + turned(x, y, lean)
    for side, sign in (("left", 1), ("right", -1)):
        at[f"{side}_shoulder"] = at["neck"] + turned(0.36 * sign, 0, lean)
        at[f"{side}_hip"] = at["midhip"] + turned(0.2 * sign, 0, lean)
        arm = sign * (-0.5 + rng.normal(0, 0.7) * swing)
        bend = arm + sign * rng.normal(0, 0.6) * swing
        at[f"{side}_elbow"] = at[f"{side}_shoulder"] + turned(0, 0.6, arm)
        at[f"{side}_wrist"] = at[f"{side}_elbow"] + turned(0, 0.5, bend)
        at[f"{side}_hand"] = at[f"{side}_wrist"] + turned(0, 0.2, bend)
        for finger in ("index", "pinky", "thumb"):
            at[f"{side}_{finger}"] = at[f"{side}_hand"]
        leg = -sign * 0.1 + rng.normal(0, 0.25) * swing
        at[f"{side}_knee"] = at[f"{side}_hip"] + turned(0, 0.85, leg)
        at[f"{side}_ankle"] = at[f"{side}_knee"] + turned(0, 0.8, 0.7 * leg)
        at[f"{side}_toe"] = at[f"{side}_ankle"] + turned(0.22 * sign, 0.1, 0)
        at[f"{side}_heel"] = at[f"{side}_ankle"] + turned(0, 0.05, 0)
    return at


def draw(at: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bone number per pixel (H, W), -1 outside; and (x, y) in that bone's own frame."""
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]].astype(float)
    place = np.stack([x, y], -1)
    owner = np.full(SIZE_HW, -1)
    own = np.zeros((*SIZE_HW, 2))
    for number, (_, a, b, radius) in enumerate(BONES):
        vector = at[b] - at[a]
        length = np.linalg.norm(vector)
        along, side = vector / length, np.array([-vector[1], vector[0]]) / length
        u, v = (place - at[a]) @ along, (place - at[a]) @ side
        near = np.hypot(u - np.clip(u, 0, length), v) < radius * TORSO
        owner[near] = number
        own[near] = np.stack([u, v], -1)[near]
    return owner, own


def place_in(at: dict[str, np.ndarray], owner: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Where the bones' points lie in another pose."""
    out = np.zeros((*SIZE_HW, 2))
    for number, (_, a, b, _) in enumerate(BONES):
        vector = at[b] - at[a]
        along = vector / np.linalg.norm(vector)
        here = owner == number
        u, v = own[here].T
        out[here] = at[a] + u[:, None] * along + v[:, None] * np.array([-along[1], along[0]])
    return out


def make_sample(seed: int, *, frames: int = 1, swing: float = 1.0) -> Sample:
    """A source and `frames` targets; `swing` 0 gives the same pose everywhere."""
    rng = np.random.default_rng(seed)
    poses = [joints(rng, swing) for _ in range(frames + 1)]
    drawn = [draw(at) for at in poses]
    colours = rng.uniform(0.2, 0.9, (len(BONES), 3))
    waves = rng.uniform(0.4, 0.9, (len(BONES), 2))
    names = [PARTS.index(b[0]) for b in BONES]
    parse = [PARSE_OF[b[0].replace("left_", "").replace("right_", "")] for b in BONES]
    rgb, alpha, part, labels, points = [], [], [], [], []
    for at, (owner, own) in zip(poses, drawn, strict=True):
        body = owner >= 0
        texture = 0.5 + 0.5 * np.sin((own * waves[owner]).sum(-1, keepdims=True))
        picture = np.where(body[..., None], colours[owner] * (0.5 + 0.5 * texture), 0.7)
        rgb.append((picture * 255).astype(np.uint8))
        alpha.append((body * 255).astype(np.uint8))
        part.append(np.where(body, np.array(names)[owner], 0).astype(np.uint8))
        labels.append(np.where(body, np.array(parse)[owner], 0).astype(np.uint8))
        xy = np.stack([at[n] for n in KEYPOINTS])
        nearer = np.array([-3.0 if n.split("_")[-1] in ("elbow", "wrist", "hand") else 0.0
                           for n in KEYPOINTS])  # fmt: skip
        points.append(np.concatenate([xy, nearer[:, None]], -1))
    grid = np.stack(np.meshgrid(np.arange(SIZE_HW[1]), np.arange(SIZE_HW[0])), -1)

    def flow(seen: int, other: int) -> tuple[np.ndarray, np.ndarray]:
        owner, own = drawn[seen]
        there = place_in(poses[other], owner, own)
        x, y = (np.clip(np.round(there[..., k]).astype(int), 0, SIZE_HW[1 - k] - 1) for k in (0, 1))
        shows = (drawn[other][0][y, x] == owner) & (owner >= 0)
        offset = np.where(owner[..., None] >= 0, there - grid, 0)
        return offset.astype(np.float32), shows.astype(np.uint8)

    ahead = [flow(t, 0) for t in range(1, frames + 1)]
    back = [flow(0, t) for t in range(1, frames + 1)]
    keypoints = np.stack(points).astype(np.float32)
    confident = np.concatenate([keypoints, np.ones_like(keypoints[..., :1])], -1)
    shape = (frames + 1, *SIZE_HW)
    return Sample(
        rgb=np.stack(rgb), alpha=np.stack(alpha), uv=np.zeros((*shape, 2), np.float32),
        depth=np.zeros(shape, np.float32), part=np.stack(part), parse=np.stack(labels),
        keypoints=keypoints, tracked=confident.astype(np.float32),
        flow=np.stack([f for f, _ in ahead]), visible=np.stack([v for _, v in ahead]),
        flow_back=np.stack([f for f, _ in back]), visible_back=np.stack([v for _, v in back]),
        name=f"puppet {seed}",
    )  # fmt: skip


def write_puppets(folder: Path, *, shards: int = 2, per_shard: int = 4, frames: int = 2) -> Path:
    """Shards of puppets."""
    for number in range(shards):
        seeds = range(number * per_shard, (number + 1) * per_shard)
        write_shard(folder / f"{number:03d}.npz", [make_sample(s, frames=frames) for s in seeds])
    return folder


def with_soft_rims(sample: Sample, *, backdrop: int) -> Sample:
    """The same in one colour, with soft rims, before a grey backdrop."""
    alpha = np.stack([cv2.GaussianBlur(a, (0, 0), 1.5) for a in sample.alpha])
    share = alpha[..., None] / 255
    rgb = np.round(np.array((90, 40, 20)) * share + backdrop * (1 - share)).astype(np.uint8)
    return dataclasses.replace(sample, rgb=rgb, alpha=alpha)


def make_batch(count: int = 4, *, frames: int = 2) -> dict[str, torch.Tensor]:
    """A collated batch."""
    return default_collate([to_tensors(make_sample(s, frames=frames)) for s in range(count)])


SMALL = {
    "flow_widths": (8, 16, 24, 32), "parser_widths": (8, 8, 16, 16),
    "garment_widths": (8, 16, 16), "source_widths": (4, 8, 8, 16),
    "synthesis_widths": (4, 8, 16, 16, 16), "refinement_widths": (8, 8, 16, 16),
}  # fmt: skip


def small_networks() -> PoseFlowNetworks:
    """Networks that run in milliseconds."""
    torch.manual_seed(0)
    return PoseFlowNetworks(**SMALL)
