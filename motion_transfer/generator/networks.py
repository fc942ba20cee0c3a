"""The networks as one: what training optimises and what a weights file holds.

Axes: B batch, H W pixels of the crop.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from motion_transfer.generator.garment_net import Garment, GarmentNet, SourceParser
from motion_transfer.generator.pose_flow_net import PoseFlow, PoseFlowNet
from motion_transfer.generator.pose_maps import PoseMaps, SourceMaps, propose
from motion_transfer.generator.refinement_net import RefinementNet
from motion_transfer.generator.synthesis_net import Appearance, Synthesis, SynthesisNet


@functools.cache
def fast_precision(device: str) -> torch.dtype:
    """What the networks compute in: bfloat16 where the hardware is made for it, else float32.

    Args:
        device: type of it. On CPUs bfloat16 pays where there are instructions for its products
            (AMX, AVX-512 BF16); elsewhere it is emulated, and slower than float32.
    """
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    known = torch.cpu.get_capabilities()
    if device == "cpu" and (known.get("amx_bf16") or known.get("avx512_bf16")):
        return torch.bfloat16
    return torch.float32


class EncodedSource(NamedTuple):
    """All that is computed once for a photo.

    maps: pose and matte.
    flow_features: of PoseFlowNet.
    parse: (B, P, H/2, W/2) garment logits.
    garment_features: of GarmentNet.
    appearance: of SynthesisNet.
    """

    maps: SourceMaps
    flow_features: torch.Tensor
    parse: torch.Tensor
    garment_features: tuple[torch.Tensor, ...]
    appearance: Appearance


class Result(NamedTuple):
    """All that is computed for a target.

    flows: one per source photo.
    garment: the target's garment map.
    picture: the target's colours, alpha and copy gate; None where only garments were asked for.
    """

    flows: tuple[PoseFlow, ...]
    garment: Garment
    picture: Synthesis | None


class PoseFlowNetworks(nn.Module):
    """PoseFlowNet, SourceParser, GarmentNet, SynthesisNet, and RefinementNet on its own.

    Args:
        flow_widths: of PoseFlowNet.
        parser_widths: of SourceParser.
        garment_widths: of GarmentNet.
        source_widths: of SynthesisNet's encoder.
        synthesis_widths: of SynthesisNet's decoder.
        refinement_widths: of RefinementNet.
        use_mixture: False for the ablation of PoseFlowNet.
        residual_torso: of PoseFlowNet.
        use_copy: False for the ablation of SynthesisNet.
    """

    def __init__(
        self,
        *,
        flow_widths: tuple[int, int, int, int] = (32, 80, 128, 192),
        parser_widths: tuple[int, int, int, int] = (32, 48, 96, 128),
        garment_widths: tuple[int, int, int] = (24, 64, 128),
        source_widths: tuple[int, int, int, int] = (16, 32, 64, 128),
        synthesis_widths: tuple[int, int, int, int, int] = (16, 48, 96, 160, 208),
        refinement_widths: tuple[int, int, int, int] = (32, 64, 112, 160),
        use_mixture: bool = True,
        residual_torso: float = 0.15,
        use_copy: bool = True,
    ) -> None:
        super().__init__()
        self.flow = PoseFlowNet(
            widths=flow_widths, use_mixture=use_mixture, residual_torso=residual_torso
        )
        self.parser = SourceParser(widths=parser_widths)
        self.garment = GarmentNet(widths=garment_widths)
        self.synthesis = SynthesisNet(
            source_widths=source_widths, widths=synthesis_widths, use_copy=use_copy
        )
        self.refinement = RefinementNet(widths=refinement_widths)

    def encode_source(
        self, rgb: torch.Tensor, maps: SourceMaps, *, parse: torch.Tensor | None = None
    ) -> EncodedSource:
        """Encode a photo.

        Args:
            rgb: (B, 3, H, W) in [0, 1].
            maps: of its pose, with its matte.
            parse: (B, P, H/2, W/2) probabilities to use in place of the parser's (in training).
        """
        logits = self.parser(rgb, maps.mask, maps.pose.maps)
        labels = torch.softmax(logits, 1) if parse is None else parse
        return EncodedSource(
            maps,
            self.flow.encode_source(maps),
            logits,
            self.garment.encode_source(labels, maps.mask),
            self.synthesis.encode_source(rgb, maps.mask, labels),
        )

    def forward(self, sources: Sequence[EncodedSource], target: PoseMaps) -> Result:
        """Render a batch of target poses from one or more photos of one person."""
        flows = tuple(self.flow(s.flow_features, target, propose(s.maps, target)) for s in sources)
        garment = self.garment([s.garment_features for s in sources], flows, target.maps)
        picture = self.synthesis([s.appearance for s in sources], flows, garment, target.maps)
        return Result(flows, garment, picture)
