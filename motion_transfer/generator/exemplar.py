"""What is hidden, put together of pieces of what is shown: patterns go on, hems stay sharp.

Each 7 x 7 neighbourhood of what is hidden is to look like one that is shown, from coarse to fine
(Wexler et al., "Space-Time Completion of Video", TPAMI 2007); which one is found by PatchMatch
(Barnes et al., SIGGRAPH 2009). A smooth guess says what colour to expect, and pieces are rather
taken from beside a pixel than from along the body, where another garment may be. Holes in backdrops
are filled by the same idea in `person.patchfill`, which knows neither a guess nor anything that is
neither known nor wanted, and takes longer.

Axes: h w working pixels, H W pixels of a picture; N pixels whose neighbourhoods are looked for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numba
import numpy as np

GUIDED = 4.0
"""Weight of the guess' colour beside the likeness of a neighbourhood."""
PLAIN = 0.077
"""Contrast in a neighbourhood, share of its brightness, below which cloth is plain."""
_RADIUS = 3  # of a neighbourhood
_SIDE = (2 * _RADIUS + 1,) * 2
_LEAST = 64  # neighbourhoods that are shown whole
_ROUNDS, _SWEEPS = (3, 4, 8), 2  # at working resolution, half of it, a quarter
_AWAY_PX, _AWAY_COST = 12.0, 15.0**2
"""A piece from so far along the body is as unlike as one whose colours are so far off, squared."""
_FADE = 0.85  # trust in a hidden pixel, for each pixel that it is farther from what is shown
_VOTE = 1.5  # so far from a neighbourhood's middle, squared, a vote counts 1 / e
_DARK = 25.0  # added to brightness: what is black has no contrast
_TINY = 1e-6


class _Level(NamedTuple):
    """A resolution.

    colours: (h, w, 3) what is known and what is thought of the rest; changed.
    shown: (h, w, 3) what is known, to copy from.
    aim: (h, w, 3) mean colour to expect about a pixel.
    mean: (h, w, 3) mean colour about a known pixel.
    trust: (h, w) in [0, 1], 0 outside.
    whole: (h, w) bool, neighbourhoods that are known whole.
    wanted: (h, w) bool, what is hidden.
    offsets: (h, w, 2) int32 to the likeliest neighbourhood, rows and columns; changed.
    costs: (h, w) of that one; changed.
    """

    colours: np.ndarray
    shown: np.ndarray
    aim: np.ndarray
    mean: np.ndarray
    trust: np.ndarray
    whole: np.ndarray
    wanted: np.ndarray
    offsets: np.ndarray
    costs: np.ndarray


class _Prior(NamedTuple):
    """Squared differences: of a pixel farther down and right along the body, and of the guess."""

    down: float
    right: float
    guided: float


def continue_texture(
    rgb: np.ndarray,
    known: np.ndarray,
    hidden: np.ndarray,
    guess: np.ndarray,
    along: np.ndarray,
    *,
    guided: float = GUIDED,
    plain: float = PLAIN,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill what is hidden.

    Args:
        rgb: (h, w, 3) 0 to 255.
        known: (h, w) bool, what of it may be copied.
        hidden: (h, w) bool, what to fill.
        guess: (h, w, 3) 0 to 255, a smooth fill.
        along: (2,) direction (x, y) of the body.
        guided: see `GUIDED`.
        plain: see `PLAIN`; there the guess is kept.

    Returns:
        (h, w, 3) float32, 0 to 255: the guess where too little is known; and (h, w, 2) int32, how
        far away the likeliest piece lies, rows and columns: 0 where nothing is hidden.
    """
    picture = np.where(known[..., None], rgb, guess).astype(np.float32)
    guess, hidden = guess.astype(np.float32), hidden & ~known
    levels = [(picture, known, hidden, guess)]
    while len(levels) < len(_ROUNDS):
        levels.append(_half(*levels[-1]))
    axis = along / max(float(np.linalg.norm(along)), _TINY)
    offsets = None
    for number, rounds in reversed(list(enumerate(_ROUNDS))):
        level = _make_level(*levels[number], offsets)
        if level is None:
            continue
        away = np.sqrt(_AWAY_COST) / _AWAY_PX * 2**number
        _solve(level, _Prior(away * axis[1], away * axis[0], guided), rounds)
        offsets = level.offsets
        if number:
            finer, _, wanted, _ = levels[number - 1]
            larger = cv2.resize(level.colours, finer.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            finer[wanted] = larger[wanted]
        picture = level.colours
    if offsets is None or offsets.shape[:2] != known.shape:
        return guess, np.zeros((*known.shape, 2), np.int32)
    mean = cv2.blur(picture, _SIDE)
    spread = np.sqrt(np.maximum(cv2.blur(picture**2, _SIDE) - mean**2, 0))
    contrast = (spread / (mean + _DARK)).max(-1, keepdims=True)
    patterned = np.clip(contrast / max(plain, _TINY) - 1, 0, 1)
    return guess + patterned * (picture - guess), np.where(hidden[..., None], offsets, 0)


def continue_picture(
    picture: np.ndarray,
    known: np.ndarray,
    hidden: np.ndarray,
    guess: np.ndarray,
    along: np.ndarray,
    *,
    height: int,
    guided: float = GUIDED,
    plain: float = PLAIN,
) -> np.ndarray:
    """`continue_texture` at any resolution.

    Args:
        picture: (H, W, 3) in [0, 1].
        known: (H, W) bool.
        hidden: (H, W) bool.
        guess: (H, W, 3) in [0, 1].
        along: (2,) direction (x, y) of the body.
        height: pieces are looked for in a picture that is no higher, pixels.
        guided: see `GUIDED`.
        plain: see `PLAIN`.

    Returns:
        (H, W, 3) float32 in [0, 1], with what is finer than that.
    """
    scale = min(1.0, height / len(picture))
    size = (round(scale * picture.shape[1]) or 1, round(scale * picture.shape[0]) or 1)
    small, shown, wanted, rough = (
        cv2.resize(x.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for x in (picture, known, hidden, guess)
    )
    found, pieces = continue_texture(
        255 * small, shown > 0.9, wanted > 0, 255 * rough, along, guided=guided, plain=plain
    )
    large = cv2.resize(found, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR) / 255
    return np.clip(large + grain(picture, small, pieces), 0, 1)


def grain(picture: np.ndarray, working: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """What pieces have that is finer than working pixels.

    Args:
        picture: (H, W, 3) as it is.
        working: (h, w, 3) the same at working resolution.
        pieces: (h, w, 2) how far away they lie, see `continue_texture`.

    Returns:
        (H, W, 3) float32 to add; 0 where there are none.
    """
    if not pieces.any():
        return np.zeros(picture.shape, np.float32)
    (height, width), (h, w) = picture.shape[:2], working.shape[:2]
    coarse = cv2.resize(working.astype(np.float32), (width, height))
    away = pieces[np.arange(height) * h // height][:, np.arange(width) * w // width]
    y, x = np.mgrid[:height, :width] + np.moveaxis(away, -1, 0) * [[[height / h]], [[width / w]]]
    found = cv2.remap(
        (picture - coarse).astype(np.float32), x.astype(np.float32), y.astype(np.float32),
        cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return found * away.any(-1, keepdims=True)


def _half(
    picture: np.ndarray, known: np.ndarray, hidden: np.ndarray, guess: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    size = (max(picture.shape[1] // 2, 1), max(picture.shape[0] // 2, 1))
    plain, shown, wanted, rough, clean = (
        cv2.resize(x.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for x in (picture, known, hidden, guess, picture * known[..., None])
    )
    own = shown > np.maximum(0.5, wanted)
    mean = clean / np.maximum(shown, 1e-3)[..., None]
    return np.where(own[..., None], mean, plain), own, (wanted > 0) & ~own, rough


def _make_level(
    picture: np.ndarray,
    known: np.ndarray,
    hidden: np.ndarray,
    guess: np.ndarray,
    coarser: np.ndarray | None,
) -> _Level | None:
    """A resolution to work at; None if nothing is hidden, or too little is known.

    Args:
        picture: (h, w, 3).
        known: (h, w) bool.
        hidden: (h, w) bool.
        guess: (h, w, 3).
        coarser: (h/2, w/2, 2) offsets at half the resolution.
    """
    whole = cv2.erode(known.astype(np.uint8), np.ones(_SIDE), borderValue=0) > 0
    if whole.sum() < _LEAST or not hidden.any():
        return None
    trust = known.astype(np.float32)
    apart = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3)
    trust[hidden] = _FADE ** apart[hidden]
    share = cv2.blur(trust * known, _SIDE)
    mean = cv2.blur(picture * known[..., None], _SIDE) / np.maximum(share, 1e-3)[..., None]
    offsets = np.zeros((*known.shape, 2), np.int32)
    if coarser is not None:
        rows, columns = (
            np.minimum(np.arange(n) // 2, m - 1)
            for n, m in zip(known.shape, coarser.shape[:2], strict=True)
        )
        offsets = 2 * coarser[rows][:, columns]
    return _Level(
        colours=picture.copy(), shown=picture,
        aim=np.where(known[..., None], mean, guess).astype(np.float32), mean=mean, trust=trust,
        whole=whole, wanted=hidden, offsets=np.ascontiguousarray(offsets),
        costs=np.zeros_like(trust),
    )  # fmt: skip


def _solve(level: _Level, prior: _Prior, rounds: int) -> None:
    """Fill a level."""
    near = (cv2.dilate(level.wanted.astype(np.uint8), np.ones(_SIDE)) > 0) & (level.trust > 0)
    targets = np.argwhere(near)
    _start(level, targets, np.argwhere(level.whole))
    for number in range(rounds):
        _search(level, prior, targets, near, number)
        _vote(level, targets)


@numba.njit(cache=True, nogil=True)
def _start(level: _Level, targets: np.ndarray, sources: np.ndarray) -> None:
    """Offsets (h, w, 2) that lead to a neighbourhood that is known whole: the nearest one."""
    height, width = level.whole.shape
    for y, x in targets:
        there_y, there_x = y + level.offsets[y, x, 0], x + level.offsets[y, x, 1]
        if 0 <= there_y < height and 0 <= there_x < width and level.whole[there_y, there_x]:
            continue
        least = 1 << 60
        for source_y, source_x in sources:
            far = (source_y - y) ** 2 + (source_x - x) ** 2
            if far < least:
                least = far
                level.offsets[y, x, 0], level.offsets[y, x, 1] = source_y - y, source_x - x


@numba.njit(cache=True, nogil=True, fastmath=True)
def _cost(level: _Level, prior: _Prior, y: int, x: int, dy: int, dx: int) -> Any:
    """Squared difference of two neighbourhoods."""
    height, width = level.trust.shape
    total, weight = np.float32(0), np.float32(_TINY)
    for j in range(max(y - _RADIUS, 0), min(y + _RADIUS + 1, height)):
        for i in range(max(x - _RADIUS, 0), min(x + _RADIUS + 1, width)):
            trust = level.trust[j, i]
            if trust <= 0:
                continue
            apart = np.float32(0)
            for k in range(3):
                apart += (level.colours[j, i, k] - level.shown[j + dy, i + dx, k]) ** 2
            total += trust * apart
            weight += trust
    off = np.float32(0)
    for k in range(3):
        off += (level.aim[y, x, k] - level.mean[y + dy, x + dx, k]) ** 2
    return (total / weight + prior.guided * off) / 3 + (prior.down * dy + prior.right * dx) ** 2


@numba.njit(cache=True, nogil=True)
def _better(level: _Level, prior: _Prior, y: int, x: int, dy: int, dx: int) -> None:
    """Take an offset if it is better than what there is."""
    height, width = level.whole.shape
    if not (0 <= y + dy < height and 0 <= x + dx < width and level.whole[y + dy, x + dx]):
        return
    if dy == level.offsets[y, x, 0] and dx == level.offsets[y, x, 1]:
        return
    cost = _cost(level, prior, y, x, dy, dx)
    if cost < level.costs[y, x]:
        level.costs[y, x] = cost
        level.offsets[y, x, 0], level.offsets[y, x, 1] = dy, dx


@numba.njit(cache=True, nogil=True)
def _search(
    level: _Level, prior: _Prior, targets: np.ndarray, is_target: np.ndarray, seed: int
) -> None:
    """Better offsets: those of neighbours, and some at random, ever nearer."""
    height, width = level.whole.shape
    np.random.seed(seed)
    for y, x in targets:
        level.costs[y, x] = _cost(
            level, prior, y, x, level.offsets[y, x, 0], level.offsets[y, x, 1]
        )
    for sweep in range(_SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        for y, x in targets[::step]:
            for beside_y, beside_x in ((y - step, x), (y, x - step)):
                if 0 <= beside_y < height and 0 <= beside_x < width:
                    if is_target[beside_y, beside_x]:
                        dy, dx = level.offsets[beside_y, beside_x]
                        _better(level, prior, y, x, dy, dx)
            reach = max(height, width)
            while reach >= 1:
                dy = level.offsets[y, x, 0] + np.random.randint(-reach, reach + 1)
                dx = level.offsets[y, x, 1] + np.random.randint(-reach, reach + 1)
                _better(level, prior, y, x, dy, dx)
                reach //= 2


@numba.njit(cache=True, nogil=True, fastmath=True)
def _vote(level: _Level, targets: np.ndarray) -> None:
    """Colours of what is hidden: the mean of all pieces that it is a part of."""
    height, width = level.trust.shape
    total = np.zeros_like(level.colours)
    weights = np.zeros_like(level.trust)
    usual = np.float32(1)
    for y, x in targets:
        usual += level.costs[y, x] / len(targets)
    for y, x in targets:
        dy, dx = level.offsets[y, x]
        sure = level.trust[y, x] * np.exp(-level.costs[y, x] / usual)
        for j in range(max(y - _RADIUS, 0), min(y + _RADIUS + 1, height)):
            for i in range(max(x - _RADIUS, 0), min(x + _RADIUS + 1, width)):
                if not level.wanted[j, i]:
                    continue
                vote = sure * np.exp(-np.float32((j - y) ** 2 + (i - x) ** 2) / _VOTE)
                for k in range(3):
                    total[j, i, k] += vote * level.shown[j + dy, i + dx, k]
                weights[j, i] += vote
    for y in range(height):
        for x in range(width):
            if weights[y, x] > 0:
                for k in range(3):
                    level.colours[y, x, k] = total[y, x, k] / weights[y, x]
