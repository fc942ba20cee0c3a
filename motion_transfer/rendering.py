"""From the driver's samples to finished pictures, block by block."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from motion_transfer.driver import Driver, Sample
from motion_transfer.media.photo import Photo
from motion_transfer.person.background import cover
from motion_transfer.pose.retarget import Retargeting, margin_frames, retarget
from motion_transfer.pose.smooth import smooth_track, support_frames
from motion_transfer.pose.track import PoseTrack
from motion_transfer.streams import blocks_with_margins

BLOCK_FRAMES = 96


@dataclasses.dataclass
class Counts:
    """Added up while frames go by."""

    missing: int = 0


def target_blocks(
    samples: Iterable[Sample],
    driver: Driver,
    retargeting: Retargeting,
    smooth: float,
    extra: int,
    counts: Counts,
) -> Iterator[tuple[PoseTrack, slice, list[Fraction]]]:
    """Smoothed and retargeted blocks, each with up to `extra` frames on either side.

    Args:
        samples: of the driver, all of them.
        driver: where they come from.
        retargeting: from the calibration.
        smooth: strength of smoothing.
        extra: frames on either side that the generator wants to see.
        counts: missing people are added up here.

    Yields:
        Target poses, which of them are wanted, and their times.
    """
    rate = float(driver.fps)
    margin = support_frames(driver.fps) + margin_frames(rate) + extra
    for block, wanted in blocks_with_margins(samples, size=BLOCK_FRAMES, margin=margin):
        counts.missing += sum(not s.pose.present for s in block[wanted])
        track = retarget(smooth_track(driver.stack(block), strength=smooth), retargeting)
        first = max(0, wanted.start - extra)
        last = min(len(track), wanted.stop + extra)
        times = [s.pose.time or Fraction(0) for s in block[wanted]]
        yield track[first:last], slice(wanted.start - first, wanted.stop - first), times


def render(
    targets: Iterable[tuple[PoseTrack, slice, list[Fraction]]],
    puppet: Any,
    backdrop: np.ndarray | None,
    photo: Photo,
    panels: Panels | None,
    skip: int,
) -> Iterator[tuple[np.ndarray | None, Fraction]]:
    """Finished pictures and their times; None for frames that an earlier run has finished.

    Args:
        targets: from `target_blocks`.
        puppet: the generator.
        backdrop: (H, W, 3) uint8, or None for transparent pictures.
        photo: gives the size.
        panels: what stands to the left of the result, if anything.
        skip: frames that are not to be drawn.
    """
    # torch comes with them, seconds on their own
    from motion_transfer.compositing import over, straight_rgba
    from motion_transfer.threads import map_in_threads

    def finish(job: _Job) -> tuple[np.ndarray | None, Fraction]:
        if job.plan is None:
            return None, job.moment
        drawn = puppet.draw(job.plan, job.frame)
        if backdrop is None:
            return straight_rgba(drawn, photo.size_hw), job.moment
        image = over(drawn, backdrop)
        return (image if job.panel is None else np.concatenate([job.panel, image], 1)), job.moment

    jobs = _jobs(targets, puppet, panels, skip)
    yield from map_in_threads(finish, jobs, workers=puppet.workers)


class _Job(NamedTuple):
    """A frame; without a plan it is not to be drawn."""

    plan: Any
    frame: int
    moment: Fraction
    panel: np.ndarray | None


def _jobs(
    targets: Iterable[tuple[PoseTrack, slice, list[Fraction]]],
    puppet: Any,
    panels: Panels | None,
    skip: int,
) -> Iterator[_Job]:
    state, number = None, 0
    for track, wanted, times in targets:
        plan, state = puppet.plan(track, wanted, state)
        for k, moment in enumerate(times):
            panel = None if panels is None else panels.next()
            number += 1
            yield _Job(None if number <= skip else plan, k, moment, panel)


class Panels:
    """Driving video and photo, to be put to the left of the result."""

    def __init__(self, photo: Photo, driver: Driver) -> None:
        self._height = photo.size_hw[0]
        self._photo = photo.rgb
        self._width = max(2, round(driver.size_hw[1] * self._height / driver.size_hw[0]))
        self._frames = driver.frames(max(self._height, self._width))

    @property
    def width(self) -> int:
        """Of both panels together, pixels."""
        return self._width + self._photo.shape[1]

    def next(self) -> np.ndarray:
        """(H, width, 3) for the next frame."""
        frame = cover(next(self._frames).rgb, (self._height, self._width))
        return np.concatenate([frame, self._photo], 1)
