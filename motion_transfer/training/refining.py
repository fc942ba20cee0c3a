"""The stage `refinement`: RefinementNet learns from the puppet's drawings of rendered people.

Axes: B batch, H W pixels of the crop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from motion_transfer.evaluation import metrics
from motion_transfer.generator.canonical import (
    Crop,
    Pose,
    body_size,
    crop_points,
    crop_pose,
    fit_crop,
    from_blazepose,
    head_disc,
    mirror_pose,
    picture_positions,
)
from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.generator.pose_maps import draw_pose
from motion_transfer.generator.refinement_net import Refinement, apply_refinement
from motion_transfer.generator.warp import sample
from motion_transfer.training import losses
from motion_transfer.training.colours import draw_colours, recolour
from motion_transfer.training.objectives import Features
from motion_transfer.training.rags import tear_rims
from motion_transfer.training.shapes import Bulges, draw_bulges, reshape_pose, reshape_positions
from motion_transfer.training.sheets import save_rows

WINDOW_SHARE = (0.625, 0.6667)
"""Of the crop's height and width that a step looks at: most of the rest is empty."""
REGION_PX = 4
"""The loss looks so far around the person."""
HAZE_PX = 7
"""How far outlines may lie apart and yet be compared in how soft they are."""
_MOVED_PX, _SCALED, _TURNED, _JITTER_PX = 4.0, 0.03, 0.1, 0.5  # the second view; its key points


class Drawn(NamedTuple):
    """Drawings with the truth, in crop pixels.

    drawn: (B, 5, H, W) as RefinementNet takes it.
    held: (B, 1, H, W) in [0, 1], where nothing may change.
    rgb: (B, 3, H, W) the truth, multiplied by its alpha.
    alpha: (B, 1, H, W) the true matte.
    pose: by which it was drawn.
    backdrop: (B, 3, 1, 1) a colour that both are put over.
    again: (B/2, 2, H, W) if the second half shows the same as the first one a little moved: where
        in it, pixels.
    """

    drawn: torch.Tensor
    held: torch.Tensor
    rgb: torch.Tensor
    alpha: torch.Tensor
    pose: Pose
    backdrop: torch.Tensor
    again: torch.Tensor | None = None


class Refined(NamedTuple):
    """Drawings as they were refined.

    rgb: (B, 3, H, W) over the backdrop.
    alpha: (B, 1, H, W), not yet clamped to [0, 1].
    refinement: how.
    """

    rgb: torch.Tensor
    alpha: torch.Tensor
    refinement: Refinement


class RefinementStage(nn.Module):
    """RefinementNet with its forward pass in training; what DDP wraps.

    Args:
        networks: all of them; the others are frozen.
        precision: "bf16" or "fp32".
    """

    def __init__(self, networks: PoseFlowNetworks, *, precision: str) -> None:
        super().__init__()
        self.networks = networks
        self.precision = precision
        networks.requires_grad_(False)
        networks.refinement.requires_grad_(True)

    def forward(self, pair: Drawn) -> Refined:
        """Refine a batch."""
        size_hw = (pair.drawn.shape[-2], pair.drawn.shape[-1])
        maps = draw_pose(pair.pose, full_hw=size_hw).maps
        kind = pair.drawn.device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            found = self.networks.refinement(pair.drawn, maps, pair.held)
        rgb, alpha = apply_refinement(pair.drawn[:, :4], found.painted, found.gate, found.step)
        return Refined(torch.lerp(pair.backdrop, rgb, alpha.clamp(0, 1)), alpha, found)


def cut_drawings(
    samples: Mapping[str, torch.Tensor],
    *,
    size_hw: tuple[int, int],
    generator: torch.Generator | None = None,
    twice: bool = False,
    reshaped: float = 0.0,
    torn: float = 0.0,
) -> Drawn:
    """Cut a batch of drawings to canonical crops.

    Args:
        samples: collated from `drawings.DrawnFrames`.
        size_hw: of the crop.
        generator: in training, of what is drawn at random: a window of the crop, mirrored or not,
            in other colours, over some backdrop; None: whole crops as they are, over grey.
        twice: in training, the batch is followed by itself a little moved, scaled and turned, as
            the next frame would be.
        reshaped: in training, probability that a person gets another shape, see `shapes`.
        torn: in training, probability that a drawing's outline gets rags, see `rags`.
    """
    drawn, alpha = samples["drawn"].float() / 255, samples["alpha"].float() / 255
    if generator is not None and torn > 0:
        shown = tear_rims(drawn[:, :5], probability=torn, generator=generator)
        drawn = torch.cat([shown, drawn[:, 5:]], 1)
    maps = torch.cat([drawn, samples["rgb"].float() / 255 * alpha, alpha], 1)
    joints = samples["joints"]
    pose = from_blazepose(joints[..., :2], joints[..., 2], joints[..., 3])
    picture_hw = (maps.shape[-2], maps.shape[-1])
    if generator is not None and torch.rand(1, generator=generator) < 0.5:
        maps, pose = maps.flip(-1), mirror_pose(pose, picture_hw[1])
    bulges = None
    if generator is not None and reshaped > 0:
        bulges = draw_bulges(pose, body_size(pose), probability=reshaped, generator=generator)
        pose = reshape_pose(pose, bulges)
    crop = fit_crop(pose, picture_hw, size_hw=size_hw)
    if generator is not None:
        height, width = (16 * round(n * s / 16) for n, s in zip(size_hw, WINDOW_SHARE, strict=True))
        size_hw = (height, width)
        crop = Crop(_window_centres(maps, crop.scale, size_hw, generator), crop.scale)
    positions, again = picture_positions(crop, size_hw), None
    if generator is not None and twice:
        moved, angle = _moved(crop, generator)
        there = _turned(positions.flatten(2).mT, moved.centre, -angle)
        again = crop_points(there, moved, size_hw).mT.unflatten(2, size_hw)
        second = _turned(picture_positions(moved, size_hw).flatten(2).mT, moved.centre, angle)
        positions = torch.cat([positions, second.mT.unflatten(2, size_hw)])
        xy = torch.cat([pose.xy, _turned(pose.xy, moved.centre, -angle)])
        maps, pose = _doubled(maps), Pose(xy, _doubled(pose.depth), _doubled(pose.known))
        crop = Crop(*(torch.cat(both) for both in zip(crop, moved, strict=True)))
    if bulges is not None:
        bulges = bulges if again is None else Bulges(*map(_doubled, bulges))
        flat = reshape_positions(positions.flatten(2).mT, bulges)
        positions = flat.mT.unflatten(2, size_hw)
    planes = sample(maps, positions)
    drawn, held, rgb, alpha = planes.split([5, 1, 3, 1], 1)
    rgb = _same_exposure(rgb, alpha, drawn)
    backdrop = torch.full_like(rgb[..., :1, :1], 0.5)
    if generator is not None:
        looks = [
            torch.rand(len(joints), 3, 1, 1, generator=generator).to(rgb.device),
            *draw_colours(len(joints), generator, rgb.device),
        ]
        backdrop, matrix, offset = looks if again is None else map(_doubled, looks)
        own = recolour(drawn[:, :3], drawn[:, 3:4], matrix, offset)
        drawn, rgb = torch.cat([own, drawn[:, 3:]], 1), recolour(rgb, alpha, matrix, offset)
    pose = crop_pose(pose, crop, size_hw)
    held = torch.maximum(held, head_disc(pose, body_size(pose), size_hw))
    if generator is not None and again is not None:
        first, second = pose.xy.chunk(2)
        noise = _JITTER_PX * torch.randn(second.shape, generator=generator).to(second)
        pose = pose._replace(xy=torch.cat([first, second + noise]))
    return Drawn(drawn, held, rgb, alpha, pose, backdrop, again)


def _doubled(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x, x])


def _moved(crop: Crop, generator: torch.Generator) -> tuple[Crop, torch.Tensor]:
    """The crop as it might lie a frame later, and the angle (B,) that it is turned by, radians."""
    shares = 2 * torch.rand(len(crop.scale), 4, generator=generator).to(crop.centre) - 1
    centre = crop.centre + _MOVED_PX * shares[:, :2] / crop.scale[:, None]
    return Crop(centre, crop.scale * (1 + _SCALED * shares[:, 2])), _TURNED * shares[:, 3]


def _turned(xy: torch.Tensor, centre: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Points (B, N, 2) turned about the centre (B, 2)."""
    x, y = (xy - centre[:, None]).unbind(-1)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    return centre[:, None] + torch.stack([cos * x - sin * y, sin * x + cos * y], -1)


def _window_centres(
    maps: torch.Tensor, scale: torch.Tensor, size_hw: tuple[int, int], generator: torch.Generator
) -> torch.Tensor:
    """(B, 2) picture pixels: anywhere along a person who is larger than the window."""
    shown = (maps[:, 3] > 0) | (maps[:, -1] > 0)
    centres = []
    for axis, length in ((1, size_hw[1]), (2, size_hw[0])):  # x is where any row shows something
        line = shown.any(axis)
        place = torch.arange(line.shape[1], device=line.device).expand_as(line)
        low = torch.where(line, place, line.shape[1]).amin(1).float()
        high = torch.where(line, place, -1).amax(1).float()
        room = (high - low - length / scale).clamp_min(0) / 2
        share = 2 * torch.rand(len(line), generator=generator).to(line.device) - 1
        centres.append((low + high) / 2 + share * room)
    return torch.stack(centres, -1)


def _same_exposure(rgb: torch.Tensor, alpha: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    """The truth in the drawing's exposure and white balance; another look is not to be guessed."""
    both = ((alpha > 0.9) & (drawn[:, 3:4] > 0.9)).float()
    means = [(x * both).sum((2, 3), keepdim=True) for x in (drawn[:, :3], rgb)]
    gain = (means[0] / means[1].clamp_min(1e-3)).clamp(0.5, 2.0)
    return torch.minimum(rgb * torch.where(means[1] > 1, gain, 1.0), alpha)


def refinement_terms(
    refined: Refined, pair: Drawn, features: Features | None
) -> dict[str, torch.Tensor]:
    """Colour over the backdrop, matte, haze, SSIM, features, steadiness, around the person."""
    region = _region(pair)
    truth = _over(pair)
    terms = {
        "rgb": losses.l1(refined.rgb, truth, region),
        "alpha": losses.l1(refined.alpha, pair.alpha, region),
        "crisp": _haze(refined.alpha, pair.alpha, region),
        "ssim": _unlikeness(refined.rgb, truth, region),
    }
    if features is not None:
        ours, theirs = ([x.float() for x in features(picture)] for picture in (refined.rgb, truth))
        terms["perceptual"] = metrics.distance_of_features(ours, theirs, mask=region).mean()
    if pair.again is not None:
        terms["steady"] = _unsteadiness(refined, pair, region)
    return terms


def _unlikeness(rgb: torch.Tensor, truth: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """1 - SSIM: what is smeared may be near on average, but has no structure."""
    ours = torch.lerp(truth, rgb.float(), region)  # nothing of what is held
    return 1 - metrics.ssim(ours.clamp(0, 1), truth.clamp(0, 1), mask=region + 1e-6).mean()


def _haze(alpha: torch.Tensor, truth: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
    """How much more of a matte is half transparent than of the truth, in neighbourhoods.

    An outline that lies a little elsewhere is as good as one that is smeared in all other terms.
    """
    ours, theirs = (
        functional.avg_pool2d(x * (1 - x), 2 * HAZE_PX + 1, 1, HAZE_PX)
        for x in (alpha.clamp(0, 1), truth)
    )
    return losses.l1(torch.maximum(ours, theirs), theirs, region)


def _unsteadiness(refined: Refined, pair: Drawn, region: torch.Tensor) -> torch.Tensor:
    """How far what is done to a drawing differs from what is done to the same one moved.

    Eilertsen et al., "Single-frame Regularization for Temporally Stable CNNs" (CVPR 2019).
    """
    assert pair.again is not None
    change = torch.cat([refined.rgb - _plain(pair), refined.alpha - pair.drawn[:, 3:4]], 1)
    first, second = torch.cat([change, region], 1).chunk(2)
    second = sample(second, pair.again)
    return losses.l1(first[:, :4], second[:, :4], first[:, 4:] * second[:, 4:])


def _plain(pair: Drawn) -> torch.Tensor:
    return pair.drawn[:, :3] + (1 - pair.drawn[:, 3:4]) * pair.backdrop


def _over(pair: Drawn) -> torch.Tensor:
    return pair.rgb + (1 - pair.alpha) * pair.backdrop


def _region(pair: Drawn) -> torch.Tensor:
    """(B, 1, H, W) near the person, and not held."""
    person = torch.maximum(pair.alpha, pair.drawn[:, 3:4])
    return functional.max_pool2d(person, 2 * REGION_PX + 1, 1, REGION_PX) * (1 - pair.held)


@torch.no_grad()
def score(
    stage: RefinementStage,
    samples: Iterable[Mapping[str, torch.Tensor]],
    *,
    size_hw: tuple[int, int],
) -> dict[str, float]:
    """Mean scores of drawings and of what is made of them, around the person.

    Returns:
        PSNR in dB (`psnr`, `psnr_drawn`) and overlap of the mattes (`alpha_iou`,
        `alpha_iou_drawn`).
    """
    sums: dict[str, list[float]] = {}
    stage.eval()
    for batch in samples:
        pair = cut_drawings(batch, size_hw=size_hw)
        refined = stage(pair)
        for name, rgb, alpha in (
            ("", refined.rgb.clamp(0, 1), refined.alpha),
            ("_drawn", _plain(pair), pair.drawn[:, 3:4]),
        ):
            psnr = metrics.psnr(rgb, _over(pair), mask=_region(pair))
            sums.setdefault(f"psnr{name}", []).extend(psnr.tolist())
            overlap = metrics.iou(alpha > 0.5, pair.alpha > 0.5)
            sums.setdefault(f"alpha_iou{name}", []).extend(overlap.tolist())
    stage.train()
    return {name: sum(values) / len(values) for name, values in sums.items()}


def write_sheet(path: Path, pair: Drawn, refined: Refined, *, rows: int = 6) -> None:
    """Write a PNG; columns: drawing, refined, truth, gate, step of alpha (grey: none), held."""
    found = refined.refinement
    grey = (1, 3, 1, 1)
    columns = [
        _plain(pair), refined.rgb, _over(pair),
        found.gate.repeat(grey), (0.5 + 0.5 * found.step).repeat(grey), pair.held.repeat(grey),
    ]  # fmt: skip
    save_rows(path, columns, rows)
