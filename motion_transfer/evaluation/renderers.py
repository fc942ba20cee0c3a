"""The generators that are compared: ours, baselines, and anybody's through files or a command.

Every renderer turns a case into finished frames. Ours know matte, flow and visibility too; what
comes from files is pictures only, and is measured by pictures only.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import cv2
import numpy as np
import torch

from motion_transfer.compositing import over
from motion_transfer.errors import InputError
from motion_transfer.evaluation.cases import Case
from motion_transfer.evaluation.config import EvaluateConfig, GeneratorConfig
from motion_transfer.generator.articulated import (
    ArticulatedGenerator,
    Generator,
    Rendition,
    Source,
)
from motion_transfer.generator.generators import GeneratorName
from motion_transfer.generator.pose_flow import PoseFlowGenerator
from motion_transfer.generator.pretrained import load_generator
from motion_transfer.generator.refined import RefinedGenerator
from motion_transfer.generator.shipped import SHIPPED, find_weights
from motion_transfer.media.decode import read_frames
from motion_transfer.media.encode import VideoWriter
from motion_transfer.pipeline import resolve_device, transfer
from motion_transfer.pose.track import PoseTrack


class Drawn(NamedTuple):
    """One finished frame; what is not known is None.

    rgb: (H, W, 3) uint8.
    alpha: (H, W) float32 matte of the person.
    flow: (2, H, W) float32 backward flow into the photo.
    visible: (H, W) float32, whether the photo shows what is seen there.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    flow: np.ndarray | None = None
    visible: np.ndarray | None = None


class Renderer(Protocol):
    """Turns cases into finished frames; `folder` is for its files and is cleared afterwards."""

    def draw(self, case: Case, folder: Path) -> Iterator[tuple[int, Drawn]]:
        """The drawn frames of a case, in order, with their numbers."""
        ...

    def video(self, case: Case, folder: Path) -> Path | None:
        """The finished video of the case, after `draw`; None where there is none."""
        ...


class StillGenerator:
    """The photo held still: the least that a generator must beat."""

    margin_frames = 0
    workers = 1

    def __init__(self, source: Source) -> None:
        alpha = torch.from_numpy(source.alpha)[None]
        rgb = torch.from_numpy(source.rgb).permute(2, 0, 1) / 255
        height, width = source.alpha.shape
        self._rendition = Rendition(
            rgba=torch.cat([rgb * alpha, alpha]), flow=torch.zeros(2, height, width),
            visibility=(alpha > 0.5).float(), box_xyxy=(0, 0, width, height),
        )  # fmt: skip

    def plan(self, targets: PoseTrack, wanted: slice, state: Any = None) -> tuple[None, None]:
        """See `Generator`."""
        del targets, wanted, state
        return None, None

    def draw(self, plan: Any, frame: int, *, with_flow: bool = False) -> Rendition:
        """See `Generator`."""
        del plan, frame, with_flow
        return self._rendition


class OwnRenderer:
    """A generator of this package, through `Generator`, or through `transfer` for its video.

    Args:
        generator: which.
        config: of the evaluation.

    Raises:
        InputError: weights or device are not there.
        FileNotFoundError: the weights file is not there.
    """

    def __init__(self, generator: GeneratorConfig, config: EvaluateConfig) -> None:
        self._generator, self._config = generator, config
        device = resolve_device(config.device)
        self._smooth = config.smooth if generator.smooth is None else generator.smooth
        makers: dict[str, Callable[[Source], Generator]] = {
            "still": StillGenerator,
            "articulated": functools.partial(
                ArticulatedGenerator, device=device, flow_smoothing=self._smooth
            ),
        }
        learned = {"refined": RefinedGenerator, "pose-flow": PoseFlowGenerator}
        if generator.kind in learned:
            pretrained = load_generator(generator.kind, generator.weights)
            makers[generator.kind] = lambda source: learned[generator.kind](
                [source], pretrained, device=device, flow_smoothing=self._smooth
            )
        self._make = makers[generator.kind]

    def draw(self, case: Case, folder: Path) -> Iterator[tuple[int, Drawn]]:
        """See `Renderer`."""
        del folder
        puppet = self._make(case.source)
        plan, _ = puppet.plan(case.targets, slice(0, len(case.targets)))
        for frame in case.drawn_frames:
            yield frame, _finish(puppet.draw(plan, frame, with_flow=True), case.backdrop)

    def video(self, case: Case, folder: Path) -> Path | None:
        """See `Renderer`; only of cross-reenactment, and only where the options ask for it."""
        clip = case.clip
        name = self._generator.kind
        if clip is None or clip.photo is None or name == "still" or not self._config.videos:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        return transfer(
            clip.photo, clip.driving, folder / "output.mp4", start=clip.start, end=clip.end,
            smooth=self._smooth, generator=cast(GeneratorName, name),
            weights=self._generator.weights, matte=self._config.matte, device=self._config.device,
            overwrite=True,
        ).output  # fmt: skip


class TrueRenderer:
    """The truth as if it were a result: what the measurements themselves are worth."""

    def draw(self, case: Case, folder: Path) -> Iterator[tuple[int, Drawn]]:
        """See `Renderer`."""
        del folder
        for frame in case.drawn_frames:
            if frame in case.truths:
                truth = case.truths[frame]
                visible = None if truth.visible is None else truth.visible.astype(np.float32)
                yield frame, Drawn(truth.rgb, truth.alpha, truth.flow, visible)

    def video(self, case: Case, folder: Path) -> Path | None:
        """See `Renderer`; none."""
        del case, folder
        return None


class FilesRenderer:
    """Frames or a video that lie somewhere; the k-th frame is the k-th target.

    Args:
        pattern: path in which {case} stands for protocol and case, such as `self/dance`.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def draw(self, case: Case, folder: Path) -> Iterator[tuple[int, Drawn]]:
        """See `Renderer`."""
        path = self._path(case)
        if not path.exists():
            raise FileNotFoundError(f"no such folder or video: {path}")
        yield from _frames_of(path, case)

    def video(self, case: Case, folder: Path) -> Path | None:
        """See `Renderer`."""
        path = self._path(case)
        return path if path.is_file() else None

    def _path(self, case: Case) -> Path:
        return Path(self._pattern.replace("{case}", f"{case.protocol}/{case.name}"))


class CommandRenderer:
    """A command that gets photo, driving video and pose track, and writes frames or a video.

    Args:
        name: of the generator.
        command: with {photo}, {driving}, {track} (NPZ of the target poses) and {output}, to which
            an ending may be added.
        timeout_seconds: for one case.
    """

    def __init__(self, name: str, command: str, timeout_seconds: float) -> None:
        self._name, self._command, self._timeout = name, command, timeout_seconds

    def draw(self, case: Case, folder: Path) -> Iterator[tuple[int, Drawn]]:
        """See `Renderer`."""
        folder.mkdir(parents=True, exist_ok=True)
        photo, track = folder / "photo.png", folder / "track.npz"
        cv2.imwrite(str(photo), case.photo[..., ::-1])
        case.targets.save(track)
        driving = Path(case.clip.driving) if case.clip else _write_driving(case, folder / "driving")
        places = {"photo": photo, "driving": driving, "track": track, "output": folder / "output"}
        full = {name: str(path.absolute()) for name, path in places.items()}
        command = [part.format(**full) for part in shlex.split(self._command)]
        log = folder / "log.txt"
        with log.open("w") as file:
            try:
                done = subprocess.run(
                    command, stdout=file, stderr=subprocess.STDOUT, timeout=self._timeout
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise InputError(f"generator {self._name}: {error}") from error
        written = self._written(folder)
        if done.returncode != 0 or written is None:
            raise InputError(
                f"generator {self._name}: the command must write frames or a video to {{output}}, "
                f"exit status {done.returncode}; it said: {_last_line(log)}"
            )
        yield from _frames_of(written, case)

    def video(self, case: Case, folder: Path) -> Path | None:
        """See `Renderer`."""
        written = self._written(folder)
        return written if written is not None and written.is_file() else None

    def _written(self, folder: Path) -> Path | None:
        found = (folder / "output", *sorted(folder.glob("output.*")))
        return next((p for p in found if p.exists()), None)


def make_renderer(generator: GeneratorConfig, config: EvaluateConfig) -> Renderer:
    """What draws the cases of a generator; errors as in `OwnRenderer`."""
    if generator.kind == "truth":
        return TrueRenderer()
    if generator.frames is not None:
        return FilesRenderer(generator.frames)
    if generator.command is not None:
        return CommandRenderer(generator.name, generator.command, generator.timeout_seconds)
    return OwnRenderer(generator, config)


def fingerprint(generator: GeneratorConfig) -> str:
    """Text that changes when results of a generator may change: its options and files."""
    parts: list[Any] = [repr(generator)]
    if generator.kind in SHIPPED:
        with find_weights(generator.kind, generator.weights).open("rb") as file:
            parts.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _finish(drawn: Rendition | None, backdrop: np.ndarray) -> Drawn:
    """A rendition over its background, its maps in the size of the frame."""
    height, width = backdrop.shape[:2]
    maps = np.zeros((4, height, width), np.float32)
    if drawn is not None:
        x0, y0, x1, y1 = drawn.box_xyxy
        parts = [drawn.rgba[3:], drawn.flow, drawn.visibility]
        assert all(part is not None for part in parts)
        maps[:, y0:y1, x0:x1] = torch.cat([p.float() for p in parts if p is not None]).cpu().numpy()
    return Drawn(rgb=over(drawn, backdrop), alpha=maps[0], flow=maps[1:3], visible=maps[3])


def _frames_of(path: Path, case: Case) -> Iterator[tuple[int, Drawn]]:
    wanted = set(case.drawn_frames)
    height, width = case.photo.shape[:2]
    for number, frame in enumerate(read_frames(path)):
        if number in wanted:
            rgb = frame.rgb
            if rgb.shape[:2] != (height, width):
                shrinks = rgb.shape[0] > height
                way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
                rgb = cv2.resize(rgb, (width, height), interpolation=way)
            yield number, Drawn(np.ascontiguousarray(rgb))


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "nothing"


def _write_driving(case: Case, folder: Path) -> Path:
    """The true frames as a lossless folder of pictures, for a case without a video."""
    with VideoWriter.open(
        f"{folder}/", size_hw=case.photo.shape[:2], fps=case.targets.fps, overwrite=True
    ) as writer:
        for frame in range(len(case.targets)):
            writer.write(case.truths[frame].rgb, frame / case.targets.fps)
        writer.finish()
    return folder
