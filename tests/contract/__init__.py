"""What every adapter promises, once: an adapter's tests are one call of `tests.contract.suite.contract`."""

import pytest

pytest.register_assert_rewrite(
    "tests.contract.source_promises",
    "tests.contract.snapshot_promises",
    "tests.contract.target_promises",
    "tests.contract.waiting_promises",
    "tests.contract.whole_promises",
)
