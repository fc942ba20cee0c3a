"""The job store: turns, limits, files, what survives."""

from __future__ import annotations

import time
from fractions import Fraction
from http import HTTPStatus
from pathlib import Path

import numpy as np
import pytest

from motion_transfer.errors import InputError
from motion_transfer.pose.track import PoseTrack
from motion_transfer.web.jobs import JobStore, safe_name
from motion_transfer.web.limits import Limits, Refused

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def track(tmp_path: Path) -> Path:
    """Two seconds of somebody who stands still."""
    count = 50
    xy = np.random.default_rng(0).uniform(10, 90, (1, 33, 2)).repeat(count, 0).astype(np.float32)
    PoseTrack(
        xy=xy, depth=np.zeros((count, 33), np.float32), confidence=np.ones((count, 33), np.float32),
        world=np.zeros((count, 33, 3), np.float32), present=np.ones(count, bool),
        times_seconds=np.arange(count) / 25, fps=Fraction(25), size_hw=(100, 100),
    ).save(tmp_path / "still.npz")  # fmt: skip
    return tmp_path / "still.npz"


@pytest.fixture
def store(tmp_path: Path):
    made = JobStore(tmp_path / "store", Limits())
    yield made
    made.close()


def look(store: JobStore, track: Path, client: str):
    return store.submit("inspect", client, files={"dance": track}, arguments={})


def test_a_job_runs_and_answers(store: JobStore, track: Path) -> None:
    # bug: the answer of a worker is lost, or paths of the server get out
    job = store.wait(look(store, track, "a"), 60)
    assert job.state == "done", job.error
    seen = store.describe(job)
    assert seen["answer"]["seconds"] == 2.0 and seen["answer"]["bad"] == []
    assert str(store._folder) not in str(seen)


def test_clients_take_turns(store: JobStore, track: Path) -> None:
    # bug: who sends a hundred jobs first makes everybody else wait for all of them
    many = [look(store, track, "many") for _ in range(8)]
    few = [look(store, track, "few") for _ in range(2)]
    for job in many + few:
        assert store.wait(job, 60).state == "done"
    order = sorted(many + few, key=lambda job: job.started)
    later = order[order.index(few[0]) :]
    assert few[0] in order[:4] or many[3].started < few[0].created  # only what ran before it came
    assert later.index(few[1]) <= 2


def test_an_unreadable_file_fails_its_job_only(store: JobStore, track: Path, tmp_path) -> None:
    # bug: one bad file ends the worker's thread, and nothing is done any more
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    bad = store.wait(look(store, tmp_path / "bad.npz", "a"), 60)
    assert bad.state == "failed" and "is not a pose track" in bad.error
    assert store.wait(look(store, track, "a"), 60).state == "done"


def test_a_worker_that_dies_takes_only_its_job(store: JobStore, track: Path, monkeypatch) -> None:
    # bug: a crash in a decoder takes the server along
    job = store.submit("look_photo", "a", files={"photo": track}, arguments={"wrong": 1})
    assert store.wait(job, 60).state == "failed"
    assert "stopped unexpectedly" in job.error
    assert store.wait(look(store, track, "a"), 60).state == "done"


def test_full_queue_and_greedy_client(tmp_path: Path, track: Path) -> None:
    # bug: a script fills the disk
    store = JobStore(tmp_path / "small", Limits(max_queue=3, max_per_client=2))
    try:

        def submit(client: str):
            arguments = {"start": 0.0, "end": None, "person": "largest"}
            return store.submit("track", client, files={"dance": track}, arguments=arguments)

        submit("a")
        submit("a")
        with pytest.raises(Refused, match="2 jobs in the queue") as greedy:
            submit("a")
        assert greedy.value.status == HTTPStatus.TOO_MANY_REQUESTS
        submit("b")
        with pytest.raises(Refused, match="the queue is full") as full:
            submit("c")
        assert full.value.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert len(list((tmp_path / "small" / "jobs").iterdir())) == 3
    finally:
        store.close()


def test_old_jobs_are_deleted(tmp_path: Path, track: Path) -> None:
    # bug: photos of people stay on the server for ever
    store = JobStore(tmp_path / "short", Limits(keep_hours=0.5 / 3600))
    try:
        job = store.wait(look(store, track, "a"), 60)
        deadline = time.monotonic() + 20
        while job.folder.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not job.folder.exists()
        with pytest.raises(Refused, match="no such job") as gone:
            store.get(job.id)
        assert gone.value.status == HTTPStatus.NOT_FOUND
    finally:
        store.close()


def test_jobs_survive_a_restart(tmp_path: Path, track: Path) -> None:
    # bug: the queue is lost with the server
    store = JobStore(tmp_path / "s", Limits())
    done = store.wait(look(store, track, "a"), 60)
    waiting = [look(store, track, "a") for _ in range(4)]
    store.close()
    unfinished = [job for job in waiting if not job.has_ended]
    again = JobStore(tmp_path / "s", Limits())
    try:
        assert again.get(done.id).answer["num_frames"] == 50
        for job in unfinished:
            assert again.wait(again.get(job.id), 60).state == "done"
        with pytest.raises(InputError, match="another server uses"):
            JobStore(tmp_path / "s", Limits())
    finally:
        again.close()


def test_only_files_of_the_out_folder_are_given_out(store: JobStore, track: Path) -> None:
    # bug: a name leads out of the folder, or through a link
    job = store.wait(look(store, track, "a"), 60)
    (job.out / "mine.txt").write_text("x")
    (job.out / "link.txt").symlink_to(job.folder / "job.json")
    assert store.path(job, "mine.txt").read_text() == "x"
    for name in ("../job.json", "link.txt", "..", "", "in/dance/still.npz", "/etc/passwd"):
        with pytest.raises(Refused, match="no such file"):
            store.path(job, name)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("me.jpg", "me.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a b.PNG", "a b.png"),
        ("..", "photo"),
        ("", "photo"),
        ('a"\r\nX: y.mp4', "a_X_ y.mp4"),
        (".hidden", "photo.hidden"),
        ("x" * 300 + ".mp4", "x" * 60 + ".mp4"),
    ],
)
def test_names(name: str, safe: str) -> None:
    # bug: an upload's name writes elsewhere or breaks a header
    assert safe_name(name, "photo") == safe
