"""Records of several tables, under keys of the systems' own, become the assemblies that the rules' words say."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.assembly import looked_at
from engine.conditions import All, Any, In, IsNull, Not
from engine.rulebook import Assembly, Join, Lookup, Order, Part, RuleBook, Table
from rules import Problem, compile_book
from rules.crossing import crossed_entities
from tests.rules.catalogs import catalog
from tests.rules.test_compile import CUSTOMER, HEAD, rules_of

CRM = "crm: {table: accounts, key: id}"


def entity(erp: str, fields: str, crm: str = CRM, more: str = "", name: str = "customer", identity: str = "[name]"
           ) -> str:  # fmt: skip
    """An entity with this binding, and fields one a line."""
    lines = "".join(f"      {line.strip()}\n" for line in fields.strip().split("\n"))
    return (
        f"  {name}:\n    identity: {identity}\n    conflict: last_writer\n    bind:\n      erp: {erp}\n      {crm}\n"
        f"    fields:\n{lines}{more}"
    )


def book_of(text: str, folder: Path, erp: dict[str, str] | None = None, crm: dict[str, str] | None = None
            ) -> tuple[RuleBook, list[Problem]]:  # fmt: skip
    """Compiled, with the catalogs that are given."""
    told = {"erp": erp, "crm": crm}
    catalogs = {system: catalog(system, tables) for system, tables in told.items() if tables is not None}
    return compile_book(rules_of(HEAD + text, folder), catalogs)


def assembly(book: RuleBook, name: str = "customer", system: str = "erp") -> Assembly:
    found = book.entities[name].bindings[system].assembly
    assert found is not None
    return found


def where(text: str, folder: Path, columns: str = "") -> object:
    """What `where` becomes, on a table whose column `id` is the key."""
    catalogs = {"public.party": f"id int key default, name text, {columns}"} if columns else None
    book, problems = book_of(entity(f'{{table: party, where: "{text}"}}', "name: name"), folder, catalogs)
    assert problems == []
    root = assembly(book).parts[0]
    return root.where, root.constants


def test_keys_of_the_systems_own_make_a_crossed_entity_of_one_table(tmp_path: Path) -> None:
    text = entity("{table: party, key: [company, no]}", "name: name\nno: {erp: no, crm: no}\nlate: {crm: x, erp: y}")

    book, problems = book_of(text, tmp_path)
    customer = book.entities["customer"]

    assert problems == []
    assert customer.crossed and customer.key == ()
    assert customer.identities == (((0, "exact"),),)
    assert customer.leave == {"erp": "ignore", "crm": "ignore"}
    assert [(f.name, f.number, f.register) for f in customer.fields] == [("name", 0, 1), ("no", 1, 2), ("late", 2, 3)]
    assert book.tables == {
        "erp": (Table("public", "party", ("company", "no", "name", "y"), (0, 1)),),
        "crm": (Table("public", "accounts", ("id", "name", "no", "x"), (0,)),),
    }
    erp = customer.bindings["erp"]
    assert (erp.table, erp.columns, erp.codecs) == (0, (0, 1, 2), {})
    assert erp.assembly == Assembly((Part("root", 0, ((0, 2), (1, 1), (2, 3))),), key_fields=(-1, 1))
    assert assembly(book, system="crm").key_fields == (-1,)
    assert book.bound["erp"] == (erp,)


def test_parts_are_joined_over_several_hops_in_an_order_of_their_own(tmp_path: Path) -> None:
    text = entity(
        """
        table: party
        where: "kind = 'org'"
        parts:
          address: {table: address, on: "link.address = id", remove: keep, on_create: {company: root.company}}
          vat:     {table: party_code, on: "party = root.id", where: "kind = 'vat'", first_by: [seq, id desc],
                    clear: delete}
          link:    {table: party_address, on: "root.id = party and type = 'invoice'", key: [party, address]}
          member:  {table: party_group, on: "party = root.id", where: "grp = 7"}
        member_when: member
        on_create: {code: "nextval('party_code_seq')", vat.made: "now() at time zone 'utc'", vat.note: null}"""
        .replace("vat.note: null", "vat.note: \"NULL\""),
        "name: name\nvat: {erp: vat.code, crm: vat_number}\ncity: {erp: address.city, crm: city}",
    )  # fmt: skip

    book, problems = book_of(text, tmp_path)

    assert problems == []
    assert book.tables["erp"] == (
        Table("public", "party", ("id", "name", "kind", "company"), (0,)),
        Table("public", "party_code", ("id", "code", "party", "kind", "seq"), (0,)),
        Table("public", "party_address", ("party", "address", "type"), (0, 1)),
        Table("public", "address", ("id", "city"), (0,)),
        Table("public", "party_group", ("id", "party", "grp"), (0,)),
    )
    root = Part(
        "root", 0, ((0, 1),), where=In(2, ("org",)), constants=((2, "org"),),
        create=(("code", "nextval('party_code_seq')"),),
    )  # fmt: skip
    vat = Part(
        "vat", 1, ((1, 1),), (Join(2, 0, 0),), In(3, ("vat",)), (Order(4, "text"), Order(0, "text", True)),
        ((3, "vat"),), (("made", "CURRENT_TIMESTAMP AT TIME ZONE 'utc'"), ("note", "NULL")), clear="delete",
    )  # fmt: skip
    by_key = (Order(0, "text"), Order(1, "text"))
    link = Part("link", 2, (), (Join(0, 0, 0),), In(2, ("invoice",)), by_key, ((2, "invoice"),))
    address = Part("address", 3, ((2, 1),), (Join(0, 2, 1),), links=(("company", 0, 3),), remove=False)
    member = Part("member", 4, (), (Join(1, 0, 0),), In(2, ("7",)), (Order(0, "text"),), ((2, "7"),))
    assert assembly(book) == Assembly(
        (root, vat, link, address, member), members=(4,), removal="membership", key_fields=(-1,)
    )


def test_two_tables_may_share_one_key(tmp_path: Path) -> None:
    text = entity(
        '{table: company, parts: {party: {table: party, on: "id = root.id"}}}', "name: {erp: party.name, crm: n}"
    )
    tables = {"public.company": "id int key", "public.party": "id int key default, name text not null"}

    book, problems = book_of(text, tmp_path, tables)

    assert problems == [], "one of the two makes the key for both"
    assert assembly(book).parts == (Part("root", 0), Part("party", 1, ((0, 1),), (Join(0, 0, 0),)))


def test_a_row_and_its_mirror_may_point_at_each_other(tmp_path: Path) -> None:
    text = entity(
        '{table: rel, parts: {back: {table: rel, on: "mirror = root.id and id = root.mirror and kind = true"}},'
        " on_create: {made_for: back.id}}",
        "name: {erp: name, crm: name}\ntitle: {erp: back.name, crm: title}",
    )

    book, problems = book_of(text, tmp_path)

    assert problems == []
    assert book.tables["erp"] == (Table("public", "rel", ("id", "name", "mirror", "kind"), (0,)),)
    assert assembly(book).parts == (
        Part("root", 0, ((0, 1),), links=(("made_for", 1, 0),)),
        Part("back", 0, ((1, 1),), (Join(2, 0, 0), Join(0, 0, 2)), In(3, ("t",)), constants=((3, "t"),)),
    )


@pytest.mark.parametrize(
    ("on", "words", "remove"),
    [
        ("party = root.id", "", True),
        ("party = root.id", ", remove: keep", False),
        ("id = root.id", "", True),
        ("id = root.address", "", False),
        ("id = root.address", ", remove: row", True),
        ("id = root.address", ", clear: delete", True),
        ("id = root.address and party = root.id", "", True),
        ("id = root.address and party = root.other", "", False),
    ],
)
def test_a_part_goes_with_the_record_if_it_belongs_to_that_alone(
    on: str, words: str, remove: bool, tmp_path: Path
) -> None:
    text = entity(f'{{table: party, parts: {{address: {{table: address, on: "{on}"{words}}}}}}}', "name: name")

    assert assembly(book_of(text, tmp_path)[0]).parts[1].remove is remove


def test_a_column_that_holds_the_key_of_a_code_table_is_told_by_its_natural_column(tmp_path: Path) -> None:
    fields = (
        "name: name"
        "\ncountry: {erp: {column: country_id, lookup: {table: country, by: iso, missing: insert}}, crm: land}"
        "\nhome: {erp: {column: home_id, lookup: {table: country, by: iso}}, crm: {column: home, map: {D: DE, F: FR}}}"
    )
    erp = {"public.party": "id int key default, name text, country_id int, home_id int",
           "public.country": "id int key default, iso char(2) unique"}  # fmt: skip
    crm = {"public.accounts": "id uuid key default, name text, land text, home char(1)"}

    book, problems = book_of(entity("{table: party}", fields), tmp_path, erp, crm)
    customer = book.entities["customer"]

    assert problems == [] or {p.severity for p in problems} == {"warning"}
    assert book.tables["erp"] == (
        Table("public", "party", ("id", "name", "country_id", "home_id"), (0,)),
        Table("public", "country", ("id", "iso"), (0,), whole=True),
    )
    assert assembly(book).parts == (Part("root", 0, ((0, 1), (1, 2), (2, 3))),)
    assert assembly(book).lookups == {1: Lookup(1, "insert"), 2: Lookup(1)}
    assert [f.family for f in customer.fields] == ["text", "text", "text"], "the natural column's, not the key's"
    assert customer.bindings["erp"].codecs[1].name == "char(2)"
    assert customer.bindings["crm"].codecs[2].decode("D") == "DE"


def test_a_reference_across_keys_has_no_form_of_its_own(tmp_path: Path) -> None:
    text = entity("{table: party, key: id}", "name: name") + (
        "  project:\n    identity: [no]\n    owner: erp\n    bind: {erp: {table: project}, crm: {table: project}}\n"
        "    fields:\n      no: no\n      firm: {erp: firm, crm: account, reference: customer}\n"
        "  plain:\n    identity: [no]\n    owner: erp\n    bind: {erp: {table: plain}, crm: {table: plain}}\n"
        "    fields: {no: no}\n"
    )
    erp = {"public.party": "id int key default, name text", "public.plain": "no int key",
           "public.project": "id int key default, no int, firm int"}  # fmt: skip
    crm = {"public.accounts": "id uuid key default, name text", "public.plain": "no int key",
           "public.project": "id uuid key default, no int, account uuid"}  # fmt: skip

    book, problems = book_of(text, tmp_path, erp, crm)
    project = book.entities["project"]

    assert problems == []
    assert project.crossed, "what refers to a crossed entity is crossed"
    assert (project.fields[1].family, project.fields[1].reference) == ("text", "customer")
    assert project.bindings["crm"].codecs == {}
    assert list(book.entities) == ["customer", "project", "plain"]
    assert [table.name for table in book.tables["erp"]] == ["party", "project", "plain"]
    assert not book.entities["plain"].crossed and book.entities["plain"].bindings["erp"].assembly is None


def test_crossed_entities_may_refer_to_each_other_where_one_can_wait(tmp_path: Path) -> None:
    def one(name: str, other: str) -> str:
        fields = f"no: no\n{other}: {{erp: {other}, crm: {other}, reference: {other}}}\nup: up"
        up = f"up: {{erp: up, crm: up, reference: {name}}}"
        return entity(f"{{table: {name}, key: id}}", fields.replace("up: up", up), f"crm: {{table: {name}}}",
                      name=name, identity="[no]")  # fmt: skip

    def tables(need_a: str, need_b: str) -> dict[str, str]:
        return {"public.a": f"id int key default, no int, up int, b int{need_b}",
                "public.b": f"id int key default, no int, up int, a int{need_a}"}  # fmt: skip

    text = one("a", "b") + one("b", "a")
    waits_b, waits_a = tables(" not null", ""), tables("", " not null")

    assert list(book_of(text, tmp_path)[0].entities) == ["a", "b"]
    assert list(book_of(text, tmp_path, waits_b, waits_b)[0].entities) == ["a", "b"]
    assert list(book_of(text, tmp_path, waits_a, waits_a)[0].entities) == ["b", "a"]
    assert book_of(text, tmp_path, waits_a, waits_a)[1] == []
    assert [p.code for p in book_of(text, tmp_path, waits_a, waits_b)[1]] == ["R320"]


def test_who_is_deactivated_is_set_and_read_by_columns(tmp_path: Path) -> None:
    text = entity(
        '{table: party, deactivate: {active: "false", state: gone}, reactivate: {state: live}}',
        "name: name",
        'crm: {table: accounts, deactivate: {archived: "true"}, remove: row}',
        more="    delete: {erp: deactivate, crm: propagate}\n",
    )
    erp = {"public.party": "id int key default, name text, active bool default, state char(5)"}

    book, problems = book_of(text, tmp_path, erp)

    assert problems == []
    assert assembly(book) == Assembly(
        (Part("root", 0, ((0, 1),)),), gone=((2, "f"), (3, "gone ")), back=((2, "t"), (3, "live ")), removal="columns",
        key_fields=(-1,),
    )  # fmt: skip
    crm = assembly(book, system="crm")
    assert (crm.gone, crm.back, crm.removal) == (((2, "t"),), ((2, "f"),), "row")
    assert book.entities["customer"].delete == {"erp": "deactivate", "crm": "propagate"}


def test_alternatives_of_an_identity_are_tried_in_turn_each_in_its_form(tmp_path: Path) -> None:
    def identities(identity: str) -> object:
        text = entity("{table: party, key: id}", "name: name\nvat: vat", identity=identity)
        return book_of(text, tmp_path)[0].entities["customer"].identities

    assert identities("[[{field: vat, same: compact}], [name, {field: vat, same: case}]]") == (
        ((1, "compact"),), ((0, "exact"), (1, "case"))
    )  # fmt: skip
    assert identities("[name, {field: vat, same: digits}]") == (((0, "exact"), (1, "digits")),)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("", "ignore"), ("    leave: delete\n", "propagate"), ("    leave: {erp: hold}\n", "hold")],
)
def test_what_leaving_means_is_said_by_system(said: str, meant: str, tmp_path: Path) -> None:
    book, _ = book_of(entity("{table: party, where: active}", "name: name", more=said), tmp_path)

    assert book.entities["customer"].leave["erp"] == meant


@pytest.mark.parametrize(
    ("text", "condition", "constants"),
    [
        ("kind = 'org'", In(2, ("org",)), ((2, "org"),)),
        ("'org' = kind and n = -07", All((In(2, ("org",)), In(3, ("-7",)))), ((2, "org"), (3, "-7"))),
        ("kind in ('a', 'b', 'a')", In(2, ("a", "b")), ()),
        ("kind <> 'a'", Not(In(2, ("a",))), ()),
        ("kind not in ('a')", Not(In(2, ("a",))), ()),
        ("kind is null", IsNull(2), ()),
        ("kind is not null and kind = 'a'", All((Not(IsNull(2)), In(2, ("a",)))), ((2, "a"),)),
        ("(active)", In(2, ("t",)), ((2, "t"),)),
        ("not active", In(2, ("f",)), ((2, "f"),)),
        ("active = false or kind = 'a' or kind = 'b'",
         Any((In(2, ("f",)), In(3, ("a",)), In(3, ("b",)))), ()),
        ("not (kind = 'a' and (n = 1 or active))",
         Not(All((In(2, ("a",)), Any((In(3, ("1",)), In(4, ("t",)))))))  , ()),
        ("c = 'A'", In(2, ("A  ",)), ((2, "A  "),)),
        ("u = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", In(2, ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",)),
         ((2, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),)),
        ("e = 'new'", In(2, ("new",)), ((2, "new"),)),
    ],
)  # fmt: skip
def test_a_condition_is_compared_by_what_its_columns_print(
    text: str, condition: object, constants: object, tmp_path: Path
) -> None:
    columns = "kind text, n int, active bool, c char(3), u uuid, e enum e(new, old)"

    assert where(text, tmp_path, columns) == (condition, constants)


def test_without_a_catalog_constants_are_taken_as_they_are_written(tmp_path: Path) -> None:
    assert where("active and n = 5 and not gone", tmp_path) == (
        All((In(2, ("t",)), In(3, ("5",)), In(4, ("f",)))), ((2, "t"), (3, "5"), (4, "f"))
    )  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    ["'x''y'", "-1.5", "TRUE", "NULL", "nextval('a.b')", "nextval(CAST('a' AS regclass))",
     "gen_random_uuid()", "CURRENT_TIMESTAMP", "CURRENT_DATE"],
)
def test_what_may_be_given_to_a_new_row_comes_back_as_it_was_said(sql: str, tmp_path: Path) -> None:
    book, _ = book_of(entity(f'{{table: party, on_create: {{x: "{sql}"}}}}', "name: name"), tmp_path)

    ((_, rendered),) = assembly(book).parts[0].create

    assert rendered.lower() == sql.lower()


def test_a_field_that_only_one_system_may_write_can_be_made_there_for_a_record_from_elsewhere(tmp_path: Path) -> None:
    fields = "name: name\ncode: {erp: code, crm: no, owner: erp}"

    book, _ = book_of(entity("{table: party, on_create: {code: \"nextval('codes')\"}}", fields), tmp_path)

    root = assembly(book).parts[0]
    assert (root.fields, root.create) == (((0, 1), (1, 2)), (("code", "nextval('codes')"),))


def test_null_as_an_empty_text_is_told_by_field(tmp_path: Path) -> None:
    fields = 'name: name\nnote: {erp: {column: note, empty: ""}, crm: note}'

    book, _ = book_of(entity("{table: party}", fields), tmp_path)

    assert assembly(book).empty == {1} and assembly(book, system="crm").empty == frozenset()


def test_two_entities_of_one_table_agree_on_its_columns(tmp_path: Path) -> None:
    text = entity("{table: party, where: \"kind = 'org'\"}", "name: name\nvat: vat")
    text += entity(
        "{table: party, where: \"kind = 'person'\"}", "name: name\nborn: {erp: born, crm: born}",
        "crm: {table: people}", name="person",
    )  # fmt: skip

    book, problems = book_of(text, tmp_path)

    assert problems == []
    assert book.tables["erp"] == (Table("public", "party", ("id", "name", "vat", "kind", "born"), (0,)),)
    assert [binding.table for binding in book.bound["erp"]] == [0, 0]
    assert assembly(book, "person").parts[0].fields == ((0, 1), (1, 4))


def test_an_entity_is_crossed_only_by_words_that_need_it(tmp_path: Path) -> None:
    def crossed(erp: str, fields: str = "name: name", identity: str = "[name]") -> bool:
        text = entity(erp, fields, "crm: {table: accounts}", identity=identity)
        return bool(crossed_entities(rules_of(HEAD + text, tmp_path).entities))

    assert crossed_entities(rules_of(HEAD + CUSTOMER, tmp_path).entities) == frozenset()
    assert not crossed_entities(
        rules_of(HEAD + CUSTOMER.replace("city: city", 'city: {erp: "a.b", crm: c}'), tmp_path).entities
    )
    assert crossed("{table: party, key: id}") and crossed("{table: party, where: active}")
    assert crossed('{table: party, deactivate: {a: "true"}}') and crossed('{table: party, on_create: {a: "1"}}')
    assert crossed("{table: party, remove: row}")
    assert crossed("{table: party}", "name: name\nb: b", "[[name], [b]]")
    assert crossed("{table: party}", "name: name", "[{field: name, same: case}]")
    assert crossed("{table: party}", 'name: name\nb: {erp: {column: b, empty: ""}, crm: b}')


def test_who_may_only_be_deleted_when_nobody_refers_to_it_has_an_id(tmp_path: Path) -> None:
    text = CUSTOMER.replace("conflict: last_writer", "conflict: last_writer\n    delete: {crm: restrict}", 1)
    assert "restrict" in text
    assert crossed_entities(rules_of(HEAD + text, tmp_path).entities)


def test_a_row_that_a_field_points_at_is_only_looked_at(tmp_path: Path) -> None:
    deal = '{table: opportunity, on: "id = root.deal", where: "stage = \'won\'"}'
    binding = f"{{table: line, parts: {{deal: {deal}}}, member_when: deal}}"
    text = entity(binding, "name: name\ndeal: {erp: deal, crm: deal}")
    erp = {
        "public.line": "id int key default, name text not null, deal int not null",
        "public.opportunity": "id int key default, stage text not null, no text not null",
    }

    book, problems = book_of(text, tmp_path, erp)

    found = assembly(book)
    assert problems == []
    assert looked_at(found, book.tables["erp"]) == {1}
    assert (found.members, found.removal, found.parts[1].remove) == ((1,), "row", False)
