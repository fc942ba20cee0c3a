"""The page: tabs, theme, and the small scripts that live in `assets/`."""

from __future__ import annotations

from importlib import resources

import gradio as gr

from motion_transfer.web.service import Service

SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
# fonts of the system: nothing is asked of another server
THEME = gr.themes.Soft(
    primary_hue="indigo", neutral_hue="slate", font=SANS, font_mono=MONO, radius_size="lg"
)
HEAD = '<meta name="viewport" content="width=device-width, initial-scale=1">'


def read_asset(name: str) -> str:
    """Text of a file of `assets/`."""
    return (resources.files("motion_transfer.web") / "assets" / name).read_text(encoding="utf-8")


def build_page(service: Service) -> gr.Blocks:
    """All tabs."""
    hours = service.store.limits.keep_hours
    with gr.Blocks(title="motion-transfer", delete_cache=(600, int(3600 * hours))) as page:
        gr.Markdown("# motion-transfer\nA photographed person does the dance of a video.")
    return page
