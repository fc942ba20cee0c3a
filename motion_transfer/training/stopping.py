"""When a run ends before its last step: its minutes are over, or it is asked to.

Ctrl+C and SIGTERM (what `torchrun` and machines that are taken back send) let the step end and a
checkpoint be written; a second one ends the process at once.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import distributed

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """Says between two steps whether to go on; in a `with` statement it listens to signals.

    Args:
        minutes: after which to stop; None: never.
        device: of the processes' common decision.

    Attributes:
        share: of the minutes that is over, in [0, 1], as `is_due` found it.
    """

    def __init__(self, minutes: float | None, device: torch.device) -> None:
        self.asked = False
        self.share = 0.0
        self._began = time.monotonic()
        self._seconds = None if minutes is None else 60 * minutes
        self._device = device
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._ask) for s in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def is_due(self) -> bool:
        """Whether any process wants to stop: if only one did, the others would wait for it."""
        share = 0.0
        if self._seconds is not None:
            share = min(1.0, (time.monotonic() - self._began) / self._seconds)
        if distributed.is_initialized():
            votes = torch.tensor([float(self.asked), share], device=self._device)
            distributed.all_reduce(votes, op=distributed.ReduceOp.MAX)
            self.asked, share = bool(votes[0]), float(votes[1])
        self.share = share
        return self.asked or share >= 1

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}
