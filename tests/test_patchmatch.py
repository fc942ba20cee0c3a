"""Neighbourhoods that look alike."""

from __future__ import annotations

import numpy as np

from motion_transfer.patchmatch import (
    RADIUS,
    SIDE,
    Search,
    known_whole,
    make_valid,
    reaches,
    search,
    vote,
)

HW = (40, 48)
PADDING = ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0))
PLACES = np.moveaxis(np.mgrid[: HW[0], : HW[1]], 0, -1).astype(np.int64)
FILLED = np.zeros(HW, bool)
FILLED[14:24, 30:42] = True


def noise() -> np.ndarray:
    """A picture whose right half is its left half again."""
    half = np.random.default_rng(1).random((HW[0], HW[1] // 2, 3), dtype=np.float32)
    return np.concatenate([half, half], 1)


def ask(picture: np.ndarray, **changes) -> Search:
    is_target = reaches(FILLED)
    nothing = np.zeros((*HW, 0), np.float32)
    task = Search(
        targets=np.argwhere(is_target).astype(np.int64), is_target=is_target,
        trust=np.pad(np.where(FILLED, 0.1, 1).astype(np.float32), RADIUS),
        sources=np.pad(picture, PADDING), valid=known_whole(~FILLED), wanted=nothing, has=nothing,
        lean=np.zeros(2, np.float32),
    )  # fmt: skip
    return task._replace(**changes)


def solve(task: Search, picture: np.ndarray, rounds: int = 6) -> tuple[np.ndarray, np.ndarray]:
    nearest, costs = make_valid(PLACES, task.valid), np.zeros(HW, np.float32)
    window, sure = np.ones((SIDE, SIDE), np.float32), np.ones(HW, np.float32)
    for number in range(rounds):
        search(task, np.pad(picture, PADDING), nearest, costs, number, number % 2 == 1)
        picture = vote(task, picture, FILLED, nearest, sure, window)
    return picture, nearest


def test_what_is_there_again_is_found() -> None:
    truth = noise()
    seen = np.where(FILLED[..., None], 0.5, truth).astype(np.float32)
    found, nearest = solve(ask(seen), seen, rounds=10)
    rim = reaches(FILLED) & ~FILLED
    assert np.mean((PLACES - nearest)[rim] == (0, HW[1] // 2)) > 0.9
    assert np.abs(found - truth)[15, 31:41].mean() < 0.1 < np.abs(seen - truth)[15, 31:41].mean()
    assert np.array_equal(found[~FILLED], truth[~FILLED])


def test_only_what_is_known_whole_is_copied() -> None:
    seen = np.where(FILLED[..., None], 9.0, noise()).astype(np.float32)
    found, nearest = solve(ask(seen), seen, rounds=2)
    used = nearest[reaches(FILLED)]
    assert known_whole(~FILLED)[used[:, 0], used[:, 1]].all() and found.max() <= 1


def test_where_it_lies_and_what_it_should_be() -> None:
    # bug: a piece of other cloth, or from far away, is as good as one from beside it
    flat = np.full((*HW, 3), 0.5, np.float32)
    far = solve(ask(flat), flat, rounds=2)[1]
    near = solve(ask(flat, lean=np.array([1, 0], np.float32)), flat)[1]
    apart = [np.abs((n - PLACES)[reaches(FILLED), 0]).mean() for n in (far, near)]
    assert apart[1] < 0.5 < apart[0]
    has = np.zeros((*HW, 1), np.float32)
    has[:, :8] = 1
    found = solve(ask(flat, wanted=np.ones_like(has), has=has), flat)[1]
    assert np.mean(found[reaches(FILLED), 1] < 8) > 0.95


def test_known_whole() -> None:
    known = np.ones((9, 9), bool)
    known[0, 0] = False
    whole = known_whole(known)
    assert whole.sum() == 3 * 3 - 1 and not whole[3, 3] and whole[5, 5]
