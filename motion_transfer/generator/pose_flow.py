"""The learned generator: PoseFlowNet, GarmentNet and SynthesisNet behind `Generator`.

Target poses are cut to canonical crops that glide with the person; the networks run on a few
frames at once; flow, visibility and outline are smoothed along the target's motion; and the result
is pasted back at the photo's resolution, where what the photo shows is copied, not painted. What no
photo shows is painted by SynthesisNet, or, with weights that hold a trained flow only, by the
articulated puppet, which then shows people from the side and from behind too, and draws head, arms,
lower legs and shoes.

Axes: T frames of a block, B frames that are computed at once, S photos of one person, K parts,
H W pixels of the crop, h w pixels of a box in the frame.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional

from motion_transfer.generator.articulated import PuppetState, Rendition, Source
from motion_transfer.generator.atlas import LAYER_OF_PART, find_owners, make_atlas
from motion_transfer.generator.blocks import double
from motion_transfer.generator.canonical import (
    CROP_HW,
    TORSO_PX,
    Crop,
    Pose,
    crop_image,
    crop_pose,
    fit_crop,
    pose_at,
)
from motion_transfer.generator.flow_track import (
    FLOW_RADIUS,
    Looked,
    smooth_flows,
    split_frames,
)
from motion_transfer.generator.framing import (
    CROP_RADIUS,
    Framing,
    frame_track,
    pose_of,
    torso_metres,
)
from motion_transfer.generator.limbs import NAMES
from motion_transfer.generator.networks import EncodedSource, fast_precision
from motion_transfer.generator.parts import (
    PART_NAMES,
    Skeleton,
    axes,
    cover,
    part_affine,
    skeleton,
)
from motion_transfer.generator.paste import (
    OUTSIDE_LOGIT,
    Nodes,
    Place,
    paste_numba,
    paste_torch,
    to_frame,
)
from motion_transfer.generator.pose_flow_net import PoseFlow
from motion_transfer.generator.pose_maps import draw_pose, draw_source, propose
from motion_transfer.generator.pretrained import Pretrained
from motion_transfer.generator.puppets import (
    KEPT,
    Box,
    PuppetPlan,
    Puppets,
    around,
    mix_renditions,
    place_map,
)
from motion_transfer.generator.warp import pixel_grid
from motion_transfer.generator.working import Layer
from motion_transfer.pose.track import PoseTrack

AGREE_TORSO = 0.1
"""Neighbouring places in the photo that are further apart belong to different limbs."""
LEG_REACH = 2.5
"""How far from its bones a lower leg may be, in usual radii."""
ALONG_TORSO = 0.05
"""Limbs whose places in the photo differ by less do not move against each other."""
FIRST_LOGIT = 1.5
"""By how much another photo must show a pixel better: what both show, two of them would blur."""
_GATE_GAIN, _GATE_LEAST = 12.0, 0.25


class Drawn(NamedTuple):
    """One frame in the crop.

    nodes: where the photos' pixels come from.
    maps: (2, H, W) logit of alpha, and the gate in [0, 1].
    painted: (3, H, W) what SynthesisNet painted; None where the puppet paints.
    kept: (H/2, W/2) in [0, 1], where the network sees what is the puppet's to draw.
    """

    nodes: Nodes
    maps: torch.Tensor
    painted: torch.Tensor | None
    kept: torch.Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A block of frames. The networks run when a frame is drawn, a few frames at once.

    Args:
        framing: (T,) poses in crops.
        present: (T,) whether anything of the person can be seen.
        first: the first wanted frame.
        num: of wanted frames.
        size_hw: of the target frame.
        puppets: their plan.
        looked: flows of the last frames, by frame; one for each photo.
        drawn: the last frames, by frame.
    """

    framing: Framing
    present: list[bool]
    first: int
    num: int
    size_hw: tuple[int, int]
    puppets: PuppetPlan
    looked: dict[int, list[Looked]] = dataclasses.field(default_factory=dict)
    drawn: dict[int, Drawn] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return self.num


class _Photo(NamedTuple):
    """A source photo.

    encoded: what the networks know of it.
    crop: its crop.
    owners: (H, W) int64 in the crop, the layer that the photo shows, -1 outside of the person.
    """

    encoded: EncodedSource
    crop: Crop
    owners: torch.Tensor


class PoseFlowGenerator:
    """See the file's first lines.

    Args:
        sources: photos of one person; the first is the one whose place the person takes.
        pretrained: networks and what they were trained for.
        device: where everything is computed.
        flow_smoothing: 0 to 1, how strongly flow and outline are smoothed over time.
        crop_hw: size of the crop that the networks see.
        batch_frames: that are computed at once; None: as many as pay on the device.
    """

    workers = 1  # frames share what is computed for several at once

    def __init__(
        self,
        sources: Sequence[Source],
        pretrained: Pretrained,
        *,
        device: torch.device | str = "cpu",
        flow_smoothing: float = 0.5,
        crop_hw: tuple[int, int] = CROP_HW,
        batch_frames: int | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.flow_smoothing = flow_smoothing
        self.crop_hw = crop_hw
        self._flow_radius = FLOW_RADIUS if flow_smoothing > 0 else 0
        self.margin_frames = self._flow_radius + CROP_RADIUS
        self.batch_frames = batch_frames or (8 if self.device.type == "cpu" else 32)
        self._precision = fast_precision(self.device.type)
        networks = pretrained.networks.to(self.device, self._precision)
        self._networks = networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._torso_metres = torso_metres(sources[0].pose)
        self._outlines, self._paints = pretrained.outlines, pretrained.paints
        self._puppets = Puppets(sources, device=device, flow_smoothing=flow_smoothing)
        cut = self._puppets.layers
        self._photos = [self._encode(*each) for each in zip(sources, cut, strict=True)]
        self._atlas = make_atlas(sources, cut, filled=not self._paints)
        if self.device.type != "cpu":
            self._pixels = torch.from_numpy(self._atlas.pixels).to(self.device).float() / 255
            self._boxes = torch.from_numpy(self._atlas.boxes).to(self.device)

    def plan(
        self, targets: PoseTrack, wanted: slice, state: Sequence[PuppetState] | None = None
    ) -> tuple[Plan, list[PuppetState]]:
        """See `Generator`; joints of confidence 0 are those that the person does not have."""
        framing = frame_track(targets, self._torso_metres, self.crop_hw, device=self.device)
        puppets, states = self._puppets.plan(targets, wanted, state)
        plan = Plan(
            framing=framing,
            present=(framing.poses.known.amax(1) > 0).tolist(),
            first=wanted.start,
            num=wanted.stop - wanted.start,
            size_hw=targets.size_hw,
            puppets=puppets,
        )
        return plan, states

    @torch.inference_mode()
    def draw(self, plan: Plan, frame: int, *, with_flow: bool = False) -> Rendition | None:
        """See `Generator`. Flow and visibility are those of the first photo."""
        if not plan.present[plan.first + frame]:
            return None
        if self._paints:
            return self._draw_learned(plan, frame, with_flow, None)
        puppet = self._puppets.draw(plan.puppets, frame, with_flow=with_flow)
        share = _shown(plan.puppets.facing(frame))
        ours = self._draw_learned(plan, frame, with_flow, puppet) if share > 0 else None
        if ours is None or puppet is None:
            return ours or puppet
        box = around(puppet, ours)
        place = self._place(plan.framing.crop(plan.first + frame), box)
        theirs = to_frame(self._drawn(plan, frame).kept[None], place, 0.5)[0]
        ours_share = share * (1 - theirs)
        kept = self._puppets.draw_kept(plan.puppets, frame)
        if kept is None:
            return mix_renditions(puppet, ours, ours_share, box)
        covered = (8 * place_map(kept.rgba[3], kept, box)).clamp(0, 1)
        mixed = mix_renditions(puppet, ours, ours_share * (1 - covered), box)
        # under a soft edge of the puppet lies what the network draws, not the background
        under = ours_share * covered * (1 - place_map(puppet.rgba[3], puppet, box))
        return mixed._replace(rgba=mixed.rgba + under * place_map(ours.rgba, ours, box))

    def _draw_learned(
        self, plan: Plan, frame: int, with_flow: bool, puppet: Rendition | None
    ) -> Rendition | None:
        """What the networks make of a frame, over the puppet if they do not paint."""
        at = plan.first + frame
        drawn = self._drawn(plan, frame)
        box = _box(drawn.maps[0], plan.framing.crop(at), plan.size_hw)
        if box is None:
            return None
        place = self._place(plan.framing.crop(at), box)
        painted = self._painted(drawn, puppet, box, place)
        paste = self._paste_cpu if self.device.type == "cpu" else self._paste_device
        canvas, where = paste(drawn, painted, place, with_flow)
        if not with_flow:
            return Rendition(rgba=canvas[:4], flow=None, visibility=None, box_xyxy=box)
        here = pixel_grid(*place.size_hw, device=self.device)[0]
        here = here + here.new_tensor(box[:2])[:, None, None]
        return Rendition(rgba=canvas[:4], flow=where - here, visibility=canvas[4:], box_xyxy=box)

    @torch.inference_mode()
    def _encode(self, source: Source, layers: dict[str, Layer]) -> _Photo:
        """Compute all of a photo that does not depend on the target."""
        pose = pose_of(source.pose, source.pose.confidence)
        crop = fit_crop(pose, source.alpha.shape[:2], size_hw=self.crop_hw)
        picture = np.dstack([source.rgb, np.round(source.alpha * 255).astype(np.uint8)])
        pixels = _crop_picture(picture, crop, self.crop_hw).to(self.device)
        cropped = Pose(*(t.to(self.device) for t in crop_pose(pose, crop, self.crop_hw)))
        with self._autocast():
            maps = draw_source(cropped, pixels[:, 3:])
            encoded = self._networks.encode_source(pixels[:, :3], maps)
        owners = cv2.warpAffine(
            find_owners(source.alpha, layers).astype(np.int16), _to_crop(crop, self.crop_hw),
            self.crop_hw[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT,
            borderValue=-1,
        )  # fmt: skip
        return _Photo(encoded, crop, torch.from_numpy(owners).long().to(self.device))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self._precision == torch.bfloat16
        )

    def _drawn(self, plan: Plan, frame: int) -> Drawn:
        """The frame in the crop, computed with its neighbours."""
        if frame not in plan.drawn:
            start = frame // self.batch_frames * self.batch_frames
            frames = list(range(start, min(start + self.batch_frames, plan.num)))
            plan.drawn.clear()
            plan.drawn.update(zip(frames, self._draw_batch(plan, frames), strict=True))
        return plan.drawn[frame]

    def _draw_batch(self, plan: Plan, frames: list[int]) -> list[Drawn]:
        at = [plan.first + f for f in frames]
        last, radius = len(plan.framing.crops.scale) - 1, self._flow_radius
        needed = range(max(0, at[0] - radius), min(last, at[-1] + radius) + 1)
        for old in [f for f in plan.looked if f not in needed]:
            del plan.looked[old]
        missing = [f for f in needed if f not in plan.looked]
        for start in range(0, len(missing), self.batch_frames):
            self._look(plan, missing[start : start + self.batch_frames])
        padded = torch.tensor(_padded(at, self.batch_frames))
        pose = pose_at(plan.framing.poses, padded)
        flows = smooth_flows(
            plan.looked, padded, plan.framing.poses, plan.framing.torso_px,
            strength=self.flow_smoothing, crop_hw=self.crop_hw,
        )  # fmt: skip
        alpha, gate, painted = self._synthesise(flows, pose, plan.framing.torso_px[padded])
        bones = skeleton(pose, plan.framing.torso_px[padded])
        nodes, shown = self._nodes(plan, padded, flows, bones)
        alpha = alpha - double(_strayed(shown, bones, self.crop_hw))
        maps = torch.cat([alpha, gate], 1).float()
        # where the network sees these parts, or a rim of its arm would stand beside the puppet's
        parts = [k for k, layer in enumerate(LAYER_OF_PART) if layer in KEPT]
        seen = torch.softmax(flows[0].finest.part_logits, 1)[:, parts].sum(1)
        kept = (2 * functional.max_pool2d(seen, 3, 1, 1)).clamp(0, 1)
        return [
            Drawn(
                Nodes(*(t[:, k] for t in nodes)), maps[k],
                None if painted is None else painted[k], kept[k],
            )
            for k in range(len(frames))
        ]  # fmt: skip

    def _look(self, plan: Plan, frames: list[int]) -> None:
        """Run PoseFlowNet on some frames."""
        padded = torch.tensor(_padded(frames, self.batch_frames))
        pose = pose_at(plan.framing.poses, padded)
        found = []
        with self._autocast():
            target = draw_pose(pose, full_hw=self.crop_hw, torso_px=plan.framing.torso_px[padded])
            for photo in self._photos:
                candidates = propose(photo.encoded.maps, target)
                flow = self._networks.flow(photo.encoded.flow_features, target, candidates)
                found.append(split_frames(flow, candidates)[: len(frames)])
        plan.looked.update(zip(frames, map(list, zip(*found, strict=True)), strict=True))

    def _synthesise(
        self, flows: list[PoseFlow], pose: Pose, torso_px: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Logit of alpha (B, 1, H, W), gate (B, 1, H, W), and painted colours (B, 3, H, W)."""
        alpha = torch.stack([f.full()[2] for f in flows]).mean(0)
        if self._outlines:
            encoded = [photo.encoded for photo in self._photos]
            with self._autocast():
                maps = draw_pose(pose, full_hw=self.crop_hw, torso_px=torso_px).maps
                garment = self._networks.garment([e.garment_features for e in encoded], flows, maps)
                if self._paints:
                    picture = self._networks.synthesis(
                        [e.appearance for e in encoded], flows, garment, maps
                    )
                    return picture.alpha, picture.gate, picture.generated.clamp(0, 1)
            alpha = double(garment.alpha)
        # visibility is that of the person: outside of the outline it says nothing
        seen = torch.stack([f.full()[1] for f in flows]).amax(0)
        given = torch.sigmoid(seen) / torch.sigmoid(alpha).clamp_min(1e-3)
        gate = torch.sigmoid(_GATE_GAIN * (given - _GATE_LEAST))
        return alpha, gate, None

    def _nodes(
        self, plan: Plan, frames: torch.Tensor, flows: list[PoseFlow], bones: Skeleton
    ) -> tuple[Nodes, torch.Tensor]:
        """The flows as places in the photos; the second axis is the frame.

        Also (B, H/2, W/2) whose pixels the first photo has there.
        """
        height, width = self.crop_hw
        scale = plan.framing.crops.scale[frames].to(self.device)
        places, slopes, layers, owners = [], [], [], []
        for s, (photo, flow) in enumerate(zip(self._photos, flows, strict=True)):
            half = flow.finest.flow
            grid = pixel_grid(half.shape[-2], half.shape[-1], device=self.device)
            at = 2 * (grid + half) + 0.5  # crop pixels of the photo
            middle = at.new_tensor([(width - 1) / 2, (height - 1) / 2])[:, None, None]
            crop = Crop(photo.crop.centre.to(self.device), photo.crop.scale.to(self.device))
            found = torch.stack([plan.looked[f][s].slopes for f in frames.tolist()])
            slopes.append(found * (scale / crop.scale)[:, None, None, None])
            shown = _look_up_nearest(photo.owners, at)
            owners.append(shown)
            layers.append(self._layers(photo, flow.finest.part_logits, at, shown, bones))
            places.append((at - middle) / crop.scale + crop.centre[:, :, None, None])
        logits = torch.stack([flow.finest.visibility[:, 0] for flow in flows]).float()
        logits[0] += FIRST_LOGIT
        shares = torch.softmax(4 * logits, 0)
        return Nodes(
            torch.stack(places).float(), torch.stack(slopes).float(), shares, torch.stack(layers)
        ), owners[0]

    def _layers(
        self,
        photo: _Photo,
        logits: torch.Tensor,
        at: torch.Tensor,
        shown: torch.Tensor,
        bones: Skeleton,
    ) -> torch.Tensor:
        """Whose texture the nodes show.

        That of a node's part; but where the limb that the photo shows there moves along with it,
        that limb: it is nearer in the photo, and as nothing moves between the two it still is.

        Args:
            photo: that is looked at.
            logits: (B, K, H/2, W/2) of the parts.
            at: (B, 2, H/2, W/2) where the flow looks, crop pixels of the photo.
            shown: (B, H/2, W/2) whose pixels the photo has there.
            bones: of the targets.

        Returns:
            (B, H/2, W/2) index in `limbs.NAMES`.
        """
        member = functional.one_hot(torch.tensor(LAYER_OF_PART, device=self.device)).float()
        layer = torch.einsum("bkhw,kl->blhw", torch.softmax(logits, 1), member).argmax(1)
        own = member.T[shown.clamp_min(0)].permute(0, 3, 1, 2) > 0  # (B, K, H/2, W/2)
        part = torch.where(own, logits, -torch.inf).argmax(1)  # of the limb that is shown
        affine = part_affine(photo.encoded.maps.pose.bones, bones)
        sample_of = torch.arange(len(part), device=self.device)[:, None, None]
        x, y = axes((part.shape[1], part.shape[2]), self.crop_hw, self.device)
        by_x, by_y = affine.matrix[sample_of, part].unbind(-1)  # (B, H/2, W/2, 2)
        landing = by_x * x[:, None] + by_y * y[:, None, None] + affine.offset[sample_of, part]
        landing = landing.permute(0, 3, 1, 2)
        limit_px = ALONG_TORSO * TORSO_PX * self.crop_hw[0] / CROP_HW[0]
        along = (landing - at).norm(dim=1) < limit_px
        covers = (shown >= 0) & (_look_up_nearest(photo.owners, landing) == shown)
        return torch.where(along & covers, shown, layer)

    def _place(self, crop: Crop, box: Box) -> Place:
        """Where a box of the frame lies in the crop."""
        (x, y), scale = crop.centre[0].tolist(), float(crop.scale[0])
        start = (
            (box[0] - x) * scale + (self.crop_hw[1] - 1) / 2,
            (box[1] - y) * scale + (self.crop_hw[0] - 1) / 2,
        )
        torso_px = TORSO_PX * self.crop_hw[0] / CROP_HW[0] / float(self._photos[0].crop.scale)
        size_hw = (box[3] - box[1], box[2] - box[0])
        return Place(start, scale, size_hw, AGREE_TORSO * torso_px)

    def _painted(
        self, drawn: Drawn, puppet: Rendition | None, box: Box, place: Place
    ) -> torch.Tensor:
        """(4, h, w) colour times weight, weight: what is shown where no photo shows the surface."""
        if drawn.painted is not None:
            found = to_frame(drawn.painted, place)
            return torch.cat([found, torch.ones_like(found[:1])])
        painted = torch.zeros(4, *place.size_hw, device=self.device)
        if puppet is not None:
            x0, y0, x1, y1 = puppet.box_xyxy
            left, top = max(x0, box[0]), max(y0, box[1])
            right, bottom = min(x1, box[2]), min(y1, box[3])
            if left < right and top < bottom:
                painted[:, top - box[1] : bottom - box[1], left - box[0] : right - box[0]] = (
                    puppet.rgba[:, top - y0 : bottom - y0, left - x0 : right - x0]
                )
        return painted

    def _paste_cpu(
        self, drawn: Drawn, painted: torch.Tensor, place: Place, with_flow: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = place.size_hw
        canvas = np.empty((height, width, 5), np.float32)
        where = np.zeros((height, width, 2) if with_flow else (0, 0, 2), np.float32)
        nodes = drawn.nodes
        paste_numba(
            canvas, where, drawn.maps.permute(1, 2, 0).contiguous().numpy(),
            nodes.positions.permute(0, 2, 3, 1).contiguous().numpy(),
            nodes.slopes.permute(0, 2, 3, 1).contiguous().numpy(),
            nodes.shares.contiguous().numpy(), nodes.layers.contiguous().numpy(),
            self._atlas.pixels, self._atlas.boxes,
            painted.permute(1, 2, 0).contiguous().numpy(), place.start_xy, place.scale,
            place.agree_px, place.sharpness,
        )  # fmt: skip
        return torch.from_numpy(canvas).permute(2, 0, 1), torch.from_numpy(where).permute(2, 0, 1)

    def _paste_device(
        self, drawn: Drawn, painted: torch.Tensor, place: Place, with_flow: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return paste_torch(drawn.maps, drawn.nodes, self._pixels, self._boxes, painted, place)


def _shown(facing: float) -> float:
    """Share of the learned picture, where the puppet paints: sides and backs are the puppet's.

    Args:
        facing: in [-1, 1], 1 where the same side as in the photo is seen.
    """
    return min(1.0, max(0.0, (facing - 0.55) / 0.2))


def _strayed(shown: torch.Tensor, bones: Skeleton, crop_hw: tuple[int, int]) -> torch.Tensor:
    """(B, 1, H/2, W/2) to take from alpha's logit where a lower leg is shown far from all of them.

    A mask that is wrong between the legs would show a third one. `shown` (B, H/2, W/2) is whose
    pixels the photo has there.
    """
    legs = [k for k, name in enumerate(PART_NAMES) if name.endswith(("lower_leg", "foot"))]
    shins = torch.tensor([NAMES.index(f"{s}_shin") for s in ("left", "right")], device=shown.device)
    away = cover(bones, (shown.shape[-2], shown.shape[-1]), crop_hw).distance[:, legs].amin(1)
    strayed = 20 * (away - LEG_REACH).clamp(0, 1)
    return torch.where(torch.isin(shown, shins), strayed, 0.0)[:, None]


def _to_crop(crop: Crop, size_hw: tuple[int, int]) -> np.ndarray:
    """(2, 3) matrix from picture to crop pixels."""
    scale = float(crop.scale[0])
    middle = np.array([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])
    return np.column_stack([scale * np.eye(2), middle - scale * crop.centre[0].numpy()])


def _look_up_nearest(labels: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """(B, h, w) of (H, W) labels at positions (B, 2, h, w)."""
    height, width = labels.shape
    x = at[:, 0].round().long().clamp(0, width - 1)
    y = at[:, 1].round().long().clamp(0, height - 1)
    return labels[y, x]


def _padded(frames: list[int], count: int) -> list[int]:
    """As many frames every time: other batch sizes could be rounded differently."""
    return frames + [frames[-1]] * (count - len(frames))


def _box(logit: torch.Tensor, crop: Crop, size_hw: tuple[int, int]) -> Box | None:
    """The frame's pixels that the person may cover; None if there are none.

    Args:
        logit: (H, W) of alpha in the crop.
        crop: its place.
        size_hw: of the frame.
    """
    covered = (logit > OUTSIDE_LOGIT).cpu()
    edges = []
    for axis in (0, 1):
        line = covered.any(axis).nonzero()  # columns, then rows
        if len(line) == 0:
            return None
        count = covered.shape[1 - axis]
        bounds = torch.tensor([float(line.min()) - 1, float(line.max()) + 1])
        at = (bounds - (count - 1) / 2) / crop.scale[0] + crop.centre[0, axis]
        edges.append((max(0, int(at[0].floor())), min(size_hw[1 - axis], int(at[1].ceil()) + 1)))
    (x0, x1), (y0, y1) = edges
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _crop_picture(picture: np.ndarray, crop: Crop, size_hw: tuple[int, int]) -> torch.Tensor:
    """(1, C, H, W) in [0, 1] the crop of (H', W', C) uint8; averaged where it is scaled down."""
    zoom = min(1.0, float(crop.scale[0]))
    height, width = picture.shape[:2]
    small_hw = (max(1, round(height * zoom)), max(1, round(width * zoom)))
    small = cv2.resize(picture, small_hw[::-1], interpolation=cv2.INTER_AREA)
    factor = torch.tensor([small_hw[1] / width, small_hw[0] / height])
    moved = Crop((crop.centre + 0.5) * factor - 0.5, crop.scale / factor.mean())
    image = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
    inside = crop_image(image[:, 3:], moved, size_hw)
    return torch.cat([crop_image(image[:, :3], moved, size_hw, padding="border"), inside], 1)
