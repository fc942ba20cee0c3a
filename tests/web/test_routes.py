"""The addresses beside the page, over real HTTP."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from demo_clips import write_clip
from PIL import Image

from motion_transfer import sidecar
from motion_transfer.media.decode import probe
from motion_transfer.web.limits import Limits
from motion_transfer.web.server import ServeOptions, running

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def done(client: httpx.Client, send, finish) -> dict:
    """A finished render that several tests look at."""
    answer = send(client)
    assert answer.status_code == 201, answer.text
    job = finish(client, answer.json()["id"])
    assert job["state"] == "done", job["error"]
    return job


def test_a_render_from_upload_to_download(done: dict, client: httpx.Client, tmp_path) -> None:
    # bug: what comes out is not the video that was made
    assert done["files"] == ["live.jpg", "result.mp4", "result.mp4.json"]
    assert done["share_done"] == 1 and done["title"] == "person--dance"
    answer = client.get(f"/jobs/{done['id']}/files/result.mp4?download=1")
    assert answer.headers["content-type"] == "video/mp4"
    assert 'filename="person--dance.mp4"' in answer.headers["content-disposition"]
    (tmp_path / "a.mp4").write_bytes(answer.content)
    info = probe(tmp_path / "a.mp4")
    assert info.num_frames == 9 and info.has_audio
    content = client.get(f"/jobs/{done['id']}/files/result.mp4.json").json()
    assert content["output_sha256"] == sidecar.sha256(tmp_path / "a.mp4")
    part = client.get(f"/jobs/{done['id']}/files/result.mp4", headers={"Range": "bytes=4-7"})
    assert part.status_code == 206 and part.content == b"ftyp"


def test_again_as_gif(done: dict, client: httpx.Client, finish) -> None:
    # bug: another format needs a new upload
    answer = client.post(f"/jobs/{done['id']}/again?format=gif")
    assert answer.status_code == 201
    job = finish(client, answer.json()["id"])
    assert job["state"] == "done", job["error"]
    data = client.get(f"/jobs/{job['id']}/files/result.gif").content
    assert data.startswith(b"GIF89a")
    assert client.post(f"/jobs/{done['id']}/again?format=exe").status_code == 422


def test_a_dance_of_the_library(client: httpx.Client, person: Path, finish) -> None:
    # bug: the shipped dances cannot be named
    answer = client.post(
        "/jobs", files={"photo": (person.name, person.read_bytes())},
        data={"dance": "kick", "settings": json.dumps({"matte": "fast", "background": "teal",
                                                       "start": 1.0, "end": 1.2})},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    assert finish(client, answer.json()["id"])["answer"]["num_frames"] == 6
    answer = client.post("/jobs", files={"photo": b"x"}, data={"dance": "../../kick"})
    assert answer.status_code == 422 and "not in the library" in answer.json()["error"]


def test_progress_then_cancel(client: httpx.Client, send, finish, server) -> None:
    # bug: cancel waits for the end of the job
    answer = send(client, {"background": "teal", "matte": "fast"})
    job_id = answer.json()["id"]
    seen = finish(client, job_id, until=lambda job: job["stage"] == "render" or job["done"] > 0)
    assert seen["state"] == "running" and 0 < seen["share_done"] < 1
    answer = client.post(f"/jobs/{job_id}/cancel")
    assert answer.json()["state"] == "cancelled"
    assert answer.elapsed.total_seconds() < 1
    assert not [f for f in answer.json()["files"] if f.startswith("result")]
    again = client.post(f"/jobs/{job_id}/retry").json()
    assert again["state"] in ("queued", "running")
    assert finish(client, job_id)["state"] == "done"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "best"}, "preset: "),
        ({"smooth": 2}, "smooth: "),
        ({"colour": "red"}, "colour: "),
        ({"background": "/etc/passwd"}, "a path is not accepted"),
        ({"background": "..\\x.png"}, "a path is not accepted"),
        ({"background": "passwd.png"}, "no such picture"),
        ({"background": "picture"}, "'picture' needs a picture"),
        ({"joints": {"left_rist": [1, 2]}}, "no joint is called 'left_rist'"),
        ([1], "settings must be an object"),
    ],
)
def test_wrong_settings_are_422(client: httpx.Client, send, settings, message) -> None:
    # bug: a wrong setting is found after the upload has waited in the queue
    answer = send(client, settings)
    assert answer.status_code == 422
    assert message in answer.json()["error"]


def test_uploads_are_looked_at_before_they_are_decoded(
    client: httpx.Client, send, tmp_path: Path, dance: Path, person: Path
) -> None:
    # bug: a bomb fills the memory; the answer does not say what was wrong
    bomb = tmp_path / "bomb.png"
    Image.new("1", (40_000, 4_000)).save(bomb)  # a few kB, 160 megapixels
    assert bomb.stat().st_size < 100_000
    large = tmp_path / "large.png"
    Image.new("1", (8_000, 4_000)).save(large)
    long = write_clip(tmp_path / "long.mp4", [np.zeros((64, 64, 3), np.uint8)] * 62, fps=2)
    npz = tmp_path / "bomb.npz"
    with zipfile.ZipFile(npz, "w") as archive:
        archive.writestr("xy.npy", b"x")
        archive.infolist()[0].file_size = 3_000_000_000  # what it would unpack to
    text = tmp_path / "text.mp4"
    text.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    pickle = tmp_path / "object.npz"
    np.savez(pickle, xy=np.array([print], object))
    for files, status, message in (
        ({"photo": bomb}, 413, "bomb.png"),
        ({"photo": large}, 413, "30 megapixels here, got 8000x4000"),
        ({"photo": dance}, 415, "a photo must be an image file"),
        ({"dance": person}, 415, "person.png"),
        ({"dance": text}, 415, "text.mp4"),
        ({"dance": npz}, 415, "not a pose track"),
        ({"dance": pickle}, 415, "not a pose track"),
        ({"dance": long}, 413, "may last 30 s here, got 31.0 s"),
    ):
        answer = send(client, **files, settings={})
        assert answer.status_code == status, answer.text
        assert message in answer.json()["error"]


def test_too_many_bytes_are_refused_unread(client: httpx.Client) -> None:
    # bug: the disk fills before anybody counts
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
    answer = client.post(  # in chunks: no length is told
        "/jobs", content=iter([head] + [b"x" * 1_000_000] * 70),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )  # fmt: skip
    assert answer.status_code == 413
    request = client.build_request("POST", "/jobs", content=b"x" * 61_000_000)
    assert client.send(request).status_code == 413


@pytest.mark.parametrize("path", [
    "/jobs/{id}/files/..%2fjob.json", "/jobs/{id}/files/%2e%2e/job.json",
    "/jobs/{id}/files/..%5cjob.json", "/jobs/{id}/files//etc/passwd", "/jobs/..%2f..%2f/files/x",
    "/jobs/nothing", "/jobs/nothing/files/result.mp4", "/batches/", "/batches/x",
    "/gradio_api/file=/etc/passwd", "/gradio_api/file=../../../../etc/passwd",
    "/gradio_api/file={folder}/jobs/{id}/job.json", "/gradio_api/file=app.py",
    "/gradio_api/file=file:///etc/passwd", "/static/..%2f..%2f..%2fpyproject.toml",
    "/assets/..%2f..%2f..%2f..%2fpyproject.toml", "/svelte/..%2f..%2fblocks.py",
])  # fmt: skip
def test_nothing_outside_is_served(client, done, server, path: str) -> None:
    # bug: any path of the machine can be read over the web
    folder = server.service.store._folder.parent
    path = path.replace("{id}", done["id"]).replace("{folder}", str(folder))
    answer = client.get(path)
    assert answer.status_code in (403, 404), (path, answer.status_code, answer.text[:200])
    assert b"root:" not in answer.content


def test_pages_of_other_sites_cannot_act(client: httpx.Client, done: dict) -> None:
    # bug: a page that the user visits renders or cancels in their name
    answer = client.post(f"/jobs/{done['id']}/cancel", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


def test_health_and_metrics(client: httpx.Client, done: dict) -> None:
    # bug: nobody notices that all jobs fail
    assert client.get("/health").json()["status"] == "ok"
    text = client.get("/metrics").text
    assert 'motion_transfer_jobs_ended_total{kind="animate",state="done"}' in text
    assert 'motion_transfer_jobs{kind="animate",state="done"}' in text
    assert 'motion_transfer_job_seconds_count{kind="animate"}' in text
    before = refusals(text)
    assert client.get("/jobs/nothing").status_code == 404
    assert refusals(client.get("/metrics").text) == before + 1


def refusals(text: str) -> float:
    lines = [
        x for x in text.splitlines() if x.startswith('motion_transfer_refused_total{status="404"')
    ]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def test_batch_zip(server, client: httpx.Client, person: Path, dance: Path, finish) -> None:
    # bug: two photos of one name overwrite each other in the archive
    settings = {"matte": "fast", "background": "teal", "end": 0.1}
    batch = server.service.animate_all("me", [person, person], [dance], settings)
    jobs = client.get(f"/batches/{batch}").json()["jobs"]
    assert len(jobs) == 2
    for job in jobs:
        assert finish(client, job["id"])["state"] == "done"
    answer = client.get(f"/batches/{batch}/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "001-person--dance.mp4", "001-person--dance.mp4.json",
            "002-person--dance.mp4", "002-person--dance.mp4.json",
        ]  # fmt: skip


def test_users(tmp_path: Path, send) -> None:
    # bug: a part of the server is open although there is a password
    (tmp_path / "users").write_text("# people\nann:secret\nbob:also:secret\n")
    options = ServeOptions(
        port=0, folder=tmp_path / "s", auth_file=tmp_path / "users",
        limits=Limits(max_per_client=1),
    )  # fmt: skip
    with running(options) as server:
        for path in ("/", "/metrics", "/jobs/x", "/gradio_api/info", "/config", "/theme.css",
                     "/gradio_api/file=/etc/passwd"):  # fmt: skip
            answer = httpx.get(server.address + path.lstrip("/"))
            assert answer.status_code == 401, path
            assert "Basic" in answer.headers["www-authenticate"]
        assert httpx.get(server.address + "health").status_code == 200
        for name, password in (("ann", "wrong"), ("eve", ""), ("bob", "also")):
            assert httpx.get(server.address, auth=(name, password)).status_code == 401
        with httpx.Client(base_url=server.address, timeout=60) as client:
            client.auth = ("ann", "secret")
            assert client.get("/").status_code == 200
            assert send(client).status_code == 201
            refused = send(client)
            assert refused.status_code == 429 and refused.headers["retry-after"]
            client.auth = ("bob", "also:secret")  # has a turn of his own
            assert send(client).status_code == 201
