"""How fast is each stage alone, and the whole from video to video? How much memory does it take?

    python -m benchmarks.pipeline
    python -m benchmarks.pipeline --memory-minutes 20

The driving clip is the demo dance made 1280x720 and looped. Each stage runs alone on prepared
inputs; the whole runs in a process of its own, so that its peak memory is its own. While the photo
is taken apart the tracker already runs ahead, so a short clip flatters: frames a second of the
whole are those by which a clip of twice the frames takes longer.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import get_args

import av
import cv2
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from motion_transfer.compositing import over
from motion_transfer.driver import TRACKING_SIDE, Driver, Sample, calibrate_driver
from motion_transfer.generator.articulated import Rendition
from motion_transfer.generator.generators import GeneratorName, make_generator
from motion_transfer.media.decode import probe, read_frames
from motion_transfer.media.encode import VideoWriter
from motion_transfer.media.photo import read_photo
from motion_transfer.person.subject import build_subject, locate
from motion_transfer.pipeline import PRESETS
from motion_transfer.pose.tracker import track_people
from motion_transfer.rendering import Counts, target_blocks
from motion_transfer.threads import map_in_threads

DEMOS = Path(__file__).parents[1] / "demos"
CLIP_HW = (720, 1280)
AIM_FPS, AIM_GB = 24, 1.5
HELD = 48  # pictures kept in memory, to be composed and encoded


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=DEMOS / "person.jpg", help="photo")
    parser.add_argument("--driving", type=Path, default=DEMOS / "dance.mp4", help="dance")
    parser.add_argument("--frames", type=int, default=480, help="frames driven")
    parser.add_argument("--generator", choices=get_args(GeneratorName), default="refined")
    parser.add_argument("--matte", choices=("u2net", "fast"), default="u2net")
    parser.add_argument(
        "--memory-minutes", type=float, default=0, help="only stream a clip this long, watch memory"
    )
    parser.add_argument(
        "--memory-fps", type=int, default=15, help="its rate: memory does not depend on it"
    )
    arguments = parser.parse_args()
    console = Console()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    console.print(
        f"{cores} cores, cv2 uses {cv2.getNumThreads()} threads, load {os.getloadavg()[0]:.1f} "
        "(by others: figures are lower then)"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.memory_minutes:
            watch_memory(console, folder, arguments)
            return
        clip = make_clip(arguments.driving, folder / "clip.mp4", arguments.frames)
        time_stages(console, folder, clip, arguments)
        time_whole(console, folder, clip, arguments)


def make_clip(driving: Path, path: Path, num_frames: int) -> Path:
    """The dance in 1280x720, forwards and backwards in turn, with its sound left out."""
    info = probe(driving)
    height, width = CLIP_HW

    def frames() -> Iterator[np.ndarray]:
        pictures = [f.rgb for f in read_frames(driving, max_side=height)]
        for turn in itertools.count():
            yield from pictures[:: 1 if turn % 2 == 0 else -1]

    with VideoWriter.open(path, size_hw=CLIP_HW, fps=info.fps, crf=20, preset="veryfast") as writer:
        for number, rgb in enumerate(itertools.islice(frames(), num_frames)):
            scale = min(height / rgb.shape[0], width / rgb.shape[1])
            rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            rows, columns = height - rgb.shape[0], width - rgb.shape[1]
            rgb = cv2.copyMakeBorder(
                rgb, rows // 2, rows - rows // 2, columns // 2, columns - columns // 2,
                cv2.BORDER_REPLICATE,
            )  # fmt: skip
            writer.write(rgb, number / info.fps)
        writer.finish()
    return path


def timed(items: Iterable) -> tuple[list, float]:
    """The items, and seconds they took."""
    start = time.perf_counter()
    return list(items), time.perf_counter() - start


def time_stages(console: Console, folder: Path, clip: Path, arguments: argparse.Namespace) -> None:
    """Each stage alone, on what the stage before has made."""
    table = Table("stage alone", "frames/s", "ms a frame", title="1280x720 in")
    driver = Driver.open(clip, 0.0, None, "source", "largest")
    photo = read_photo(arguments.source, max_side=PRESETS["fast"].max_side)
    count = arguments.frames

    def row(name: str, number: int, seconds: float) -> None:
        table.add_row(name, f"{number / seconds:.0f}", f"{1000 * seconds / number:.1f}")

    frames, seconds = timed(driver.frames(TRACKING_SIDE))
    row("decode", len(frames), seconds)
    poses, seconds = timed(track_people(frames))
    row("track", len(poses), seconds)
    samples = [Sample(pose=p, size_hw=frames[0].rgb.shape[:2]) for p in poses]
    del frames

    (pose, mask), located = call(lambda: locate(photo))
    subject, built = call(lambda: build_subject(photo, pose, mask, matte=arguments.matte))
    puppet, cut = call(
        lambda: make_generator(arguments.generator, [subject], device="cpu", flow_smoothing=0.5)
    )
    head, retargeting = calibrate_driver(iter(samples), driver, pose, 0.5, 1.0, lambda *_: None)
    del head
    targets, seconds = timed(
        target_blocks(samples, driver, retargeting, 0.5, puppet.margin_frames, Counts())
    )
    row("smooth, retarget", count, seconds)
    start = time.perf_counter()
    plans, state = [], None
    for track, wanted, _ in targets:
        plan, state = puppet.plan(track, wanted, state)
        plans.append((plan, wanted.stop - wanted.start))
    row("plan", count, time.perf_counter() - start)
    start = time.perf_counter()
    held: list[Rendition | None] = []
    for plan, num_frames in plans:
        draw = functools.partial(puppet.draw, plan)
        for drawn in map_in_threads(draw, range(num_frames), workers=puppet.workers):
            if len(held) < HELD:
                held.append(drawn)
    height, width = photo.size_hw
    row(f"draw ({width}x{height})", count, time.perf_counter() - start)
    images, seconds = timed(over(drawn, subject.plate) for drawn in held)
    row("composite", len(images), seconds)
    for name, values in PRESETS.items():
        with VideoWriter.open(
            folder / f"{name}.mp4", size_hw=photo.size_hw, fps=driver.fps, crf=values.crf,
            preset=values.encoder,
        ) as writer:  # fmt: skip
            start = time.perf_counter()
            for number, image in zip(range(count), itertools.cycle(images), strict=False):
                writer.write(image, number / driver.fps)
            writer.finish()
            row(f"encode {name} ({values.encoder})", count, time.perf_counter() - start)
    console.print(table)
    console.print(
        f"photo: find {located:.1f} s, matte and plate {built:.1f} s, layers {cut:.1f} s "
        "(first call, with numba's compilation)"
    )


def call(function: Callable) -> tuple:
    """What a function gives, and seconds it took."""
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def time_whole(console: Console, folder: Path, clip: Path, arguments: argparse.Namespace) -> None:
    """Video to video, in a process of its own, at two lengths."""
    count = arguments.frames
    double = make_clip(arguments.driving, folder / "double.mp4", 2 * count)
    table = Table(
        "whole", "frames/s", f"s for {count}", f"s for {2 * count}", "peak GB",
        f"aim: {AIM_FPS} at fast",
    )  # fmt: skip
    for preset in PRESETS:
        short, _ = run(clip, folder / f"{preset}_1.mp4", preset, arguments)
        long, peak = run(double, folder / f"{preset}_2.mp4", preset, arguments)
        rate = count / (long - short)
        verdict = "" if preset != "fast" else "met" if rate >= AIM_FPS else "missed"
        table.add_row(
            preset, f"{rate:.1f}", f"{short:.1f}", f"{long:.1f}", f"{peak / 1e9:.2f}", verdict
        )
    console.print(table)


def run(
    driving: Path, output: Path, preset: str, arguments: argparse.Namespace,
    watch: Callable[[float, int], None] | None = None,
) -> tuple[float, int]:  # fmt: skip
    """One transfer: seconds, and the peak of its memory in bytes."""
    command = [
        sys.executable, "-m", "motion_transfer", "transfer", "-s", arguments.source, "-d", driving,
        "-o", output, "--preset", preset, "--matte", arguments.matte,
        "--generator", arguments.generator,
    ]  # fmt: skip
    start = time.perf_counter()
    process = psutil.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    peak = 0
    try:
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                peak = max(peak, process.memory_info().rss)
            if watch is not None:
                watch(time.perf_counter() - start, peak)
            time.sleep(0.1)
    finally:
        if process.poll() is None:
            process.kill()
    if process.returncode:
        raise SystemExit(f"transfer failed with status {process.returncode}")
    return time.perf_counter() - start, peak


def watch_memory(console: Console, folder: Path, arguments: argparse.Namespace) -> None:
    """A long clip, made by repeating packets: peak memory as it goes on."""
    base = make_clip(arguments.driving, folder / "base.mp4", 20 * arguments.memory_fps)
    clip = folder / "long.mp4"
    rate = Fraction(arguments.memory_fps)
    num_frames = repeat(base, clip, rate, arguments.memory_minutes)
    console.print(
        f"{arguments.memory_minutes:g} minutes at {rate} frames/s, {num_frames} frames, "
        f"{clip.stat().st_size / 1e6:.0f} MB"
    )
    last = 0

    def watch(seconds: float, peak: int) -> None:
        nonlocal last
        if seconds >= last + 60:
            last += 60
            console.print(f"{last // 60:3d} min of work: peak {peak / 1e9:.2f} GB")

    total, peak = run(clip, folder / "out.mp4", "fast", arguments, watch)
    made = probe(folder / "out.mp4").num_frames
    console.print(
        f"peak {peak / 1e9:.2f} GB for {made} frames in {total:.0f} s; "
        f"aim {AIM_GB} GB: {'met' if peak < AIM_GB * 1e9 else 'missed'}"
    )


def repeat(clip: Path, path: Path, rate: Fraction, minutes: float) -> int:
    """Copy a clip's packets again and again, at another rate; gives the number of frames."""
    number, wanted = 0, round(float(rate) * 60 * minutes)
    with av.open(str(path), "w") as output:
        stream = None
        while number < wanted:
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream = output.add_stream_from_template(video)
                    stream.time_base = 1 / rate
                packets = [p for p in source.demux(video) if p.size]
                order = {pts: k for k, pts in enumerate(sorted(p.pts for p in packets))}
                for k, packet in enumerate(packets):
                    pts = number + order[packet.pts]
                    packet.stream, packet.time_base = stream, 1 / rate
                    packet.pts, packet.dts, packet.duration = pts, number + k - 2, 1
                    output.mux(packet)
                number += len(packets)
    return number


if __name__ == "__main__":
    main()
