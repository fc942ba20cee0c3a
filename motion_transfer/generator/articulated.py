"""The articulated warp: a training-free generator, and the interface of every generator.

(source, target poses) -> flow, visibility, RGBA. The photographed person is cut into layers
(`layers.py`); every layer moves with its bones (`motion.py`), blended across the joints and
smoothed over time (`temporal.py`); head, torso and skirt also turn in depth (`heading.py`,
`turning.py`); layers are put over each other in the order of their depth, which is kept steady.
Colours are mixed between layers, flows only within one, so nothing swirls where limbs cross. All
pixels are the photo's own, at full resolution.

Axes: T frames, N = G * G nodes of a coarse grid over a layer's box in the target (the flow within
a layer is smooth, so it is computed coarsely and interpolated), h w pixels of that box.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
import torch
from einops import rearrange
from torch.nn import functional

from motion_transfer.generator.bodies import STEP, Axis, Body
from motion_transfer.generator.ears import Ear, ear_outline, find_ears
from motion_transfer.generator.hair import back_of_head
from motion_transfer.generator.heading import (
    MOST_TURN,
    calm_turns,
    find_facing,
    find_turned,
    head_turn,
    head_up,
    steady_turns,
    torso_yaw,
)
from motion_transfer.generator.layers import cut_layers
from motion_transfer.generator.limbs import (
    HAND_LEFT,
    HAND_RIGHT,
    LIMBS,
    SEEN_CONFIDENCE,
    Limb,
    extend_joints,
    eyes_and_mouth,
)
from motion_transfer.generator.motion import (
    Bone,
    Chain,
    Head,
    Motion,
    Quad,
    dot,
    perpendicular,
    smoothstep,
    unit,
)
from motion_transfer.generator.relief import face_relief, face_side, head_depth
from motion_transfer.generator.shoulders import find_shoulders, shoulders_share
from motion_transfer.generator.temporal import blend_carried
from motion_transfer.generator.turning import Surface
from motion_transfer.generator.warp import (
    NEAREST,
    draw_layer,
    draw_turned_layer,
    pixel_grid,
    sample,
)
from motion_transfer.generator.working import Layer, Skirt
from motion_transfer.pose.retarget import HEAD, MIDHIP, NECK, px_per_metre
from motion_transfer.pose.skeleton import INDEX, MIRROR
from motion_transfer.pose.track import PoseTrack
from motion_transfer.threads import num_workers

if TYPE_CHECKING:
    from motion_transfer.person.subject import Subject

GRID = 12
OUTLINE_POINTS = 150  # of a layer, about
BULGE = 0.1  # as far beyond its corners' box may a layer that bends reach, of its longer side
AnyMotion = TypeVar("AnyMotion", bound=Motion)
_MIRROR = [*MIRROR, MIDHIP, NECK, HEAD, HAND_RIGHT, HAND_LEFT]
DEPTH_HYSTERESIS_M = 0.07
TORSO_DEPTH, SHOULDER_DEPTH = 0.71, 0.62  # of a trunk from the side, shares of its frontal width
CHEST_BEFORE_M, SEAT_BEHIND_M = 0.02, 0.011  # the line from hips to neck, metres
LOOSE = 0.78  # half the width of a sleeve, shares of a limb's radius with what may lie about it
EARS_M = 0.03  # over which a head's outline is smoothed: ears are no part of its round
EAR_REACH_M = 0.085  # as far from an ear's key point does it stand out of a head
HEAD_LAST = 0.1  # see `Axis.last`: of hair and cheeks the photo shows more than what is guessed
_LEAST_TURN = np.radians(0.2)  # less is not drawn
# How far the tracker's yaw, pitch and trunk's yaw are off at rest.
_BODY_NOISE, _HEAD_NOISE = np.radians([10, 1, 10]), np.radians([5, 1, 10])
# In an ordinary photo, metres nearer to the camera than the bones say.
NEARER_M = {"head": 0.03, "skirt": 0.08, "thigh": -0.12, "shin": -0.10, "lower_arm": 0.03}
ARMS_NEARER_M = 0.12
BEHIND, BEHIND_M = 4.0, 0.25  # so many times farther is an arm behind the trunk, and at most
ALIKE_M, ALIKE_FADE_M = 0.015, 0.02
"""From so far below the hips is a back what the front is, and half of what lies between, metres."""
FACE_M = 0.14  # from between the ears to the chin


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """The photographed person.

    Args:
        rgb: (H, W, 3) uint8, with the person's own colour at soft edges.
        alpha: (H, W) float32 matte in [0, 1].
        pose: track of one frame, in pixels of the photo.
        face: (468, 3) points of the face, see `FaceMesh`; None where none is seen.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    pose: PoseTrack
    face: np.ndarray | None = None

    @classmethod
    def of(cls, subject: Subject) -> Source:
        """The person of a photo that was taken apart."""
        return cls(rgb=subject.rgb, alpha=subject.alpha, pose=subject.pose, face=subject.face)


def cut_source(source: Source) -> tuple[dict[str, Layer], Skirt | None]:
    """See `layers.cut_layers`."""
    pose = source.pose
    joints = np.nan_to_num(pose.xy[0]).astype(np.float64)
    shown = np.isfinite(pose.xy[0, :, 0]) & (pose.confidence[0] >= SEEN_CONFIDENCE)
    return cut_layers(source.rgb, source.alpha, joints, shown, float(px_per_metre(pose)[0]))


class Rendition(NamedTuple):
    """One generated frame, in the box that the person fills.

    rgba: (4, h, w) float32 in [0, 1], colour multiplied by alpha.
    flow: (2, h, w) pixels of the photo, backward: `out[y, x] = photo[y + dy, x + dx]`.
    visibility: (1, h, w) in [0, 1], 0 where the photo does not show what should be seen there.
    box_xyxy: place in the frame, pixels, right and bottom exclusive.
    """

    rgba: torch.Tensor
    flow: torch.Tensor | None
    visibility: torch.Tensor | None
    box_xyxy: tuple[int, int, int, int]


class Generator(Protocol):
    """Re-renders one source in target poses.

    Frames on either side that help (`margin_frames` at most) may be passed along with those that
    are wanted. What must go on from block to block (the order of the layers, for instance) is
    state: passed in, given back. A plan is cheap, so frames can be skipped; `draw` does the work,
    in as many threads at once as there are `workers`.
    """

    margin_frames: int
    workers: int

    def plan(self, targets: PoseTrack, wanted: slice, state: Any = None) -> tuple[Any, Any]:
        """Prepare the wanted frames; returns the plan and the state for the next block."""
        ...

    def draw(self, plan: Any, frame: int, *, with_flow: bool = False) -> Rendition | None:
        """Render one frame of the plan; None where nothing of the person is in the picture."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A block of frames, ready to be drawn.

    Args:
        positions: per layer (T, 2, G, G) photo positions on the coarse grid, layer pixels.
        boxes: per layer (T, 4) int, box in the target frame, empty where nothing is in it.
        orders: per frame the layers from far to near.
        facing: (T,) in [-1, 1], 1 where the same side as in the photo is seen.
        turned: (T,) whether the back is seen, the same way round as the front.
        turns: per round layer (T, 3) yaw, pitch and the trunk's yaw, against the photo, radians.
        size_hw: of the target frame.
    """

    positions: dict[str, torch.Tensor]
    boxes: dict[str, np.ndarray]
    orders: list[list[str]]
    facing: np.ndarray
    turned: np.ndarray
    turns: dict[str, np.ndarray]
    size_hw: tuple[int, int]

    def __len__(self) -> int:
        return len(self.orders)

    def only(self, layers: Iterable[str]) -> Plan:
        """The same with these layers alone."""
        kept = set(layers)
        orders = [[name for name in order if name in kept] for order in self.orders]
        return dataclasses.replace(self, orders=orders)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PuppetState:
    """What goes on from block to block.

    Args:
        order: the layers from far to near in the last frame.
        turned: for the last frames, whether the puppet showed its back.
    """

    order: list[str] | None = None
    turned: tuple[bool, ...] = ()


class ArticulatedGenerator:
    """Training-free generator: the photo as a paper puppet.

    Args:
        source: the photographed person.
        device: where the pixels are warped.
        flow_smoothing: 0 to 1, how strongly each layer's flow is smoothed over time.
    """

    margin_frames = 2
    loose: list[str]
    """Layers whose outline is not a body's: skirts, wide sleeves."""

    def __init__(
        self, source: Source, *, device: torch.device | str = "cpu", flow_smoothing: float = 0.5
    ) -> None:
        self.device = torch.device(device)
        self.workers = num_workers(self.device)
        self.flow_smoothing = flow_smoothing
        self._metre = float(px_per_metre(source.pose)[0])
        self.layers, self._skirt = cut_source(source)
        if {"head", "torso"} <= self.layers.keys():
            self.layers["head"] = _widened(self.layers["head"], self.layers["torso"])
        self._under_hair = [
            n for n in ("left_upper_arm", "right_upper_arm") if _lies_over("head", n, self.layers)
        ]
        joints = extend_joints(np.nan_to_num(source.pose.xy[0]).astype(np.float64))
        self.loose = [
            n for n, layer in self.layers.items() if _is_loose(layer, joints, self._metre)
        ]
        self._joints = torch.tensor(joints, dtype=torch.float32)
        self._front = 1.0 if find_facing(joints[None], self._metre)[0] >= 0 else -1.0
        self._textures = {n: _make_texture(layer, self.device) for n, layer in self.layers.items()}
        self._surfaces, self._ears = self._make_surfaces(joints, source.face)
        self._torso_yaw = torso_yaw(joints[None], source.pose.depth)[0]
        self._head_turn = head_turn(joints[None], self._metre)[0]
        self._outlines = {
            n: _outline(layer, self._surfaces[n].reach_px if n in self._surfaces else 0.0)
            for n, layer in self.layers.items()
        }
        self._shoulders: tuple[torch.Tensor, tuple[int, int]] | None = None
        if (shoulders := find_shoulders(self.layers, joints)) is not None:
            x0, y0 = shoulders.box_xyxy[:2]
            self._shoulders = _make_texture(shoulders, self.device), (x0 - 1, y0 - 1)
            pairs = zip(self._outlines["torso"], _outline(shoulders, 0.0), strict=True)
            corners, points = (torch.cat(pair) for pair in pairs)
            self._outlines["torso"] = corners, points

    def plan(
        self, targets: PoseTrack, wanted: slice, state: PuppetState | None = None
    ) -> tuple[Plan, PuppetState]:
        """See `Generator`."""
        state = state or PuppetState()
        joints = extend_joints(np.nan_to_num(targets.xy).astype(np.float64))
        scale = px_per_metre(targets)
        facing = find_facing(joints, scale) * self._front
        head, trunk = head_turn(joints, scale), torso_yaw(joints, targets.depth)
        against = np.clip(_wrap(head[:, 0] - trunk), -MOST_TURN, MOST_TURN)
        head[:, 0] = trunk + against
        turned = find_turned(facing, wanted, state.turned)
        joints[turned] = joints[turned][:, _MIRROR]
        depth = np.where(turned[:, None], targets.depth[:, list(MIRROR)], targets.depth)
        motions = self._motions(
            torch.tensor(joints, dtype=torch.float32),
            torch.tensor(scale / self._metre, dtype=torch.float32),
            torch.tensor(facing * self._front, dtype=torch.float32),
            torch.tensor(trunk, dtype=torch.float32),
        )
        frames = torch.arange(len(targets))[wanted]
        positions, boxes = {}, {}
        for name, motion in motions.items():
            origin = self._origin(name)
            boxes[name] = _target_boxes(motion[frames], self._outlines[name], targets.size_hw)
            nodes = _grid_nodes(boxes[name])
            found = self._smoothed(motion, nodes, frames) - torch.tensor(origin)
            positions[name] = rearrange(found, "t (h w) c -> t c h w", h=GRID)
        orders: list[list[str]] = []
        nearness = self._nearness(depth, scale, facing)
        order = state.order
        for frame in frames.tolist():
            order = steady_order({n: float(z[frame]) for n, z in nearness.items()}, order)
            orders.append(order)
        turns = self._turns(trunk, torso_yaw(joints, depth), head, wanted)
        plan = Plan(
            positions=positions, boxes=boxes, orders=orders, facing=facing[wanted],
            turned=turned[wanted], turns=turns, size_hw=targets.size_hw,
        )  # fmt: skip
        last = tuple(
            bool(t) for t in turned[max(0, wanted.stop - self.margin_frames) : wanted.stop]
        )
        return plan, PuppetState(order=order, turned=last)

    def draw(self, plan: Plan, frame: int, *, with_flow: bool = False) -> Rendition | None:
        """See `Generator`."""
        boxes = {n: plan.boxes[n][frame] for n in plan.orders[frame]}
        filled = [b for b in boxes.values() if b[2] > b[0] and b[3] > b[1]]
        if not filled:
            return None
        x0, y0 = np.min(filled, 0)[:2]
        x1, y1 = np.max(filled, 0)[2:]
        box = (int(x0), int(y0), int(x1), int(y1))
        draw = self._draw_numpy if self.device.type == "cpu" else self._draw_torch
        canvas, flow = draw(plan, frame, box, with_flow)
        if not with_flow:
            return Rendition(rgba=canvas[:4], flow=None, visibility=None, box_xyxy=box)
        visibility = canvas[4:] / canvas[3:4].clamp_min(1e-3)
        return Rendition(rgba=canvas[:4], flow=flow, visibility=visibility, box_xyxy=box)

    def _draw_numpy(
        self, plan: Plan, frame: int, box: tuple[int, int, int, int], with_flow: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Canvas (5, h, w) and flow (2, h, w), by the fused loop."""
        shape = (box[3] - box[1], box[2] - box[0])
        canvas = np.zeros((*shape, 5), np.float32)
        flow = np.zeros((*shape, 2) if with_flow else (0, 0, 2), np.float32)
        seen = _seen(float(plan.facing[frame]))
        for name in plan.orders[frame]:
            left, top, right, bottom = (int(v) for v in plan.boxes[name][frame])
            if right <= left or bottom <= top:
                continue
            origin = self._origin(name)
            texture, turn = self._textures[name], self._turn(plan, name, frame)
            where = (
                _positions(plan.positions[name][frame, None]), (left - box[0], top - box[1]),
                (bottom - top, right - left), (origin[0] - box[0], origin[1] - box[1]), seen,
            )  # fmt: skip
            if turn is None:
                draw_layer(canvas, flow, _pixels_last(texture), *where)
            else:
                colours = _pixels_last(self._surfaces[name].colours)
                moved = np.ascontiguousarray(_pixels_last(turn))
                draw_turned_layer(canvas, flow, _pixels_last(texture), colours, moved, STEP, *where)
            for piece, at, (left, top) in self._pieces(plan, name, frame):
                corner = (left - box[0], top - box[1])
                draw_layer(canvas, flow, _pixels_last(piece), _positions(at), *where[1:3], corner,
                           seen)  # fmt: skip
        return torch.from_numpy(canvas).permute(2, 0, 1), torch.from_numpy(flow).permute(2, 0, 1)

    def _draw_torch(
        self, plan: Plan, frame: int, box: tuple[int, int, int, int], with_flow: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same on any device, layer by layer."""
        shape = (box[3] - box[1], box[2] - box[0])
        canvas = torch.zeros(1, 5, *shape, device=self.device)
        flow = torch.zeros(1, 2, *shape, device=self.device)
        seen = _seen(float(plan.facing[frame]))
        for name in plan.orders[frame]:
            left, top, right, bottom = (int(v) for v in plan.boxes[name][frame])
            if right <= left or bottom <= top:
                continue
            coarse = plan.positions[name][frame : frame + 1].to(self.device)
            size = (bottom - top, right - left)
            xy = _enlarged(coarse, size)
            pixels, turn = sample(self._textures[name], xy), self._turn(plan, name, frame)
            if turn is not None:
                nodes = xy / STEP
                torn = sample(turn[:, 5:], nodes.floor()) > 0
                moved = sample(turn[:, 2:], nodes)
                xy = xy + sample(turn[:, :2], torch.where(torn, (nodes + NEAREST).floor(), nodes))
                hidden, kept, added = moved[:, :1], moved[:, 1:2], moved[:, 2:3]
                found = sample(self._surfaces[name].colours, xy, padding="border")
                alpha = torch.maximum(pixels[:, 3:4] * kept, added)
                pixels[:, 3:4] = alpha
                pixels[:, :3] = alpha * torch.lerp(found[:, :3], found[:, 4:], hidden)
                pixels[:, 4:] = alpha * (1 - hidden) * found[:, 3:4]
            shown = [(pixels, xy, self._origin(name))]
            for piece, at, origin in self._pieces(plan, name, frame):
                xy = _enlarged(at, size)
                shown.append((sample(piece, xy), xy, origin))
            rows, columns = (
                slice(top - box[1], bottom - box[1]),
                slice(left - box[0], right - box[0]),
            )
            for pixels, xy, origin in shown:
                corner = coarse.new_tensor(np.subtract(origin, (left, top)).tolist())
                pixels[:, 4] *= seen
                alpha, under = pixels[:, 3:4], canvas[..., rows, columns]
                canvas[..., rows, columns] = torch.addcmul(pixels, under, 1 - alpha)
                if with_flow:
                    moved = xy - pixel_grid(*size, device=self.device) + corner[:, None, None]
                    under = flow[..., rows, columns]
                    flow[..., rows, columns] = torch.where(alpha > 0.5, moved, under)
        return canvas[0], flow[0]

    def _origin(self, name: str) -> tuple[int, int]:
        """Photo position of the texture's first pixel."""
        x, y = self.layers[name].box_xyxy[:2]
        return x - 1, y - 1

    def _make_surfaces(
        self, joints: np.ndarray, face: np.ndarray | None
    ) -> tuple[dict[str, Surface], list[Ear]]:
        """Of the layers that turn in depth; joints (38, 2) and face (468, 3) in the photo.

        And the ears, which are put over a head that turns.
        """
        trunk, neck = joints[MIDHIP], joints[NECK] - joints[MIDHIP]
        upright = neck / max(float(np.linalg.norm(neck)), 1e-6)
        made: dict[str, Surface] = {}
        seen: list[Ear] = []
        for name, top in (("torso", 0.7), ("skirt", 1.0)):  # to the armpits
            if name in self.layers:
                axis = Axis(
                    centre_xy=trunk, up_xy=upright, depth=TORSO_DEPTH,
                    alike_px=ALIKE_M * self._metre if name == "torso" else 1e6,
                    fade_px=ALIKE_FADE_M * self._metre,
                    top_px=top * float(np.linalg.norm(neck)), smooth_px=0.02 * self._metre,
                )  # fmt: skip
                texture, origin = self._textures[name], self._origin(name)
                body = Body(axis, texture[0, 3], origin)
                made[name] = Surface(texture, None, body, origin)
        if "head" in self.layers:
            eyes, mouth = eyes_and_mouth(joints)
            # the eyes are half way up a head; what nods is higher, or it would press the chin flat
            half = max(1.7 * float(np.linalg.norm(eyes - mouth)), 0.06 * self._metre)
            axis = Axis(
                centre_xy=eyes, up_xy=head_up(torch.from_numpy(joints[None]))[0].numpy(),
                whole_px=half, still_px=2 * half, nod_px=1.5 * half, crown_px=half,
                smooth_px=EARS_M * self._metre,
                front=0.75, seam=0.7,  # a neck that is lit from one side has no line on its nape
            )  # fmt: skip
            back = back_of_head(self.layers["head"], joints, self._metre, shown=self._front < 0).to(
                self.device
            )
            texture, origin = self._textures["head"], self._origin("head")
            body, relief, ears = Body(axis, texture[0, 3], origin), None, None
            if face is not None:  # or the photo shows a profile, whose nose is at the outline
                ears = ear_outline(joints, body, texture[0, 3], origin, EAR_REACH_M * self._metre)
                deep = dataclasses.replace(
                    axis, depth=head_depth(face, body), side=face_side(face, body), last=HEAD_LAST
                )
                body = Body(deep, texture[0, 3], origin)
                relief = face_relief(face, body, texture[0, 3], origin)
                seen = find_ears(self.layers["head"], face, body, texture, origin)
            made["head"] = Surface(texture, back, body, origin, made.get("torso"), relief, ears)
        return made, seen

    def _turn(self, plan: Plan, name: str, frame: int) -> torch.Tensor | None:
        """How a layer is turned in depth, see `Surface.turned`; None if it is not."""
        if name not in self._surfaces:
            return None
        behind = bool(plan.turned[frame]) and name != "head"
        angles = plan.turns[name][frame]
        if not behind and np.abs(angles).max() < _LEAST_TURN:
            return None
        return self._surfaces[name].turned(*angles.tolist(), behind=behind)

    def _pieces(
        self, plan: Plan, name: str, frame: int
    ) -> list[tuple[torch.Tensor, torch.Tensor, tuple[int, int]]]:
        """What is put over a layer: ears over a turned head, shoulders over the torso.

        Textures (1, 5, h, w), positions (1, 2, G, G) in them, and their first pixels in the photo.
        """
        at, origin = plan.positions[name][frame, None].to(self.device), self._origin(name)
        if name == "torso" and self._shoulders is not None and not plan.turned[frame]:
            texture, corner = self._shoulders
            shift = at.new_tensor(np.subtract(origin, corner).tolist())
            share = shoulders_share(float(plan.turns[name][frame, 0]))
            return [(share * texture, at + shift[:, None, None], corner)] if share > 0 else []
        if name != "head":
            return []
        found = [ear.turned(at, float(plan.turns[name][frame, 0])) for ear in self._ears]
        return [(*pair, origin) for pair in found if pair is not None]

    def _turns(
        self, trunk: np.ndarray, shown: np.ndarray, head: np.ndarray, wanted: slice
    ) -> dict[str, np.ndarray]:
        """Per round layer (T', 3) yaw, pitch and the trunk's yaw against the photo.

        Args:
            trunk: (T,) yaw of the torso.
            shown: (T,) of the side that is shown, front or back.
            head: (T, 2) yaw and pitch.
            wanted: frames.
        """
        level = np.zeros_like(trunk)
        body = np.stack([shown - self._torso_yaw, level, level], -1)
        turn = np.stack([head[:, 0] - self._head_turn[0], head[:, 1] - self._head_turn[1],
                         trunk - self._torso_yaw], -1)  # fmt: skip
        found = {"torso": (body, _BODY_NOISE), "skirt": (body, _BODY_NOISE),
                 "head": (turn, _HEAD_NOISE)}  # fmt: skip
        return {
            n: calm_turns(steady_turns(found[n][0], wanted, self.flow_smoothing), found[n][1])
            for n in self._surfaces
        }

    def _smoothed(
        self, motion: AnyMotion, nodes: torch.Tensor, frames: torch.Tensor
    ) -> torch.Tensor:
        """(T, N, 2) photo positions of the nodes, smoothed along the motion."""
        present = motion[frames]
        own = present.source(nodes)
        if self.flow_smoothing <= 0:
            return own
        last = motion.num_frames - 1
        carried = []
        for step in (-2, -1, 1, 2):
            other = motion[(frames + step).clamp(0, last)]
            carried.append(other.source(present.carry(nodes, other)))
        return blend_carried(own, carried, self.flow_smoothing, 0.03 * self._metre)

    def _motions(
        self, joints: torch.Tensor, zoom: torch.Tensor, facing: torch.Tensor, yaw: torch.Tensor
    ) -> dict[str, Motion]:
        """The layers' maps for target joints (T, 38, 2) of relative size (T,).

        `facing` (T,) is 1 where the target faces the camera, whichever side the photo shows;
        `yaw` (T,) of its trunk.
        """
        torso = _torso_quad(self._joints, joints, zoom, yaw, float(self._torso_yaw), self._metre)
        motions: dict[str, Motion] = {}
        for name in self.layers:
            if name in LIMBS:
                motions[name] = self._chain(LIMBS[name], joints, zoom)
            elif name == "torso":
                motions[name] = torso
            elif name == "skirt" and self._skirt is not None:
                motions[name] = _skirt_quad(self._skirt, self._joints, joints, zoom, torso)
            elif name == "head":
                motions[name] = self._head(joints, zoom, facing, torso)
        return motions

    def _chain(self, limb: Limb, joints: torch.Tensor, zoom: torch.Tensor) -> Chain:
        def bone(pair: tuple[int, int] | None, **limits: float) -> Bone | None:
            if pair is None:
                return None
            at = list(pair)
            return Bone.between(self._joints[at], joints[:, at], zoom, **limits)

        main = bone(limb.main)
        assert main is not None
        # hands and feet turn, they do not stretch
        stiff = {"least": 0.75, "most": 1.4} if limb.before is not None else {}
        return Chain(
            main=main, before=bone(limb.before), after=bone(limb.after, **stiff),
            start_radius_px=0.8 * limb.radius_m * self._metre,
            end_radius_px=0.8 * limb.end_radius_m * self._metre,
            ends_here=limb.before is not None,
        )  # fmt: skip

    def _head(
        self, joints: torch.Tensor, zoom: torch.Tensor, facing: torch.Tensor, torso: Quad
    ) -> Head:
        own = (self._joints[HEAD] - self._joints[NECK]).norm().clamp_min(1.0)
        shown = (joints[:, HEAD] - joints[:, NECK]).norm(dim=-1) / (zoom * own)
        bent = smoothstep((0.85 - shown) / 0.35) * smoothstep(3 * facing)
        low = smoothstep((0.95 - shown) / 0.15) * smoothstep(3 * facing)
        return Head(
            bent=bent[:, None, None], low=low[:, None, None], radius_px=FACE_M * self._metre,
            centre=joints[:, HEAD, None], up=head_up(joints)[:, None], neck=joints[:, NECK, None],
            zoom=zoom[:, None, None], photo_centre=self._joints[None, HEAD, None],
            photo_up=head_up(self._joints[None])[:, None],
            torso=torso if "torso" in self.layers else None,
        )  # fmt: skip

    def _nearness(
        self, depth: np.ndarray, scale: np.ndarray, facing: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Per layer (T,) metres towards the camera; a greater one is drawn over a smaller."""
        near = -np.nan_to_num(depth) / scale[:, None]
        trunk = [INDEX[f"{s}_{p}"] for s in ("left", "right") for p in ("shoulder", "hip")]
        middle = near[:, trunk].mean(1)
        result = {}
        for name in self.layers:
            if name in LIMBS:
                result[name] = near[:, list(LIMBS[name].main)].mean(1)
                if "arm" in name:  # arms mostly are before the body: before or behind the seen side
                    result[name] = result[name] + ARMS_NEARER_M * facing * np.abs(facing)
            else:
                result[name] = middle
            extra = sum(metres for word, metres in NEARER_M.items() if word in name)
            result[name] = result[name] + extra
            if "arm" in name:  # what is behind the trunk is behind the legs as well
                behind = np.maximum(middle - result[name], 0)
                result[name] = result[name] - np.minimum(BEHIND * behind, BEHIND_M)
        if not self._under_hair:
            return result
        head = result["head"]
        over = np.max([result[name] for name in self._under_hair], 0) + 2 * DEPTH_HYSTERESIS_M
        # from behind, hair before a shoulder is not seen
        result["head"] = np.where(facing > 0, np.maximum(head, over), head)
        for name in result:
            if name.endswith("lower_arm"):  # a hand before the face is before its hair, too
                lift = np.where(result[name] > head, result["head"] - head, 0)
                result[name] = result[name] + lift
        return result


def _wrap(angle: np.ndarray) -> np.ndarray:
    """Into (-pi, pi]."""
    return np.angle(np.exp(1j * angle))


def steady_order(nearness: dict[str, float], before: list[str] | None) -> list[str]:
    """Layers from far to near, changed against the frame before only where the gap is clear.

    Depth from one camera is noisy; without hysteresis crossing arms flicker.
    """
    if before is None:
        return sorted(nearness, key=lambda n: nearness[n])
    order, changed = list(before), True
    while changed:  # each swap mends a true inversion, so this ends
        changed = False
        for i in range(len(order) - 1):
            if nearness[order[i]] > nearness[order[i + 1]] + DEPTH_HYSTERESIS_M:
                order[i], order[i + 1] = order[i + 1], order[i]
                changed = True
    return order


def _enlarged(coarse: torch.Tensor, size_hw: tuple[int, int]) -> torch.Tensor:
    """(1, 2, h, w) of positions (1, 2, G, G) from a box's first pixel to its last."""
    return functional.interpolate(coarse, size_hw, mode="bilinear", align_corners=True)


def _positions(coarse: torch.Tensor) -> np.ndarray:
    """(2, G, G) of (1, 2, G, G)."""
    return np.ascontiguousarray(coarse[0].numpy())


def _pixels_last(maps: torch.Tensor) -> np.ndarray:
    """(h, w, C) of (1, C, h, w)."""
    return maps[0].permute(1, 2, 0).numpy()


def _seen(facing: float) -> float:
    """Visibility of all that is drawn: 0 where the person shows the other side."""
    return min(1.0, max(0.0, (facing + 0.1) / 0.3))


def _make_texture(layer: Layer, device: torch.device) -> torch.Tensor:
    """(1, 5, h + 2, w + 2) colour times alpha, alpha, visibility times alpha, a clear border."""
    alpha = layer.rgba[..., 3:]
    stack = np.concatenate(
        [layer.rgba[..., :3] * alpha, alpha, layer.visible[..., None] * alpha], -1
    )
    texture = torch.from_numpy(rearrange(stack, "h w c -> 1 c h w")).float().to(device)
    texture = functional.pad(texture, (1, 1, 1, 1))  # a transparent border
    return texture.contiguous(memory_format=torch.channels_last)


def _widened(layer: Layer, other: Layer) -> Layer:
    """A layer with room for what comes round from as far as another one reaches."""
    x0, y0, x1, y1 = layer.box_xyxy
    left, right = min(x0, other.box_xyxy[0]), max(x1, other.box_xyxy[2])
    room = ((0, 0), (x0 - left, right - x1))
    return dataclasses.replace(
        layer, rgba=np.pad(layer.rgba, (*room, (0, 0))), visible=np.pad(layer.visible, room),
        box_xyxy=(left, y0, right, y1),
    )  # fmt: skip


def _is_loose(layer: Layer, joints: np.ndarray, metre: float) -> bool:
    """Whether a layer is a skirt, a wide sleeve or a robe about a shin: no outline of a body."""
    if layer.name not in LIMBS or layer.name.endswith("thigh"):
        return layer.name == "skirt"
    start, end = (joints[j] for j in LIMBS[layer.name].main)
    length = float(np.linalg.norm(end - start))
    if length < 8:
        return False
    height, width = layer.visible.shape
    corner = np.array(layer.box_xyxy[:2]) - start
    x, y = np.arange(width) + corner[0], np.arange(height)[:, None] + corner[1]
    along = (x * (end - start)[0] + y * (end - start)[1]) / length**2
    middle = (np.abs(along - 0.5) < 0.3) & (layer.rgba[..., 3] > 0.5)
    half = middle.sum() / (0.6 * length) / 2
    return bool(half > LOOSE * LIMBS[layer.name].radius_m * metre)


def _lies_over(near: str, far: str, layers: dict[str, Layer]) -> bool:
    """Whether the photo shows one layer over some of another one."""
    if not {near, far} <= layers.keys():
        return False
    a, b = layers[near], layers[far]
    x0, y0 = np.maximum(a.box_xyxy[:2], b.box_xyxy[:2])
    x1, y1 = np.minimum(a.box_xyxy[2:], b.box_xyxy[2:])
    if x0 >= x1 or y0 >= y1:
        return False

    def shown(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
        left, top = layer.box_xyxy[:2]
        window = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        return layer.rgba[window][..., 3] > 0.5, layer.visible[window]

    (alpha, visible), (under, hidden) = shown(a), shown(b)
    covered = alpha & (visible > 0.8) & under & (hidden < 0.2)
    return bool(covered.sum() > 0.03 * (b.rgba[..., 3] > 0.5).sum())


def _outline(layer: Layer, room_px: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 2) corners of the layer's convex hull with room about it, and points of its outline."""
    mask = (layer.rgba[..., 3] > 0.02).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate([*contours, np.zeros((0 if contours else 1, 1, 2), np.int32)])[:, 0]
    corner = np.array(layer.box_xyxy[:2])
    hull = cv2.convexHull(points)[:, 0]
    points = points[:: max(1, len(points) // OUTLINE_POINTS)]
    sides = room_px * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])
    roomy = np.unique((hull + sides[:, None]).reshape(-1, 2), axis=0)
    corners, outline = (torch.tensor(p + corner, dtype=torch.float32) for p in (roomy, points))
    return corners, outline


def _target_boxes(
    motion: Motion, outline: tuple[torch.Tensor, torch.Tensor], size_hw: tuple[int, int]
) -> np.ndarray:
    """(T, 4) int boxes that hold the layer in the target, cut at the frame.

    Between its corners a layer that bends bulges by a share of its size; what lies farther out is
    a fold of the motion, in which it would be seen twice.
    """
    corners, points = (motion.target(p[None]) for p in outline)
    low, high = corners.amin(1), corners.amax(1)
    room = BULGE * (high - low).amax(1, keepdim=True)
    low = torch.minimum(low, torch.maximum(points.amin(1), low - room))
    high = torch.maximum(high, torch.minimum(points.amax(1), high + room))
    ends = (low.floor().numpy() - 2, high.ceil().numpy() + 3)
    limit = np.array([size_hw[1], size_hw[0]])
    return np.concatenate([np.clip(end, 0, limit) for end in ends], 1).astype(np.int64)


def _grid_nodes(boxes: np.ndarray) -> torch.Tensor:
    """(T, N, 2) nodes over each box, from the first pixel's centre to the last's."""
    step = torch.linspace(0, 1, GRID)
    corner = torch.tensor(boxes, dtype=torch.float32)
    span = (corner[:, 2:] - corner[:, :2] - 1).clamp_min(0)
    y, x = torch.meshgrid(step, step, indexing="ij")
    unit_nodes = torch.stack([x, y], -1).reshape(1, -1, 2)
    return corner[:, None, :2] + unit_nodes * span[:, None]


def _torso_quad(
    source: torch.Tensor,
    joints: torch.Tensor,
    zoom: torch.Tensor,
    yaw: torch.Tensor,
    own_yaw: float,
    metre: float,
) -> Quad:
    """Hips to shoulders. Never mirrored: a back shows the front's pixels the same way round.

    From the side a trunk is not thin: it is taken for an elliptical cylinder, whose chest is before
    the line from hips to neck and whose seat behind it.

    Args:
        source: (38, 2) joints in the photo.
        joints: (T, 38, 2) in the target.
        zoom: (T,).
        yaw: (T,) of the target's trunk, radians.
        own_yaw: of the photo's.
        metre: pixels in the photo.
    """

    def edges(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        spine = points[:, NECK] - points[:, MIDHIP]
        right = perpendicular(unit(spine))  # to the right of the picture for an upright person
        halves = []
        for word in ("hip", "shoulder"):
            half = (points[:, INDEX[f"left_{word}"]] - points[:, INDEX[f"right_{word}"]]) / 2
            halves.append(torch.cat([dot(half, right), dot(half, unit(spine))], -1))
        return spine, right, torch.stack(halves, 1)  # (T, 2, 2): across, along

    spine_s, right_s, across_s = edges(source[None])
    spine_t, right_t, across_t = edges(joints)
    own = across_s[..., 0].abs().clamp_min(0.05 * float(spine_s.norm()))
    own_t = own * zoom[:, None]
    depth = torch.tensor([TORSO_DEPTH, SHOULDER_DEPTH])
    least = depth * own_t
    width = across_t[..., 0].abs()
    tilt = across_t[..., 1] * torch.sign(across_t[..., 0])
    tilt = tilt * (width / least).clamp(0, 1)  # no telling the tilt of an edge seen end on
    cosine, sine = torch.cos(yaw[:, None]).abs(), torch.sin(yaw[:, None])
    seen = torch.hypot(cosine, depth * sine)
    width = torch.maximum(width + (seen - cosine) * own_t, least)
    tilt = torch.minimum(torch.maximum(tilt, -0.5 * width), 0.5 * width)
    tilt_s = (across_s[..., 1] * torch.sign(across_s[..., 0])).clamp(-0.5 * own, 0.5 * own)

    def halves(
        w: torch.Tensor, k: torch.Tensor, right: torch.Tensor, spine: torch.Tensor
    ) -> list[torch.Tensor]:
        up = unit(spine)
        return [(w[:, i, None] * right + k[:, i, None] * up)[:, None] for i in range(2)]

    half_s, half_t = halves(own, tilt_s, right_s, spine_s), halves(width, tilt, right_t, spine_t)
    straight = torch.zeros(1, 1, 1)
    forward = ((sine - math.sin(own_yaw)) * zoom[:, None] * metre)[..., None]
    photo = Quad(centre0=source[None, MIDHIP, None], centre1=source[None, NECK, None],
                 half0=half_s[0], half1=half_s[1], bend0=straight, bend1=straight)  # fmt: skip
    return Quad(centre0=joints[:, MIDHIP, None], centre1=joints[:, NECK, None],
                half0=half_t[0], half1=half_t[1], bend0=-SEAT_BEHIND_M * forward,
                bend1=CHEST_BEFORE_M * forward, photo=photo)  # fmt: skip


def _skirt_quad(
    skirt: Skirt, source: torch.Tensor, joints: torch.Tensor, zoom: torch.Tensor, torso: Quad
) -> Quad:
    """Hips to hem; the corners of the hem go with the legs, the cloth between them stretches."""
    assert torso.photo is not None
    hem = torch.tensor(
        np.stack([skirt.hem_left_xy, skirt.hem_right_xy]), dtype=torch.float32
    )  # (2, 2)
    legs = [[INDEX[f"{s}_{p}"] for p in ("hip", "knee", "ankle")] for s in ("left", "right")]
    y = float(hem[0, 1])

    def at_hem(points: torch.Tensor, leg: list[int]) -> torch.Tensor:
        hip, knee, ankle = (source[j, 1] for j in leg)
        thigh = float(((y - hip) / (knee - hip).clamp_min(1.0)).clamp(0, 1))
        shin = float(((y - knee) / (ankle - knee).clamp_min(1.0)).clamp(0, 1))
        a, b, c = (points[..., j, :] for j in leg)
        return a + thigh * (b - a) + shin * (c - b)

    own = sorted((at_hem(source, leg) for leg in legs), key=lambda p: float(p[0]))
    moved = torch.stack([at_hem(joints, leg) for leg in legs], 1)  # (T, 2, 2)
    crossed = (moved[:, 0, 0] > moved[:, 1, 0])[:, None]
    left = torch.where(crossed, moved[:, 1], moved[:, 0])
    right = torch.where(crossed, moved[:, 0], moved[:, 1])
    z = zoom[:, None]
    left, right = left + z * (hem[0] - own[0]), right + z * (hem[1] - own[1])
    centre, half = (left + right) / 2, (right - left) / 2
    least = 0.7 * z * float((hem[1] - hem[0]).norm()) / 2
    length = half.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    half = half * torch.maximum(least / length, torch.ones_like(length))
    photo = Quad(
        centre0=torso.photo.centre0, half0=torso.photo.half0,
        centre1=hem.mean(0)[None, None], half1=((hem[1] - hem[0]) / 2)[None, None],
        bend0=torso.photo.bend0, bend1=torso.photo.bend1,
    )  # fmt: skip
    return Quad(centre0=torso.centre0, half0=torso.half0, centre1=centre[:, None],
                half1=half[:, None], bend0=torso.bend0, bend1=torch.zeros_like(torso.bend0),
                photo=photo)  # fmt: skip
