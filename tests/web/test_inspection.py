"""What the page says about a pose track."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from skeletons import make_track, metres

from motion_transfer.web.inspection import inspect


def test_bad_spans_are_found() -> None:
    # bug: a gap, a jump or a doubtful span is not marked, or a good one is
    track = make_track([metres()] * 100, px=300, size_hw=(800, 600), ground_px=760, x_px=290)
    assert inspect(track, 50)["bad"] == []
    present, confidence, xy = track.present.copy(), track.confidence.copy(), track.xy.copy()
    present[20:30] = False
    confidence[50:60] = 0.1
    xy[80:] += 400
    seen = inspect(replace(track, present=present, confidence=confidence, xy=xy), 50)
    fps = float(track.fps)
    spans = {reason: (round(start * fps), round(end * fps)) for start, end, reason in seen["bad"]}
    assert spans.keys() == {"nobody found", "hardly visible", "jumps"}
    for reason, wanted in (("nobody found", (20, 30)), ("hardly visible", (50, 60))):
        assert np.abs(np.subtract(spans[reason], wanted)).max() <= 1
    assert abs(spans["jumps"][0] - 80) <= 1
    assert seen["share_found"] == 0.9
    assert len(seen["times"]) == len(seen["confidence"]) == len(seen["speed"]) == 50


def test_speed_is_in_metres_a_second() -> None:
    # bug: pixels a frame
    track = make_track([metres()] * 40, px=300, size_hw=(800, 600), ground_px=760, x_px=290)
    steps = np.arange(40)[:, None] * np.array([300 * 2 / float(track.fps), 0])  # 2 m/s
    moving = replace(track, xy=(track.xy + steps[:, None]).astype(np.float32))
    speed = [s for s in inspect(moving, 100)["speed"] if s is not None]
    assert abs(np.median(speed) - 2) < 0.3
