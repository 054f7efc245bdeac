"""The locks of the cache, for the kernel stage."""

from orchestrator.lock import locked as locked
