"""A rule file becomes the rule book that its words say, with and without catalogs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import ValueRefused
from engine.rulebook import Entity, RuleBook
from rules import Problem, RuleFile, compile_book, load, printed
from tests.rules.cases import ENVIRON
from tests.rules.catalogs import catalog

HEAD = """\
duolog: 1
systems:
  erp: {adapter: postgresql, url: "${ERP_URL}"}
  crm: {adapter: postgresql, url: "${CRM_URL}"}
entities:
"""
CUSTOMER = """\
  customer:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: customer}, crm: {schema: sales, table: account.1}}
    fields:
      name: {erp: name, crm: label}
      no: {erp: no, crm: account_no}
      limit: {erp: credit_limit, crm: credit_limit, owner: crm}
      street: street
      city: city
      terms: {erp: terms, crm: terms, conflict: hold}
    groups: {address: {fields: [city, street], owner: erp}}
"""


def rules_of(text: str, folder: Path) -> RuleFile:
    path = folder / "rules.yaml"
    path.write_text(text)
    loaded = load(path, ENVIRON)
    assert loaded.rules is not None, printed(loaded.problems)
    return loaded.rules


def compiled(fields: str, erp: str, crm: str, folder: Path, options: str = "conflict: last_writer") -> tuple[
    RuleBook, list[Problem]
]:  # fmt: skip
    """One entity with an integer key `no`, and these fields and columns."""
    text = HEAD + (
        f"  thing:\n    identity: [no]\n    {options}\n"
        f"    bind: {{erp: {{table: t}}, crm: {{table: t}}}}\n    fields: {{no: no, {fields}}}\n"
    )
    catalogs = {
        "erp": catalog("erp", {"public.t": f"no int, {erp}"}),
        "crm": catalog("crm", {"public.t": f"no int, {crm}"}),
    }
    return compile_book(rules_of(text, folder), catalogs)


def codecs_of(entity: Entity, field: str) -> dict[str, str]:
    number = next(f.number for f in entity.fields if f.name == field)
    return {s: b.codecs[number].name for s, b in entity.bindings.items() if number in b.codecs}


def test_fields_registers_tables_and_bindings_are_numbered_as_the_engine_reads_them(tmp_path: Path) -> None:
    book, problems = compile_book(rules_of(HEAD + CUSTOMER, tmp_path), None)
    customer = book.entities["customer"]

    assert problems == []
    assert [(f.name, f.number, f.register) for f in customer.fields] == [
        ("name", 0, 1), ("no", 1, -1), ("limit", 2, 2), ("street", 3, 3), ("city", 4, 3), ("terms", 5, 4)
    ]  # fmt: skip
    assert customer.key == (1,)
    assert [(r.number, r.fields, r.owner, r.policy, r.order) for r in customer.registers] == [
        (0, (), None, "system_of_record", ("erp", "crm")),
        (1, (0,), None, "last_writer", ("erp", "crm")),
        (2, (2,), "crm", "system_of_record", ("crm", "erp")),
        (3, (3, 4), "erp", "system_of_record", ("erp", "crm")),
        (4, (5,), None, "hold", ("erp", "crm")),
    ]
    table = book.tables["crm"][0]
    assert (table.schema, table.name) == ("sales", "account.1")
    assert table.columns == ("label", "account_no", "credit_limit", "street", "city", "terms")
    assert table.key == (1,)
    assert book.bound["crm"][0] is customer.bindings["crm"]
    assert customer.bindings["crm"].columns == (0, 1, 2, 3, 4, 5)


def test_the_book_is_named_for_the_file_where_nothing_else_is_said(tmp_path: Path) -> None:
    path = tmp_path / "02_ERP-CRM links.yaml"
    path.write_text(HEAD + CUSTOMER)

    rules = load(path, ENVIRON).rules

    assert rules is not None and rules.name == "erp_crm_links"
    assert rules.store is not None and rules.store.reveal() == f"sqlite:///{tmp_path}/erp_crm_links.store.db"


@pytest.mark.parametrize(
    ("options", "create", "delete", "wins"),
    [
        ("conflict: hold", {"erp", "crm"}, {"erp": "propagate", "crm": "propagate"}, False),
        ("owner: erp", {"erp"}, {"erp": "propagate", "crm": "restore"}, False),
        ("owner: erp\n    create: [crm]", {"crm"}, {"erp": "restore", "crm": "propagate"}, False),
        ("owner: erp\n    delete: ignore", {"erp"}, {"erp": "ignore", "crm": "ignore"}, False),
        ("owner: erp\n    delete: {crm: hold}", {"erp"}, {"erp": "propagate", "crm": "hold"}, False),
        ("owner: erp\n    on_delete_conflict: delete", {"erp"}, {"erp": "propagate", "crm": "restore"}, True),
    ],
)
def test_who_makes_and_who_deletes_follows_the_words_and_their_defaults(
    options: str, create: set[str], delete: dict[str, str], wins: bool, tmp_path: Path
) -> None:
    book, _ = compiled("a: a", "a text", "a text", tmp_path, options)
    thing = book.entities["thing"]

    assert (thing.create, dict(thing.delete), thing.delete_wins) == (create, delete, wins)


def test_a_fields_own_policy_sets_aside_the_owner_of_the_entity(tmp_path: Path) -> None:
    fields = "a: {erp: a, crm: a, conflict: max}, b: b"
    book, _ = compiled(fields, "a int, b int", "a int, b int", tmp_path, "owner: erp")

    assert [(r.owner, r.policy) for r in book.entities["thing"].registers[1:]] == [
        (None, "max"), ("erp", "system_of_record")
    ]  # fmt: skip


def test_parents_come_before_children_and_otherwise_the_file_decides(tmp_path: Path) -> None:
    text = HEAD
    for name, parent in (("line", "order"), ("note", None), ("order", "customer"), ("customer", "customer")):
        reference = f", up: {{erp: up, crm: up, reference: {parent}}}" if parent else ""
        text += (
            f"  {name}:\n    identity: [id]\n    owner: erp\n"
            f"    bind: {{erp: {{table: {name}}}, crm: {{table: {name}}}}}\n"
            f"    fields: {{id: id{reference}}}\n"
        )

    book, _ = compile_book(rules_of(text, tmp_path), None)

    assert list(book.entities) == ["note", "customer", "order", "line"]
    assert [table.name for table in book.tables["erp"]] == list(book.entities)
    for system in book.systems:
        assert [binding.table for binding in book.bound[system]] == [0, 1, 2, 3]


def test_one_type_everywhere_needs_no_codec(tmp_path: Path) -> None:
    columns = "n numeric(9,2), c char(3), at timestamp(0), j jsonb, a int[], x real, f xml"

    book, problems = compiled("n: n, c: c, at: at, j: j, a: a, x: x, f: f", columns, columns, tmp_path)

    assert problems == []
    assert not any(binding.codecs for binding in book.entities["thing"].bindings.values())
    assert [f.family for f in book.entities["thing"].fields] == [
        "integer", "numeric", "text", "timestamp", "json", "array", "float", "other"
    ]  # fmt: skip


def test_different_types_of_one_family_meet_in_one_canonical_form(tmp_path: Path) -> None:
    erp = "n numeric(9,2), c char(3), at timestamptz(3), x real, u uuid, e enum e(a, b), k int"
    crm = "n numeric, c text, at timestamptz, x float8, u varchar(36), e varchar(9), k numeric(12,0)"

    book, _ = compiled("n: n, c: c, at: at, x: x, u: u, e: e, k: k", erp, crm, tmp_path)
    thing = book.entities["thing"]

    assert {f.name: f.family for f in thing.fields} == {
        "no": "integer", "n": "numeric", "c": "text", "at": "timestamptz", "x": "float", "u": "uuid", "e": "text",
        "k": "numeric",
    }  # fmt: skip
    assert codecs_of(thing, "n") == {"erp": "numeric to 2 digits", "crm": "numeric"}
    assert codecs_of(thing, "c") == {"erp": "char(3)"}
    assert codecs_of(thing, "at") == {"erp": "timestamptz to 3 digits"}
    assert codecs_of(thing, "x") == {"erp": "float in real"}
    assert codecs_of(thing, "u") == {"crm": "uuid in text"}
    assert codecs_of(thing, "e") == {}
    assert codecs_of(thing, "k") == {"erp": "numeric in integer", "crm": "numeric to 0 digits"}


def test_a_map_speaks_the_words_of_booleans(tmp_path: Path) -> None:
    fields = "flag: {erp: flag, crm: {column: flag, map: {Y: true, N: false}}}"

    book, problems = compiled(fields, "flag boolean", "flag char(1)", tmp_path)
    pair = book.entities["thing"].bindings["crm"].codecs[1]

    assert problems == []
    assert (pair.decode("Y"), pair.encode("f")) == ("t", "N")
    assert book.entities["thing"].fields[1].family == "boolean"


def test_a_mapped_boolean_is_read_as_the_column_prints_it(tmp_path: Path) -> None:
    fields = "flag: {erp: {column: flag, map: {true: open, false: shut}}, crm: flag}"

    book, problems = compiled(fields, "flag boolean", "flag text", tmp_path)
    pair = book.entities["thing"].bindings["erp"].codecs[1]

    assert problems == []
    assert (pair.decode("t"), pair.encode("shut")) == ("open", "f")
    with pytest.raises(ValueRefused, match="open, shut"):
        pair.encode("ajar")


def test_a_reference_has_the_canonical_form_of_the_key_it_refers_to(tmp_path: Path) -> None:
    text = HEAD + (
        "  parent:\n    identity: [id]\n    owner: erp\n    bind: {erp: {table: p}, crm: {table: p}}\n"
        "    fields: {id: id}\n"
        "  child:\n    identity: [id]\n    owner: erp\n    bind: {erp: {table: c}, crm: {table: c}}\n"
        "    fields: {id: id, up: {erp: up, crm: up, reference: parent}}\n"
    )
    erp = catalog("erp", {"public.p": "id char(5)", "public.c": "id int, up char(5)"})
    crm = catalog("crm", {"public.p": "id varchar(5)", "public.c": "id int, up char(5)"})

    book, _ = compile_book(rules_of(text, tmp_path), {"erp": erp, "crm": crm})

    assert codecs_of(book.entities["parent"], "id") == {"erp": "char(5)"}
    assert codecs_of(book.entities["child"], "up") == {"erp": "char(5)", "crm": "char(5)"}


def test_only_the_ways_that_a_value_can_go_are_warned_of(tmp_path: Path) -> None:
    erp, crm = "a varchar(9), b varchar(40)", "a varchar(40), b varchar(9)"

    _, problems = compiled("a: a, b: b", erp, crm, tmp_path, "owner: erp")

    assert [(p.code, p.severity) for p in problems] == [("R451", "warning")]
    assert "`b` from `erp` to `crm`" in problems[0].what


def test_without_catalogs_only_maps_become_codecs(tmp_path: Path) -> None:
    text = HEAD + CUSTOMER.replace("terms: {erp: terms,", "terms: {erp: {column: terms, map: {1: cash, 2: credit}},")

    book, problems = compile_book(rules_of(text, tmp_path), None)
    customer = book.entities["customer"]

    assert problems == []
    assert {field.family for field in customer.fields} == {"text"}
    assert codecs_of(customer, "terms") == {"erp": "map of terms"}
    assert customer.bindings["erp"].codecs[5].decode("1") == "cash"


def test_with_one_catalog_only_its_own_columns_are_judged(tmp_path: Path) -> None:
    rules = rules_of(HEAD + CUSTOMER, tmp_path)
    columns = "no int, name text, credit_limit numeric, street text, city text, term text"

    _, problems = compile_book(rules, {"erp": catalog("erp", {"public.customer": columns})})

    assert [(p.code, p.found or p.mend) for p in problems] == [("R402", "did you mean `term`?")]


@pytest.mark.parametrize("example", sorted(Path("examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_without_fault(example: Path) -> None:
    loaded = load(example, None)

    assert loaded.rules is not None and not loaded.warnings, printed(loaded.problems + loaded.warnings)
    assert compile_book(loaded.rules, None)[1] == []
