"""PoseFlowNet on the CPU by runtime: eager PyTorch, Inductor, OpenVINO.

    pip install openvino    # else its rows are left out
    python -m benchmarks.runtimes [--threads 2] [--batch 8]

Inductor needs a C++ compiler; without one its rows are left out. A row shows the time to get ready
(compilation, or conversion), the median of the runs, and the largest difference of a flow to
float32 in crop pixels.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.generator import median_ms
from motion_transfer.generator.canonical import CROP_HW
from motion_transfer.generator.cost import some_pose
from motion_transfer.generator.parts import Affine
from motion_transfer.generator.pose_flow_net import PoseFlowNet
from motion_transfer.generator.pose_maps import (
    Candidates,
    PoseMaps,
    draw_pose,
    draw_source,
    propose,
)
from motion_transfer.generator.pretrained import load_generator

Run = Callable[[], torch.Tensor]


class FlatPoseFlowNet(nn.Module):
    """PoseFlowNet with tensors alone as its arguments, as runtimes want them."""

    def __init__(self, network: PoseFlowNet, target: PoseMaps) -> None:
        super().__init__()
        self.network, self.target = network, target

    def forward(
        self, features: torch.Tensor, maps: torch.Tensor, *parts: torch.Tensor
    ) -> torch.Tensor:
        """(B, 5, H/2, W/2): finest flow, visibility, mask, and the largest part logit."""
        candidates = Candidates(Affine(*parts[:2]), *parts[2:])
        finest = self.network(features, self.target._replace(maps=maps), candidates).finest
        largest = finest.part_logits.amax(1, keepdim=True)
        return torch.cat([finest.flow, finest.visibility, finest.mask, largest], 1)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=0, help="0: as torch decides")
    parser.add_argument("--batch", type=int, default=8, help="frames at once")
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    console = Console()
    console.print(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    console.print(compare(arguments.batch, arguments.repeats))


@torch.inference_mode()
def compare(batch: int, repeats: int) -> Table:
    """Run the network that ships under every runtime."""
    flat, inputs = shipped(batch)
    truth = flat(*inputs)
    table = Table("runtime", "precision", "ready in, s", "ms a frame", "difference, px")
    for runtime, precision, prepare in runtimes(flat, inputs):
        start = time.perf_counter()
        run = prepare()
        found = run()
        ready = time.perf_counter() - start
        each = median_ms(run, torch.device("cpu"), repeats) / batch
        apart = float((found.float() - truth)[:, :2].abs().max()) * 2
        table.add_row(runtime, precision, f"{ready:.1f}", f"{each:.1f}", f"{apart:.2f}")
    return table


def shipped(batch: int) -> tuple[FlatPoseFlowNet, tuple[torch.Tensor, ...]]:
    """The network that ships, and one batch of its arguments."""
    network = load_generator("pose-flow").networks.flow.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = draw_source(some_pose(), torch.ones(1, 1, *CROP_HW))
    target = draw_pose(some_pose(batch=batch, seed=1))
    candidates = propose(source, target)
    features = network.encode_source(source)
    return FlatPoseFlowNet(network, target), (
        features, target.maps, *candidates.affine, *candidates[1:]
    )  # fmt: skip


def runtimes(
    flat: FlatPoseFlowNet, inputs: tuple[torch.Tensor, ...]
) -> list[tuple[str, str, Callable[[], Run]]]:
    """Name, precision, and what prepares a run."""

    def eager(module: Any, dtype: torch.dtype) -> Run:
        def run() -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
                return module(*inputs)

        return run

    both = (torch.float32, torch.bfloat16)
    found = [("PyTorch", _name(d), lambda d=d: eager(flat, d)) for d in both]
    if shutil.which("g++") or shutil.which("clang++"):
        found += [("Inductor", _name(d), lambda d=d: eager(torch.compile(flat), d)) for d in both]
    try:
        import openvino
    except ImportError:
        return found

    def converted(precision: str) -> Run:
        core = openvino.Core()
        model = openvino.convert_model(flat, example_input=inputs)
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        request = core.compile_model(model, "CPU", options).create_infer_request()
        arrays = [tensor.numpy() for tensor in inputs]
        return lambda: torch.from_numpy(request.infer(arrays)[0])

    return found + [("OpenVINO", n, lambda n=n: converted(n)) for n in ("f32", "bf16")]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


if __name__ == "__main__":
    main()
