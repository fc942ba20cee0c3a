"""The generators by their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from motion_transfer.generator.articulated import Generator
    from motion_transfer.person.subject import Subject

GeneratorName = Literal["refined", "articulated", "pose-flow"]


def make_generator(
    name: GeneratorName,
    subjects: Sequence[Subject],
    *,
    device: str,
    flow_smoothing: float,
    weights: str | os.PathLike[str] | None = None,
    is_live: bool = False,
) -> Generator:
    """A generator for some photos of one person.

    Args:
        name: which.
        subjects: the person in each photo.
        device: a torch device, "cpu" or "cuda".
        flow_smoothing: 0 to 1, over time.
        weights: of a learned one; None: those that ship.
        is_live: frames come and go one by one, so none is computed before it is asked for.

    Raises:
        FileNotFoundError: there is no such weights file.
        WeightsError: it is no weights file, or none ships.
    """
    from motion_transfer.generator.articulated import ArticulatedGenerator, Source
    from motion_transfer.generator.pose_flow import PoseFlowGenerator
    from motion_transfer.generator.pretrained import load_generator
    from motion_transfer.generator.puppets import Puppets
    from motion_transfer.generator.refined import RefinedGenerator

    sources = [Source.of(subject) for subject in subjects]
    if name == "articulated" and len(sources) > 1:
        return Puppets(sources, device=device, flow_smoothing=flow_smoothing)
    if name == "articulated":
        return ArticulatedGenerator(sources[0], device=device, flow_smoothing=flow_smoothing)
    pretrained = load_generator(name, weights)
    if name == "refined":
        return RefinedGenerator(sources, pretrained, device=device, flow_smoothing=flow_smoothing)
    return PoseFlowGenerator(
        sources, pretrained, device=device, flow_smoothing=flow_smoothing,
        batch_frames=1 if is_live else None,
    )  # fmt: skip
