"""What is hidden, put together of pieces of what is shown: patterns go on, hems stay sharp.

Each neighbourhood of what is hidden is to look like one that is shown, from coarse to fine
(`patchmatch`). A smooth guess says what colour to expect, and pieces are rather taken from beside a
pixel than from along the body, where another garment may be.

Axes: h w working pixels, H W pixels of a picture.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
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

GUIDED = 4.0
"""Weight of the guess' colour beside the likeness of a neighbourhood."""
PLAIN = 0.077
"""Contrast in a neighbourhood, share of its brightness, below which cloth is plain."""
_LEAST = 64  # neighbourhoods that are shown whole
_ROUNDS, _SWEEPS = (3, 4, 8), 2  # at working resolution, half of it, a quarter
_AWAY_PX, _AWAY_COST = 12.0, 26.0
"""A piece from so far along the body is as unlike as one whose colour is so far off."""
_FADE = 0.85  # trust in a hidden pixel, for each pixel that it is farther from what is shown
_VOTE = 1.5  # so far from a neighbourhood's middle, squared, a vote counts 1 / e
_USUAL = 3.0  # squared difference of colours that is none
_DARK = 25.0  # added to brightness: what is black has no contrast
_TINY = 1e-6
_WINDOW = np.exp(-np.square(np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]).sum(0) / _VOTE)
_WINDOW = _WINDOW.astype(np.float32)


class _Level(NamedTuple):
    """A resolution.

    picture: (h, w, 3) what is known and what is thought of the rest; changed.
    known: (h, w) bool.
    hidden: (h, w) bool, what to fill.
    guess: (h, w, 3) a smooth fill.
    """

    picture: np.ndarray
    known: np.ndarray
    hidden: np.ndarray
    guess: np.ndarray


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
    levels = [_Level(picture, known, hidden, guess)]
    while len(levels) < len(_ROUNDS):
        levels.append(_half(levels[-1]))
    axis = along / max(float(np.linalg.norm(along)), _TINY)
    nearest = None
    for number, rounds in reversed(list(enumerate(_ROUNDS))):
        level = levels[number]
        if known_whole(level.known).sum() < _LEAST or not level.hidden.any():
            continue
        start = np.moveaxis(np.mgrid[: len(level.known), : level.known.shape[1]], 0, -1)
        if nearest is not None:
            start = _finer(nearest, start)
        lean = _AWAY_COST / _AWAY_PX * 2**number * axis[::-1]
        nearest = _solve(level, start, lean.astype(np.float32), guided, rounds)
        if number:
            finer = levels[number - 1]
            size = finer.picture.shape[1::-1]
            larger = cv2.resize(level.picture, size, interpolation=cv2.INTER_LINEAR)
            finer.picture[finer.hidden] = larger[finer.hidden]
    if nearest is None or nearest.shape[:2] != known.shape:
        return guess, np.zeros((*known.shape, 2), np.int32)
    offsets = nearest - np.moveaxis(np.mgrid[: len(known), : known.shape[1]], 0, -1)
    pieces = np.where(hidden[..., None], offsets, 0).astype(np.int32)
    side = (SIDE, SIDE)
    mean = cv2.blur(picture, side)
    spread = np.sqrt(np.maximum(cv2.blur(picture**2, side) - mean**2, 0))
    contrast = (spread / (mean + _DARK)).max(-1, keepdims=True)
    patterned = np.clip(contrast / max(plain, _TINY) - 1, 0, 1)
    return guess + patterned * (picture - guess), pieces


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


def _half(level: _Level) -> _Level:
    picture, known = level.picture, level.known
    size = (max(picture.shape[1] // 2, 1), max(picture.shape[0] // 2, 1))
    plain, shown, wanted, rough, clean = (
        cv2.resize(x.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for x in (picture, known, level.hidden, level.guess, picture * known[..., None])
    )
    own = shown > np.maximum(0.5, wanted)
    mean = clean / np.maximum(shown, 1e-3)[..., None]
    return _Level(np.where(own[..., None], mean, plain), own, (wanted > 0) & ~own, rough)


def _finer(nearest: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places (h/2, w/2, 2) at twice the resolution, whose own places are (h, w, 2)."""
    cell = np.minimum(places // 2, np.array(nearest.shape[:2]) - 1)
    moved = 2 * (nearest[cell[..., 0], cell[..., 1]] - cell) + places
    return np.clip(moved, 0, np.array(places.shape[:2]) - 1)


def _solve(
    level: _Level, nearest: np.ndarray, lean: np.ndarray, guided: float, rounds: int
) -> np.ndarray:
    """Fill a level.

    Args:
        level: its picture is changed.
        nearest: (h, w, 2) where to begin.
        lean: (2,) see `patchmatch.Search`.
        guided: see `GUIDED`.
        rounds: of search and vote.

    Returns:
        (h, w, 2) int64, the likeliest neighbourhood of each that has something hidden.
    """
    known, hidden, side = level.known, level.hidden, (SIDE, SIDE)
    trust = known.astype(np.float32)
    apart = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3)
    trust[hidden] = _FADE ** apart[hidden]
    share = cv2.blur(trust * known, side)
    mean = cv2.blur(level.picture * known[..., None], side) / np.maximum(share, 1e-3)[..., None]
    is_target = reaches(hidden) & (trust > 0)
    expected = np.where(known[..., None], mean, level.guess)
    task = Search(
        targets=np.argwhere(is_target).astype(np.int64), is_target=is_target,
        trust=np.pad(trust, RADIUS), sources=_padded(level.picture), valid=known_whole(known),
        wanted=(np.sqrt(guided) * expected).astype(np.float32),
        has=(np.sqrt(guided) * mean).astype(np.float32), lean=lean,
    )  # fmt: skip
    nearest, costs = make_valid(nearest, task.valid), np.zeros_like(trust)
    for number in range(rounds):
        padded = _padded(level.picture)
        for sweep in range(_SWEEPS):
            search(task, padded, nearest, costs, _SWEEPS * number + sweep, sweep % 2 == 1)
        usual = _USUAL + costs[is_target].mean()
        sure = trust * np.exp(-costs / usual)
        level.picture[:] = vote(task, level.picture, hidden, nearest, sure, _WINDOW)
    return nearest


def _padded(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)))
