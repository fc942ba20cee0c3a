"""What the command line does with evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from motion_transfer.driver import Progress
from motion_transfer.evaluation import evaluate as run
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
    return run.evaluate(load_options(EvaluateConfig, config, settings), progress=progress)
