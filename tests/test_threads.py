"""Threads of processes that work side by side."""

import multiprocessing
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numba
import pytest
import torch

from motion_transfer.threads import MAX_WORKERS, map_in_threads, num_workers, use_one_thread


def count() -> tuple[int, int, int]:
    return cv2.getNumThreads(), torch.get_num_threads(), numba.get_num_threads()


def test_one_thread() -> None:
    # bug: on many cores every worker starts a thread for each of them, and nothing gets done
    with multiprocessing.get_context("spawn").Pool(1, initializer=use_one_thread) as pool:
        assert pool.apply(count) == (1, 1, 1)


def test_calls_are_in_order_side_by_side_and_alone() -> None:
    # bug: results overtake each other; every worker starts as many threads as there are cores
    before = torch.get_num_threads()
    meet = threading.Barrier(2)  # of which one alone would never come through

    def work(number: int) -> tuple[int, int, str]:
        if number < 2:
            meet.wait(timeout=20)
        time.sleep(0.02 if number % 2 == 0 else 0)
        torch.ones(400, 400) @ torch.ones(400, 400)  # sets the thread up
        return number, torch.get_num_threads(), threading.current_thread().name

    found = list(map_in_threads(work, range(20), workers=2))
    assert [number for number, _, _ in found] == list(range(20))
    assert {count for _, count, _ in found} == {1}
    assert len({name for _, _, name in found}) == 2
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as later:  # a thread that PyTorch has not seen before
        assert later.submit(torch.get_num_threads).result() == before


def test_one_worker_is_the_caller() -> None:
    # bug: a generator whose frames share what they compute is called from two threads
    found = set(map_in_threads(lambda _: threading.current_thread(), range(5), workers=1))
    assert found == {threading.current_thread()}


def test_runs_ahead_but_not_far() -> None:
    # bug: a whole clip's pictures are drawn before the first is encoded, and fill the memory
    asked = []

    def items():
        for number in range(100):
            asked.append(number)
            yield number

    results = map_in_threads(str, items(), workers=3)
    assert next(results) == "0"
    assert len(asked) == 6
    results.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("draw")]


def test_an_exception_arrives_and_ends_the_threads() -> None:
    # bug: a frame that cannot be drawn is left out, or the threads outlive the run
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("not this one")
        return number

    seen = []
    with pytest.raises(ValueError, match="not this one"):
        seen.extend(map_in_threads(work, range(10), workers=2))
    assert not [t for t in threading.enumerate() if t.name.startswith("draw")]
    results = map_in_threads(work, range(10), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(("device", "most"), [("cpu", MAX_WORKERS), ("cuda", 1)])
def test_number_of_workers(device: str, most: int) -> None:
    # bug: a GPU is shared by threads that wait for it, or sixty cores hold sixty pictures
    assert 1 <= num_workers(torch.device(device)) <= most
