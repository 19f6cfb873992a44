"""The users of both applications: threads that write both databases for a while, and count what they did.

Each user does what users do: corrects a telephone number, moves a customer, enters an order, cancels one.
Half of the updates go to a few popular customers, so that both applications write the same rows at the same
time, mostly in different columns. One further user is the rival: he holds the same row open in both
databases, writes the same field differently in each, and commits both. Whatever stands between the two
systems cannot have carried the one to the other in between, because both rows were locked: every rivalry is a
conflict, on every machine.

Users know nothing of duolog. What a database refuses (a foreign key, a deadlock) is counted and forgotten.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any, Final

import psycopg
import pymysql

from service.demo import places
from service.demo.data import EPOCH, World, make_customer, make_order
from service.demo.sessions import Refused, Session, connect

users_per_system: Final = 3
popular_customers: Final = 150
rivalry_interval_s: Final = 0.5

Deed = Callable[["User"], int]
"""Something a user does in one transaction; how many rows it touched."""


@dataclass(slots=True)
class Diary:
    """What all users did, counted; safe for many threads."""

    deeds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(system, deed) → how often"""
    rivalries: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    """(entity, key, fields) of every deliberate conflict, in order"""
    held: list[tuple[str, str, str]] = field(default_factory=list)
    """(entity, key, field) of every conflict that the rules leave to a person"""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, system: str, deed: str) -> None:
        """One more of these."""
        with self._lock:
            self.deeds[system, deed] += 1

    def totals(self, system: str) -> dict[str, int]:
        """What the users of one system did so far."""
        with self._lock:
            return {deed: number for (of, deed), number in sorted(self.deeds.items()) if of == system}


class User:
    """One person at one application, with a session of his own."""

    def __init__(self, system: str, number: int, session: Session, world: World, seed: int) -> None:
        self.system = system
        self.session = session
        self.world = world
        # Not hash(): that differs from run to run.
        self.chance = Random(f"{seed} {system} {number}")
        self.popular = world.ordering()[:popular_customers]
        self.everyone = world.ordering()
        self.goods = list(world.products)
        # Everybody has his own share of the orders: none is cancelled twice.
        share = number + users_per_system * sorted(places.TABLES).index(system)
        self.orders = list(world.orders)[share :: users_per_system * len(places.TABLES)]
        self.numbers = count(1)
        self.sign = f"{system[0].upper()}{number}"
        self.mine: list[str] = []
        """Customers that this user entered and nobody has ordered for."""

    def customer(self) -> str:
        """A customer to work on: every second time a popular one."""
        return self.chance.choice(self.popular if self.chance.random() < 0.5 else self.everyone)

    def set(self, entity: str, key: str, **values: Any) -> int:
        """Updates one record."""
        return places.change(self.session, self.system, entity, key, values)


def call_back(user: User) -> int:
    """Corrects a telephone number."""
    return user.set("customer", user.customer(), phone=f"+49 171 {user.chance.randrange(10**6, 10**7)}")


def rename(user: User) -> int:
    """Corrects a name."""
    key = user.customer()
    name = user.world.customers[key][1]
    return user.set("customer", key, name=f"{name[:100]} ({user.chance.choice(('neu', 'Filiale', '新', '⭐'))})")


def mail(user: User) -> int:
    """Corrects an e-mail address."""
    key = user.customer()
    return user.set("customer", key, email=f"hello{user.chance.randrange(1000)}.{key}@example.org")


def move(user: User) -> int:
    """Moves a customer: the whole address."""
    away = make_customer(user.chance, "C000000")
    return user.set("customer", user.customer(), street=away[5], city=away[6], postcode=away[7], country=away[8])


def remark(user: User) -> int:
    """Writes a note, or takes it away."""
    return user.set("customer", user.customer(), notes=make_customer(user.chance, "C000000")[14])


def reward(user: User) -> int:
    """Gives or takes loyalty points: adds to what stands there."""
    return places.add(
        user.session, user.system, "customer", user.customer(), "loyalty_points", user.chance.randrange(-50, 200)
    )


def visit(user: User) -> int:
    """Notes the day of a visit."""
    day = EPOCH + timedelta(days=user.chance.randrange(300))
    return user.set("customer", user.customer(), last_contact=day)


def promote(user: User) -> int:
    """Sales: another stage."""
    return user.set("customer", user.customer(), stage=user.chance.choice(("prospect", "active", "dormant")))


def grant_credit(user: User) -> int:
    """Finance: another credit limit. Sales tries it too, and is overruled."""
    return user.set("customer", user.customer(), credit_limit=Decimal(user.chance.randrange(0, 200)) * 500)


def reprice(user: User) -> int:
    """A new price of an article; sales is overruled here too."""
    return user.set("product", user.chance.choice(user.goods), price=Decimal(user.chance.randrange(5, 90_000)) / 100)


def deliver(user: User) -> int:
    """The warehouse: an order goes on."""
    return user.set("order", user.chance.choice(user.orders), status=user.chance.choice(("confirmed", "shipped")))


def postpone(user: User) -> int:
    """A later day of delivery."""
    key = user.chance.choice(user.orders)
    day = user.world.orders[key][7] + timedelta(days=user.chance.randrange(2, 60))
    return user.set("order", key, promised=day, note=f"verschoben auf {day:%d.%m.}")


def enter_order(user: User) -> int:
    """A new order of a customer of old."""
    product = user.world.products[user.chance.choice(user.goods)]
    key = f"SO-{user.sign}-{next(user.numbers):05d}"
    record = make_order(user.chance, key, user.chance.choice(user.everyone), product)
    return places.insert(user.session, user.system, "order", record)


def cancel_order(user: User) -> int:
    """Deletes an order for good."""
    if len(user.orders) < 100:
        return 0
    return places.delete(user.session, user.system, "order", user.orders.pop())


def enter_customer(user: User) -> int:
    """A new customer."""
    key = f"N{user.sign}-{next(user.numbers):05d}"
    made = places.insert(user.session, user.system, "customer", make_customer(user.chance, key))
    user.mine.append(key)
    return made


def drop_customer(user: User) -> int:
    """Deletes a customer that this user entered; what sales deletes comes back, because the rules say so."""
    if not user.mine:
        return 0
    return places.delete(user.session, user.system, "customer", user.mine.pop(0))


HABITS: Final[Mapping[str, tuple[tuple[str, Deed, int], ...]]] = {
    "erp": (
        ("update", call_back, 8), ("update", rename, 5), ("update", mail, 6), ("update", move, 6),
        ("update", reward, 10), ("update", visit, 3), ("update", grant_credit, 10), ("update", reprice, 8),
        ("update", deliver, 14), ("update", postpone, 4), ("insert", enter_order, 12), ("insert", enter_customer, 4),
        ("delete", cancel_order, 3), ("delete", drop_customer, 2),
    ),
    "crm": (
        ("update", call_back, 12), ("update", rename, 5), ("update", mail, 10), ("update", move, 6),
        ("update", reward, 10), ("update", visit, 10), ("update", remark, 6), ("update", promote, 12),
        ("update", grant_credit, 1), ("update", reprice, 1), ("update", postpone, 6), ("insert", enter_order, 10),
        ("insert", enter_customer, 5), ("delete", cancel_order, 2), ("delete", drop_customer, 1),
    ),
}  # fmt: skip
"""By system: (kind, deed, how often in comparison)."""


class Traffic:
    """All users together; `start`, look at `diary` meanwhile, `stop`."""

    def __init__(self, addresses: Mapping[str, str], world: World, *, rate: float, seed: int) -> None:
        """`rate`: transactions a second in each system."""
        self.diary = Diary()
        self._addresses = addresses
        self._world = world
        self._pause_s = users_per_system / rate
        self._seed = seed
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def start(self) -> None:
        """Everybody begins to work."""
        for system in self._addresses:
            for number in range(users_per_system):
                self._begin(self._work, system, number)
        self._begin(self._quarrel)

    def stop(self) -> None:
        """Everybody goes home; returns when the last transaction has ended. Raises what a user died of."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _begin(self, work: Callable[..., None], *arguments: Any) -> None:
        def guarded() -> None:
            try:
                work(*arguments)
            except (Refused, psycopg.Error, pymysql.Error, LookupError, ValueError, TypeError) as error:
                self._failures.append(error)

        thread = threading.Thread(target=guarded, name="user", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self, system: str, number: int) -> None:
        """One user: a deed, a pause, a deed."""
        habits = HABITS[system]
        weights = [weight for _, _, weight in habits]
        with connect(self._addresses[system]) as session:
            user = User(system, number, session, self._world, self._seed)
            due = time.monotonic() + user.chance.random() * self._pause_s
            while not self._over.wait(max(0.0, due - time.monotonic())):
                kind, deed, _ = user.chance.choices(habits, weights)[0]
                try:
                    self.diary.note(system, kind if deed(user) else "gone")
                except Refused as refusal:
                    self.diary.note(system, str(refusal))
                due += self._pause_s

    def _quarrel(self) -> None:
        """The rival: first the one quarrel that only a person can end, then the others."""
        chance = Random(f"{self._seed} rival")
        people = self._world.ordering()[popular_customers : 2 * popular_customers]
        with (
            connect(self._addresses["erp"], autocommit=False) as erp,
            connect(self._addresses["crm"], autocommit=False) as crm,
        ):
            sessions = {"erp": erp, "crm": crm}
            rounds = 0
            while not self._over.wait(rivalry_interval_s):
                key = people[rounds % len(people)]
                both = quarrel_about_terms(self._world, key) if rounds == 0 else quarrel(chance)
                fields = tuple(both["erp"])
                for system, session in sessions.items():
                    places.change(session, system, "customer", key, both[system])
                    self.diary.note(system, "update")
                for session in sessions.values():
                    session.commit()
                if rounds == 0:
                    self.diary.held.append(("customer", key, fields[0]))
                else:
                    self.diary.rivalries.append(("customer", key, fields))
                rounds += 1


def quarrel(chance: Random) -> dict[str, dict[str, Any]]:
    """The same field or group with two values: one a system."""
    away, there = make_customer(chance, "C000000"), make_customer(chance, "C000000")
    match chance.randrange(3):
        case 0:
            return {"erp": {"phone": f"{away[3]} (ERP)"}, "crm": {"phone": f"{there[3]} (CRM)"}}
        case 1:
            return {"erp": {"email": f"erp.{away[2]}"}, "crm": {"email": f"crm.{there[2]}"}}
        case _:
            names = ("street", "city", "postcode", "country")
            return {
                "erp": dict(zip(names, away[5:9], strict=True)),
                "crm": dict(zip(names, there[5:9], strict=True)),
            }


def quarrel_about_terms(world: World, key: str) -> dict[str, dict[str, Any]]:
    """Terms of payment, both new and not the same: the rules hold that for a person."""
    others = [terms for terms in ("CASH", "N14", "N30", "N60") if terms != world.customers[key][11]]
    return {"erp": {"payment_terms": others[0]}, "crm": {"payment_terms": others[1]}}
