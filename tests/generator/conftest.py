"""A few puppets as a batch, and small networks."""

from puppet_fixtures import batch, one_thread, small_networks

__all__ = ["batch", "one_thread", "small_networks"]
