"""Threads of processes that work side by side."""

import multiprocessing

import cv2
import numba
import torch

from motion_transfer.threads import use_one_thread


def count() -> tuple[int, int, int]:
    return cv2.getNumThreads(), torch.get_num_threads(), numba.get_num_threads()


def test_one_thread() -> None:
    # bug: on many cores every worker starts a thread for each of them, and nothing gets done
    with multiprocessing.get_context("spawn").Pool(1, initializer=use_one_thread) as pool:
        assert pool.apply(count) == (1, 1, 1)
