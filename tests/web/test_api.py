"""The named endpoints, and that the documents' example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from demo_clips import DEMOS
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from motion_transfer.media.decode import probe
from motion_transfer.pose.track import PoseTrack

pytestmark = pytest.mark.timeout(180)
DOCUMENT = DEMOS.parent / "docs" / "api.md"


@pytest.fixture(scope="module")
def api(server) -> Client:
    return Client(server.address, verbose=False)


def test_the_example_of_the_documents_runs(server, monkeypatch) -> None:
    # bug: the example is of another version
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1]
    monkeypatch.chdir(DEMOS.parent)
    seen: dict = {}
    exec(code.replace("http://127.0.0.1:7860/", server.address), seen)
    info = probe(seen["result"])
    assert info.num_frames == 15 and info.has_audio
    assert Path(seen["sidecar"]).name == "result.mp4.json"


def test_the_documented_endpoints_are_those_that_there_are(api: Client) -> None:
    # bug: an endpoint without a word, or an inner one in public
    named = set(api.view_api(return_format="dict")["named_endpoints"])
    table = DOCUMENT.read_text().partition("| endpoint |")[2].partition("\n\n")[0]
    assert named == set(re.findall(r"^\| `(/\w+)`", table, re.MULTILINE))


def test_submit_look_cancel(api: Client, person: Path, dance: Path) -> None:
    # bug: a job cannot be followed from a program
    files = {"photo": handle_file(str(person)), "dance": handle_file(str(dance))}
    job = api.predict(**files, library="", settings={}, api_name="/submit")
    assert api.predict(job["id"], api_name="/job")["state"] in ("queued", "running")
    assert api.predict(job["id"], api_name="/cancel")["state"] == "cancelled"
    with pytest.raises(AppError, match="has no result: it is cancelled"):
        api.predict(job["id"], api_name="/result")


def test_track(api: Client, dance: Path) -> None:
    # bug: the track that comes is not the dance's
    path = api.predict(
        dance=handle_file(str(dance)), start=0.2, end=0.5, person="largest", api_name="/track"
    )
    assert len(PoseTrack.load(path)) == 9


def test_errors_have_their_words(api: Client, dance: Path) -> None:
    # bug: "the upstream app has raised an exception", and the user cannot know which
    for photo, settings, message in (
        (handle_file(str(dance)), {}, "a photo must be an image file"),
        (None, {}, "photo: there is none"),
        (handle_file(str(DEMOS / "person.jpg")), {"preset": "best"}, "preset: "),
        ({"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, {}, "."),
    ):
        with pytest.raises(AppError, match=message) as refused:
            api.predict(
                photo=photo, dance=None, library="kick", settings=settings, api_name="/submit"
            )
        assert "root:" not in str(refused.value)
    assert "kick" in api.predict(api_name="/dances")
