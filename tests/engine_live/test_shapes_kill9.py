"""The engine is killed at every named point while both sides enter customers with parts and orders with lines, under
keys that each side makes itself: no customer twice, none by halves, no order without its lines, and equal in the end.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from random import Random

import pytest

from service.embedded import EmbeddedServer
from service.failpoints import DAY_ONE, OF_A_FEED, POINTS
from tests.engine_live.sellers import ORDERS, RULES, TABLES, WHOLE, Sellers, read, wrong
from tests.engine_live.shapes import Shape
from tests.engine_live.world import eventually, pause

PASSINGS = (1, 9)


class Shop:
    """One pair of databases for all tests of this file, and everything that was ever promised in it."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.entered: set[str] = set()
        self.cancelled: set[str] = set()
        self.sellers: list[Sellers] = []

    def open(self, shift: str) -> None:
        """Both sides begin to write."""
        self.sellers = [Sellers(system, address, shift) for system, address in self.shape.addresses.items()]
        for each in self.sellers:
            each.start()

    def close(self) -> None:
        """Both sides stop."""
        for each in self.sellers:
            each.stop()
            self.entered |= set(each.entered)
            self.cancelled |= set(each.cancelled)
        self.sellers = []


@pytest.fixture(scope="module")
def shared(
    erp_server: EmbeddedServer, crm_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """Each test leaves it equal and the engine stopped."""
    servers = {"erp": erp_server, "crm": crm_server}
    addresses = {system: server.create_database("sellers") for system, server in servers.items()}
    shape = Shape(tmp_path_factory.mktemp("sellers"), "sellers", addresses, RULES, TABLES)
    shape.start()
    shape.stop()
    yield Shop(shape)
    shape.close()
    for server in servers.values():
        server.drop_database("sellers")
        with server.connect() as connection:
            connection.execute("SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin")


@pytest.fixture
def shop(shared: Shop) -> Iterator[Shop]:
    """The shared one, with nobody at work afterwards."""
    yield shared
    shared.close()
    shared.shape.live.go_home()


@pytest.mark.parametrize("point", [point for point in POINTS if point not in DAY_ONE + OF_A_FEED])
def test_killed_at(point: str, shop: Shop) -> None:
    shop.open(point)
    for passing in PASSINGS:
        shop.shape.live.run(failpoint=f"{point}:{passing}")
        assert shop.shape.live.ended(60) == -signal.SIGKILL, shop.shape.live.log_tail()

    comes_back_and_agrees(shop)


def test_killed_at_random_moments(shop: Shop) -> None:
    chance = Random(33)
    shop.open("random")
    for _ in range(5):
        shop.shape.start()
        pause(chance.random() * 0.7)
        shop.shape.live.kill9()

    comes_back_and_agrees(shop)


def comes_back_and_agrees(shop: Shop) -> None:
    """By the same command and nobody's hands."""
    live, addresses = shop.shape.live, shop.shape.addresses
    shop.shape.start()
    pause(0.5)
    shop.close()

    def equal() -> bool:
        live.must_live()
        customers, orders = read(addresses, WHOLE), read(addresses, ORDERS)
        return customers["erp"] == customers["crm"] and orders["erp"] == orders["crm"]

    eventually(equal, 60, lambda: "\n".join([*wrong(addresses, shop.entered, shop.cancelled)[:20], live.log_tail()]))
    assert wrong(addresses, shop.entered, shop.cancelled) == []
    assert len(shop.entered) > 20
    shop.shape.agrees()
