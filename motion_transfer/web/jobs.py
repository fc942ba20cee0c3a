"""Jobs: what clients asked for, in which state it is, and its files.

A job is a folder, `jobs/ID/`, with `job.json` (rewritten at every change of state), `in/` (what
was uploaded) and `out/` (what was made). ID is 128 random bits and the only key to it. Jobs that
wait or run when the server stops are taken up again when it starts. Lanes have workers of their
own, so that looking at a photo never waits for a render.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from motion_transfer.errors import InputError
from motion_transfer.web.limits import Limits, Refused
from motion_transfer.web.workers import Stopped, Worker, WorkerDied

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "done", "failed", "cancelled")
ENDED = ("done", "failed", "cancelled")
LANES = {
    "animate": "render", "track": "render",
    "look_photo": "look", "cut_out": "look", "look_dance": "look", "preview": "look",
    "inspect": "look",
}  # fmt: skip
PRELOAD = {
    "render": ("motion_transfer.pipeline", "motion_transfer.generator.refined"),
    "look": ("motion_transfer.preview",),
}
LISTED = ("animate", "track")  # kinds that count against limits and that a user sees
# Share of a render's time that is over when a stage begins; measured on a clip of 9 s.
STAGE_STARTS = {"photo": 0.0, "track": 0.25, "render": 0.35, "finish": 0.97}
CLEAN_SECONDS = 30.0
CHECK_SECONDS = 60.0


@dataclasses.dataclass(kw_only=True)
class Job:
    """One thing to do.

    Args:
        id: 128 random bits, URL-safe; whoever knows it may see and cancel the job.
        client: whose turn it is, for fair queueing and limits.
        kind: of task.
        folder: everything that belongs to the job.
        arguments: of the task, plain data.
        title: what the user sees and the stem of what they download.
        batch: of which it is a part, or empty.
        number: counts up; the order of arrival.
        state, stage, done, total: how far it is.
        error: why it failed.
        answer: of the task.
        created, started, ended: seconds since the epoch.
    """

    id: str
    client: str
    kind: str
    folder: Path
    arguments: dict[str, Any]
    title: str = ""
    batch: str = ""
    number: int = 0
    state: State = "queued"
    stage: str = ""
    done: int = 0
    total: int | None = None
    error: str = ""
    answer: dict[str, Any] = dataclasses.field(default_factory=dict)
    created: float = 0.0
    started: float | None = None
    ended: float | None = None
    stage_started: float = 0.0
    was_interrupted: bool = False
    is_unwanted: bool = False

    @property
    def out(self) -> Path:
        """The folder of what was made."""
        return self.folder / "out"

    @property
    def has_ended(self) -> bool:
        """Nothing will happen any more."""
        return self.state in ENDED

    @property
    def share_done(self) -> float:
        """How far a render is, in [0, 1]."""
        if self.state == "done":
            return 1.0
        starts = list(STAGE_STARTS)
        if self.stage not in STAGE_STARTS:
            return self.done / self.total if self.total else 0.0
        start = STAGE_STARTS[self.stage]
        later = [STAGE_STARTS[s] for s in starts[starts.index(self.stage) + 1 :]]
        part = min(1.0, self.done / self.total) if self.total else 0.0
        return start + part * ((later[0] if later else 1.0) - start)

    def seconds_left(self, now: float) -> float | None:
        """Until a render ends; None where that cannot be said yet."""
        if self.state != "running" or self.started is None or self.kind != "animate":
            return None
        if self.stage == "render" and self.total and self.done >= 3:
            rate = (now - self.stage_started) / self.done
            return rate * (self.total - self.done) + 1.0
        return None

    def describe(self, now: float, num_before: int | None) -> dict[str, Any]:
        """What clients see: plain data without paths."""
        left = self.seconds_left(now)
        return {
            "id": self.id, "kind": self.kind, "title": self.title, "state": self.state,
            "stage": self.stage, "done": self.done, "total": self.total,
            "share_done": round(self.share_done, 4),
            "seconds_left": None if left is None else round(left, 1),
            "seconds_running": None if self.started is None else round(
                (self.ended or now) - self.started, 1),
            "num_before": num_before, "error": self.error, "batch": self.batch,
            "answer": {k: v for k, v in self.answer.items() if k != "skeleton"},
            "settings": self.arguments.get("settings", {}),
            "files": list_files(self),
            "has_dance_video": has_video(self),
        }  # fmt: skip


def has_video(job: Job) -> bool:
    """Whether the dance is of a kind that browsers play."""
    return Path(str(job.arguments.get("dance", ""))).suffix in (".mp4", ".webm", ".m4v")


def list_files(job: Job) -> list[str]:
    """Names of what can be downloaded: plain files of the job's `out` folder."""
    if not job.out.is_dir():
        return []
    return sorted(
        entry.name
        for entry in os.scandir(job.out)
        if entry.is_file(follow_symlinks=False) and not entry.name.startswith(".")
    )


def safe_name(name: str, fallback: str) -> str:
    """A file's own name without anything that a path or a header could stumble over."""
    stem, dot, suffix = name.replace("\\", "/").rpartition("/")[2].rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    stem = re.sub(r"[^\w\- ]+", "_", stem).strip("_ ")[:60] or fallback
    suffix = re.sub(r"[^A-Za-z0-9]", "", suffix)[:8].lower()
    return f"{stem}.{suffix}" if suffix else stem


class JobStore:
    """All jobs of one server.

    Args:
        folder: where jobs live; one server at a time.
        limits: what is accepted.
        num_workers: renders at a time.
        observe: called with every job that has ended.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        num_workers: int = 1,
        observe: Callable[[Job], None] | None = None,
    ) -> None:
        self.limits = limits
        self._folder = folder / "jobs"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server_lock = FileLock(folder / "server.lock")
        try:
            self._server_lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"--folder: another server uses {folder}; stop it or choose another folder"
            ) from error
        self._observe = observe
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._last_turn: dict[str, int] = {}
        self._turn = 0
        self._is_closed = False
        self._checker, self._check_lock = Worker("check"), threading.Lock()
        with self._changed:
            self._load()
        self._threads = [
            threading.Thread(target=self._work, args=(lane, f"{lane}-{k}"), daemon=True)
            for lane, count in (("look", 1), ("render", num_workers))
            for k in range(count)
        ]
        self._threads.append(threading.Thread(target=self._clean, daemon=True))
        for thread in self._threads:
            thread.start()

    # --- for clients -----------------------------------------------------------------------------

    def check(
        self,
        *,
        photo: Path | None = None,
        dance: Path | None = None,
        picture: Path | None = None,
        start: float = 0.0,
        end: float | None = None,
    ) -> None:
        """Look at uploads before anything is decoded, in a process of its own.

        Raises:
            Refused: a file is too large, too long or not what it should be.
        """
        files = {"photo": photo, "dance": dance, "picture": picture}
        for path in files.values():
            if path is not None and path.stat().st_size > self.limits.max_upload_mb * 1_000_000:
                raise Refused(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"{path.name}: a file may have {self.limits.max_upload_mb} MB here, got "
                    f"{path.stat().st_size / 1e6:.0f} MB",
                )
        arguments = {name: None if path is None else str(path) for name, path in files.items()}
        with self._check_lock:
            try:
                self._checker.run(
                    "check", self._folder,
                    {**arguments, "start": start, "end": end,
                     "max_megapixels": self.limits.max_megapixels,
                     "max_seconds": self.limits.max_seconds},
                    report=lambda *_: None, max_seconds=CHECK_SECONDS,
                )  # fmt: skip
            except WorkerDied as error:
                names = " or ".join(path.name for path in files.values() if path is not None)
                raise Refused(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                    f"{names} cannot be read: {error}",
                ) from error

    def submit(
        self,
        kind: str,
        client: str,
        *,
        files: Mapping[str, Path | None],
        arguments: Mapping[str, Any],
        title: str = "",
        batch: str = "",
    ) -> Job:
        """Queue a job; its files are copied into its folder.

        Args:
            kind: one of `LANES`.
            client: who asks.
            files: argument of the task to file; None is passed on as None.
            arguments: all others.
            title: what the user sees.
            batch: of which it is a part.

        Raises:
            Refused: 503 when the queue is full, 429 when this client has too many jobs in it.
        """
        with self._changed:
            self._check_room(kind, client)
            job = Job(
                id=secrets.token_urlsafe(16), client=client, kind=kind, folder=Path(),
                arguments=dict(arguments), title=title, batch=batch,
                number=max((j.number for j in self._jobs.values()), default=0) + 1,
                created=time.time(),
            )  # fmt: skip
            job.folder = self._folder / job.id
            self._jobs[job.id] = job  # holds its place while files are copied
            job.state = "running"
        try:
            job.out.mkdir(parents=True)
            for name, path in files.items():
                job.arguments[name] = None if path is None else str(self._take_in(job, name, path))
        except BaseException:
            with self._changed:
                del self._jobs[job.id]
            shutil.rmtree(job.folder, ignore_errors=True)
            raise
        with self._changed:
            self._set(job, state="queued")
        return job

    def get(self, job_id: str) -> Job:
        """A job.

        Raises:
            Refused: 404, there is no such job, or no more.
        """
        job = self._jobs.get(job_id)
        if job is None:
            hours = f"{self.limits.keep_hours:g}"
            raise Refused(
                HTTPStatus.NOT_FOUND,
                f"there is no such job; finished ones are deleted after {hours} hours",
            )
        return job

    def describe(self, job: Job) -> dict[str, Any]:
        """What clients see of a job, with its place in the queue."""
        with self._changed:
            order = self._order(LANES[job.kind]) if job.state == "queued" else []
            before = order.index(job) if job in order else None
            return job.describe(time.time(), before)

    def batch(self, batch: str) -> list[Job]:
        """The jobs of a batch in order of arrival.

        Raises:
            Refused: 404, there is no such batch.
        """
        jobs = sorted(
            (j for j in list(self._jobs.values()) if batch and j.batch == batch),
            key=lambda j: j.number,
        )
        if not jobs:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such batch, or no more")
        return jobs

    def wait(self, job: Job, timeout_seconds: float | None = None) -> Job:
        """Wait until a job has ended, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: job.has_ended or self._is_closed, timeout_seconds)
        return job

    def cancel(self, job: Job) -> None:
        """Stop a job that waits or runs; its worker is killed at once."""
        with self._changed:
            if job.state == "queued":
                self._set(job, state="cancelled", ended=time.time())
            elif job.state == "running":
                job.is_unwanted = True

    def retry(self, job: Job) -> None:
        """Queue a job that failed or was cancelled again; a render goes on where it stopped.

        Raises:
            Refused: the queue is full.
        """
        with self._changed:
            if job.state in ("failed", "cancelled"):
                self._check_room(job.kind, job.client)
                self._set(
                    job, state="queued", error="", stage="", done=0, total=None, ended=None,
                    is_unwanted=False, was_interrupted=True,
                )  # fmt: skip

    def path(self, job: Job, name: str) -> Path:
        """A file that a job has made.

        Raises:
            Refused: 404, there is none of that name.
        """
        if name not in list_files(job):
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such file")
        return job.out / name

    def count(self) -> Counter[tuple[str, State]]:
        """Jobs by kind and state."""
        return Counter((job.kind, job.state) for job in list(self._jobs.values()))

    def close(self) -> None:
        """End all work; jobs in progress are taken up by the next server of this folder."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._checker.kill()
        self._server_lock.release()

    # --- inside ----------------------------------------------------------------------------------

    def _check_room(self, kind: str, client: str) -> None:
        """Within the lock: is there room for one more job of this client?"""
        if kind not in LISTED:
            return
        active = [j for j in self._jobs.values() if j.kind in LISTED and not j.has_ended]
        if len(active) >= self.limits.max_queue:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the queue is full ({self.limits.max_queue} jobs); try again in a few minutes",
            )
        if sum(j.client == client for j in active) >= self.limits.max_per_client:
            raise Refused(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"you have {self.limits.max_per_client} jobs in the queue, which is the most; "
                "wait for one to finish or cancel one",
            )

    def _take_in(self, job: Job, name: str, path: Path) -> Path:
        place = job.folder / "in" / name / safe_name(path.name, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        return place

    def _set(self, job: Job, **values: Any) -> None:
        """Within the lock: change a job and its `job.json`; wake whoever waits."""
        for name, value in values.items():
            setattr(job, name, value)
        content = dataclasses.asdict(job)
        del content["folder"], content["is_unwanted"]
        temporary = job.folder / ".job.json.new"
        temporary.write_text(json.dumps(content), encoding="utf-8")
        os.replace(temporary, job.folder / "job.json")
        self._changed.notify_all()

    def _load(self) -> None:
        """Jobs of an earlier server; those that it did not finish are queued again."""
        for folder in self._folder.iterdir():
            try:
                content = json.loads((folder / "job.json").read_text(encoding="utf-8"))
                job = Job(folder=folder, **content)
            except (OSError, ValueError, TypeError):
                shutil.rmtree(folder, ignore_errors=True)  # the server died while it was made
                continue
            self._jobs[job.id] = job
            if job.state == "running":
                self._set(job, state="queued", was_interrupted=True, stage="", done=0)

    def _order(self, lane: str) -> list[Job]:
        """Within the lock: waiting jobs in the order in which they will have their turn.

        Each client in turn: who has fewest running jobs, then who has waited longest since the
        last one began, then who came first.
        """
        waiting = sorted(
            (j for j in self._jobs.values() if j.state == "queued" and LANES[j.kind] == lane),
            key=lambda j: j.number,
        )
        running = Counter(
            j.client for j in self._jobs.values() if j.state == "running" and LANES[j.kind] == lane
        )
        last, turn = dict(self._last_turn), self._turn
        order = []
        while waiting:
            job = min(waiting, key=lambda j: (running[j.client], last.get(j.client, 0), j.number))
            waiting.remove(job)
            order.append(job)
            turn += 1
            last[job.client] = turn
        return order

    def _work(self, lane: str, name: str) -> None:
        """A thread with its worker: one job after the other."""
        worker = Worker(name, PRELOAD[lane])
        worker.start()
        while (job := self._next(lane)) is not None:
            self._run(worker, job)
            worker.start()  # a new one, where the job took its process with it
        worker.kill()

    def _next(self, lane: str) -> Job | None:
        """The next job, marked as running; None when the server stops."""
        with self._changed:
            while not self._is_closed:
                if order := self._order(lane):
                    job = order[0]
                    self._turn += 1
                    self._last_turn[job.client] = self._turn
                    now = time.time()
                    self._set(job, state="running", started=now, stage_started=now)
                    return job
                self._changed.wait()
        return None

    def _run(self, worker: Worker, job: Job) -> None:
        def report(stage: str, done: int, total: int | None) -> None:
            if stage != job.stage:
                job.stage_started = time.time()
            job.stage, job.done, job.total = stage, done, total

        arguments = dict(job.arguments)
        if job.kind == "animate":
            arguments["resume"] = job.was_interrupted
        values: dict[str, Any]
        try:
            answer = worker.run(
                job.kind, job.out, arguments, report=report,
                is_stopped=lambda: job.is_unwanted or self._is_closed,
                max_seconds=60 * self.limits.max_minutes,
            )  # fmt: skip
            values = {"state": "done", "answer": answer}
        except Stopped:
            if not job.is_unwanted:
                return  # the server stops; job.json still says that it runs
            values = {"state": "cancelled"}
        except InputError as error:
            values = {"state": "failed", "error": " ".join(str(error).split())}
        with self._changed:
            if job.id in self._jobs:
                self._set(job, **values, ended=time.time())
        if self._observe is not None:
            self._observe(job)

    def _clean(self) -> None:
        """A thread: deletes what ended long ago."""
        while True:
            now = time.time()
            with self._changed:
                old = [
                    job
                    for job in self._jobs.values()
                    if job.has_ended and now - (job.ended or now) > 3600 * self.limits.keep_hours
                ]
                for job in old:
                    del self._jobs[job.id]
            for job in old:
                shutil.rmtree(job.folder, ignore_errors=True)
            wait = min(CLEAN_SECONDS, 3600 * self.limits.keep_hours)
            with self._changed:
                if self._changed.wait_for(lambda: self._is_closed, wait):
                    return
