"""Bounded waits: for a state, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

WAIT_SECONDS_MAX = 60.0
LOOK_PAUSE_SECONDS = 0.05

Found = TypeVar("Found")


def until(what: str, look: Callable[[], Found | None]) -> Found:
    """Looks again and again until something is there; fails with the last thing seen when it takes too long."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {WAIT_SECONDS_MAX:.0f} s for {what}; last seen: {found!r}")
        time.sleep(LOOK_PAUSE_SECONDS)
