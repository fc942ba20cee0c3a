"""What the learned generator costs and how fast it is, stage by stage and as a whole.

    python -m benchmarks.generator [--device cuda] [--batch 32] [--threads 2]

Untrained networks cost the same as trained ones, but they draw larger people. `fast` is a 256x192
crop, `hd` 512x384. Networks run in batches, as the generator does; a photo's stages run once. The
generator draws the demo photo after a pose track, at the photo's resolution: `plan` and `draw` for
every frame. Times are medians.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from motion_transfer.driver import Driver, calibrate_driver
from motion_transfer.generator.articulated import ArticulatedGenerator, Generator, Source
from motion_transfer.generator.canonical import Pose
from motion_transfer.generator.cost import count_cost, some_pose
from motion_transfer.generator.networks import PoseFlowNetworks, fast_precision
from motion_transfer.generator.pose_flow import PoseFlowGenerator
from motion_transfer.generator.pose_maps import draw_pose, draw_source, propose
from motion_transfer.generator.pretrained import Pretrained, load_generator
from motion_transfer.generator.refined import RefinedGenerator
from motion_transfer.media.photo import read_photo
from motion_transfer.person.subject import build_subject, locate
from motion_transfer.pipeline import resolve_device
from motion_transfer.pose.track import PoseTrack
from motion_transfer.rendering import Counts, target_blocks
from motion_transfer.threads import map_in_threads

DEMOS = Path(__file__).parents[1] / "demos"
CROPS = {"fast": (256, 192), "hd": (512, 384)}
MAX_SIDE = 1280


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="cpu, cuda; auto takes what there is")
    parser.add_argument("--batch", type=int, default=0, help="frames at once; 0: as the generator")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: as torch decides")
    parser.add_argument("--repeats", type=int, default=10, help="of every network")
    parser.add_argument("--frames", type=int, default=64, help="that the generator draws")
    parser.add_argument("--source", type=Path, default=DEMOS / "person.jpg", help="photo")
    parser.add_argument("--driving", type=Path, default=DEMOS / "tracks" / "kick.npz", help="track")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device(resolve_device(arguments.device))
    batch = arguments.batch or (8 if device.type == "cpu" else 32)
    console = Console()
    chosen = str(fast_precision(device.type)).removeprefix("torch.")
    console.print(
        f"{device.type}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f} (by "
        f"others: figures are worse then); batches of {batch}; the generator computes in {chosen}"
    )
    for preset, size_hw in CROPS.items():
        console.print(time_networks(preset, size_hw, device, batch, arguments.repeats))
    console.print(time_generators(arguments.source, arguments.driving, device, arguments.frames))


def time_networks(
    preset: str, size_hw: tuple[int, int], device: torch.device, batch: int, repeats: int
) -> Table:
    """Parameters, arithmetic and milliseconds of every stage."""
    cost = count_cost(PoseFlowNetworks(), size_hw)
    # not in bfloat16 where it would be emulated
    dtypes = dict.fromkeys((torch.float32, fast_precision(device.type)))
    times = {dtype: time_stages(size_hw, device, batch, dtype, repeats) for dtype in dtypes}
    table = Table(
        "stage", "M parameters", "GFLOP",
        *(f"ms {dtype}".replace("torch.", "") for dtype in dtypes),
        title=f"{preset}: crop {size_hw[0]}x{size_hw[1]}",
    )  # fmt: skip
    for group, what in (
        ("photo", "once for a photo"), ("frame", "for a frame"), ("drawing", "for a drawing"),
    ):  # fmt: skip
        own = {n: c for n, c in cost.items() if n.startswith(group)}
        for name in [n for n in times[torch.float32] if n.startswith(group)]:
            known = own.get(name)
            table.add_row(
                name,
                f"{known.parameters / 1e6:.2f}" if known else "",
                f"{known.gflop:.2f}" if known else "",
                *(f"{t[name]:.1f}" for t in times.values()),
            )
        total = [sum(v for n, v in t.items() if n.startswith(group)) for t in times.values()]
        table.add_row(
            f"all {what}", f"{sum(c.parameters for c in own.values()) / 1e6:.2f}",
            f"{sum(c.gflop for c in own.values()):.2f}", *(f"{v:.1f}" for v in total),
            end_section=True,
        )  # fmt: skip
    return table


@torch.inference_mode()
def time_stages(
    size_hw: tuple[int, int], device: torch.device, batch: int, dtype: torch.dtype, repeats: int
) -> dict[str, float]:
    """Milliseconds per frame (or photo) of every stage."""
    networks = PoseFlowNetworks().eval().to(device=device, dtype=dtype)
    networks = networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    one = Pose(*(t.to(device) for t in some_pose(size_hw)))
    many = Pose(*(t.to(device) for t in some_pose(size_hw, batch=batch, seed=1)))
    rgb, mask = torch.rand(1, 3, *size_hw, device=device), torch.ones(1, 1, *size_hw, device=device)
    with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
        source = draw_source(one, mask)
        encoded = networks.encode_source(rgb, source)
        parse = torch.softmax(encoded.parse, 1)
        target = draw_pose(many, full_hw=size_hw)
        candidates = propose(source, target)
        flow = networks.flow(encoded.flow_features, target, candidates)
        garment = networks.garment([encoded.garment_features], [flow], target.maps)
        drawn = torch.rand(batch, 5, *size_hw, device=device)
        stages: dict[str, Callable[[], object]] = {
            "photo: pose maps": lambda: draw_source(one, mask),
            "photo: parser": lambda: networks.parser(rgb, mask, source.pose.maps),
            "photo: flow": lambda: networks.flow.encode_source(source),
            "photo: garment": lambda: networks.garment.encode_source(parse, mask),
            "photo: synthesis": lambda: networks.synthesis.encode_source(rgb, mask, parse),
            "frame: pose maps": lambda: draw_pose(many, full_hw=size_hw),
            "frame: candidates": lambda: propose(source, target),
            "frame: flow": lambda: networks.flow(encoded.flow_features, target, candidates),
            "frame: garment": lambda: networks.garment(
                [encoded.garment_features], [flow], target.maps
            ),
            "frame: synthesis": lambda: networks.synthesis(
                [encoded.appearance], [flow], garment, target.maps
            ),
            "drawing: refinement": lambda: networks.refinement(
                drawn, target.maps, torch.zeros_like(drawn[:, :1])
            ),
        }
        return {
            name: median_ms(stage, device, repeats) / (1 if name.startswith("photo") else batch)
            for name, stage in stages.items()
        }


def median_ms(function: Callable[[], object], device: torch.device, repeats: int) -> float:
    """Median milliseconds, after two runs that do not count."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[2:])


def _draw(generator: Generator, plan: object, frame: int) -> None:
    drawn = generator.draw(plan, frame)
    if drawn is not None:
        drawn.rgba.cpu()


def time_generators(source: Path, driving: Path, device: torch.device, num_frames: int) -> Table:
    """Every generator on a photo and a track: what a frame takes, however it is divided."""
    photo = read_photo(source, max_side=MAX_SIDE)
    pose, mask = locate(photo)
    subject = build_subject(photo, pose, mask, matte="fast", with_plate=False)
    person = Source.of(subject)
    driver = Driver.open(driving, 0.0, None, "source", "largest")
    samples = list(driver.samples())
    retargeting = calibrate_driver(iter(samples), driver, pose, 0.5, 1.0, lambda *_: None)[1]

    def poses(generator: Generator) -> tuple[PoseTrack, slice]:
        """The first block of the dance."""
        blocks = target_blocks(samples, driver, retargeting, 0.5, generator.margin_frames, Counts())
        track, wanted, _ = next(blocks)
        return track, slice(wanted.start, min(wanted.stop, wanted.start + num_frames))

    table = Table(
        "generator", "ms a frame", "frames/s",
        title=f"plan and draw, {photo.size_hw[1]}x{photo.size_hw[0]}",
    )  # fmt: skip
    shipped = load_generator("pose-flow")
    networks = Pretrained(PoseFlowNetworks().eval().requires_grad_(False), "joint")
    made: dict[str, Callable[[], Generator]] = {
        "articulated": lambda: ArticulatedGenerator(person, device=device),
        "refined": lambda: RefinedGenerator([person], load_generator("refined"), device=device),
    }
    for preset, size_hw in CROPS.items():
        for weights, what in ((shipped, "weights that ship"), (networks, "all, untrained")):
            made[f"pose-flow, {preset}, {what}"] = lambda weights=weights, size_hw=size_hw: (
                PoseFlowGenerator([person], weights, device=device, crop_hw=size_hw)
            )  # fmt: skip
    for name, make in made.items():
        generator = make()
        track, wanted = poses(generator)
        seconds = []
        for _ in range(2):  # the first time with numba's compilation
            start = time.perf_counter()
            plan, _ = generator.plan(track, wanted)
            draw = functools.partial(_draw, generator, plan)
            frames = range(wanted.stop - wanted.start)
            deque(map_in_threads(draw, frames, workers=generator.workers), maxlen=0)
            seconds.append(time.perf_counter() - start)
        each = seconds[-1] / (wanted.stop - wanted.start)
        table.add_row(name, f"{1000 * each:.1f}", f"{1 / each:.1f}")
    return table


if __name__ == "__main__":
    main()
