"""How many threads a process uses."""

from __future__ import annotations

import cv2
import numba
import torch


def use_one_thread() -> None:
    """For processes that work side by side, as many as there are cores.

    OpenCV, PyTorch and Numba would each start a thread for every core in each of them. With sixteen
    cores that stops the work rather than slowing it down.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    numba.set_num_threads(1)
