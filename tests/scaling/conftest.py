"""Workers that a test leaves at work end with it."""

from tests.engine_live.conftest import nobody_left_behind

__all__ = ["nobody_left_behind"]
