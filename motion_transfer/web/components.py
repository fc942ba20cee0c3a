"""The page's own components: a template, a script of `assets/`, and notes in words."""

from __future__ import annotations

import html
from importlib import resources
from typing import Any

import gradio as gr

from motion_transfer.web import access

HOST = '<div class="mt-host"></div>'


def read_asset(name: str) -> str:
    """Text of a file of `assets/`."""
    return (resources.files("motion_transfer.web") / "assets" / name).read_text(encoding="utf-8")


def component(
    script: str, value: Any = None, *, elem_id: str, css: str = "", **props: Any
) -> gr.HTML:
    """A component that a script of `assets/` draws from its value, plain data.

    Args:
        script: name of the script; it sees `element`, `props`, `trigger` and `watch`.
        value: what is shown at first.
        elem_id: its name in the page.
        css: class of its own, where it has one.
        props: passed to `gr.HTML`; those that it does not know are seen by the script.
    """
    return gr.HTML(
        value,
        html_template=HOST,
        js_on_load=read_asset(script),
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["mt-slot", css],
        **props,
    )


def client_of(request: gr.Request) -> str:
    """Whose event this is, as `access.client_of`."""
    assert request.request is not None  # Gradio gives one to every event
    return access.client_of(request.request)


def note(text: str, kind: str = "") -> str:
    """A line for the user.

    Args:
        text: plain text.
        kind: `busy`, `error`, or empty.
    """
    if not text:
        return ""
    role = "alert" if kind == "error" else "status"
    return f'<p class="mt-note mt-{kind or "plain"}" role="{role}">{html.escape(text)}</p>'


def empty(text: str) -> str:
    """What stands where there is nothing yet."""
    return f'<p class="mt-empty">{html.escape(text)}</p>'
