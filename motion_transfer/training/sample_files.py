"""Samples that lie in files, many to a file."""

from __future__ import annotations

import abc
import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

Tensors = dict[str, torch.Tensor]
WINDOW = 4
"""Files whose samples are mixed."""


class SampleFiles(Dataset[Tensors], abc.ABC):
    """Samples of files by number; the last few files stay in memory.

    Args:
        paths: of the files, each with an array ``name`` of one name for a sample.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)
        self.counts = [_count(path) for path in paths]
        self._starts = np.cumsum([0, *self.counts])
        self._cache: collections.OrderedDict[int, list[Tensors]] = collections.OrderedDict()

    @abc.abstractmethod
    def read(self, path: Path) -> list[Tensors]:
        """The samples of a file."""

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Tensors:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        if number not in self._cache:
            self._cache[number] = self.read(self.paths[number])
            if len(self._cache) > WINDOW + 1:
                self._cache.popitem(last=False)
        self._cache.move_to_end(number)
        sample = self._cache[number][index - int(self._starts[number])]
        return {n: t.float() if t.dtype == torch.float16 else t for n, t in sample.items()}


def _count(path: Path) -> int:
    with np.load(path, allow_pickle=False) as data:
        return len(data["name"])
