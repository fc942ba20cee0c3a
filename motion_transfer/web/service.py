"""What the page, the named endpoints and the addresses all do: one place for each action."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import motion_transfer
from motion_transfer.web.jobs import Job, JobStore
from motion_transfer.web.limits import Refused, wrong_setting
from motion_transfer.web.live_room import LiveRoom
from motion_transfer.web.metrics import Metrics
from motion_transfer.web.settings import FORMATS, PICTURE, Settings

DEMOS = Path(motion_transfer.__file__).parents[1] / "demos"


class Service:
    """Actions on the jobs of one server.

    Args:
        store: of the jobs.
        metrics: where refusals are counted.
        device: where renders are computed.
        generator: what re-renders the person.
        weights: of a learned generator.
    """

    def __init__(
        self,
        store: JobStore,
        metrics: Metrics,
        *,
        device: str = "auto",
        generator: str = "refined",
        weights: Path | None = None,
    ) -> None:
        self.store = store
        self.metrics = metrics
        self._engine = {
            "device": device,
            "generator": generator,
            "weights": None if weights is None else str(weights),
        }
        self.live = LiveRoom(self._engine)

    def animate(
        self,
        client: str,
        photo: Path | None,
        dance: Path | None,
        settings: Mapping[str, Any],
        *,
        picture: Path | None = None,
        batch: str = "",
    ) -> Job:
        """Queue a render.

        Args:
            client: who asks.
            photo: of a person.
            dance: video or pose track.
            settings: as `Settings`.
            picture: the background, where the settings say `picture`.
            batch: of which it is a part.

        Raises:
            Refused: with the HTTP status that says why.
        """
        if photo is None or dance is None:
            missing = "photo" if photo is None else "dance"
            raise wrong_setting(f"{missing}: there is none; give a photo and a dance")
        chosen = Settings.read(settings)
        if (chosen.background == PICTURE) != (picture is not None):
            raise wrong_setting(
                "background: 'picture' needs a picture, and a picture needs background 'picture'"
            )
        self.store.check(
            photo=photo, dance=dance, picture=picture, start=chosen.start, end=chosen.end
        )
        return self.store.submit(
            "animate", client, files={"photo": photo, "dance": dance, "picture": picture},
            arguments={"settings": chosen.model_dump(), "engine": self._engine},
            title=f"{photo.stem}--{dance.stem}", batch=batch,
        )  # fmt: skip

    def again(self, client: str, job: Job, form: str) -> Job:
        """Render the same once more in another format; WebM and MOV become transparent.

        Raises:
            Refused: there is no such format, or the job was no render.
        """
        if job.kind != "animate" or form not in FORMATS:
            raise wrong_setting(f"format must be one of {', '.join(FORMATS)}, got {form!r:.20}")
        settings = {**job.arguments["settings"], "format": form}
        picture = job.arguments["picture"]
        if form in ("webm", "mov"):
            settings |= {"background": "transparent", "side_by_side": False}
            picture = None
        return self.animate(
            client, Path(job.arguments["photo"]), Path(job.arguments["dance"]), settings,
            picture=None if picture is None else Path(picture), batch=job.batch,
        )  # fmt: skip

    def animate_all(
        self, client: str, photos: list[Path], dances: list[Path], settings: Mapping[str, Any],
        *, picture: Path | None = None,
    ) -> str:  # fmt: skip
        """Queue every photo with every dance; all or none.

        Returns:
            The id of the batch.

        Raises:
            Refused: with the HTTP status that says why.
        """
        batch = secrets.token_urlsafe(16)
        made: list[Job] = []
        try:
            for photo in photos:
                for dance in dances:
                    made.append(
                        self.animate(client, photo, dance, settings, picture=picture, batch=batch)
                    )
        except Refused:
            for job in made:
                self.store.cancel(job)
            raise
        return batch

    def track(
        self, client: str, dance: Path, *, start: float = 0.0, end: float | None = None,
        person: str = "largest",
    ) -> Job:  # fmt: skip
        """Queue the tracking of a video.

        Raises:
            Refused: with the HTTP status that says why.
        """
        self.store.check(dance=dance, start=start, end=end)
        return self.store.submit(
            "track", client, files={"dance": dance}, title=dance.stem,
            arguments={"start": start, "end": end, "person": person},
        )  # fmt: skip

    def look_photo(self, client: str, photo: Path, source_person: str = "largest") -> Job:
        """Queue a look at a photo: people and joints.

        Raises:
            Refused: with the HTTP status that says why.
        """
        self.store.check(photo=photo)
        return self.store.submit(
            "look_photo", client, files={"photo": photo}, title=photo.stem,
            arguments={"source_person": source_person},
        )  # fmt: skip

    def look_dance(self, client: str, dance: Path) -> Job:
        """Queue a look at a video or a track: length, people, thumbnails.

        The whole file may be longer than a render; its range is checked when it is rendered.

        Raises:
            Refused: with the HTTP status that says why.
        """
        self.store.check(dance=dance, end=0.0)
        return self.store.submit(
            "look_dance", client, files={"dance": dance}, arguments={}, title=dance.stem
        )

    def cut_out(self, client: str, seen: Job) -> Job:
        """Queue the matte of a photo that was looked at."""
        job = self.store.submit(
            "cut_out", client, files={"photo": Path(seen.arguments["photo"])},
            arguments={"seen": str(seen.out)}, title=seen.title,
        )  # fmt: skip
        return job

    def preview(self, client: str, photo: Job, dance: Job, settings: Mapping[str, Any]) -> Job:
        """Queue the skeleton over the photo, both of which were looked at.

        Raises:
            Refused: with the HTTP status that says why.
        """
        chosen = Settings.read(settings)
        video = Path(dance.arguments["dance"])
        self.store.check(dance=video, start=chosen.start, end=chosen.end)
        return self.store.submit(
            "preview", client, title=f"{photo.title}--{dance.title}",
            files={"photo": Path(photo.arguments["photo"])},
            arguments={"dance": str(video), "tracks": str(dance.out),
                       "settings": chosen.model_dump()},
        )  # fmt: skip

    def inspect(self, client: str, track: Path) -> Job:
        """Queue a look at a pose track over time.

        Raises:
            Refused: with the HTTP status that says why.
        """
        self.store.check(dance=track)
        return self.store.submit(
            "inspect", client, files={"dance": track}, arguments={}, title=track.stem
        )

    def library(self, name: str) -> Path:
        """A dance that the project ships, by name.

        Raises:
            Refused: there is none of that name.
        """
        dances = list_dances()
        if name not in dances:
            raise wrong_setting(f"dance: {name!r:.40} is not in the library: {', '.join(dances)}")
        return dances[name]


def list_dances() -> dict[str, Path]:
    """The dances that the project ships as pose tracks, by name; none in a bare wheel."""
    return {path.stem: path for path in sorted((DEMOS / "tracks").glob("*.npz"))}


def presets() -> list[str]:
    """Names of the presets."""
    return list(get_args(Settings.model_fields["preset"].annotation))
