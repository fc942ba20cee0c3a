"""What MediaPipe's networks share: LiteRT, and the upright crops that they look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter


class Network:
    """A LiteRT interpreter with one input; its outputs, by name, are functions that give views.

    LiteRT refuses to run while a view of its memory is alive: use them at once or copy.
    """

    def __init__(self, path: Path, num_threads: int) -> None:
        self._interpreter = Interpreter(str(path), num_threads=num_threads)
        self._interpreter.allocate_tensors()
        self.input = self._interpreter.tensor(self._interpreter.get_input_details()[0]["index"])
        self._outputs = {
            detail["name"]: self._interpreter.tensor(detail["index"])
            for detail in self._interpreter.get_output_details()
        }

    def run(self) -> dict[str, Callable[[], np.ndarray]]:
        """What the network makes of its input."""
        self._interpreter.invoke()
        return self._outputs


def halved(rgb: np.ndarray, *, times: int) -> tuple[np.ndarray, int]:
    """The picture halved by box filter as often as asked for and possible, and how often it was.

    An odd last row or column is left out, so that halving stays exact.
    """
    for done in range(times):
        height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
        if min(height, width) == 0:
            return rgb, done
        rgb = cv2.resize(
            rgb[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        )
    return rgb, times


def cut_crop(rgb: np.ndarray, to_image: np.ndarray, side_px: int) -> np.ndarray:
    """An upright square crop; black outside the picture.

    Pictures much larger than the crop are halved first: plain bilinear sampling (MediaPipe's way)
    aliases, which made the key points tremble by 40 % more on a 960 x 1254 clip.

    Args:
        rgb: (H, W, 3) uint8.
        to_image: (2, 3) affine map from pixels of the crop to those of the picture.
        side_px: of the crop.

    Returns:
        (side_px, side_px, 3) uint8.
    """
    scale = float(np.hypot(to_image[0, 0], to_image[1, 0]))
    rgb, halvings = halved(rgb, times=max(int(np.log2(scale)), 0) if scale > 0 else 0)
    to_halved = to_image / 2**halvings
    to_halved[:, 2] += (0.5**halvings - 1) / 2  # pixel centres: (x + 0.5) / 2 - 0.5
    return cv2.warpAffine(
        rgb,
        to_halved,
        (side_px, side_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Of logits."""
    return 1 / (1 + np.exp(-np.clip(x, -80, 80)))
