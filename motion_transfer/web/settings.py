"""What a client may ask of a render: checked and typed before anything is queued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from motion_transfer.errors import InputError
from motion_transfer.person.background import check_background
from motion_transfer.pose.skeleton import INDEX
from motion_transfer.web.limits import wrong_setting

Format = Literal["mp4", "webm", "gif", "mov"]
FORMATS: tuple[Format, ...] = ("mp4", "webm", "gif", "mov")
PICTURE = "picture"  # as background: the uploaded one


class Settings(BaseModel):
    """Settings of one render; names and meaning as in `transfer`.

    `background` never is a path here: it is a word, a colour, or `picture` for the file uploaded
    with the job. `joints` maps names to [x, y] in pixels of the upright photo, or null.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Format = "mp4"
    start: float = Field(default=0.0, ge=0)
    end: float | None = None
    fps: str = Field(default="source", max_length=20)
    person: str = Field(default="largest", max_length=40)
    source_person: str = Field(default="largest", max_length=40)
    preset: Literal["fast", "hd"] = "fast"
    background: str = Field(default="original", max_length=40)
    smooth: float = Field(default=0.5, ge=0, le=1)
    travel: float = Field(default=1.0, ge=0, le=1)
    scale: float = Field(default=1.0, ge=0.2, le=4)
    shift: tuple[float, float] = (0.0, 0.0)
    matte: Literal["u2net", "fast"] = "u2net"
    audio: bool = True
    side_by_side: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31)
    joints: dict[str, tuple[float, float] | None] = Field(default_factory=dict)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Settings:
        """Check settings that come from outside.

        Raises:
            Refused: one line that names the setting, with HTTP status 422.
        """
        try:
            settings = cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"]) or "settings"
            raise wrong_setting(f"{name}: {first['msg']}; got {first['input']!r:.60}") from error
        if unknown := settings.joints.keys() - INDEX.keys():
            raise wrong_setting(f"joints: no joint is called {min(unknown)!r}")
        if settings.background != PICTURE:
            if "/" in settings.background or "\\" in settings.background:
                raise wrong_setting("background: upload a picture; a path is not accepted")
            try:
                check_background(settings.background)
            except (InputError, OSError) as error:
                raise wrong_setting(str(error)) from error
        return settings

    @classmethod
    def from_sidecar(cls, content: Any) -> Settings:
        """The settings that an earlier output's JSON holds, of those that a page can choose.

        Joints are left out: the sidecar names their file only.

        Raises:
            Refused: it is no sidecar, or holds something that cannot be used.
        """
        if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
            raise wrong_setting("this JSON file is no sidecar: it holds no settings")
        theirs = content["settings"]
        known = {k: theirs[k] for k in cls.model_fields if k in theirs and k != "joints"}
        suffix = str(content.get("output", "")).rpartition(".")[2].lower()
        if suffix in FORMATS:
            known["format"] = suffix
        background = str(known.get("background", ""))
        if "." in background and not background.startswith(("rgb", "hsl")):
            known["background"] = PICTURE
        return cls.read(known)
