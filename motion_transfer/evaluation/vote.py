"""Human comparison: a page on which two results are judged blind, and the table that follows.

The page shows the photo, the true frame where there is one, and two results side by side without
names; arrow keys vote. It saves the votes as a file. Which result was whose is in `vote-key.json`
of the run folder, not in the page, so nobody who votes can know; `tally` joins the two.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.evaluation.config import EvaluateConfig
from motion_transfer.evaluation.report import embed_picture, open_template, write_text
from motion_transfer.evaluation.results import PHOTO, TRUTH, Result, Store

KEY_FILE = "vote-key.json"
MOST_TRIALS = 120
RESAMPLES = 500
ELO = 400 / np.log(10)  # strengths as in chess: 400 points are odds of ten to one
_CHOICES = {"left": 1.0, "right": 0.0, "same": 0.5}


class Vote(NamedTuple):
    """One comparison: two generators, and the first one's score, 1 won, 0.5 equal, 0 lost."""

    first: str
    second: str
    score: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """A generator's place.

    Args:
        generator: its name.
        strength: in Elo points; the mean over generators is 0.
        low, high: 95 % bootstrap interval over votes.
        score: share of points won.
        votes: in which it took part.
    """

    generator: str
    strength: float
    low: float
    high: float
    score: float
    votes: int


def write_vote_page(store: Store, config: EvaluateConfig) -> Path | None:
    """Write `vote.html` and its key for the generators of a run.

    Args:
        store: results with pictures.
        config: of the run; the truth takes no part, its seed orders the trials.

    Returns:
        The page; None where fewer than two generators have pictures.
    """
    rivals = [g.name for g in config.generators if g.kind != "truth"]
    by_case: dict[tuple[str, str], dict[str, Result]] = {}
    for result in store.read():
        if result.generator in rivals:
            by_case.setdefault((result.protocol, result.case), {})[result.generator] = result
    rng = np.random.default_rng(config.seed)
    trials: list[dict] = []
    key: dict[str, str] = {}
    media: dict[str, list[str]] = {}
    pairs = [
        (results, pair)
        for results in by_case.values()
        for pair in itertools.combinations(sorted(results), 2)
    ]
    for index in rng.permutation(len(pairs)):
        results, pair = pairs[index]
        sides = [results[name] for name in rng.permutation(pair)]
        frames = [f for f in sides[0].frames if all(_frames(store, r, [f]) for r in sides)]
        if not frames or len(trials) == MOST_TRIALS:
            continue
        names = [f"{index:04d}{side}" for side in "ab"]
        for name, result in zip(names, sides, strict=True):
            key[name] = result.generator
            media[name] = _frames(store, result, frames)
        photo = embed_picture(store, sides[0], PHOTO, 0)
        true = [p for f in frames if (p := embed_picture(store, sides[0], TRUTH, f))]
        trials.append({"left": names[0], "right": names[1], "photo": photo, "truth": true})
    if not trials:
        return None
    page = open_template("vote.html").render(name=config.name, trials=trials, media=media)
    write_text(store.folder / KEY_FILE, json.dumps(key, indent=1))
    write_text(store.folder / "vote.html", page)
    return store.folder / "vote.html"


def read_votes(run: Path, files: Sequence[Path]) -> list[Vote]:
    """The votes of one or more people.

    Args:
        run: folder of the run, which has the key.
        files: as the page saves them.

    Raises:
        FileNotFoundError: a file is not there.
        InputError: a file is not such a file, or belongs to another run.
    """
    key_path = run / KEY_FILE
    if not key_path.is_file():
        raise FileNotFoundError(f"no such file: {key_path}; the run has no comparison page")
    key = json.loads(key_path.read_text("utf-8"))
    votes = []
    for path in files:
        if not path.is_file():
            raise FileNotFoundError(f"no such file of votes: {path}")
        try:
            entries = [(e["left"], e["right"], e["choice"]) for e in json.loads(path.read_text())]
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{path} is not a file of votes as vote.html saves it") from error
        for left, right, choice in entries:
            if left not in key or right not in key or choice not in _CHOICES:
                raise InputError(f"{path} belongs to another run than {run}, or was changed")
            votes.append(Vote(key[left], key[right], _CHOICES[choice]))
    if not votes:
        raise InputError("there are no votes in the files")
    return votes


def rank(votes: Sequence[Vote], *, seed: int = 0) -> list[Standing]:
    """Bradley-Terry strengths, the strongest first.

    Args:
        votes: at least one.
        seed: of the bootstrap.
    """
    names = sorted({n for vote in votes for n in (vote.first, vote.second)})
    found = ELO * np.log(bradley_terry(votes, names))
    rng = np.random.default_rng(seed)
    drawn = np.stack([
        ELO * np.log(bradley_terry([votes[i] for i in rng.integers(len(votes), size=len(votes))],
                                   names))
        for _ in range(RESAMPLES)
    ])  # fmt: skip
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    standings = []
    for k, name in enumerate(names):
        points = [v.score if v.first == name else 1 - v.score
                  for v in votes if name in (v.first, v.second)]  # fmt: skip
        standings.append(Standing(
            generator=name, strength=float(found[k]), low=float(low[k]), high=float(high[k]),
            score=float(np.mean(points)), votes=len(points),
        ))  # fmt: skip
    return sorted(standings, key=lambda s: -s.strength)


def bradley_terry(votes: Sequence[Vote], names: Sequence[str], *, prior: float = 0.5) -> np.ndarray:
    """Strengths by the minorisation of Hunter (Annals of Statistics 2004), equation 3.

    Args:
        votes: who beat whom; equal counts half for each.
        names: the generators.
        prior: wins that every two generators have over each other before the first vote, so that
            one that always wins has a finite strength.

    Returns:
        (N,) strengths whose geometric mean is 1; A beats B with probability a / (a + b).
    """
    wins = prior * (1 - np.eye(len(names)))
    place = {name: k for k, name in enumerate(names)}
    for vote in votes:
        first, second = place[vote.first], place[vote.second]
        wins[first, second] += vote.score
        wins[second, first] += 1 - vote.score
    games = wins + wins.T
    strength = np.ones(len(names))
    for _ in range(1000):
        new = wins.sum(1) / (games / (strength[:, None] + strength[None])).sum(1)
        new /= np.exp(np.log(new).mean())
        if np.abs(np.log(new / strength)).max() < 1e-9:
            break
        strength = new
    return new


def _frames(store: Store, result: Result, frames: list[int]) -> list[str]:
    return [p for f in frames if (p := embed_picture(store, result, result.generator, f))]
