"""How many threads a process uses, and work that is shared among them."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
import numba
import torch

T = TypeVar("T")
R = TypeVar("R")

MAX_WORKERS = 8  # each has a picture in hand, and Python itself runs one of them at a time


def num_workers(device: torch.device) -> int:
    """How many threads are worth while for pictures that are computed on a device.

    On a CPU as many as PyTorch would use for one operation.
    """
    return min(MAX_WORKERS, torch.get_num_threads()) if device.type == "cpu" else 1


def map_in_threads(function: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """`map` whose calls run side by side, each in a thread in which PyTorch computes alone.

    Cores that share small operations mostly wait for each other; with a picture each, they do not.

    Args:
        function: called with one item.
        items: asked for in the caller's thread, so they may depend on each other; at most twice as
            many as there are workers before the result that is used.
        workers: how many threads; 1: the caller's own.
    """
    if workers == 1:
        yield from map(function, items)
        return
    others = torch.get_num_threads()
    started, all_started = threading.Semaphore(0), threading.Event()

    def start() -> None:
        torch.get_num_threads()  # or PyTorch would set this thread up later, and undo the next line
        torch.set_num_threads(1)  # also of threads that it sets up from now on
        started.release()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="draw", initializer=start)
    try:
        for _ in range(workers):
            pool.submit(all_started.wait)  # keeps a thread busy, or it would take the next one, too
        for _ in range(workers):
            started.acquire()
        torch.set_num_threads(others)
        all_started.set()
        items = iter(items)
        waiting: deque[Future[R]] = deque()
        while True:
            for item in itertools.islice(items, 2 * workers - len(waiting)):
                waiting.append(pool.submit(function, item))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        all_started.set()  # if this thread was interrupted before
        pool.shutdown(cancel_futures=True)


def use_one_thread() -> None:
    """For processes that work side by side, as many as there are cores.

    OpenCV, PyTorch and Numba would each start a thread for every core in each of them. With sixteen
    cores that stops the work rather than slowing it down.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    numba.set_num_threads(1)
