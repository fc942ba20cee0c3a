"""Rendered people as training data: on the fly in workers, from shards, and a replay buffer."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from motion_transfer.person.foreground import estimate_foreground
from motion_transfer.synth.assets import Assets, Split
from motion_transfer.synth.dress import Wardrobe
from motion_transfer.synth.sample import Sample, render_scene
from motion_transfer.synth.scene import SceneSettings, SceneStream
from motion_transfer.synth.shards import list_shards, read_shard
from motion_transfer.synth.tracking import TrackerNoise
from motion_transfer.threads import use_one_thread

Tensors = dict[str, torch.Tensor]


def to_tensors(sample: Sample) -> Tensors:
    """A sample as tensors, channels first.

    Soft rims have the person's own colours, as those of a cut-out photo have: networks that are
    shown the backdrop in them learn halos.

    Returns:
        N views (0 is the source), T = N - 1 targets: ``rgb`` (N, 3, H, W) uint8; ``alpha``,
        ``part``, ``parse``, ``depth`` (N, 1, H, W) uint8, uint8, uint8, float32; ``uv``
        (N, 2, H, W) float32; ``keypoints`` (N, K, 3); ``tracked`` (N, K, 4); ``flow`` and
        ``flow_back`` (T, 2, H, W) float32 pixels; ``visible`` and ``visible_back`` (T, 1, H, W)
        uint8.
    """
    out: Tensors = {}
    own = [estimate_foreground(v, a / 255) for v, a in zip(sample.rgb, sample.alpha, strict=True)]
    for name in Sample.array_names():
        values = np.stack(own) if name == "rgb" else getattr(sample, name)
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        if name in ("rgb", "uv", "flow", "flow_back"):
            tensor = tensor.movedim(-1, 1)
        elif name not in ("keypoints", "tracked"):
            tensor = tensor.unsqueeze(1)
        out[name] = tensor.contiguous()
    return out


class RenderedPairs(IterableDataset[Tensors]):
    """Endless samples, rendered where they are asked for.

    Workers (and ranks) take turns with whole groups of scenes, so that no two render the same
    scene and each body is dressed once.

    Args:
        assets: folder of the asset pack.
        split: "train", or "held-out" for figures that are reported.
        seed: of the stream.
        settings: what is drawn.
        wardrobe: how clothes are changed.
        noise: of the tracked key points.
        factor: samples per pixel side.
        start: first scene; a run that resumes passes the number of scenes it has seen.
        rank: of this process among `world_size`.
        world_size: processes that share the stream.
    """

    def __init__(
        self,
        assets: str | os.PathLike[str],
        *,
        split: Split = "train",
        seed: int = 0,
        settings: SceneSettings | None = None,
        wardrobe: Wardrobe | None = None,
        noise: TrackerNoise | None = None,
        factor: int = 2,
        start: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.assets = assets
        self.split: Split = split
        self.seed = seed
        self.settings = settings or SceneSettings()
        self.wardrobe = wardrobe
        self.noise = noise
        self.factor = factor
        self.start = start
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[Tensors]:
        worker = get_worker_info()
        workers = worker.num_workers if worker else 1
        lane = self.rank * workers + (worker.id if worker else 0)
        lanes = self.world_size * workers
        if worker:
            use_one_thread()
        stream = SceneStream(
            Assets(self.assets), split=self.split, seed=self.seed, settings=self.settings,
            wardrobe=self.wardrobe,
        )  # fmt: skip
        size = self.settings.group
        group = -(-self.start // size) + lane
        while True:
            for index in range(group * size, (group + 1) * size):
                yield to_tensors(
                    render_scene(stream.scene(index), factor=self.factor, noise=self.noise)
                )
            group += lanes


class ShardPairs(IterableDataset[Tensors]):
    """Samples of a folder of shards, in an order that depends on the seed; endless.

    Args:
        folder: of ``*.npz`` shards written by `shards.write_shards`.
        seed: of the order.
        rank: of this process among `world_size`.
        world_size: processes that share the shards.

    Raises:
        FileNotFoundError: the folder has no shards.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.paths = list_shards(folder)
        self.seed = seed
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[Tensors]:
        worker = get_worker_info()
        workers = worker.num_workers if worker else 1
        lane = self.rank * workers + (worker.id if worker else 0)
        lanes = self.world_size * workers
        epoch = 0
        while True:
            rng = np.random.default_rng([self.seed, epoch])
            order = rng.permutation(len(self.paths) * lanes)[lane::lanes]
            for number in order:
                samples = read_shard(self.paths[number % len(self.paths)])
                for k in rng.permutation(len(samples)):
                    yield to_tensors(samples[k])
            epoch += 1


def make_loader(
    dataset: IterableDataset[Tensors], *, batch_size: int, num_workers: int
) -> DataLoader[Tensors]:
    """A loader with pinned memory where CUDA is at hand; workers live as long as it does.

    Workers are spawned: forked ones hang when the parent has used OpenCV's threads before.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        num_workers=num_workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        prefetch_factor=4 if num_workers else None,
        multiprocessing_context="spawn" if num_workers else None,
    )


class ReplayBuffer:
    """Keeps the latest samples, so that each rendered one serves several steps.

    Args:
        capacity: samples kept.
        device: where they are kept.
    """

    def __init__(self, capacity: int, *, device: str | torch.device = "cpu") -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self.capacity = capacity
        self.device = torch.device(device)
        self._store: Tensors = {}
        self._next = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, batch: Tensors) -> None:
        """Take a batch in; the oldest samples make room."""
        count = len(next(iter(batch.values())))
        if not self._store:
            self._store = {
                name: torch.empty((self.capacity, *t.shape[1:]), dtype=t.dtype, device=self.device)
                for name, t in batch.items()
            }
        places = (torch.arange(count) + self._next) % self.capacity
        for name, tensor in batch.items():
            self._store[name][places.to(self.device)] = tensor.to(self.device, non_blocking=True)
        self._next = int(self._next + count) % self.capacity
        self._size = min(self._size + count, self.capacity)

    def draw(self, count: int, generator: torch.Generator | None = None) -> Tensors:
        """A random batch, without repeats while there are enough samples.

        Raises:
            ValueError: nothing was added yet.
        """
        if not self._size:
            raise ValueError("the replay buffer is empty; add a batch before drawing from it")
        if count <= self._size:
            places = torch.randperm(self._size, generator=generator)[:count]
        else:
            places = torch.randint(self._size, (count,), generator=generator)
        return {name: t[places.to(self.device)] for name, t in self._store.items()}
