"""What each stage of training computes: networks on a pair, and the terms of its loss.

`flow` trains PoseFlowNet; `garment` the parser and GarmentNet on frozen flow; `synthesis`
SynthesisNet on both; `joint` all of them.

Axes: B batch, H W pixels of the crop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from motion_transfer.generator.canonical import JOINT, TORSO_PX, Crop, Pose, body_size, crop_image
from motion_transfer.generator.networks import PoseFlowNetworks, Result
from motion_transfer.generator.pose_flow_net import PoseFlow
from motion_transfer.generator.pose_maps import draw_pose, draw_source, propose
from motion_transfer.generator.warp import pixel_grid, sample
from motion_transfer.training import losses
from motion_transfer.training.batches import Pair, View, ten_part_maps
from motion_transfer.training.config import LossConfig, Stage

Features = Callable[[torch.Tensor], Sequence[torch.Tensor]]
TRAINED: dict[Stage, tuple[str, ...]] = {
    "flow": ("flow",), "garment": ("parser", "garment"), "synthesis": ("synthesis",),
    "joint": ("flow", "parser", "garment", "synthesis"),
}  # fmt: skip


CLOSE_UP_HW = (48, 48)
FACE = (("nose", "right_ear", "left_ear"),)
HANDS = (("right_hand",), ("left_hand",))
_SIDE_TORSO = {FACE: 0.8, HANDS: 0.5}


class Outputs:
    """Tensors of one step that sheets and scores look at.

    Args:
        flow: PoseFlowNet's answer.
        result: of all networks; None in the flow stage.
        parse: (B, P, H/2, W/2) the parser's logits; None in the flow stage.
    """

    def __init__(
        self, flow: PoseFlow, result: Result | None = None, parse: torch.Tensor | None = None
    ) -> None:
        self.flow = flow
        self.result = result
        self.parse = parse


class StageNetworks(nn.Module):
    """The networks with the forward pass of a stage; what DDP wraps.

    Args:
        networks: all four.
        stage: which of them are trained; the others are frozen.
        precision: "bf16" runs convolutions in half the memory; poses and losses stay float32.
    """

    def __init__(self, networks: PoseFlowNetworks, *, stage: Stage, precision: str) -> None:
        super().__init__()
        self.networks = networks
        self.stage: Stage = stage
        self.precision = precision
        for name, part in networks.named_children():
            part.requires_grad_(name in TRAINED[stage])

    def forward(
        self,
        source: View,
        target: View,
        keep: torch.Tensor | None = None,
        real_parts: torch.Tensor | None = None,
    ) -> Outputs:
        """Render a batch.

        Args:
            source: the photo.
            target: only its pose (and `part`, as DensePose would give it) is looked at.
            keep: (B, 4) which pose maps are there; None: all.
            real_parts: (B,) bool, whose ten-part map is the engine's, not made from joints.
        """
        size_hw = (source.rgb.shape[-2], source.rgb.shape[-1])
        ten = [ten_part_maps(v.part) if real_parts is not None else None for v in (source, target)]
        maps = draw_source(
            source.pose, source.alpha, ten_parts=ten[0], has_parts=real_parts, keep=keep
        )
        pose = draw_pose(
            target.pose, full_hw=size_hw, ten_parts=ten[1], has_parts=real_parts, keep=keep
        )
        kind = source.rgb.device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            if self.stage == "flow":
                features = self.networks.flow.encode_source(maps)
                return Outputs(self.networks.flow(features, pose, propose(maps, pose)))
            encoded = self.networks.encode_source(source.rgb, maps)
            if self.stage == "garment":
                flow = self.networks.flow(encoded.flow_features, pose, propose(maps, pose))
                garment = self.networks.garment([encoded.garment_features], [flow], pose.maps)
                return Outputs(flow, Result((flow,), garment, None), encoded.parse)
            result = self.networks([encoded], pose)
            return Outputs(result.flows[0], result, encoded.parse)


def flow_terms(flow: PoseFlow, pair: Pair, loss: LossConfig) -> dict[str, torch.Tensor]:
    """Terms of PoseFlowNet."""
    full, seen, mask = flow.full()
    body = pair.known if loss.supervised else pair.target.alpha
    terms = {
        "mask": losses.binary(mask, pair.target.alpha),
        "mask_overlap": losses.soft_iou(mask, pair.target.alpha),
        "residual": flow.finest.residual.abs().mean() / TORSO_PX * 10,
        "variation": losses.total_variation(full, body),
    }
    if loss.supervised:
        weight = pair.known * (pair.visible + loss.hidden_flow * (1 - pair.visible))
        part = pair.target.part[:, ::2, ::2]
        terms["visibility"] = losses.binary(seen, pair.visible)
        terms["part"] = losses.part_entropy(flow.finest.part_logits, part)
        terms["flow"] = losses.end_point_error(full, pair.flow, weight)
        coarse = []
        for level, factor in zip(flow.levels[:2], (8, 4), strict=True):
            truth, share = losses.pool_flow(pair.flow, weight, factor)
            coarse.append(factor * losses.end_point_error(level.flow, truth, share))
        terms["flow_coarse"] = torch.stack(coarse).sum()
    if loss.affine > 0:
        terms["affine"] = losses.local_affine(full, body)
    return terms


def unpaired_flow_terms(flow: PoseFlow, pair: Pair, features: Features) -> dict[str, torch.Tensor]:
    """Flow from pictures alone: warped source features should be the target's, at each scale.

    People are compared over the same grey: a backdrop that shines into the features of an outline
    would say that nothing matches there.
    """
    with torch.no_grad():
        source, target = (features(_over_grey(v.rgb, v.alpha)) for v in (pair.source, pair.target))
    terms = []
    for level in flow.levels:
        size = level.flow.shape[-2:]
        here = functional.interpolate(pair.target.alpha, size, mode="area")
        seen = torch.sigmoid(level.visibility)
        for s, t in zip(source, target, strict=True):
            s, t = (functional.interpolate(x.float(), size, mode="bilinear") for x in (s, t))
            terms.append(losses.feature_warp(s, t, level.flow, seen, here))
    return {"feature_warp": torch.stack(terms).mean()}


def garment_terms(outputs: Outputs, pair: Pair) -> dict[str, torch.Tensor]:
    """Terms of the parser and of GarmentNet."""
    assert outputs.result is not None and outputs.parse is not None
    garment = outputs.result.garment
    coarse = [
        losses.parse_entropy(logits, pair.target.parse[:, f // 2 :: f, f // 2 :: f])
        for logits, f in zip(garment.coarse, (8, 4), strict=True)
    ]
    return {
        "parse_source": losses.parse_entropy(outputs.parse, pair.source.parse[:, ::2, ::2]),
        "parse": losses.parse_entropy(garment.parse, pair.target.parse[:, ::2, ::2]),
        "parse_coarse": torch.stack(coarse).sum(),
        "alpha": losses.binary(garment.alpha, functional.avg_pool2d(pair.target.alpha, 2)),
    }


def synthesis_terms(
    outputs: Outputs, pair: Pair, loss: LossConfig, features: Features | None
) -> dict[str, torch.Tensor]:
    """Terms of SynthesisNet without its discriminators."""
    assert outputs.result is not None and outputs.result.picture is not None
    picture, alpha = outputs.result.picture, pair.target.alpha
    terms = {
        "rgb": losses.l1(picture.rgb, pair.target.rgb, alpha),
        "generated": losses.l1(picture.generated, pair.target.rgb, alpha),
        "alpha": losses.binary(picture.alpha, alpha),
        "face": close_up_term(picture.rgb, pair.target, FACE, features),
        "hands": close_up_term(picture.rgb, pair.target, HANDS, features),
    }
    if loss.supervised:
        gate = picture.gate.clamp(1e-4, 1 - 1e-4)
        terms["gate"] = losses.binary(torch.logit(gate), pair.visible, alpha)
    if loss.perceptual > 0 or loss.style > 0:
        assert features is not None
        ours = features(_over_grey(picture.rgb, alpha))
        theirs = features(_over_grey(pair.target.rgb, alpha))
        if loss.perceptual > 0:
            terms["perceptual"] = losses.perceptual(ours, theirs)
        if loss.style > 0:
            terms["style"] = losses.style(ours, theirs, alpha)
    return terms


def _over_grey(rgb: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    return torch.lerp(torch.full_like(rgb, 0.5), rgb, alpha)


def close_up_term(
    rgb: torch.Tensor,
    target: View,
    places: tuple[tuple[str, ...], ...],
    features: Features | None,
) -> torch.Tensor:
    """L1, and the feature distance where there is a network, of cut-outs around joints.

    Small in the picture and looked at first; a face of its own term as in Everybody Dance Now
    (Chan et al., ICCV 2019).

    Args:
        rgb: (B, 3, H, W) generated.
        target: the truth, and whose joints say where to cut.
        places: the joints of each cut-out; cut-outs of unknown joints do not count.
        features: a frozen ImageNet network.
    """
    terms = []
    for joints in places:
        crop, known = close_up(target.pose, joints, _SIDE_TORSO[places])
        stack = torch.cat([rgb, target.rgb, target.alpha], 1)
        ours, wanted, alpha = crop_image(stack, crop, CLOSE_UP_HW).split([3, 3, 1], 1)
        weight = alpha * known[:, None, None, None]
        term = losses.l1(ours, wanted, weight)
        if features is not None:
            shown = torch.lerp(wanted, ours, weight).clamp(0, 1)
            term = term + 0.1 * losses.perceptual(features(shown), features(wanted))
        terms.append(term)
    return torch.stack(terms).mean()


def close_up(pose: Pose, joints: tuple[str, ...], side_torso: float) -> tuple[Crop, torch.Tensor]:
    """A square around the middle of joints that is `side_torso` torsos wide.

    Returns:
        The crop of `CLOSE_UP_HW`, and (B,) whether all of the joints are known.
    """
    at = [JOINT[name] for name in joints]
    scale = CLOSE_UP_HW[0] / (side_torso * body_size(pose))
    return Crop(pose.xy[:, at].mean(1), scale), pose.known[:, at].amin(1)


def target_step(first: Pair, later_back: Pair) -> tuple[torch.Tensor, torch.Tensor]:
    """Motion of the target's surface between two target frames, through the photo.

    Args:
        first: target t from the source.
        later_back: the source from target t + 1, in the same crops (`make_pair(backward=True)`).

    Returns:
        (B, 2, H, W) from a pixel of target t to its place in target t + 1, and where it is known.
    """
    at = pixel_grid(*first.flow.shape[-2:], device=first.flow.device) + first.flow
    onward = sample(torch.cat([later_back.flow, later_back.visible], 1), at)
    # a place beside a hidden pixel mixes with its zeros; only whole ones count
    known = first.visible * (onward[:, 2:] > 0.99).float()
    return first.flow + onward[:, :2], known
