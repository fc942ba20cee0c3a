"""Where the learned generator's weights lie; importing this does not import torch."""

from __future__ import annotations

import os
from pathlib import Path

from motion_transfer.errors import WeightsError

SHIPPED = Path(__file__).parent / "weights" / "pose_flow.safetensors"


def find_weights(path: str | os.PathLike[str] | None = None) -> Path:
    """The weights file to use.

    Args:
        path: a file; None: the one that ships.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: none ships.
    """
    if path is None:
        if not SHIPPED.is_file():
            raise WeightsError(
                "--generator pose-flow: no weights ship with this version; "
                "train some and give them as --weights FILE"
            )
        return SHIPPED
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"--weights: no such file: {path}; make one with 'motion-transfer export RUN FILE'"
        )
    return Path(path)
