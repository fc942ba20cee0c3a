"""Photos, video and sound in and out, streamed."""
