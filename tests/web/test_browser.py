"""The page in a real browser: what a creator does, sees and gets."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from motion_transfer.media.decode import probe

DEMOS = Path(__file__).parents[2] / "demos"
pytestmark = pytest.mark.timeout(300)
PHONE = {
    "viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True,
    "color_scheme": "dark",
}  # fmt: skip


def give(page, person: Path, dance: Path) -> None:
    """Upload both, and wait until both were looked at and the skeleton plays."""
    page.locator("#photo input[type=file]").set_input_files(str(person))
    page.wait_for_selector("#photo-view circle[data-joint=left_wrist]")
    page.locator("#dance input[type=file]").set_input_files(str(dance))
    page.wait_for_selector("#dance-view .mt-strip")
    page.wait_for_selector("#preview video")


def job_id(page) -> str:
    page.wait_for_url(re.compile(r"job="))
    return re.search(r"job=([\w-]+)", page.url)[1]


def centre(locator) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_from_photo_and_video_to_download(
    open_page, client, person: Path, dance: Path, tmp_path: Path
) -> None:
    # bug: any step of the way from upload to download is broken
    page = open_page()
    give(page, person, dance)
    assert page.locator("#dance-view rect.mt-chosen").count() == 1  # the dancer was found
    first = page.locator("#preview video").get_attribute("src")

    wrist = page.locator("circle[data-joint=left_wrist]")
    x, y = centre(wrist)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 30, steps=4)
    page.mouse.up()
    new_x, new_y = centre(wrist)
    assert (new_x, new_y) == pytest.approx((x + 40, y - 30), abs=2)
    page.wait_for_function(  # the skeleton follows
        "old => { const v = document.querySelector('#preview video');"
        " return v && v.getAttribute('src') !== old }", arg=first,
    )  # fmt: skip
    wrist.focus()
    page.keyboard.press("ArrowLeft")
    assert centre(wrist)[0] < new_x

    end = page.locator("input.mt-end")
    end.fill("0.5")
    end.dispatch_event("change")
    assert "0.5 s" in page.locator("#dance-view .mt-range-label").inner_text()
    page.locator("#render").click()
    page.wait_for_selector("#job .mt-done")
    settings = client.get(f"/jobs/{job_id(page)}").json()["settings"]
    assert settings["end"] == 0.5
    assert {"left_wrist", "left_thumb"} <= settings["joints"].keys()  # the hand goes along
    page.wait_for_function("document.querySelector('#job video[controls]').readyState >= 2")
    assert page.locator("#job video").count() == 2  # the dance beside the result
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download MP4").click()
    assert loading.value.suggested_filename == "person--dance.mp4"
    loading.value.save_as(tmp_path / "a.mp4")
    info = probe(tmp_path / "a.mp4")
    assert info.num_frames == 15 and info.has_audio

    with page.expect_download() as loading:
        page.get_by_role("link", name="Settings (JSON)").click()
    loading.value.save_as(tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    content["settings"] |= {"smooth": 0.85, "background": "#aa3344"}
    (tmp_path / "a.json").write_text(json.dumps(content))
    page.locator("#settings input[type=file]").last.set_input_files(str(tmp_path / "a.json"))
    page.get_by_text("Settings are taken over").wait_for()
    assert page.locator("#settings input[type=number]").first.input_value() == "0.85"


def test_bad_files_are_explained(open_page, tmp_path: Path) -> None:
    # bug: a spinner for ever, or a stack trace
    Image.new("RGB", (200, 260), (120, 130, 140)).save(tmp_path / "grey.png")
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "text.json").write_text("{}")
    page = open_page()
    page.locator("#render").click()
    page.get_by_text("Give a photo and a dance first.").wait_for()
    page.locator("#photo input[type=file]").set_input_files(str(tmp_path / "grey.png"))
    page.get_by_text("no person was found in the photo").wait_for()
    page.locator("#dance input[type=file]").set_input_files(str(tmp_path / "text.mp4"))
    page.get_by_role("alert").filter(has_text="text.mp4").wait_for()
    page.locator("#settings input[type=file]").last.set_input_files(str(tmp_path / "text.json"))
    page.get_by_text("this JSON file is no sidecar").wait_for()


@pytest.fixture(scope="module")
def long_dance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 seconds: no machine is through with it before Cancel is pressed."""
    path = tmp_path_factory.mktemp("long") / "dance.mp4"
    command = [get_ffmpeg_exe(), "-v", "error", "-stream_loop", "2", "-i",
               str(DEMOS / "dance.mp4"), "-c", "copy", str(path)]  # fmt: skip
    subprocess.run(command, check=True)
    return path


def start(page, dance: Path) -> str:
    """The id of the job, which runs."""
    page.get_by_role("button", name="Try the demo photo").first.click()
    page.wait_for_selector("#photo-view svg")
    page.locator("#dance input[type=file]").set_input_files(str(dance))
    page.wait_for_selector("#dance-view .mt-strip")
    page.locator("#render").click()
    wanted = job_id(page)
    page.wait_for_selector("#job .mt-running")
    return wanted


def test_progress_reload_and_cancel(open_page, client, long_dance: Path) -> None:
    # bug: a reload loses the job; cancel waits for its end
    page = open_page()
    wanted = start(page, long_dance)
    page.reload()
    page.wait_for_selector("#job .mt-running")
    assert job_id(page) == wanted
    page.wait_for_function("document.querySelector('#job progress').value > 0.02")
    page.wait_for_selector("#job .mt-live img:not([hidden])")  # while the rest is rendered
    assert client.get(f"/jobs/{wanted}").json()["state"] == "running"
    assert "left" in page.locator("#job .mt-eta").inner_text()
    page.locator("#job").get_by_role("button", name="Cancel").click()
    page.wait_for_selector("#job .mt-cancelled")
    assert client.get(f"/jobs/{wanted}").json()["state"] == "cancelled"


def test_library_and_tracks_and_phone(open_page) -> None:
    # bug: wider than a phone; a control without a name
    page = open_page(**PHONE)
    page.get_by_role("button", name="kick").click()
    page.wait_for_selector("#dance-view canvas")
    assert "6.6 s" in page.locator("#dance-view .mt-range-label").inner_text()
    for tab in ("Tracks", "Batch", "Live", "Animate"):
        page.get_by_role("tab", name=tab).click()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 391, f"{tab} is {wide} pixels wide"
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, input, a[href], [role=button]')]"
            ".filter(e => e.checkVisibility() && !(e.innerText || '').trim()"
            " && !e.getAttribute('aria-label') && !e.title && !e.labels?.length"
            " && !e.closest('label') && !e.querySelector('svg')).map(e => e.outerHTML)"
        )
        assert nameless == []


def test_a_track_is_made_and_shown(open_page, dance: Path, tmp_path: Path) -> None:
    # bug: the curves stay empty; the track that is downloaded cannot be uploaded
    page = open_page()
    page.get_by_role("tab", name="Tracks").click()
    page.locator("#track-upload input[type=file]").set_input_files(str(dance))
    page.wait_for_selector("#track-upload >> text=dance.mp4")
    page.locator("#track-go").click()
    page.wait_for_selector("#track-view path.mt-confidence", state="attached")
    assert "30 frames" in page.locator("#track-view").inner_text()
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download the track").click()
    loading.value.save_as(tmp_path / "dance.npz")
    page = open_page()
    page.get_by_role("tab", name="Tracks").click()
    page.locator("#track-upload input[type=file]").set_input_files(str(tmp_path / "dance.npz"))
    page.wait_for_selector("#track-view path.mt-speed", state="attached")


def test_batch(open_page, person: Path) -> None:
    # bug: the table is lost by a reload; a cancelled row cannot go on
    page = open_page()
    page.get_by_role("tab", name="Batch").click()
    page.locator("#batch-photos input[type=file]").set_input_files(str(person))
    page.wait_for_selector("#batch-photos >> text=person")
    for name in ("kick", "boxing"):
        page.get_by_label(name).check()
    page.locator("#batch-go").click()
    page.wait_for_selector("#batch tbody tr >> nth=1")
    page.reload()
    page.get_by_role("tab", name="Batch").click()
    rows = page.locator("#batch tbody tr")
    rows.nth(1).wait_for()
    for row in (1, 0):
        rows.nth(row).get_by_role("button", name="cancel").click()
        rows.nth(row).get_by_text("cancelled").wait_for()
    rows.nth(1).get_by_role("button", name="retry").click()
    rows.nth(1).get_by_text(re.compile("waiting|running")).wait_for()
    rows.nth(1).get_by_role("button", name="cancel").click()
    rows.nth(1).get_by_text("cancelled").wait_for()


def test_live(open_page) -> None:
    # bug: the camera starts and nothing comes back
    page = open_page()
    page.get_by_role("tab", name="Live").click()
    page.get_by_text("Give a photo first").wait_for()
    page.get_by_role("button", name="Try the demo photo").locator("visible=true").click()
    page.get_by_role("button", name="Start the camera").click()
    words = page.locator("#live .mt-eta")
    words.filter(has_text=re.compile(r"Nobody is seen.*Latency \d+ ms")).wait_for()
    page.get_by_role("button", name="Stop").click()
    words.filter(has_text="The camera is off").wait_for()


def test_stop_while_the_last_picture_of_the_camera_is_decoded(open_page) -> None:
    # bug: the words of that picture replace "The camera is off", and stay
    page = open_page()
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Try the demo photo").locator("visible=true").click()
    page.evaluate(
        "HTMLImageElement.prototype.decode = async () => {"
        " const stop = [...document.querySelectorAll('#live button')].find("
        "   (button) => button.textContent === 'Stop');"
        " if (stop) { stop.click(); setTimeout(() => { window.wasStopped = true }, 500) } }"
    )
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function("window.wasStopped")
    assert page.locator("#live .mt-eta").inner_text() == "The camera is off."
    assert page.get_by_role("button", name="Start the camera").is_enabled()
