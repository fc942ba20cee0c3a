"""Learning the generator: data as batches, losses, discriminators, the loop."""
