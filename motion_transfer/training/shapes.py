"""People of other shapes: a picture swollen and shrunk in places, the skeleton along with it.

Rendered people are slim, their clothes are tight and their hair is a shell. What is learned from
them alone takes wide sleeves, tunics and big hair for mistakes and cuts them off. A drawing and the
truth that are reshaped in the same way teach that how wide somebody is stands in the drawing.

Axes: B batch, K bulges, H W pixels of the crop. Positions are picture pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from motion_transfer.generator.canonical import JOINT, Pose

_BODY = 3  # bulges anywhere along the body, and one at the head
_HEAD = [JOINT[name] for name in ("nose", "right_eye", "left_eye", "right_ear", "left_ear")]
_BODY_RADIUS, _BODY_STRENGTH = (0.25, 0.9), (-0.4, 0.45)
_HEAD_RADIUS, _HEAD_STRENGTH = (0.3, 0.7), (-0.15, 0.55)
_BESIDE = 0.15  # how far from its joint a bulge's centre lies
_ONE_WAY = 0.5  # probability that a bulge acts along one direction only
_ROUNDS = 8  # of the fixed-point iteration; the error is halved in each


class Bulges(NamedTuple):
    """Places that are magnified or shrunk, one after the other.

    centre: (B, K, 2) pixels.
    radius: (B, K) pixels, standard deviation of a Gaussian.
    strength: (B, K) below 1, the middle is magnified by 1 / (1 - strength).
    across: (B, K, 2) unit vector of the only direction, or 0 if it acts in all.
    """

    centre: torch.Tensor
    radius: torch.Tensor
    strength: torch.Tensor
    across: torch.Tensor


def draw_bulges(
    pose: Pose, torso_px: torch.Tensor, *, probability: float, generator: torch.Generator
) -> Bulges:
    """Bulges at random joints, and one at the head.

    Args:
        pose: (B,) in picture pixels.
        torso_px: (B,) length of the torso.
        probability: that a person is reshaped at all, in [0, 1].
        generator: of what is drawn.
    """
    batch, device = len(torso_px), pose.xy.device

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(batch, *shape, generator=generator).to(device)

    weights = pose.known.float().cpu() + 1e-6
    joints = torch.multinomial(weights, _BODY, generator=generator).to(device)
    body = pose.xy.gather(1, joints[..., None].expand(-1, -1, 2))
    noise = torch.randn(body.shape, generator=generator).to(device)
    body = body + _BESIDE * torso_px[:, None, None] * noise
    known = pose.known[:, _HEAD, None]
    head = (pose.xy[:, _HEAD] * known).sum(1) / known.sum(1).clamp_min(1e-6)
    size = [uniform(*_BODY_RADIUS, _BODY), uniform(*_HEAD_RADIUS, 1)]
    strength = [uniform(*_BODY_STRENGTH, _BODY), uniform(*_HEAD_STRENGTH, 1)]
    strength[1] = strength[1] * (known.sum((1, 2)) > 0)[:, None]
    angle = uniform(0.0, torch.pi, _BODY + 1)
    one_way = uniform(0.0, 1.0, _BODY + 1) < _ONE_WAY
    reshaped = uniform(0.0, 1.0, 1) < probability
    return Bulges(
        centre=torch.cat([body, head[:, None]], 1),
        radius=torch.cat(size, 1) * torso_px[:, None],
        strength=torch.cat(strength, 1) * reshaped,
        across=torch.stack([angle.cos(), angle.sin()], -1) * one_way[..., None],
    )


def reshape_positions(positions: torch.Tensor, bulges: Bulges) -> torch.Tensor:
    """Where the picture as it is has what the reshaped one shows.

    Args:
        positions: (B, N, 2) in the reshaped picture, pixels.
        bulges: how it is reshaped.
    """
    for centre, radius, strength, across in zip(*(b.unbind(1) for b in bulges), strict=True):
        away = positions - centre[:, None]
        share = strength[:, None] * torch.exp(
            -0.5 * (away / radius[:, None, None]).square().sum(-1)
        )
        along = (away * across[:, None]).sum(-1, keepdim=True) * across[:, None]
        one_way = across.square().sum(-1) > 0
        positions = positions - share[..., None] * torch.where(one_way[:, None, None], along, away)
    return positions


def reshape_pose(pose: Pose, bulges: Bulges) -> Pose:
    """The joints where the reshaped picture shows them: the inverse, by fixed-point iteration."""
    xy = pose.xy
    for number in reversed(range(bulges.radius.shape[1])):
        one = Bulges(*(b[:, number : number + 1] for b in bulges))
        wanted = xy
        for _ in range(_ROUNDS):
            xy = wanted + xy - reshape_positions(xy, one)
    return pose._replace(xy=xy)
