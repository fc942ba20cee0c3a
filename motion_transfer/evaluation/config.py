"""Options of an evaluation: frozen dataclasses, filled from YAML and `--set a.b=c`."""

from __future__ import annotations

import dataclasses
from typing import Literal

from motion_transfer.errors import InputError
from motion_transfer.evaluation.metrics.published import PUBLISHED
from motion_transfer.generator.shipped import SHIPPED

Kind = Literal["truth", "still", "refined", "articulated", "pose-flow", "frames", "command"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """One column of the tables."""

    name: str
    kind: Kind
    weights: str | None = None  # of a learned one, as `export` wrote it; None: those that ship
    smooth: float | None = None  # of one of ours: of its flow; None: the evaluation's
    frames: str | None = None  # frames: folder of pictures or video, with {case} in its path
    command: str | None = None  # command: with {photo} {driving} {track} {output}
    timeout_seconds: float = 3600.0  # of a command, for one case

    def __post_init__(self) -> None:
        for kind, option in (("frames", "frames"), ("command", "command")):
            if (getattr(self, option) is not None) != (self.kind == kind):
                raise InputError(
                    f"generator {self.name}: {option} belongs to kind {kind}, and must be given "
                    f"there; kind is {self.kind}"
                )
        if self.weights is not None and self.kind not in SHIPPED:
            raise InputError(
                f"generator {self.name}: weights belong to kinds {' and '.join(SHIPPED)}"
            )
        if self.smooth is not None and self.kind not in ("articulated", *SHIPPED):
            raise InputError(
                f"generator {self.name}: smooth belongs to kinds articulated, {', '.join(SHIPPED)}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """Held-out rendered samples: one photo, one or more target frames, exact truth."""

    shards: str  # folder, as `synth shards` writes it
    num: int = 64  # samples
    pose: Literal["exact", "tracked", "blazepose"] = "tracked"  # where the key points come from


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairsConfig:
    """Pairs of a data set."""

    folder: str  # as `dataset prepare` writes it
    list: str = "test"  # or test-leak-free
    num: int | None = None  # pairs; None: all
    backdrop: Literal["flat", "plate"] = "flat"  # what results are drawn over


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """A clip of one person."""

    driving: str  # video or folder of pictures
    photo: str | None = None  # cross-reenactment: the photo; self: None, a frame of the clip
    name: str | None = None  # None: from the file's name
    photo_frame: int = 0  # self: which frame is the photo
    start: float = 0.0  # seconds
    end: float | None = None  # seconds


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """An evaluation: which cases, which generators."""

    name: str = "evaluation"
    output: str = "out/evaluation"  # the run folder is made in it
    generators: tuple[GeneratorConfig, ...] = (
        GeneratorConfig(name="truth", kind="truth"),
        GeneratorConfig(name="photo still", kind="still"),
        GeneratorConfig(name="articulated", kind="articulated"),
    )
    reference: str = "articulated"  # the generator that the others are compared with
    synthetic: SyntheticConfig | None = None
    pairs: PairsConfig | None = None  # of a data set
    self_clips: tuple[ClipConfig, ...] = ()  # self-reenactment
    cross_clips: tuple[ClipConfig, ...] = ()  # cross-reenactment
    every: int = 12  # frames of a clip from one that is measured to the next
    max_side: int = 720  # of photos and clips, pixels
    smooth: float = 0.5  # of poses and flow, as in `transfer`
    matte: Literal["u2net", "fast"] = "u2net"  # of photos and of true frames
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    published: tuple[str, ...] = ()  # of fid, inception_score, lpips: their weights must be there
    faces: bool = True  # measure identity by the face, where its model files are there
    videos: bool = False  # cross: also run `transfer` whole, and look at frames, rate and sound
    pictures: int = 200  # cases whose pictures are kept for the report
    seed: int = 0  # of the bootstrap and of the human comparison

    def __post_init__(self) -> None:
        names = [g.name for g in self.generators]
        if len(set(names)) != len(names):
            raise InputError(f"generators must have different names, got {', '.join(names)}")
        if self.reference not in names:
            raise InputError(
                f"reference must be one of the generators, {', '.join(names)}; "
                f"got {self.reference!r}"
            )
        if not (self.synthetic or self.pairs or self.self_clips or self.cross_clips):
            raise InputError(
                "nothing to evaluate: give synthetic.shards, pairs.folder, self_clips or "
                "cross_clips"
            )
        if self.every < 1 or self.max_side < 64:
            raise InputError("every must be at least 1, max_side at least 64")
        for clip in self.cross_clips:
            if clip.photo is None:
                raise InputError(f"cross_clips: {clip.driving} needs a photo")
        for clip in self.self_clips:
            if clip.photo is not None:
                raise InputError(
                    f"self_clips: the photo of {clip.driving} is one of its frames; "
                    "use cross_clips for another photo"
                )
        for name in self.published:
            if name not in PUBLISHED:
                raise InputError(f"published must be of {', '.join(PUBLISHED)}; got {name!r}")
