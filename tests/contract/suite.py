"""The whole contract as one call, for an adapter's tests to make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

import pytest

from tests.contract.ground import Ground
from tests.contract.snapshot_promises import SnapshotPromises
from tests.contract.source_promises import SourcePromises
from tests.contract.target_promises import TargetPromises
from tests.contract.waiting_promises import WaitingPromises
from tests.contract.whole_promises import WholePromises

ALL: Final = (TargetPromises, WaitingPromises, SourcePromises, SnapshotPromises, WholePromises)


def contract(make: Callable[[pytest.FixtureRequest], Ground], *promises: type) -> type:
    """A class of tests, to be given a name that begins with `Test`. `make` makes a ground for each of them, and may ask
    for fixtures by name; whatever it has opened is closed again by the ground's `close`. `promises`: some of `ALL`, if
    an adapter does not promise all."""

    class Promises(*(promises or ALL)):  # type: ignore[misc]
        @pytest.fixture
        def ground(self, request: pytest.FixtureRequest) -> Iterator[Ground]:
            with closing(make(request)) as made:
                yield made

    return Promises
