"""Stages that overlap, and blocks cut out of a stream."""

import threading
import time

import pytest

from motion_transfer.streams import Prefetch, blocks_with_margins

pytestmark = pytest.mark.timeout(20)


def threads(name: str) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == name]


def test_order_is_kept() -> None:
    # bug: with a short queue items overtake each other or get lost
    for depth in (1, 3, 100):
        with Prefetch(range(50), depth=depth, name="numbers") as numbers:
            assert list(numbers) == list(range(50))


def test_runs_ahead_but_not_far() -> None:
    # bug: an unbounded queue holds a whole video in memory
    made = []

    def make():
        for k in range(100):
            made.append(k)
            yield k

    with Prefetch(make(), depth=4, name="ahead") as items:
        assert next(items) == 0
        while len(made) < 6:  # the time-out of the test ends a thread that never comes so far
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(made) == 6  # one used, four waiting, one in hand


def test_exception_arrives_where_the_items_are_used() -> None:
    # bug: a stage that dies leaves its consumer waiting for ever
    def broken():
        yield 1
        yield 2
        raise RuntimeError("decoder died")

    seen = []
    with (
        pytest.raises(RuntimeError, match="decoder died"),
        Prefetch(broken(), depth=8, name="broken") as items,
    ):
        seen.extend(items)
    assert seen == [1, 2]
    assert not threads("broken")


def test_leaving_early_ends_the_thread_and_closes_the_generator() -> None:
    # bug: a thread that waits to put into a full queue outlives the run and keeps the file open
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield bytes(10)
        finally:
            closed.set()

    with Prefetch(endless(), depth=2, name="endless") as items:
        next(items)
    assert closed.is_set()
    assert not threads("endless")


def test_a_failing_consumer_leaves_no_thread() -> None:
    # bug: an error in one stage leaves the others running
    with (
        pytest.raises(KeyError),
        Prefetch(iter(range(1000)), depth=1, name="outer") as items,
    ):
        next(items)
        raise KeyError("consumer")
    assert not threads("outer")


def test_error_in_closing_is_not_a_hang() -> None:
    # bug: a generator whose clean-up fails never sent the end mark, and the consumer hung
    class Items:
        def __iter__(self):
            return iter([1, 2])

        def close(self) -> None:
            raise OSError("cannot close")

    with (
        pytest.raises(OSError, match="cannot close"),
        Prefetch(Items(), depth=1, name="closing") as items,
    ):
        list(items)


def test_a_stage_that_waits_for_a_slow_one_is_woken() -> None:
    # bug: Ctrl-C waited for the renderer, which waited for the tracker's next hundred frames
    release = threading.Event()

    def slow():
        yield 0
        release.wait()
        yield 1

    first = Prefetch(slow(), depth=4, name="slow")
    with first as items:
        second = Prefetch((i for i in items), depth=4, name="waiting")
        with second as results:
            assert next(results) == 0
            first.stop()
        release.set()  # not before: the time-out fails the test
    assert not threads("slow") and not threads("waiting")


@pytest.mark.parametrize("size", [1, 2, 5, 32])
@pytest.mark.parametrize("margin", [0, 1, 4, 50])
def test_blocks_cover_a_stream_once_with_their_margins(size: int, margin: int) -> None:
    # bug: frames lost or doubled at the seams of blocks, or smoothed without their neighbours
    for total in (0, 1, 2, 5, 31, 32, 33, 64, 107):
        wanted = []
        for window, part in blocks_with_margins(iter(range(total)), size=size, margin=margin):
            items = window[part]
            assert 0 < len(items) <= size
            assert items[0] - window[0] == min(margin, items[0])
            assert window[-1] - items[-1] == min(margin, total - 1 - items[-1])
            assert window == list(range(window[0], window[-1] + 1))
            wanted += items
        assert wanted == list(range(total))


def test_blocks_do_not_collect_the_stream() -> None:
    # bug: memory grows with the length of the clip
    largest = max(len(w) for w, _ in blocks_with_margins(iter(range(5000)), size=8, margin=20))
    assert largest <= 8 + 2 * 20
