"""A webcam drives the photo: one picture in, one picture out, nothing looks ahead.

    picture ──> track_frame ──> One-Euro ──> retarget ──> plan, draw ──> over the plate

The first second measures the dancer against the photo (`calibrate`); until then the photo stands
still. Smoothing is causal: the One-Euro filter on the key points.
"""

from __future__ import annotations

import dataclasses
import os
import time
from fractions import Fraction
from typing import Any

import numpy as np

from motion_transfer.compositing import over
from motion_transfer.errors import InputError
from motion_transfer.generator.generators import GeneratorName, make_generator
from motion_transfer.media.photo import Photo
from motion_transfer.person.background import make_background
from motion_transfer.person.subject import build_subject, locate
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.people import PoseSample
from motion_transfer.pose.retarget import Retargeting, calibrate, retarget
from motion_transfer.pose.smooth import OneEuro, OneEuroState
from motion_transfer.pose.track import PoseTrack
from motion_transfer.pose.tracker import TrackerState, stack_samples, track_frame

CALIBRATION_PICTURES = 10  # with the dancer in them
WINDOW_PICTURES = 12  # of the past that the retargeting looks at
NOMINAL_FPS = Fraction(12)  # of a webcam through a network; only ramps and averages depend on it


@dataclasses.dataclass(frozen=True, kw_only=True)
class LiveFrame:
    """What a picture of the dancer became.

    Args:
        image: (H, W, 3) uint8, in the size of the photo.
        state: `nobody`, `measuring` or `dancing`.
        seconds: that tracking and drawing took.
    """

    image: np.ndarray
    state: str
    seconds: float


class LivePerson:
    """The photographed person, moved picture by picture.

    Args:
        photo: of the person.
        background: as for `transfer`, but `driving` and `transparent`, which need a video.
        matte: `u2net`, or `fast`.
        device: a torch device, "cpu" or "cuda".
        generator: what re-renders the person.
        weights: of a learned generator; None: those that ship.

    Raises:
        NoPersonError: nobody was found in the photo.
        InputError: the background needs a video.
    """

    def __init__(
        self, photo: Photo, *, background: str = "original", matte: str = "u2net",
        device: str = "cpu", generator: GeneratorName = "refined",
        weights: str | os.PathLike[str] | None = None,
    ) -> None:  # fmt: skip
        if background in ("driving", "transparent"):
            raise InputError(f"background: {background!r} needs a video; choose another")
        self._blazepose = BlazePose()
        self._pose, mask = locate(photo, blazepose=self._blazepose)
        subject = build_subject(photo, self._pose, mask, matte=matte)
        backdrop = make_background(background, subject.plate)
        assert backdrop is not None  # the two kinds without one are refused above
        self._backdrop = backdrop
        self._generator = make_generator(
            generator, [subject], device=device, weights=weights, is_live=True,
            # over pictures of the past it would triple the work, and One-Euro is enough
            flow_smoothing=0.0,
        )  # fmt: skip
        self._filter = OneEuro()
        self._filtered: OneEuroState | None = None
        self._tracker = TrackerState()
        self._window: list[PoseSample] = []
        self._retargeting: Retargeting | None = None
        self._drawn: Any = None
        self._last = photo.rgb

    def step(self, rgb: np.ndarray, seconds: float) -> LiveFrame:
        """Move the person as the dancer moves.

        Args:
            rgb: (H, W, 3) uint8, the newest picture of the dancer.
            seconds: when it was taken, since any moment; must increase.
        """
        begun = time.perf_counter()
        landmarks, self._tracker = track_frame(rgb, self._tracker, blazepose=self._blazepose)
        state = "nobody"
        if landmarks is not None:
            sample, self._filtered = self._filter.step(
                PoseSample.of(landmarks), self._filtered, seconds=seconds
            )
            self._window = [*self._window, sample][-WINDOW_PICTURES:]
            state = "dancing" if self._measure(rgb) else "measuring"
        else:
            self._filtered = None
        if state == "dancing":
            self._draw(rgb)
        return LiveFrame(image=self._last, state=state, seconds=time.perf_counter() - begun)

    def _measure(self, rgb: np.ndarray) -> bool:
        """Whether driver and photo have been measured against each other."""
        if self._retargeting is None and len(self._window) >= CALIBRATION_PICTURES:
            self._retargeting = calibrate(self._track(rgb), self._pose)
        return self._retargeting is not None

    def _draw(self, rgb: np.ndarray) -> None:
        assert self._retargeting is not None
        margin = self._generator.margin_frames
        targets = retarget(self._track(rgb), self._retargeting)[-1 - margin :]
        last = len(targets) - 1
        plan, self._drawn = self._generator.plan(targets, slice(last, last + 1), self._drawn)
        self._last = over(self._generator.draw(plan, 0), self._backdrop)

    def _track(self, rgb: np.ndarray) -> PoseTrack:
        return stack_samples(self._window, fps=NOMINAL_FPS, size_hw=(rgb.shape[0], rgb.shape[1]))
