"""The page: tabs, theme, and the small scripts that live in `assets/`."""

from __future__ import annotations

import gradio as gr

from motion_transfer.web.animate_tab import AnimateTab
from motion_transfer.web.batch_tab import BatchTab
from motion_transfer.web.components import read_asset
from motion_transfer.web.endpoints import add_endpoints
from motion_transfer.web.live_tab import LiveTab
from motion_transfer.web.service import Service
from motion_transfer.web.tracks_tab import TracksTab

SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
# fonts of the system: nothing is asked of another server
THEME = gr.themes.Soft(
    primary_hue="indigo", neutral_hue="slate", font=SANS, font_mono=MONO, radius_size="lg"
)
HEAD = (
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<script>{read_asset('common.js')}</script>"
)


def build_page(service: Service) -> gr.Blocks:
    """All tabs."""
    keep_seconds = int(3600 * service.store.limits.keep_hours)
    with gr.Blocks(
        title="motion-transfer", fill_width=True, delete_cache=(600, keep_seconds)
    ) as page:
        gr.Markdown("# motion-transfer\nA photographed person does the dance of a video.")
        with gr.Tabs():
            with gr.Tab("Animate", id="animate"):
                AnimateTab(service)
            with gr.Tab("Tracks", id="tracks"):
                TracksTab(service)
            with gr.Tab("Batch", id="batch-tab"):
                BatchTab(service)
            with gr.Tab("Live", id="live-tab"):
                LiveTab(service)
        add_endpoints(service)
    return page
