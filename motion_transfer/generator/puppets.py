"""The articulated puppets of several photos of one person, and what they draw for the networks.

There is a puppet for each photo, and that one is seen which faces as the target does. A puppet
keeps a head rigid, fingers and shoes whole and skirts in one piece, which a learned flow does not:
those layers are `KEPT`.

Axes: T frames, h w pixels of a box in the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from motion_transfer.generator import articulated
from motion_transfer.generator.articulated import (
    ArticulatedGenerator,
    PuppetState,
    Rendition,
    Source,
)
from motion_transfer.generator.limbs import NAMES
from motion_transfer.generator.working import Layer
from motion_transfer.pose.track import PoseTrack
from motion_transfer.threads import num_workers

Box = tuple[int, int, int, int]
KEPT = tuple(k for k, n in enumerate(NAMES) if n.endswith(("head", "arm", "shin", "skirt")))
"""Layers that a puppet draws better: it keeps them when the rest is the network's."""
_FACING_LEAD, _FACING_FADE = 0.2, 0.3


class PuppetPlan(NamedTuple):
    """A block of frames.

    whole: the puppets' plans, one for each photo.
    kept: the same with `KEPT` alone.
    loose, head: the same with skirts and wide sleeves alone, and with the head.
    """

    whole: list[articulated.Plan]
    kept: list[articulated.Plan]
    loose: list[articulated.Plan]
    head: list[articulated.Plan]

    def facing(self, frame: int) -> float:
        """In [-1, 1], 1 where the same side is seen as in the first photo."""
        return float(self.whole[0].facing[frame])


class Puppets:
    """See the file's first lines; a `Generator`.

    Args:
        sources: photos of one person; the first is the one whose place the person takes.
        device: where the pixels are warped.
        flow_smoothing: 0 to 1, over time.
    """

    margin_frames = ArticulatedGenerator.margin_frames

    def __init__(
        self, sources: Sequence[Source], *, device: torch.device | str, flow_smoothing: float
    ) -> None:
        self.workers = num_workers(torch.device(device))
        self._each = [
            ArticulatedGenerator(s, device=device, flow_smoothing=flow_smoothing) for s in sources
        ]

    @property
    def layers(self) -> list[dict[str, Layer]]:
        """The layers of each photo."""
        return [puppet.layers for puppet in self._each]

    def plan(
        self, targets: PoseTrack, wanted: slice, state: Sequence[PuppetState] | None = None
    ) -> tuple[PuppetPlan, list[PuppetState]]:
        """See `Generator`; the state is one for each photo."""
        before: Sequence[PuppetState | None] = state or [None] * len(self._each)
        found = [p.plan(targets, wanted, s) for p, s in zip(self._each, before, strict=True)]
        whole = [plan for plan, _ in found]
        kept = [plan.only(NAMES[k] for k in KEPT) for plan in whole]
        loose = [p.only(puppet.loose) for p, puppet in zip(whole, self._each, strict=True)]
        head = [plan.only(["head"]) for plan in whole]
        return PuppetPlan(whole, kept, loose, head), [after for _, after in found]

    def draw(self, plan: PuppetPlan, frame: int, *, with_flow: bool = False) -> Rendition | None:
        """The person. Flow and visibility are those of the first photo's puppet."""
        return self._draw(plan.whole, frame, with_flow)

    def draw_kept(self, plan: PuppetPlan, frame: int) -> Rendition | None:
        """`KEPT` alone, over nothing."""
        return self._draw(plan.kept, frame, False)

    def draw_loose(self, plan: PuppetPlan, frame: int) -> Rendition | None:
        """Skirt and wide sleeves alone, over nothing; None where there are none."""
        return self._draw(plan.loose, frame, False)

    def draw_head(self, plan: PuppetPlan, frame: int) -> Rendition | None:
        """The head alone, with its hair; None where there is none."""
        return self._draw(plan.head, frame, False)

    def draw_shown(self, plan: PuppetPlan, frame: int) -> tuple[Rendition, torch.Tensor] | None:
        """The person as `draw` with flow, and (1, h, w) how much of it is seen in its own photo."""
        first, other, share = self._pair(plan.whole, frame, True)
        drawn = _merged(first, other, share)
        if drawn is None:
            return None
        own, theirs = (
            torch.zeros_like(drawn.rgba[:1])
            if each is None or each.visibility is None
            else place_map(each.visibility, each, drawn.box_xyxy)
            for each in (first, other)
        )
        return drawn, torch.lerp(own, theirs, 1.0 if first is None else share)

    def _draw(self, plans: list[articulated.Plan], frame: int, with_flow: bool) -> Rendition | None:
        return _merged(*self._pair(plans, frame, with_flow))

    def _pair(
        self, plans: list[articulated.Plan], frame: int, with_flow: bool
    ) -> tuple[Rendition | None, Rendition | None, float]:
        """What the first puppet draws and the one that faces as the target, and its share."""
        facing = [float(plan.facing[frame]) for plan in plans]
        best = int(np.argmax(facing))
        # photos that show the same side do not take turns: then it is the first
        share = min(1.0, max(0.0, (facing[best] - facing[0] - _FACING_LEAD) / _FACING_FADE))
        first = self._each[0].draw(plans[0], frame, with_flow=with_flow)
        if share == 0:
            return first, None, 0.0
        other = self._each[best].draw(plans[best], frame, with_flow=with_flow)
        return first, other, share if other is not None else 0.0


def _merged(first: Rendition | None, other: Rendition | None, share: float) -> Rendition | None:
    """Both of a pair in one, with the first's flow; what is the other's is not visible."""
    if other is None:
        return first
    if first is None:
        if other.flow is None or other.visibility is None:
            return other
        hidden = torch.zeros_like(other.visibility)
        return other._replace(flow=torch.zeros_like(other.flow), visibility=hidden)
    other = other._replace(flow=None, visibility=None)
    return mix_renditions(first, other, share, around(first, other))


def around(*renditions: Rendition) -> Box:
    """The box that holds all of them."""
    boxes = np.array([r.box_xyxy for r in renditions])
    (x0, y0), (x1, y1) = boxes[:, :2].min(0).tolist(), boxes[:, 2:].max(0).tolist()
    return x0, y0, x1, y1


def place_map(tensor: torch.Tensor, rendition: Rendition, box: Box) -> torch.Tensor:
    """A map (..., h, w) of a rendition in another box, zero where that reaches further."""
    x0, y0, x1, y1 = rendition.box_xyxy
    return functional.pad(tensor, (x0 - box[0], box[2] - x1, y0 - box[1], box[3] - y1))


def mix_renditions(
    first: Rendition, second: Rendition, share: torch.Tensor | float, box: Box
) -> Rendition:
    """Two renditions of a frame in a box around both.

    Args:
        first: one of them.
        second: the other; if it has no flow, the first's is kept, as hidden as it is covered.
        share: of the second, (h, w) or one for all.
        box: around both.
    """
    shares = torch.as_tensor(share, dtype=first.rgba.dtype, device=first.rgba.device)

    def lerp(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.lerp(place_map(a, first, box), b, shares)

    rgba = lerp(first.rgba, place_map(second.rgba, second, box))
    if first.flow is None or first.visibility is None:
        return Rendition(rgba, None, None, box)
    flow, visibility = place_map(first.flow, first, box), torch.zeros_like(rgba[:1])
    if second.flow is not None and second.visibility is not None:
        flow = torch.where(shares > 0.5, place_map(second.flow, second, box), flow)
        visibility = place_map(second.visibility, second, box)
    return Rendition(rgba, flow, lerp(first.visibility, visibility), box)
