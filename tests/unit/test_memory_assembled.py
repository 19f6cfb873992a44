"""Records of several tables in a database in memory: what each kind of write does to which rows, told row by row.

Two hand-built schemas: parties, whose parts lie in either direction, and shops, whose address is two tables away.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.memory import MemorySnapshot, MemorySystem, MemoryTarget
from engine.conditions import In
from engine.errors import EngineFault, SystemUnavailable
from engine.rulebook import (
    Assembly,
    Binding,
    Clearing,
    Entity,
    Field,
    Join,
    Lookup,
    Order,
    Part,
    Register,
    RuleBook,
    Table,
)
from engine.vocabulary import (
    DELETE,
    INSERT,
    MISSING_CODE,
    MISSING_PARENT,
    UNSET,
    UPDATE,
    Batch,
    KeyOf,
    Outcome,
    RowResult,
    Text,
    Write,
    WriteKind,
)

NAME, VAT, CITY, STREET, COUNTRY, PARENT = range(6)
"""The fields of a customer."""

PARTY, CODE, ADDRESS, GROUP, COUNTRIES = range(5)
PARTY_TABLES = (
    Table("public", "party", ("id", "name", "active", "address_id", "country_id", "parent_id"), (0,)),
    Table("public", "party_code", ("id", "party", "kind", "code", "seq"), (0,)),
    Table("public", "address", ("id", "city", "street"), (0,)),
    Table("public", "party_group", ("party", "grp"), (0, 1)),
    Table("public", "country", ("id", "iso"), (0,), whole=True),
)
PARTY_ASSEMBLY = Assembly(
    parts=(
        Part("root", PARTY, fields=((NAME, 1), (COUNTRY, 4), (PARENT, 5)), create=(("active", "true"),)),
        Part(
            "vat", CODE, fields=((VAT, 3),), joins=(Join(1, 0, 0),), where=In(2, ("vat",)),
            first_by=(Order(4, "integer"),), constants=((2, "vat"),), create=(("seq", "1"), ("not_read", "'x'")),
        ),
        Part("address", ADDRESS, fields=((CITY, 1), (STREET, 2)), joins=(Join(0, 0, 3),)),
        Part("member", GROUP, joins=(Join(0, 0, 0),), where=In(1, ("7",)), constants=((1, "7"),)),
    ),
    members=(3,),
    lookups={COUNTRY: Lookup(COUNTRIES)},
)  # fmt: skip


def book(tables: tuple[Table, ...], assembly: Assembly, fields: tuple[str, ...], reference: int | None) -> RuleBook:
    """One system with one entity, which may refer to itself."""
    entity = Entity(
        name="customer",
        fields=tuple(
            Field(name, n, n + 1, reference="customer" if n == reference else None) for n, name in enumerate(fields)
        ),
        key=(),
        registers=tuple(Register(n, (n - 1,) if n else (), None, "last_writer", ("erp",)) for n in range(len(fields))),
        bindings={},
        create=frozenset({"erp"}),
        delete={"erp": "propagate"},
        delete_wins=False,
    )
    binding = Binding("erp", "customer", assembly.parts[0].table, tuple(range(len(fields))), {}, assembly)
    entity = replace(entity, bindings={"erp": binding})
    return RuleBook("test", ("erp",), {"customer": entity}, {"erp": tables}, {"erp": (binding,)})


def parties(foreign_keys: bool = False, **changed: object) -> MemorySystem:
    """An empty system of parties; `changed`: what is otherwise in its assembly."""
    assembly = replace(PARTY_ASSEMBLY, **changed)  # type: ignore[arg-type]
    fields = ("name", "vat", "city", "street", "country", "parent")
    return MemorySystem("erp", book(PARTY_TABLES, assembly, fields, PARENT), foreign_keys=foreign_keys)


def cleared(clear: Clearing) -> tuple[Part, ...]:
    """The parts of a party, its address being cleared in this way."""
    parts = list(PARTY_ASSEMBLY.parts)
    parts[2] = replace(parts[2], clear=clear)
    return tuple(parts)


def apply(database: MemorySystem, *writes: Write) -> Outcome:
    """Carries out a batch."""
    number = len(database.ledger) + 1
    return MemoryTarget(database).apply(Batch("erp", number, list(writes), sum(len(w.rows) for w in writes), 0))


def insert(id: str, values: dict[int, object], key: tuple[str, ...] = (), step: int = 1) -> Write:
    """Our INSERT of a record."""
    return Write("insert", "customer", tuple(values), [(step, id, key, tuple(values.values()), ())])  # type: ignore[list-item]


def update(id: str, key: str, values: dict[int, object], held: dict[int, Text], step: int = 1) -> Write:
    """Our UPDATE of a record."""
    assert values.keys() == held.keys()
    row = (step, id, (key,), tuple(values.values()), tuple(held.values()))
    return Write("update", "customer", tuple(values), [row])  # type: ignore[list-item]


def delete(id: str, key: str, held: dict[int, Text], step: int = 1) -> Write:
    """Our DELETE of a record."""
    return Write("delete", "customer", tuple(held), [(step, id, (key,), (), tuple(held.values()))])


def merged(kind: WriteKind, *writes: Write) -> Write:
    """Several rows in one statement."""
    return Write(kind, writes[0].entity, writes[0].columns, [row for write in writes for row in write.rows])


def rows(database: MemorySystem, table: int) -> list[tuple[Text, ...]]:
    """The rows of a table, by key."""
    return [tuple(row) for _, row in sorted(database.stored[table].items())]


def whole() -> MemorySystem:
    """A party `1` with all its parts, made by a user: vat A with seq 2, address 2001, a member of group 7."""
    database = parties()
    changes = database.insert("country", {"id": "49", "iso": "DE"})
    changes += database.insert("address", {"city": "Ulm", "street": "Gasse"})
    changes += database.insert("party", {"name": "Anna", "address_id": "2001", "country_id": "49", "active": "t"})
    changes += database.insert("party_code", {"party": "1", "kind": "vat", "code": "A", "seq": "2"})
    changes += database.insert("party_group", {"party": "1", "grp": "7"})
    database.commit(changes, 5)
    return database


def only(outcome: Outcome) -> RowResult:
    """The one thing that a target has to tell."""
    (result,) = outcome.exceptions
    return result


# ---------------------------------------------------------------- users


def test_a_user_writes_tables_and_the_log_has_their_rows() -> None:
    database = whole()

    changes = database.update(PARTY, "1", {"id": "8", "name": "Eva"}) + database.delete("party_group", "1\x1f7")
    database.commit(changes, 6)

    assert [change[:2] for change in database.log[0].changes] == [
        (COUNTRIES, INSERT), (ADDRESS, INSERT), (PARTY, INSERT), (CODE, INSERT), (GROUP, INSERT),
    ]  # fmt: skip
    assert database.log[0].changes[3] == (CODE, INSERT, ("1001", "1", "vat", "A", "2"), None)
    assert database.log[1].changes == [
        (PARTY, UPDATE, ("8", "Eva", "t", "2001", "49", None), ("1", ..., ..., ..., ..., ...)),
        (GROUP, DELETE, None, ("1", "7")),
    ]


def test_a_drawn_key_is_one_that_no_row_has() -> None:
    database = parties()
    database.insert("party", {"id": "2", "name": "given"})

    drawn = [database.insert("party", {"name": "drawn"})[0][2] for _ in range(2)]

    assert [row[0] for row in drawn if row is not None] == ["1", "3"]


def test_a_snapshot_shows_the_rows_of_its_moment() -> None:
    database = whole()
    snapshot = MemorySnapshot(database)

    database.update("party", "1", {"name": "later"})

    assert list(snapshot.table(PARTY)) == [("1", "Anna", "t", "2001", "49", None)]
    assert snapshot.position == database.end


# ---------------------------------------------------------------- insert


def test_a_new_record_gets_keys_and_rows_in_either_direction() -> None:
    database = parties()
    database.insert("country", {"id": "49", "iso": "DE"})

    outcome = apply(database, insert("c1", {NAME: "Anna", VAT: "A", CITY: "Ulm", STREET: None, COUNTRY: "DE"}))

    assert only(outcome) == RowResult("customer", "c1", "created", {PARENT: None}, made="1")
    assert rows(database, PARTY) == [("1", "Anna", "t", "2001", "49", None)]
    assert rows(database, CODE) == [("1001", "1", "vat", "A", "1")]
    assert rows(database, ADDRESS) == [("2001", "Ulm", None)]
    assert rows(database, GROUP) == [("1", "7")]
    assert database.log[-1].own
    assert [change[:2] for change in database.log[-1].changes] == [
        (PARTY, INSERT), (CODE, INSERT), (ADDRESS, INSERT), (GROUP, INSERT),
    ]  # fmt: skip


def test_a_part_without_a_value_is_not_made_but_a_member_is() -> None:
    database = parties()

    outcome = apply(database, insert("c1", {NAME: "Anna", VAT: None, CITY: None, STREET: UNSET, PARENT: None}))

    assert only(outcome).made == "1"
    assert only(outcome).stored == {STREET: None, COUNTRY: None}, "what nobody has set is told"
    assert rows(database, PARTY) == [("1", "Anna", "t", None, None, None)]
    assert (rows(database, CODE), rows(database, ADDRESS)) == ([], [])
    assert rows(database, GROUP) == [("1", "7")]


def test_what_a_trigger_makes_of_a_value_is_told_as_stored() -> None:
    database = parties()
    database.trigger = lambda table, row: [v.upper() if v == "Ulm" else v for v in row]  # type: ignore[union-attr]

    outcome = apply(database, insert("c1", {f: "x" if f == NAME else None for f in range(6)} | {CITY: "Ulm"}))

    assert only(outcome).stored == {CITY: "ULM"}


def test_a_record_that_a_constraint_refuses_leaves_nothing() -> None:
    database = parties()
    database.constraint = lambda table, row: "no A" if table == "party_code" and row[3] == "A" else ""

    refused, made = apply(
        database, insert("c1", {NAME: "Anna", VAT: "A"}), insert("c2", {NAME: "Bert", VAT: "B"})
    ).exceptions

    assert refused == RowResult("customer", "c1", "failed", reason="constraint `no A`")
    assert made.kind == "created"
    assert [row[1] for row in rows(database, PARTY)] == ["Bert"]
    assert len(database.log[-1].changes) == 3


@pytest.mark.parametrize(
    ("expression", "text"), [("'it''s'", "it's"), ("12", "12"), ("-1.5", "-1.5"), ("TRUE", "t"), ("NULL", None)]
)
def test_a_new_row_gets_constants(expression: str, text: Text) -> None:
    parts = (replace(PARTY_ASSEMBLY.parts[0], create=(("active", expression),)), *PARTY_ASSEMBLY.parts[1:])
    database = parties(parts=parts)

    apply(database, insert("c1", {NAME: "Anna"}))

    assert rows(database, PARTY)[0][2] == text


def test_an_expression_that_is_no_constant_is_a_fault() -> None:
    parts = (replace(PARTY_ASSEMBLY.parts[0], create=(("active", "now()"),)), *PARTY_ASSEMBLY.parts[1:])

    with pytest.raises(EngineFault, match=r"now\(\)"):
        apply(parties(parts=parts), insert("c1", {NAME: "Anna"}))


# ---------------------------------------------------------------- several hops

SHOP, PLACE, PLACE_TEXT = range(3)
SHOP_ASSEMBLY = Assembly(
    parts=(
        Part("root", SHOP, fields=((0, 1),)),
        Part(
            "link", PLACE, joins=(Join(0, 0, 0),), where=In(2, ("main",)), constants=((2, "main"),),
            first_by=(Order(3, "integer", descending=True),),
        ),
        Part("place", PLACE_TEXT, fields=((1, 1),), joins=(Join(0, 1, 1),)),
    )
)  # fmt: skip


def shops() -> MemorySystem:
    """Shops, each with places (by a table between), the main one being the last by rank."""
    tables = (
        Table("public", "shop", ("id", "name"), (0,)),
        Table("public", "shop_place", ("shop", "place", "kind", "rank"), (0, 1)),
        Table("public", "place", ("id", "city"), (0,)),
    )
    return MemorySystem("erp", book(tables, SHOP_ASSEMBLY, ("name", "city"), None))


def test_a_part_two_tables_away_is_made_with_what_lies_between() -> None:
    database = shops()

    apply(database, insert("c1", {0: "Shop", 1: "Ulm"}), insert("c2", {0: "None", 1: None}))

    assert rows(database, SHOP) == [("1", "Shop"), ("2", "None")]
    assert rows(database, PLACE) == [("1", "2001", "main", None)]
    assert rows(database, PLACE_TEXT) == [("2001", "Ulm")]


def test_a_missing_part_two_tables_away_is_made_by_an_update() -> None:
    database = shops()
    database.insert(SHOP, {"name": "Shop"})
    database.insert(PLACE, {"shop": "1", "place": "5", "kind": "other"})
    database.insert(PLACE_TEXT, {"id": "5", "city": "Bonn"})

    outcome = apply(database, update("c1", "1", {1: "Ulm"}, {1: None}))

    assert outcome.exceptions == []
    assert rows(database, PLACE) == [("1", "2001", "main", None), ("1", "5", "other", None)]
    assert rows(database, PLACE_TEXT) == [("2001", "Ulm"), ("5", "Bonn")]


def test_a_row_between_that_leads_nowhere_is_led_to_the_new_one() -> None:
    database = shops()
    database.insert(SHOP, {"name": "Shop"})
    database.insert(PLACE, {"shop": "1", "place": "99", "kind": "main"})

    apply(database, update("c1", "1", {1: "Ulm"}, {1: None}))

    assert rows(database, PLACE) == [("1", "2001", "main", None)]
    assert rows(database, PLACE_TEXT) == [("2001", "Ulm")]


def test_of_several_rows_the_first_counts_with_null_last_and_numbers_as_numbers() -> None:
    database = shops()
    database.insert(SHOP, {"name": "Shop"})
    for place, rank in (("10", "9"), ("9", "10"), ("8", "10"), ("7", None)):
        database.insert(PLACE, {"shop": "1", "place": place, "kind": "main", "rank": rank})
        database.insert(PLACE_TEXT, {"id": place, "city": f"city {place}"})

    (answer,) = MemoryTarget(database).reread("customer", ["1"])

    assert answer.parts == (("1", "Shop"), ("1", "8", "main", "10"), ("8", "city 8"))
    assert apply(database, update("c1", "1", {1: "Ulm"}, {1: "city 8"})).exceptions == []
    assert ("8", "Ulm") in rows(database, PLACE_TEXT)


# ---------------------------------------------------------------- update


def test_an_update_is_guarded_across_all_parts_and_written_whole_or_not_at_all() -> None:
    database = whole()
    before = [rows(database, table) for table in range(5)]

    refused = apply(database, update("c1", "1", {NAME: "Eva", CITY: "Bonn"}, {NAME: "Anna", CITY: "Berlin"}))

    assert only(refused) == RowResult("customer", "c1", "unmatched")
    assert [rows(database, table) for table in range(5)] == before
    assert database.log[-1].changes == []

    written = apply(database, update("c1", "1", {NAME: "Eva", CITY: "Bonn"}, {NAME: "Anna", CITY: "Ulm"}))

    assert written.exceptions == []
    assert (rows(database, PARTY)[0][1], rows(database, ADDRESS)) == ("Eva", [("2001", "Bonn", "Gasse")])
    assert [change[:2] for change in database.log[-1].changes] == [(PARTY, UPDATE), (ADDRESS, UPDATE)]


def test_a_missing_row_holds_nulls_and_is_made_when_it_gets_a_value() -> None:
    database = parties(members=())
    database.insert("party", {"name": "Anna"})
    database.insert("party_code", {"party": "1", "kind": "other", "code": "A"})

    outcome = apply(
        database, update("c1", "1", {VAT: "B", CITY: "Ulm", STREET: None}, {VAT: None, CITY: None, STREET: None})
    )

    assert outcome.exceptions == []
    assert rows(database, CODE) == [("1001", "1", "other", "A", None), ("1002", "1", "vat", "B", "1")]
    assert rows(database, ADDRESS) == [("2001", "Ulm", None)]
    assert rows(database, PARTY) == [("1", "Anna", None, "2001", None, None)]


def test_a_missing_row_is_not_made_of_nulls() -> None:
    database = parties(members=())
    database.insert("party", {"name": "Anna"})

    apply(database, update("c1", "1", {CITY: None, NAME: "Eva"}, {CITY: None, NAME: "Anna"}))

    assert rows(database, ADDRESS) == []
    assert rows(database, PARTY)[0][3] is None


@pytest.mark.parametrize(
    ("clear", "pointer", "addresses"),
    [("keep", "2001", [("2001", None, None)]), ("delete", "2001", []), ("unlink", None, [("2001", None, None)])],
)
def test_a_part_without_any_value_is_cleared(
    clear: Clearing, pointer: Text, addresses: list[tuple[Text, ...]]
) -> None:
    database = parties(parts=cleared(clear), members=())
    database.insert("address", {"city": "Ulm", "street": "Gasse"})
    database.insert("party", {"name": "Anna", "address_id": "2001"})

    apply(database, update("c1", "1", {CITY: None}, {CITY: "Ulm"}))
    assert rows(database, ADDRESS) == [("2001", None, "Gasse")], "the street has a value yet"
    outcome = apply(database, update("c1", "1", {STREET: None}, {STREET: "Gasse"}))

    assert outcome.exceptions == []
    assert rows(database, ADDRESS) == addresses
    assert rows(database, PARTY)[0][3] == pointer


def test_a_root_row_that_is_no_record_matches_no_update_and_no_deletion() -> None:
    database = whole()
    database.delete("party_group", "1\x1f7")

    outcome = apply(
        database, update("c1", "1", {NAME: "Eva"}, {NAME: "Anna"}), delete("c1", "1", {NAME: "Anna"}),
        update("c2", "99", {NAME: "Eva"}, {NAME: "Anna"}),
    )  # fmt: skip

    assert [result.kind for result in outcome.exceptions] == ["unmatched"] * 3
    assert rows(database, PARTY)[0][1] == "Anna"


# ---------------------------------------------------------------- delete, and create again


def test_a_record_is_deleted_with_the_rows_of_its_parts() -> None:
    database = whole()
    database.insert("party_code", {"party": "1", "kind": "other", "code": "B"})

    outcome = apply(database, delete("c1", "1", {NAME: "Anna", VAT: "A", CITY: "Ulm", COUNTRY: "DE"}))

    assert outcome.exceptions == []
    assert [len(database.stored[table]) for table in range(5)] == [0, 1, 0, 0, 1]
    assert rows(database, CODE)[0][3] == "B", "a row that does not count stays"


def test_the_row_of_a_part_that_is_not_to_be_removed_stays() -> None:
    parts = list(PARTY_ASSEMBLY.parts)
    parts[2] = replace(parts[2], remove=False)
    database = parties(parts=tuple(parts))
    apply(database, insert("c1", {NAME: "Anna", CITY: "Ulm"}))

    apply(database, delete("c1", "1", {NAME: "Anna"}))

    assert rows(database, PARTY) == []
    assert rows(database, ADDRESS) == [("2001", "Ulm", None)]


def test_membership_alone_is_taken_away_and_given_back() -> None:
    database = parties(removal="membership")
    apply(database, insert("c1", {NAME: "Anna", VAT: "A"}))

    assert apply(database, delete("c1", "1", {NAME: "Anna", VAT: "A"})).exceptions == []
    assert (rows(database, GROUP), len(rows(database, PARTY))) == ([], 1)

    again = apply(database, insert("c1", {NAME: "Eva", VAT: None, CITY: "Ulm"}, key=("1",)))

    assert (only(again).kind, only(again).made) == ("created", "1")
    assert rows(database, GROUP) == [("1", "7")]
    assert rows(database, PARTY) == [("1", "Eva", "t", "2001", None, None)]
    assert [row[3] for row in rows(database, CODE)] == [None]


@pytest.mark.parametrize("key", ["1", "2"])
def test_a_record_that_is_there_or_whose_root_row_is_not_is_not_created_under_a_given_key(key: str) -> None:
    database = parties()
    apply(database, insert("c1", {NAME: "Anna"}))

    outcome = apply(database, insert("c1", {NAME: "Eva"}, key=(key,)))

    assert only(outcome).kind == "unmatched"
    assert [row[1] for row in rows(database, PARTY)] == ["Anna"]


def test_columns_say_that_a_record_is_gone_and_is_back() -> None:
    database = parties(removal="columns", gone=((2, "f"),), back=((2, "t"),), members=())
    apply(database, insert("c1", {NAME: "Anna"}))

    assert apply(database, delete("c1", "1", {NAME: "Anna"})).exceptions == []
    assert rows(database, PARTY)[0][2] == "f"
    assert only(apply(database, update("c1", "1", {NAME: "Eva"}, {NAME: "Anna"}))).kind == "unmatched"

    assert only(apply(database, insert("c1", {NAME: "Eva"}, key=("1",)))).kind == "created"
    assert rows(database, PARTY) == [("1", "Eva", "t", None, None, None)]


# ---------------------------------------------------------------- codes and empty texts


def test_a_code_is_looked_up_both_ways() -> None:
    database = whole()
    database.insert("country", {"id": "33", "iso": "FR"})

    outcome = apply(database, update("c1", "1", {COUNTRY: "FR"}, {COUNTRY: "DE"}))

    assert outcome.exceptions == []
    assert rows(database, PARTY)[0][4] == "33"


def test_a_held_code_that_means_something_else_or_nothing_does_not_match() -> None:
    database = whole()
    assert only(apply(database, update("c1", "1", {COUNTRY: None}, {COUNTRY: "FR"}))).kind == "unmatched"

    database.update("party", "1", {"country_id": "77"})

    assert only(apply(database, update("c1", "1", {COUNTRY: None}, {COUNTRY: "77"}))).kind == "unmatched"


def test_a_missing_code_fails_the_row_alone() -> None:
    database = whole()

    outcome = apply(database, update("c1", "1", {NAME: "Eva", COUNTRY: "XX"}, {NAME: "Anna", COUNTRY: "DE"}))

    assert only(outcome) == RowResult("customer", "c1", "failed", reason=f"`country`: {MISSING_CODE} `public.country`")
    assert rows(database, PARTY)[0][1] == "Anna"


def test_a_missing_code_is_added_where_the_rules_say_so() -> None:
    database = parties(lookups={COUNTRY: Lookup(COUNTRIES, missing="insert")})

    apply(database, insert("c1", {NAME: "Anna", COUNTRY: "DE"}), insert("c2", {NAME: "Bert", COUNTRY: "DE"}))

    assert rows(database, COUNTRIES) == [("4001", "DE")]
    assert [row[4] for row in rows(database, PARTY)] == ["4001", "4001"]
    assert database.log[-1].changes[0] == (COUNTRIES, INSERT, ("4001", "DE"), None)


def test_a_code_added_for_a_record_that_is_refused_is_not_added() -> None:
    database = parties(lookups={COUNTRY: Lookup(COUNTRIES, missing="insert")})
    database.constraint = lambda table, row: "no" if table == "party" else ""

    apply(database, insert("c1", {NAME: "Anna", COUNTRY: "DE"}))

    assert rows(database, COUNTRIES) == []
    assert database.log[-1].changes == []


def test_null_is_an_empty_text_where_the_rules_say_so() -> None:
    database = parties(empty=frozenset({NAME, CITY}), members=())

    apply(database, insert("c1", {NAME: None, CITY: None, STREET: "Gasse"}))
    assert (rows(database, PARTY)[0][1], rows(database, ADDRESS)[0][1]) == ("", "")

    assert apply(database, update("c1", "1", {NAME: "Anna"}, {NAME: None})).exceptions == []
    assert apply(database, update("c1", "1", {NAME: None}, {NAME: "Anna"})).exceptions == []
    assert rows(database, PARTY)[0][1] == ""


# ---------------------------------------------------------------- keys of records that the same batch makes


def test_records_of_a_batch_may_refer_to_each_other_in_a_circle() -> None:
    database = parties(foreign_keys=True)

    outcome = apply(
        database,
        merged(
            "insert",
            insert("c1", {NAME: "Anna", PARENT: KeyOf("customer", "c2")}),
            insert("c2", {NAME: "Bert", PARENT: KeyOf("customer", "c1")}),
            insert("c3", {NAME: "Cleo", PARENT: KeyOf("customer", "c3")}),
        ),
    )

    assert [(result.key, result.made) for result in outcome.exceptions] == [("c1", "1"), ("c2", "2"), ("c3", "3")]
    assert [(row[1], row[5]) for row in rows(database, PARTY)] == [("Anna", "2"), ("Bert", "1"), ("Cleo", "3")]


def test_an_update_may_refer_to_a_record_that_the_batch_makes() -> None:
    database = parties(members=())
    database.insert("party", {"name": "Anna"})

    apply(database, insert("c2", {NAME: "Bert"}), update("c1", "1", {PARENT: KeyOf("customer", "c2")}, {PARENT: None}))

    assert rows(database, PARTY)[0][5] == "2"


def test_whoever_refers_to_a_record_that_is_not_there_fails_and_so_do_those_that_refer_to_it() -> None:
    database = parties()
    database.constraint = lambda table, row: "no Cleo" if table == "party" and row[1] == "Cleo" else ""

    outcome = apply(
        database,
        merged(
            "insert",
            insert("c1", {NAME: "Anna", PARENT: KeyOf("customer", "c2")}),
            insert("c2", {NAME: "Bert", PARENT: KeyOf("customer", "c3")}),
            insert("c3", {NAME: "Cleo", PARENT: None}),
            insert("c4", {NAME: "Dora", PARENT: KeyOf("customer", "never heard of")}),
            insert("c5", {NAME: "Emil", PARENT: None}),
        ),
    )

    assert [(result.key, result.kind, result.reason) for result in outcome.exceptions] == [
        ("c1", "failed", MISSING_PARENT),
        ("c2", "failed", MISSING_PARENT),
        ("c3", "failed", "constraint `no Cleo`"),
        ("c4", "failed", MISSING_PARENT),
        ("c5", "created", ""),
    ]
    assert [row[1] for row in rows(database, PARTY)] == ["Emil"]
    assert len(rows(database, GROUP)) == 1


def test_a_foreign_key_is_looked_at_when_all_is_written() -> None:
    database = parties(foreign_keys=True, members=())
    for name, parent in (("Anna", None), ("Bert", "1"), ("Cleo", "2")):
        database.insert("party", {"name": name, "parent_id": parent})

    refused = apply(database, delete("c1", "1", {NAME: "Anna"}))
    written = apply(database, merged("delete", delete("c2", "2", {PARENT: "1"}), delete("c3", "3", {PARENT: "2"})))

    assert only(refused) == RowResult("customer", "c1", "failed", reason="constraint `foreign key`")
    assert written.exceptions == []
    assert [row[1] for row in rows(database, PARTY)] == ["Anna"]


def test_a_key_of_nobody_is_refused_by_a_foreign_key() -> None:
    database = parties(foreign_keys=True)

    outcome = apply(database, insert("c1", {NAME: "Anna", PARENT: "77"}), insert("c2", {NAME: "Bert", PARENT: None}))

    assert [(result.kind, result.reason) for result in outcome.exceptions] == [
        ("failed", "constraint `foreign key`"), ("created", ""),
    ]  # fmt: skip


# ---------------------------------------------------------------- keys that are fields


def coded() -> MemorySystem:
    """A system that keeps records under the field `name`, with a part."""
    tables = (Table("public", "item", ("code", "city"), (0,)), Table("public", "note", ("id", "item", "text"), (0,)))
    assembly = Assembly(
        parts=(Part("root", 0, fields=((0, 0), (1, 1))), Part("note", 1, fields=((2, 2),), joins=(Join(1, 0, 0),))),
        key_fields=(0,),
    )
    return MemorySystem("erp", book(tables, assembly, ("code", "city", "text"), None))


def test_a_key_that_is_a_field_is_not_drawn() -> None:
    database = coded()

    outcome = apply(database, insert("c1", {0: "x", 1: "Ulm", 2: "hello"}), insert("c2", {0: None, 1: "Bonn", 2: None}))

    assert [(result.kind, result.made, result.reason) for result in outcome.exceptions] == [
        ("created", "x", ""), ("failed", "", "constraint `not null`"),
    ]  # fmt: skip
    assert (rows(database, 0), rows(database, 1)) == ([("x", "Ulm")], [("1001", "x", "hello")])


def test_a_key_that_a_user_has_taken_is_left_to_him() -> None:
    database = coded()
    database.insert(0, {"code": "x", "city": "user's"})

    outcome = apply(database, insert("c1", {0: "x", 1: "Ulm"}))

    assert only(outcome).kind == "unmatched"
    assert rows(database, 0) == [("x", "user's")]


def test_a_changed_key_takes_the_parts_along() -> None:
    database = coded()
    apply(database, insert("c1", {0: "x", 1: "Ulm", 2: "hello"}), insert("c2", {0: "z"}))

    apply(database, update("c1", "x", {0: "y"}, {0: "x"}))
    taken = apply(database, update("c1", "y", {0: "z"}, {0: "y"}))

    assert rows(database, 0)[0] == ("y", "Ulm")
    assert rows(database, 1) == [("1001", "y", "hello")]
    assert only(taken).reason == "constraint `primary key`"


# ---------------------------------------------------------------- locks, lost connections, reading again


@pytest.mark.parametrize("locked", [("party", "1"), ("address", "2001"), ("party_group", "1\x1f7")])
def test_a_locked_row_of_any_part_defers_its_whole_step(locked: tuple[str, str]) -> None:
    database = whole()
    database.locked.add(locked)

    outcome = apply(
        database,
        insert("c2", {NAME: "Bert"}, step=1),
        insert("c3", {NAME: "Cleo", PARENT: KeyOf("customer", "c2")}, step=2),
        update("c1", "1", {NAME: "Eva"}, {NAME: "Anna"}, step=1),
    )

    assert [(result.key, result.kind) for result in outcome.exceptions] == [
        ("c2", "deferred"), ("c3", "failed"), ("c1", "deferred"),
    ]  # fmt: skip
    assert [row[1] for row in rows(database, PARTY)] == ["Anna"]


def test_a_lost_connection_leaves_nothing_of_the_batch() -> None:
    database = whole()
    target = MemoryTarget(database)
    before = [rows(database, table) for table in range(5)]

    def lost() -> None:
        raise SystemUnavailable("the connection broke", system="erp")

    target.between = lost
    with pytest.raises(SystemUnavailable):
        target.apply(Batch("erp", 1, [insert("c2", {NAME: "Bert", CITY: "Bonn", COUNTRY: "DE"})], 1, 0))

    assert [rows(database, table) for table in range(5)] == before
    assert target.committed(0) == []


def test_reading_again_gives_the_rows_that_count_unless_a_user_has_locked_one() -> None:
    database = whole()
    database.insert("party", {"name": "Bert"})
    target = MemoryTarget(database)

    first, second, third = target.reread("customer", ["1", "2", "99"])

    assert (first.key, first.row, first.position) == ("1", None, database.end)
    assert first.parts == (
        ("1", "Anna", "t", "2001", "49", None), ("1001", "1", "vat", "A", "2"), ("2001", "Ulm", "Gasse"), ("1", "7"),
    )  # fmt: skip
    assert second.parts == (("2", "Bert", None, None, None, None), None, None, None)
    assert third.parts is None
    database.locked.add(("party_code", "1001"))
    assert [answer.key for answer in target.reread("customer", ["1", "2"])] == ["2"]
