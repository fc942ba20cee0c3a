"""What the command line does with evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from motion_transfer.driver import Progress
from motion_transfer.evaluation import evaluate as running
from motion_transfer.evaluation import vote
from motion_transfer.evaluation.config import EvaluateConfig
from motion_transfer.training.commands import Settings
from motion_transfer.training.config import load_options


def evaluate(
    config: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
    settings: Settings = (),
    *,
    progress: Progress | None = None,
) -> Path:
    """Measure generators beside baselines; writes a page, JSON and CSV, and goes on where it was.

    Args:
        config: YAML file, such as configs/evaluate.yaml.
        settings: options that differ from the file, for instance every=24.
        progress: called as results come in.
    """
    return running.evaluate(load_options(EvaluateConfig, config, settings), progress=progress)


def tally(
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
    votes: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
) -> None:
    """Rank generators by the votes that people gave on a run's vote.html (Bradley-Terry).

    Args:
        run: folder of the evaluation.
        votes: files that the page saved.
    """
    table = Table()
    for title in ("generator", "strength", "95 % interval", "points won", "votes"):
        table.add_column(title, no_wrap=True)
    for place in vote.rank(vote.read_votes(run, votes)):
        table.add_row(
            place.generator, f"{place.strength:+.0f}", f"{place.low:+.0f} to {place.high:+.0f}",
            f"{place.score:.0%}", str(place.votes),
        )  # fmt: skip
    Console().print(table)
