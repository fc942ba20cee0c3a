"""Where the learned generators' weights lie; importing this does not import torch."""

from __future__ import annotations

import os
from pathlib import Path

from motion_transfer.errors import WeightsError

_FOLDER = Path(__file__).parent / "weights"
SHIPPED = {
    "refined": _FOLDER / "refinement.safetensors",
    "pose-flow": _FOLDER / "pose_flow.safetensors",
}
"""Of the generators that are learned, by name."""


def find_weights(generator: str, path: str | os.PathLike[str] | None = None) -> Path:
    """The weights file to use.

    Args:
        generator: which of `SHIPPED`.
        path: a file; None: the one that ships.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: none ships.
    """
    if path is None:
        if not SHIPPED[generator].is_file():
            raise WeightsError(
                f"--generator {generator}: no weights ship with this version; "
                "train some and give them as --weights FILE"
            )
        return SHIPPED[generator]
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"--weights: no such file: {path}; make one with 'motion-transfer export RUN FILE'"
        )
    return Path(path)
