"""Loss terms as pure functions: tensors in, a scalar out.

Masks and weights are (B, 1, H, W) and a term is a weighted mean over pixels, so that its size does
not depend on how much of the picture a person fills.

Axes: B batch, C channels, H W pixels, K body parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from motion_transfer.generator.parts import PART_NAMES
from motion_transfer.generator.warp import pixel_grid, sample, warp
from motion_transfer.synth.rig import PARTS


def weighted_mean(value: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Mean of `value` (B, C, H, W) with weights (B, 1, H, W); 0 where there is no weight."""
    if weight is None:
        return value.mean()
    return (value * weight).sum() / (weight.sum() * value.shape[1]).clamp_min(1e-6)


def l1(a: torch.Tensor, b: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Mean absolute difference."""
    return weighted_mean((a - b).abs(), weight)


def end_point_error(
    flow: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor, *, epsilon: float = 0.1
) -> torch.Tensor:
    """Robust length of the flow's error, pixels: sqrt(|e|^2 + epsilon^2) - epsilon."""
    squared = ((flow - truth) ** 2).sum(1, keepdim=True)
    return weighted_mean((squared + epsilon**2).sqrt() - epsilon, weight)


def pool_flow(
    flow: torch.Tensor, weight: torch.Tensor, factor: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ground-truth flow at a coarser level, averaged where it has weight, in that level's pixels.

    Returns:
        The flow (B, 2, h, w) and the mean weight (B, 1, h, w).
    """
    if factor == 1:
        return flow, weight
    mass = functional.avg_pool2d(weight, factor)
    mean = functional.avg_pool2d(flow * weight, factor) / mass.clamp_min(1e-6)
    return mean / factor, mass


def binary(
    logit: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Binary cross-entropy, for visibility, mask and alpha."""
    loss = functional.binary_cross_entropy_with_logits(logit, truth, reduction="none")
    return weighted_mean(loss, weight)


def soft_iou(logit: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """1 - overlap of masks; sees thin arms that hardly count in the cross-entropy."""
    p = torch.sigmoid(logit)
    both, either = (p * truth).sum((1, 2, 3)), (p + truth - p * truth).sum((1, 2, 3))
    return (1 - (both + 1) / (either + 1)).mean()


def parse_entropy(
    logits: torch.Tensor, labels: torch.Tensor, class_weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross-entropy of garment logits (B, P, H, W) and labels (B, H, W)."""
    return functional.cross_entropy(logits, labels, class_weights)


_OF_ENGINE = [[PART_NAMES.index(n)] if n in PART_NAMES else [] for n in PARTS]
_OF_ENGINE[PARTS.index("head")] = [PART_NAMES.index("head"), PART_NAMES.index("hair")]
_OF_ENGINE[PARTS.index("hair")] = [PART_NAMES.index("head"), PART_NAMES.index("hair")]


def part_entropy(part_logits: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the mixture with the part that is really seen.

    A skirt's candidate is right as well wherever the torso or an upper leg is; either may explain
    hair. Pixels without body do not count.

    Args:
        part_logits: (B, K, h, w).
        part: (B, h, w) int64 of `synth.rig.PARTS`.
    """
    allowed = torch.zeros(len(PARTS), part_logits.shape[1], device=part.device)
    for engine, ours in enumerate(_OF_ENGINE):
        allowed[engine, ours] = 1
    for name in ("torso", "left_upper_leg", "right_upper_leg"):
        allowed[PARTS.index(name), PART_NAMES.index("skirt")] = 1
    mask = allowed[part].movedim(-1, 1)  # (B, K, h, w)
    matched = (torch.softmax(part_logits, 1) * mask).sum(1, keepdim=True)
    # bounded: where the tracker lost a limb, the prior is sure of a wrong part
    return weighted_mean(-torch.log(0.99 * matched + 0.001), (part > 0)[:, None].float())


def total_variation(flow: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of neighbouring vectors inside of the mask."""
    across, down = (flow[..., 1:] - flow[..., :-1]).abs(), (flow[..., 1:, :] - flow[..., :-1, :])
    return weighted_mean(across, weight[..., 1:] * weight[..., :-1]) + weighted_mean(
        down.abs(), weight[..., 1:, :] * weight[..., :-1, :]
    )


def local_affine(flow: torch.Tensor, weight: torch.Tensor, *, size: int = 5) -> torch.Tensor:
    """How far the flow is from affine in every patch: ||T - T A (A^T A)^-1 A^T||^2.

    The regulariser of Global-Flow-Local-Attention (Ren et al., CVPR 2020). The sampling grid is
    affine itself, so the residual of the flow is that of the sampled positions.

    Args:
        flow: (B, 2, h, w).
        weight: (B, 1, h, w); a patch counts by its least pixel.
        size: of the patches.
    """
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    basis = torch.stack([x.flatten(), y.flatten(), torch.ones(size * size)], 1).to(flow)
    inverse = torch.linalg.inv((basis.T @ basis).double().cpu()).to(flow)
    rest = torch.eye(size * size).to(flow) - basis @ inverse @ basis.T  # (k^2, k^2)
    patches = functional.unfold(flow, size).unflatten(1, (2, size * size))  # (B, 2, k^2, L)
    with torch.autocast(flow.device.type, enabled=False):
        left = (rest @ patches.float()).square().mean(2)  # (B, 2, L)
    counts = functional.unfold(weight, size).amin(1)[:, None]  # (B, 1, L)
    return (left * counts).sum() / (2 * counts.sum()).clamp_min(1e-6)


def feature_warp(
    source: torch.Tensor,
    target: torch.Tensor,
    flow: torch.Tensor,
    visibility: torch.Tensor,
    weight: torch.Tensor,
    *,
    hidden_cost: float = 0.3,
) -> torch.Tensor:
    """Learn flow without correspondences: warped source features should be the target's.

    1 - cosine where the pixel is said to be visible, `hidden_cost` where it is said to be hidden,
    so hiding pays only where nothing matches.

    Args:
        source: (B, C, h, w) features of the photo, e.g. of a frozen ImageNet network.
        target: (B, C, h, w) of the target picture.
        flow: (B, 2, h, w) pixels of this size.
        visibility: (B, 1, h, w) in [0, 1].
        weight: (B, 1, h, w), the target's person.
        hidden_cost: of a pixel that is said to be hidden.
    """
    cosine = functional.cosine_similarity(warp(source, flow), target, 1, 1e-6)[:, None]
    return weighted_mean(visibility * (1 - cosine) + (1 - visibility) * hidden_cost, weight)


def perceptual(
    a: Sequence[torch.Tensor],
    b: Sequence[torch.Tensor],
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """L1 of a frozen network's features, averaged over its layers (Johnson et al., ECCV 2016)."""
    terms = []
    for x, y in zip(a, b, strict=True):
        here = None
        if weight is not None:
            here = functional.interpolate(weight, x.shape[-2:], mode="area")
        terms.append(l1(x.float(), y.detach().float(), here))
    return torch.stack(terms).mean()


def gram(x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """(B, C, C) inner products of the channels, per pixel that counts."""
    flat = x.float().flatten(2)
    if weight is None:
        return flat @ flat.transpose(1, 2) / flat.shape[2]
    here = functional.interpolate(weight, x.shape[-2:], mode="area").flatten(2)
    return (flat * here) @ flat.transpose(1, 2) / here.sum(2, keepdim=True).clamp_min(1)


def style(
    a: Sequence[torch.Tensor],
    b: Sequence[torch.Tensor],
    weight: torch.Tensor | None = None,
) -> torch.Tensor:
    """L1 of Gram matrices, averaged over layers (Gatys et al., CVPR 2016)."""
    terms = [
        (gram(x, weight) - gram(y, weight).detach()).abs().mean() / x.shape[1]
        for x, y in zip(a, b, strict=True)
    ]
    return torch.stack(terms).mean()


def hinge_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Hinge loss of a discriminator (Lim and Ye, 2017)."""
    return (functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()) / 2


def hinge_generator(fake: torch.Tensor) -> torch.Tensor:
    """What the generator makes of a discriminator's logits."""
    return -fake.mean()


def feature_matching(real: Sequence[torch.Tensor], fake: Sequence[torch.Tensor]) -> torch.Tensor:
    """L1 of a discriminator's features (Wang et al., CVPR 2018)."""
    return perceptual(fake, real)


def temporal_flow(
    flow: torch.Tensor, later: torch.Tensor, step: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """One surface point has one place in the photo: s_t(x) = s_t+1(x + step).

    The relation of C2F-FWN's flow temporal consistency (Wei et al., AAAI 2021).

    Args:
        flow: (B, 2, H, W) of frame t.
        later: (B, 2, H, W) of the next frame, with the same photo.
        step: (B, 2, H, W) motion of the target's surface from frame t to the next.
        weight: (B, 1, H, W), where `step` is known.
    """
    x = pixel_grid(*flow.shape[-2:], device=flow.device)
    carried = x + step + sample(later, x + step, padding="border")
    return end_point_error(x + flow, carried, weight)


def temporal_picture(
    rgb: torch.Tensor, later: torch.Tensor, step: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """The next frame, carried back along the target's motion, looks the same."""
    return l1(rgb, warp(later, step, padding="border"), weight)


def add_up(
    terms: Mapping[str, torch.Tensor], weights: Mapping[str, float]
) -> dict[str, torch.Tensor]:
    """The terms and their weighted sum, `total`.

    Raises:
        KeyError: a term has no weight.
    """
    total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
    return {**terms, "total": total}
