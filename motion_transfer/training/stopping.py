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
    """

    def __init__(self, minutes: float | None, device: torch.device) -> None:
        self.asked = False
        self._end = None if minutes is None else time.monotonic() + 60 * minutes
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
        late = self._end is not None and time.monotonic() > self._end
        if not distributed.is_initialized():
            return self.asked or late
        votes = torch.tensor([float(self.asked), float(late)], device=self._device)
        distributed.all_reduce(votes, op=distributed.ReduceOp.MAX)
        self.asked = bool(votes[0])
        return bool(votes.any())

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
        self._before = {}
