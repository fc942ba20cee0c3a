"""Stages that overlap: an iterator run ahead of its consumer in a thread of its own."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_END = object()


class _Stopped(Exception):
    """Raised in a stage whose supplier has been stopped: the run is over."""


class Prefetch(Generic[T]):
    """Run an iterable in a thread, at most `depth` items ahead.

    An exception in the thread is raised where the items are used. Leaving the `with` block ends
    the thread and waits for it, so a run that fails anywhere leaves none behind. Where stages feed
    each other, `stop` the first ones too before the last one is waited for: it may be in the middle
    of asking for more.

    Args:
        items: what to iterate over; closed in its thread if it is a generator.
        depth: how many finished items may wait.
        name: of the thread, for stack traces.
    """

    def __init__(self, items: Iterable[T], *, depth: int, name: str) -> None:
        self._items = items
        self._queue: queue.Queue[object] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Iterator[T]:
        self._thread.start()
        return self._drain()

    def stop(self) -> None:
        """Let no more items through; whoever waits for one is woken."""
        self._stop.set()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._queue.get_nowait()  # a full queue may hold the thread
            self._thread.join(timeout=0.02)

    def _drain(self) -> Iterator[T]:
        while (item := self._next()) is not _END:
            yield item  # type: ignore[misc]
        if self._error is not None:
            raise self._error

    def _next(self) -> object:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=0.1)
        raise _Stopped

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as error:
            self._error = error
        close: Callable[[], None] | None = getattr(self._items, "close", None)
        try:
            if close is not None:
                close()
        except BaseException as error:  # without the end mark the consumer would wait for ever
            self._error = self._error or error
        self._put(_END)

    def _put(self, item: object) -> bool:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.05)
                return True
        return False


def blocks_with_margins(
    items: Iterable[T], *, size: int, margin: int
) -> Iterator[tuple[list[T], slice]]:
    """Cut a stream into blocks, each with up to `margin` neighbours on either side.

    Args:
        items: the stream; kept in memory only as far as blocks need it.
        size: wanted items in each block; the last may have fewer.
        margin: neighbours on either side; fewer at the ends of the stream.

    Yields:
        The items with their margins, and the slice of the wanted ones.
    """
    window: list[T] = []
    lead = 0  # items before the next wanted one that are still in the window
    for item in items:
        window.append(item)
        if len(window) == lead + size + margin:
            yield window, slice(lead, lead + size)
            drop = max(0, lead + size - margin)
            window = window[drop:]
            lead = lead + size - drop
    while len(window) > lead:
        stop = min(lead + size, len(window))
        yield window[: stop + margin], slice(lead, stop)
        drop = max(0, stop - margin)
        window = window[drop:]
        lead = stop - drop
