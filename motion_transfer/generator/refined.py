"""The generator by default: the articulated warp, corrected by RefinementNet.

The network looks at the drawing in a canonical crop; what it finds is applied at the frame's
resolution, and where its gate stays open every pixel of the drawing is kept. Faces and hair are
not given to it: what it changed in a face made the person less like the photo. It cuts nothing off
skirts, wide sleeves and long hair: the people that it learns from have none that hang loose.

Axes: T frames of a block, C channels, h w pixels of a box in the frame, H W pixels of a window in
the crop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numba
import numpy as np
import torch
from torch.nn import functional

from motion_transfer.generator.articulated import PuppetState, Rendition, Source
from motion_transfer.generator.canonical import (
    CROP_HW,
    Crop,
    Pose,
    face_axis,
    head_disc,
    picture_positions,
    pose_at,
)
from motion_transfer.generator.framing import CROP_RADIUS, Framing, frame_track, torso_metres
from motion_transfer.generator.networks import fast_precision
from motion_transfer.generator.paste import Place
from motion_transfer.generator.pose_maps import draw_pose
from motion_transfer.generator.pretrained import Pretrained
from motion_transfer.generator.puppets import Box, PuppetPlan, Puppets, place_map
from motion_transfer.generator.refinement_net import (
    Refinement,
)
from motion_transfer.generator.warp import bilinear, bilinear_weights, sample
from motion_transfer.pose.track import PoseTrack

CHIN_TORSOS = (-0.2, 0.1)
"""From the face's middle to where hair begins to be held, and on to where it is; lengths of the
torso."""
AWAY = (0.6, 0.3)  # facing from which more and more of a head below the chin is held, and all of it
WHOLE_PX = 2  # what is so near to what stays whole does so, too
_CUT = 0.3  # of alpha; where so much was to go, what was found for a colour means nothing
_LEAST = 1e-3  # alpha
_GRID_PX = 16  # windows start at multiples of it, so that the network's grid does not jump


class Plan(NamedTuple):
    """A block of frames.

    puppets: their plan.
    framing: of all frames that were given.
    first: the first wanted frame of those.
    """

    puppets: PuppetPlan
    framing: Framing
    first: int


class RefinedGenerator:
    """See the file's first lines.

    Args:
        sources: photos of one person; the first is the one whose place the person takes.
        pretrained: with a trained RefinementNet.
        device: where the network is computed; puppets are drawn on the CPU, a frame in each thread:
            for a GPU that is too many too small operations.
        flow_smoothing: 0 to 1, of the puppet's flow over time.
        crop_hw: size of the crop that the network sees.
    """

    margin_frames = max(Puppets.margin_frames, CROP_RADIUS)

    def __init__(
        self,
        sources: Sequence[Source],
        pretrained: Pretrained,
        *,
        device: torch.device | str = "cpu",
        flow_smoothing: float = 0.5,
        crop_hw: tuple[int, int] = CROP_HW,
    ) -> None:
        self.device = torch.device(device)
        self.crop_hw = crop_hw
        self._precision = fast_precision(self.device.type)
        network = pretrained.networks.refinement.to(self.device, self._precision)
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._torso_metres = torso_metres(sources[0].pose)
        self._puppets = Puppets(sources, device="cpu", flow_smoothing=flow_smoothing)
        self.workers = self._puppets.workers

    def plan(
        self, targets: PoseTrack, wanted: slice, state: Sequence[PuppetState] | None = None
    ) -> tuple[Plan, list[PuppetState]]:
        """See `Generator`."""
        puppets, states = self._puppets.plan(targets, wanted, state)
        framing = frame_track(targets, self._torso_metres, self.crop_hw)
        return Plan(puppets, framing, wanted.start), states

    @torch.inference_mode()
    def draw(self, plan: Plan, frame: int, *, with_flow: bool = False) -> Rendition | None:
        """See `Generator`. Flow and visibility are those of the first photo's puppet."""
        found = self._puppets.draw_shown(plan.puppets, frame)
        if found is None:
            return None
        drawn, shown = found
        at = torch.tensor([plan.first + frame])
        return refine(
            self._look,
            drawn if with_flow else drawn._replace(flow=None, visibility=None),
            shown,
            self._puppets.draw_loose(plan.puppets, frame),
            self._puppets.draw_head(plan.puppets, frame),
            away=_away(plan.puppets.facing(frame)),
            pose=pose_at(plan.framing.poses, at), torso_px=plan.framing.torso_px[at],
            crop=plan.framing.crop(int(at)), crop_hw=self.crop_hw,
        )  # fmt: skip

    def _look(self, *seen: torch.Tensor) -> Refinement:
        """What the network finds, on its device and from there."""
        lower = self._precision != torch.float32
        with torch.autocast(self.device.type, dtype=self._precision, enabled=lower):
            found = self._network(*(t.to(self.device) for t in seen))
        return Refinement(*(t.to("cpu", torch.float32) for t in found))


def refine(
    network: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Refinement],
    drawn: Rendition,
    shown: torch.Tensor,
    loose: Rendition | None,
    head: Rendition | None,
    *,
    away: float,
    pose: Pose,
    torso_px: torch.Tensor,
    crop: Crop,
    crop_hw: tuple[int, int],
) -> Rendition:
    """A drawn frame, refined.

    Args:
        network: a trained RefinementNet; everything else is on the CPU.
        drawn: the frame.
        shown: (1, h, w) in [0, 1], how much of it a photo shows.
        loose: skirt and wide sleeves alone, if the person wears any.
        head: the head alone, with its hair, if the photo shows it.
        away: in [0, 1], how far the side that the photo shows is turned away: so much of the head
            below the chin is held too, and long hair is not mixed with what it hangs over.
        pose: (1,) the frame's, in crop pixels.
        torso_px: (1,) see `pose_maps.draw_pose`.
        crop: (1,) where the crop lies in the frame.
        crop_hw: its size.
    """
    scale = float(crop.scale[0])
    box = drawn.box_xyxy
    (left, top), window_hw = _window(box, crop, crop_hw)
    held_head = head
    if head is not None and away < 1:
        held_head = _hair(head, away, pose, torso_px, crop, crop_hw)
    planes = _planes(drawn, shown, held_head, (loose, head))
    planes = _shrink(planes, drawn.box_xyxy, crop, crop_hw, (left, top), window_hw)
    shift = planes.new_tensor([left, top])
    pose = Pose(pose.xy - shift, pose.depth, pose.known)
    maps = draw_pose(pose, full_hw=window_hw, torso_px=torso_px).maps
    held = torch.maximum(planes[:, 5:6], head_disc(pose, torso_px, window_hw))
    found = _keep_whole(network(planes[:, :5], maps, held), planes[:, 6:7])
    start = [
        (edge - float(centre)) * scale + (length - 1) / 2 - offset
        for edge, centre, length, offset in zip(
            box[:2], crop.centre[0], crop_hw[::-1], (left, top), strict=True
        )
    ]
    place = Place((start[0], start[1]), scale, (box[3] - box[1], box[2] - box[0]), 0.0)
    seen = planes[:, 3:4]
    step = (seen + found.step).clamp(0, 1) - seen
    stack = torch.cat([found.painted, found.gate, step, seen], 1)[0]
    return drawn._replace(rgba=_apply(drawn.rgba, stack, place))


def _away(facing: float) -> float:
    """How far a side is turned away that faces the camera as much as this, [-1, 1]."""
    return min(1.0, max(0.0, (AWAY[0] - facing) / (AWAY[0] - AWAY[1])))


def _hair(
    head: Rendition,
    away: float,
    pose: Pose,
    torso_px: torch.Tensor,
    crop: Crop,
    crop_hw: tuple[int, int],
) -> Rendition:
    """What of the head is above the chin: face and hair, and no collar; of the rest a share."""
    centre, up, known = face_axis(pose)
    middle = centre.new_tensor([(n - 1) / 2 for n in crop_hw[::-1]])
    x, y = ((centre - middle) / crop.scale[:, None].to(centre) + crop.centre.to(centre))[0]
    x0, y0, x1, y1 = head.box_xyxy
    across = torch.arange(x0, x1, device=centre.device) - x
    down = torch.arange(y0, y1, device=centre.device)[:, None] - y
    above = (across * up[0, 0] + down * up[0, 1]) * crop.scale[0] / torso_px[0]
    share = ((above - CHIN_TORSOS[0]) / CHIN_TORSOS[1]).clamp(0, 1) * known[0]
    return head._replace(rgba=head.rgba * share.clamp_min(away))


def _keep_whole(found: Refinement, whole: torch.Tensor) -> Refinement:
    """Nothing of (1, 1, H, W) is cut off; what was to be keeps its own colour."""
    size = 2 * WHOLE_PX + 1
    lost = functional.max_pool2d(whole, size, 1, WHOLE_PX) * found.step.clamp_max(0)
    gate = torch.lerp(found.gate, torch.ones_like(lost), (-lost / _CUT).clamp_max(1))
    return found._replace(step=found.step - lost, gate=gate)


def _planes(
    drawn: Rendition,
    shown: torch.Tensor,
    held: Rendition | None,
    whole: Sequence[Rendition | None],
) -> torch.Tensor:
    """(2, 4, h, w) in the drawing's box: red, green, blue, alpha; visible, held, whole, nothing.

    Channels last in memory, and four of them at most, as OpenCV wants them.
    """
    height, width = drawn.rgba.shape[1:]
    planes = drawn.rgba.new_zeros(2, height, width, 4).permute(0, 3, 1, 2)
    planes[0] = drawn.rgba
    torch.mul(shown[0], drawn.rgba[3], out=planes[1, 0])
    for plane, part in ((1, held), *((2, part) for part in whole)):
        if part is not None:
            placed = place_map(part.rgba[3], part, drawn.box_xyxy)
            torch.maximum(planes[1, plane], placed, out=planes[1, plane])
    return planes


def _apply(rgba: torch.Tensor, found: torch.Tensor, place: Place) -> torch.Tensor:
    """(4, h, w) a drawing with what was found (6, H, W) in the crop.

    Found: painted, gate, step and alpha as the network saw it. Where half of a pixel that it saw
    is to go, that is all of the sharp half that the frame shows there: an outline that moves in
    would leave a ghost otherwise, so steps are shares of what could go, or come.
    """
    canvas = np.empty((*place.size_hw, 4), np.float32)
    maps = np.ascontiguousarray(found.permute(1, 2, 0).numpy())
    start_x, start_y = place.start_xy
    _correct(canvas, rgba.permute(1, 2, 0).numpy(), maps, (start_x, start_y, place.scale))
    return torch.from_numpy(canvas).permute(2, 0, 1)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _correct(
    canvas: np.ndarray,
    rgba: np.ndarray,
    maps: np.ndarray,
    place: tuple[float, float, float],
) -> None:
    """Fill (h, w, 4) with a drawing and its correction; see `_apply`.

    Args:
        canvas: result, colour multiplied by alpha, and alpha.
        rgba: (h, w, 4) the drawing.
        maps: (H, W, 6) painted, gate, step, alpha as it was seen.
        place: position in them of the canvas' first pixel, x and y, and their pixels for one.
    """
    height, width = canvas.shape[:2]
    start_x, start_y, scale = np.float32(place[0]), np.float32(place[1]), np.float32(place[2])
    zero, quarter, one = np.float32(0), np.float32(0.25), np.float32(1)
    right, bottom = np.float32(maps.shape[1] - 1), np.float32(maps.shape[0] - 1)
    least = np.float32(_LEAST)
    for y in range(height):
        my = min(max(start_y + np.float32(y) * scale, zero), bottom)
        row = np.uintp(min(int(my), maps.shape[0] - 2))
        fy = my - np.float32(row)
        for x in range(width):
            mx = min(max(start_x + np.float32(x) * scale, zero), right)
            column = np.uintp(min(int(mx), maps.shape[1] - 2))
            at = bilinear_weights(mx - np.float32(column), fy)
            step = bilinear(maps, row, column, 4, at)
            drawn: Any = rgba[y, x, 3]
            seen = bilinear(maps, row, column, 5, at)
            if step < 0:
                alpha = drawn + drawn * step / max(seen, least)
            else:
                alpha = drawn + (one - drawn) * step / max(one - seen, least)
            alpha = min(max(alpha, zero), one)
            if alpha <= 0:
                for k in range(4):
                    canvas[y, x, k] = zero
                continue
            gate = bilinear(maps, row, column, 3, at)
            if drawn < quarter:
                gate *= drawn / quarter
            own = gate / (drawn if drawn > least else least)
            for k in range(3):
                colour = (one - gate) * bilinear(maps, row, column, k, at)
                if gate > 0:
                    colour += own * rgba[y, x, k]
                canvas[y, x, k] = alpha * min(max(colour, zero), one)
            canvas[y, x, 3] = alpha


def _window(
    box: Box, crop: Crop, crop_hw: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First (x, y) and size (H, W) in crop pixels of what holds the box."""
    starts, sizes = [], []
    for axis, length in ((0, crop_hw[1]), (1, crop_hw[0])):
        ends = [
            (edge - float(crop.centre[0, axis])) * float(crop.scale[0]) + (length - 1) / 2
            for edge in (box[axis], box[axis + 2])
        ]
        start = math.floor(ends[0] / _GRID_PX) * _GRID_PX
        starts.append(start)
        sizes.append(max(1, math.ceil((ends[1] - start) / _GRID_PX)) * _GRID_PX)
    return (starts[0], starts[1]), (sizes[1], sizes[0])


def _shrink(
    maps: torch.Tensor,
    box: Box,
    crop: Crop,
    crop_hw: tuple[int, int],
    start_xy: tuple[int, int],
    window_hw: tuple[int, int],
) -> torch.Tensor:
    """(1, 8, H, W) the window of maps (2, 4, h, w) in a box; averaged where it is scaled down."""
    zoom = min(1.0, float(crop.scale[0]))
    height, width = maps.shape[-2:]
    small_hw = (max(1, round(height * zoom)), max(1, round(width * zoom)))
    small = _resize(maps, small_hw).reshape(1, -1, *small_hw)
    # what the window shows, in pixels of the frame, of the box, of what it was scaled down to
    middle = maps.new_tensor([(n - 1) / 2 for n in crop_hw[::-1]])
    inside = maps.new_tensor(start_xy) + maps.new_tensor([(n - 1) / 2 for n in window_hw[::-1]])
    scale, centre = crop.scale.to(maps), crop.centre.to(maps)
    window = Crop(centre + (inside - middle) / scale, scale)
    corner = maps.new_tensor(box[:2])[:, None, None]
    factor = maps.new_tensor([small_hw[1] / width, small_hw[0] / height])[:, None, None]
    at = (picture_positions(window, window_hw) - corner + 0.5) * factor - 0.5
    return sample(small, at)


def _resize(maps: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """(2, 4, H, W) of maps (2, 4, h, w), averaged over the area of each pixel."""
    resized = [
        cv2.resize(pixels, size_hw[::-1], interpolation=cv2.INTER_AREA)
        for pixels in maps.permute(0, 2, 3, 1).numpy()
    ]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2)
