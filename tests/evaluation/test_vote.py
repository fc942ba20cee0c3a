"""The comparison by people: blind, and ranked as the model says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import minimize

from motion_transfer import cli
from motion_transfer.errors import InputError
from motion_transfer.evaluation.config import EvaluateConfig, SyntheticConfig
from motion_transfer.evaluation.results import Result, Store
from motion_transfer.evaluation.statistics import compare, summarise
from motion_transfer.evaluation.vote import (
    Vote,
    bradley_terry,
    rank,
    read_votes,
    write_vote_page,
)
from motion_transfer.training.config import build

NAMES = ["a", "b", "c"]


def some_votes(num: int = 200) -> list[Vote]:
    rng = np.random.default_rng(0)
    strength = {"a": 3.0, "b": 1.0, "c": 0.4}
    votes = []
    for _ in range(num):
        first, second = rng.permutation(NAMES)[:2]
        chance = strength[first] / (strength[first] + strength[second])
        votes.append(Vote(str(first), str(second), float(rng.random() < chance)))
    return votes


def test_strengths_are_the_most_likely_ones():
    votes = some_votes()
    found = bradley_terry(votes, NAMES, prior=0)

    def surprise(logs: np.ndarray) -> float:
        total = 0.0
        for first, second, score in votes:
            apart = logs[NAMES.index(first)] - logs[NAMES.index(second)]
            total += np.log1p(np.exp(-apart)) * score + np.log1p(np.exp(apart)) * (1 - score)
        return total

    best = minimize(surprise, np.zeros(3), tol=1e-12).x
    np.testing.assert_allclose(np.log(found), best - best.mean(), atol=1e-4)


def test_the_table():
    standings = rank(some_votes())
    assert [s.generator for s in standings] == NAMES
    assert all(s.low < s.strength < s.high for s in standings)
    assert sum(s.votes for s in standings) == 400
    always = rank([Vote("x", "y", 1.0)] * 20)
    assert np.isfinite(always[0].strength) and always[0].score == 1


@pytest.fixture
def run(tmp_path):
    """A run of three generators in four cases, with pictures; and the truth."""
    store = Store(tmp_path / "run")
    for case in range(4):
        for shade, name in enumerate(("truth", "photo still", "articulated", "learned <b>")):
            store.write(
                Result(protocol="self", case=f"clip {case}", generator=name, values={},
                       frames={0: {}, 5: {}}),
                np.zeros((0, 0)), key="k",
            )  # fmt: skip
            for frame in (0, 5):
                store.keep_picture(
                    "self", f"clip {case}", name, frame,
                    np.full((40, 30, 3), 40 * shade + case, np.uint8),
                )  # fmt: skip
    return store


def options() -> EvaluateConfig:
    generators = [
        {"name": "truth", "kind": "truth"}, {"name": "photo still", "kind": "still"},
        {"name": "articulated", "kind": "articulated"},
        {"name": "learned <b>", "kind": "pose-flow"},
    ]  # fmt: skip
    return build(
        EvaluateConfig, {"generators": generators, "synthetic": {"shards": "none"}, "name": "n"}
    )


def test_the_page_does_not_say_whose_result_is_whose(run):
    page = write_vote_page(run, options()).read_text()
    key = json.loads((run.folder / "vote-key.json").read_text())
    assert len(key) == 2 * 4 * 3  # three pairs in each of four cases
    assert set(key.values()) == {"photo still", "articulated", "learned <b>"}
    for name in ("photo still", "articulated", "learned", "truth.jpg"):
        assert name not in page
    lefts = [key[n] for n in key if n.endswith("a")]
    assert len(set(lefts)) == 3  # the side is drawn


def test_votes_come_back_as_a_table(run, tmp_path, capsys):
    write_vote_page(run, options())
    key = json.loads((run.folder / "vote-key.json").read_text())
    votes = []
    for left in (n for n in key if n.endswith("a")):
        right = left[:-1] + "b"
        prefers = {"left": "learned" in key[left], "right": "learned" in key[right]}
        choice = next((side for side, wanted in prefers.items() if wanted), "same")
        votes.append({"left": left, "right": right, "choice": choice})
    path = tmp_path / "votes.json"
    path.write_text(json.dumps(votes))
    cli.main(["tally", str(run.folder), str(path)])
    lines = [line for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert "learned <b>" in lines[1] and "100%" in lines[1]  # line 0 is the head
    assert len(read_votes(run.folder, [path])) == 12

    path.write_text(json.dumps([{"left": "9999a", "right": "9999b", "choice": "left"}]))
    with pytest.raises(InputError, match="belongs to another run than"):
        read_votes(run.folder, [path])
    path.write_text("[1]")
    with pytest.raises(InputError, match=r"is not a file of votes as vote\.html"):
        read_votes(run.folder, [path])
    with pytest.raises(FileNotFoundError, match="the run has no comparison page"):
        read_votes(tmp_path, [path])


def test_no_page_for_one_generator(run):
    config = EvaluateConfig(synthetic=SyntheticConfig(shards="none"))
    empty = Store(run.folder.parent / "empty")
    assert write_vote_page(empty, config) is None


def test_means_and_spread_leave_out_what_was_not_measured():
    found = summarise([1.0, 3.0, float("nan")])
    assert (found.mean, found.num) == (2, 2)
    assert found.spread == pytest.approx(np.std([1, 3], ddof=1))
    assert summarise([]).num == 0


def test_a_difference_is_open_better_or_worse():
    rng = np.random.default_rng(0)
    reference = rng.normal(10, 3, 40)
    close = reference - 0.5 + rng.normal(0, 0.5, 40)  # far less than the spread over clips
    assert compare(close, reference, better="less").verdict == "better"
    assert compare(close, reference, better="more").verdict == "worse"
    same = reference + rng.normal(0, 0.5, 40) - 0.01
    found = compare(same, reference, better="less")
    assert found.verdict == "open" and found.low < found.difference < found.high
    # for normal differences the bootstrap is the t interval, nearly
    apart = same - reference
    half = 2.02 * apart.std(ddof=1) / np.sqrt(40)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)


def test_few_clips_decide_nothing():
    found = compare([1.0, 1.1, 1.2, 1.3, 1.4], [2.0] * 5, better="less")
    assert found.high < 0 and found.verdict == "open"
    assert compare([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], [2.0] * 6, better="less").verdict == "better"
    assert compare([np.nan], [2.0], better="less").num == 0


def test_photos_of_one_driving_clip_count_as_one_for_the_effect():
    driving = ["a", "a", "a", "b", "c"]
    gains = [3.0, 1.0, 2.0, 4.0, 6.0]  # of the clips: 2, 4, 6
    found = compare(gains, [0.0] * 5, better="more", driving=driving)
    assert found.effect == pytest.approx(4 / 2)
    assert compare(gains, [0.0] * 5, better="less", driving=driving).effect == pytest.approx(-2)
    assert found.difference == pytest.approx(np.mean(gains))
    alone = compare(gains, [0.0] * 5, better="more")
    assert alone.effect == pytest.approx(np.mean(gains) / np.std(gains, ddof=1))
    of_one = compare([*gains[:3], np.nan, np.nan], [0.0] * 5, better="more", driving=driving)
    assert np.isnan(of_one.effect)
