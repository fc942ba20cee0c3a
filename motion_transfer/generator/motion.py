"""How each layer of the puppet moves: maps from target to source positions.

Every map is a small frozen container of per-frame parameters (leading axis T) with three
methods: `source(x)` takes target positions (T, N, 2) to the photo, `target(y)` takes photo
positions (N, 2) to the target, and `carry(x, to)` follows the rigid motion of the part from one
set of frames to another. Indexing by frame numbers gives the map of those frames, so a flow can
be carried over time without sampling an image.
"""

from __future__ import annotations

import dataclasses
from typing import Protocol, Self

import torch

_BEND_FROM, _BEND_TO, _BEND_LAST = 0.05, 0.35, 0.85
"""Shares of a patch's length between which one bend goes over into another, and where it ends."""


def dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Inner product over the last axis, which stays as length one."""
    return (a * b).sum(-1, keepdim=True)


def perpendicular(v: torch.Tensor) -> torch.Tensor:
    """(..., 2) turned by a quarter from x towards y."""
    return torch.stack([-v[..., 1], v[..., 0]], -1)


def unit(v: torch.Tensor) -> torch.Tensor:
    """(..., 2) scaled to length one."""
    return v / v.norm(dim=-1, keepdim=True).clamp_min(1e-4)


def smoothstep(t: torch.Tensor) -> torch.Tensor:
    """0 below 0, 1 above 1, smooth between."""
    t = t.clamp(0, 1)
    return t * t * (3 - 2 * t)


class Motion(Protocol):
    """What the maps have in common."""

    @property
    def num_frames(self) -> int: ...
    def __getitem__(self, frames: torch.Tensor) -> Self: ...
    def source(self, x: torch.Tensor) -> torch.Tensor: ...
    def target(self, y: torch.Tensor) -> torch.Tensor: ...
    def carry(self, x: torch.Tensor, to: Self) -> torch.Tensor: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bone:
    """A bone keeps its width, stretches along itself, and its round ends stay round.

    Args:
        start: (T, 1, 2) target position of the joint that it hangs on.
        along: (T, 1, 2) unit vector in the target.
        length: (T, 1, 1) in the target, pixels.
        zoom: (T, 1, 1) size of the target person relative to the photo.
        stretch: (T, 1, 1) photo pixels for a target pixel along the bone.
        source_start: (1, 1, 2) position in the photo.
        source_along: (1, 1, 2) unit vector in the photo.
        source_length: length in the photo, pixels.
    """

    start: torch.Tensor
    along: torch.Tensor
    length: torch.Tensor
    zoom: torch.Tensor
    stretch: torch.Tensor
    source_start: torch.Tensor
    source_along: torch.Tensor
    source_length: float

    @classmethod
    def between(
        cls,
        source: torch.Tensor,
        target: torch.Tensor,
        zoom: torch.Tensor,
        *,
        least: float = 0.25,
        most: float = 6.0,
    ) -> Bone:
        """From end points: source (2, 2), target (T, 2, 2); `stretch` within [least, most]/zoom."""
        source_vector, vector = source[1] - source[0], target[:, 1:] - target[:, :1]
        source_length = max(float(source_vector.norm()), 1.0)
        zoom = zoom[:, None, None]
        length = vector.norm(dim=-1, keepdim=True).clamp_min(1.0)
        stretch = (source_length / length).clamp(least / zoom, most / zoom)
        return cls(
            start=target[:, :1],
            along=unit(vector),
            length=length,
            zoom=zoom,
            stretch=stretch,
            source_start=source[None, :1],
            source_along=unit(source_vector)[None, None],
            source_length=source_length,
        )

    def __getitem__(self, frames: torch.Tensor) -> Self:
        names = ("start", "along", "length", "zoom", "stretch")
        return dataclasses.replace(self, **{n: getattr(self, n)[frames] for n in names})

    def position(self, x: torch.Tensor) -> torch.Tensor:
        """(T, N, 1) how far along the bone, target pixels."""
        return dot(x - self.start, self.along)

    def distance(self, x: torch.Tensor) -> torch.Tensor:
        """(T, N, 1) to the bone, target pixels."""
        along = torch.minimum(self.position(x).clamp_min(0), self.length)
        return (x - self.start - along * self.along).norm(dim=-1, keepdim=True)

    def source(self, x: torch.Tensor) -> torch.Tensor:
        along = self.position(x)
        across = dot(x - self.start, perpendicular(self.along)) / self.zoom
        inside = torch.minimum(along.clamp_min(0), self.length)
        along = inside * self.stretch + (along - inside) / self.zoom
        return (
            self.source_start
            + along * self.source_along
            + across * perpendicular(self.source_along)
        )

    def target(self, y: torch.Tensor) -> torch.Tensor:
        along = dot(y - self.source_start, self.source_along)
        across = dot(y - self.source_start, perpendicular(self.source_along)) * self.zoom
        end = self.length * self.stretch
        inside = torch.minimum(along.clamp_min(0), end)
        along = inside / self.stretch + (along - inside) * self.zoom
        return self.start + along * self.along + across * perpendicular(self.along)

    def carry(self, x: torch.Tensor, to: Self) -> torch.Tensor:
        along = self.position(x)
        across = dot(x - self.start, perpendicular(self.along))
        ratio = to.zoom / self.zoom
        return to.start + ratio * (along * to.along + across * perpendicular(to.along))


def _same_turn(a: Bone, b: Bone) -> torch.Tensor:
    """(T, 1, 1) cosine of the angle by which two bones turn differently from the photo."""
    own, other = (
        torch.atan2(
            bone.source_along[..., 0] * bone.along[..., 1]
            - bone.source_along[..., 1] * bone.along[..., 0],
            dot(bone.source_along, bone.along)[..., 0],
        )
        for bone in (a, b)
    )
    return torch.cos(own - other)[..., None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chain:
    """The main bone of a limb's layer, blended into the bones before and after it at the joints.

    Args:
        main, before, after: the bones; `before` ends where `main` starts, and so on.
        start_radius_px, end_radius_px: half-widths of the blends, photo pixels.
        ends_here: `after` belongs to this layer to its end (a hand or a foot).
    """

    main: Bone
    before: Bone | None
    after: Bone | None
    start_radius_px: float
    end_radius_px: float
    ends_here: bool

    @property
    def num_frames(self) -> int:
        return len(self.main.start)

    def __getitem__(self, frames: torch.Tensor) -> Self:
        return dataclasses.replace(
            self,
            main=self.main[frames],
            before=None if self.before is None else self.before[frames],
            after=None if self.after is None else self.after[frames],
        )

    def _blend(self, x: torch.Tensor, values: list[torch.Tensor | None]) -> torch.Tensor:
        """Main bone's values, eased into the neighbours' close to the joints only.

        Farther out a neighbour's map shows other parts of the limb: blending by position along
        the bone alone drew stars of sleeves around a bent elbow.
        """
        main, before, after = values
        assert main is not None
        result, bone = main, self.main
        across = dot(x - bone.start, perpendicular(bone.along))
        for other, value, radius_px in (
            (self.before, before, self.start_radius_px),
            (self.after, after, self.end_radius_px),
        ):
            if other is None or value is None:
                continue
            radius = radius_px * bone.zoom
            at_end = other is self.after
            if at_end and self.ends_here:  # a hand or foot: whichever bone is nearer
                nearer = bone.distance(x) - other.distance(x)
                share = smoothstep(0.5 + nearer / (2 * radius))
            else:
                past = bone.position(x) - bone.length if at_end else -bone.position(x)
                distance = torch.hypot(past, across)
                share = smoothstep(0.5 + past / (2 * radius))
                share = share * smoothstep(1.7 - distance / radius)
                share = share * smoothstep((_same_turn(bone, other) - 0.3) / 0.6)
            result = result + share * (value - result)
        return result

    def source(self, x: torch.Tensor) -> torch.Tensor:
        bones = (self.main, self.before, self.after)
        return self._blend(x, [None if b is None else b.source(x) for b in bones])

    def target(self, y: torch.Tensor) -> torch.Tensor:
        # by the bone that each point hangs on; by both where they blend
        main = self.main
        past = dot(y - main.source_start, main.source_along)[0, :, 0] - main.source_length
        reach = 2 * self.end_radius_px
        own = past < reach if self.after is not None and self.ends_here else past < torch.inf
        points = [main.target(y[:, own])]
        if self.after is not None and self.ends_here:
            points.append(self.after.target(y[:, past > -reach]))
        return torch.cat(points, 1)

    def carry(self, x: torch.Tensor, to: Self) -> torch.Tensor:
        pairs = ((self.main, to.main), (self.before, to.before), (self.after, to.after))
        return self._blend(x, [None if a is None or b is None else a.carry(x, b) for a, b in pairs])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quad:
    """A ruled patch between two edges: torso (hips to shoulders) or skirt (hips to hem).

    A point is `centre(t) + (u + bend(t) / |half(t)|) * half(t)`, centre and half linear in t.

    Args:
        centre0, centre1: (T, 1, 2) middles of the edges in the target.
        half0, half1: (T, 1, 2) from the middle to the right end.
        bend0, bend1: (T, 1, 1) pixels by which the patch lies to the right near the first edge, and
            on to the second, where it is at its place again.
        photo: the same patch in the photo, T = 1, without a bend; None for the photo's own patch.
    """

    centre0: torch.Tensor
    centre1: torch.Tensor
    half0: torch.Tensor
    half1: torch.Tensor
    bend0: torch.Tensor
    bend1: torch.Tensor
    photo: Quad | None = None

    @property
    def num_frames(self) -> int:
        return len(self.centre0)

    def __getitem__(self, frames: torch.Tensor) -> Self:
        names = ("centre0", "centre1", "half0", "half1", "bend0", "bend1")
        return dataclasses.replace(self, **{n: getattr(self, n)[frames] for n in names})

    def _bend(self, t: torch.Tensor, half: torch.Tensor) -> torch.Tensor:
        """(T, N, 1) in units of `half` (T, N, 2) there."""
        share = smoothstep((t - _BEND_FROM) / (_BEND_TO - _BEND_FROM))
        bend = self.bend0 + share * (self.bend1 - self.bend0)
        bend = bend * smoothstep((1 - t) / (1 - _BEND_LAST))
        return bend / half.norm(dim=-1, keepdim=True).clamp_min(1.0)

    def solve(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(T, N, 2) -> (t, u), each (T, N, 1), by three fixed-point steps."""
        spine, offset = self.centre1 - self.centre0, x - self.centre0
        t = torch.full_like(x[..., :1], 0.5)
        u = torch.zeros_like(t)
        for _ in range(3):
            bounded = t.clamp(0, 1)  # the edges go on straight
            half = self.half0 + bounded * (self.half1 - self.half0)
            area = spine[..., :1] * half[..., 1:] - spine[..., 1:] * half[..., :1]
            area = torch.where(area.abs() < 1.0, torch.full_like(area, 1.0), area)
            t = (offset[..., :1] * half[..., 1:] - offset[..., 1:] * half[..., :1]) / area
            u = (spine[..., :1] * offset[..., 1:] - spine[..., 1:] * offset[..., :1]) / area
        half = self.half0 + t.clamp(0, 1) * (self.half1 - self.half0)
        return t, u - self._bend(t, half)

    def at(self, t: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """(T, N, 2) the point at (t, u)."""
        bounded = t.clamp(0, 1)  # the edges go on straight
        half = self.half0 + bounded * (self.half1 - self.half0)
        u = u + self._bend(t, half)
        return self.centre0 + t * (self.centre1 - self.centre0) + u * half

    def source(self, x: torch.Tensor) -> torch.Tensor:
        assert self.photo is not None
        return self.photo.at(*self.solve(x))

    def target(self, y: torch.Tensor) -> torch.Tensor:
        assert self.photo is not None
        return self.at(*self.photo.solve(y))

    def carry(self, x: torch.Tensor, to: Self) -> torch.Tensor:
        return to.at(*self.solve(x))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """A head is rigid; at the neck it blends into the torso.

    A head that is bent forward hangs before the torso: then the blend keeps off the face. So it
    does, but not off the neck, where shoulders are raised to the chin.

    Args:
        centre: (T, 1, 2) between the ears, target.
        up: (T, 1, 2) unit vector to the crown.
        neck: (T, 1, 2) between the shoulders.
        zoom: (T, 1, 1).
        bent: (T, 1, 1) 1 for a head that hangs before the torso, 0 for one on a straight neck.
        low: (T, 1, 1) 1 for one that is nearer to the shoulders than in the photo.
        radius_px: of the face, photo pixels.
        photo_centre, photo_up: (1, 1, 2).
        torso: what the neck is rooted in.
    """

    centre: torch.Tensor
    up: torch.Tensor
    neck: torch.Tensor
    zoom: torch.Tensor
    bent: torch.Tensor
    low: torch.Tensor
    radius_px: float
    photo_centre: torch.Tensor
    photo_up: torch.Tensor
    torso: Quad | None

    @property
    def num_frames(self) -> int:
        return len(self.centre)

    def __getitem__(self, frames: torch.Tensor) -> Self:
        names = ("centre", "up", "neck", "zoom", "bent", "low")
        return dataclasses.replace(
            self,
            **{n: getattr(self, n)[frames] for n in names},
            torso=None if self.torso is None else self.torso[frames],
        )

    def _share(self, x: torch.Tensor) -> torch.Tensor:
        vector = self.centre - self.neck
        height = dot(x - self.neck, vector) / dot(vector, vector).clamp_min(1.0)
        share = smoothstep(height / 0.75)
        distance = (x - self.centre).norm(dim=-1, keepdim=True) / (self.zoom * self.radius_px)
        share = torch.maximum(share, self.bent * smoothstep((1.2 - distance) / 0.2))
        return torch.maximum(share, self.low * smoothstep((1.05 - distance) / 0.25))

    def _turn(self, v: torch.Tensor, up: torch.Tensor, new_up: torch.Tensor) -> torch.Tensor:
        return dot(v, up) * new_up + dot(v, perpendicular(up)) * perpendicular(new_up)

    def source(self, x: torch.Tensor) -> torch.Tensor:
        own = self.photo_centre + self._turn(x - self.centre, self.up, self.photo_up) / self.zoom
        if self.torso is None:
            return own
        body = self.torso.source(x)
        return body + self._share(x) * (own - body)

    def target(self, y: torch.Tensor) -> torch.Tensor:
        own = self.centre + self._turn(y - self.photo_centre, self.photo_up, self.up) * self.zoom
        if self.torso is None or self.torso.photo is None:
            return own
        neck = self.torso.photo.centre1
        height = dot(y - neck, self.photo_up)[0, :, 0]
        span = dot(self.photo_centre - neck, self.photo_up).clamp_min(1.0)[0, 0, 0]
        return torch.cat([own[:, height > -0.2 * span], self.torso.target(y[:, height < span])], 1)

    def carry(self, x: torch.Tensor, to: Self) -> torch.Tensor:
        own = to.centre + self._turn(x - self.centre, self.up, to.up) * (to.zoom / self.zoom)
        if self.torso is None or to.torso is None:
            return own
        body = self.torso.carry(x, to.torso)
        return body + self._share(x) * (own - body)
