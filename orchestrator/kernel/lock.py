"""The locks of the cache, for the kernel stage."""

from orchestrator.lock import locked, locked_at_once

__all__ = ("locked", "locked_or_none")

locked_or_none = locked_at_once
