"""What the generator's networks cost and how fast they are, stage by stage.

    python -m benchmarks.generator [--device cuda] [--batch 16] [--threads 2]

Untrained weights cost the same as trained ones, so none are needed. `fast` is a 256x192 crop, `hd`
512x384. Times are medians; a photo's stages run once, a frame's for every frame.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from motion_transfer.generator.cost import count_cost, some_pose
from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.generator.pose_maps import draw_pose, draw_source, propose

PRESETS = {"fast": (256, 192), "hd": (512, 384)}


def measure(function: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median milliseconds."""
    times = []
    for _ in range(repeats + 2):
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[2:])


@torch.inference_mode()
def bench(
    size_hw: tuple[int, int], device: torch.device, batch: int, precision: str, repeats: int
) -> dict[str, float]:
    """Milliseconds per frame (or photo) of every stage."""
    networks = PoseFlowNetworks().eval().to(device=device).to(memory_format=torch.channels_last)
    one = type(some_pose())(*(t.to(device) for t in some_pose(size_hw)))
    many = type(one)(*(t.to(device) for t in some_pose(size_hw, batch=batch, seed=1)))
    rgb = torch.rand(1, 3, *size_hw, device=device)
    mask = torch.ones(1, 1, *size_hw, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        source = draw_source(one, mask)
        encoded = networks.encode_source(rgb, source)
        target = draw_pose(many, full_hw=size_hw)
        candidates = propose(encoded.maps, target)
        flow = networks.flow(encoded.flow_features, target, candidates)
        garment = networks.garment([encoded.garment_features], [flow], target.maps)
        stages: dict[str, Callable[[], object]] = {
            "photo": lambda: networks.encode_source(rgb, draw_source(one, mask)),
            "pose maps": lambda: draw_pose(many, full_hw=size_hw),
            "candidates": lambda: propose(encoded.maps, target),
            "flow": lambda: networks.flow(encoded.flow_features, target, candidates),
            "garment": lambda: networks.garment([encoded.garment_features], [flow], target.maps),
            "synthesis": lambda: networks.synthesis(
                [encoded.appearance], [flow], garment, target.maps
            ),
            "whole frame": lambda: networks([encoded], draw_pose(many, full_hw=size_hw)),
        }
        result = {}
        for name, stage in stages.items():
            result[name] = measure(stage, device, repeats) / (1 if name == "photo" else batch)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="What the generator's networks cost.")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=0, help="frames at once; 0: 1, or 16 on CUDA")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    batch = arguments.batch or (16 if device.type == "cuda" else 1)
    for preset, size_hw in PRESETS.items():
        cost = count_cost(PoseFlowNetworks(), size_hw)
        total = sum(c.parameters for c in cost.values())
        print(f"\n{preset}: crop {size_hw[0]}x{size_hw[1]}, {total / 1e6:.2f} M parameters, "
              f"{sum(c.gflop for c in cost.values() if not c.once):.1f} GFLOP per frame, "
              f"{sum(c.gflop for c in cost.values() if c.once):.1f} GFLOP per photo")  # fmt: skip
        for name, (parameters, gflop, _) in cost.items():
            print(f"  {name:18} {parameters / 1e6:6.2f} M {gflop:7.2f} GFLOP")
        for precision in ("fp32", "bf16"):
            times = bench(size_hw, device, batch, precision, arguments.repeats)
            print(f"  {precision}, batches of {batch}, ms: "
                  + ", ".join(f"{n} {t:.1f}" for n, t in times.items()))  # fmt: skip


if __name__ == "__main__":
    main()
