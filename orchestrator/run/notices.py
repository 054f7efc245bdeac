# SPDX-License-Identifier: GPL-2.0-or-later
"""The notices of a command that is many runs."""

from orchestrator.model.events import Event, Listener, Notice


def each_notice_once(listener: Listener) -> Listener:
    """What there is to say of this machine, each run would say again."""
    seen: set[str] = set()

    def heard(event: Event) -> None:
        if not isinstance(event, Notice) or event.text not in seen:
            listener(event)
        if isinstance(event, Notice):
            seen.add(event.text)

    return heard
