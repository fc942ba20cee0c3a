"""From source and target pose to flow, visibility and RGBA."""
