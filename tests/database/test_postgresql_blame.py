"""A refused row is told by its field, its column and the limit; by its table, where that is all that can be known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from engine.vocabulary import RowResult
from tests.database.books import Bound, book, row, write
from tests.database.crossed import Code, Crossed, Rows, crossed_book
from tests.database.test_postgresql_target import batch, opened

ODD_SQL = """
CREATE DOMAIN plate AS varchar(8) CHECK (VALUE ~ '^[A-Z]');
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE "Odd one" (
    id varchar(4) PRIMARY KEY, short char(3), small smallint, day date, plate plate, mood mood, tags varchar(3)[],
    "äh name" varchar(5), number numeric(4,1), doc jsonb, free text, touched varchar(2)
);
CREATE UNIQUE INDEX "one day" ON "Odd one" (day, mood) WHERE small IS NOT NULL;
"""
COLUMNS = ("id", "short", "small", "day", "plate", "mood", "tags", "äh name", "number", "doc", "free")
ODD = Bound("odd", COLUMNS, ("id",), table="Odd one")
FIELDS = tuple(range(1, len(COLUMNS)))
FINE: dict[str, str | None] = {
    "short": "abc", "small": "1", "day": "2026-01-01", "plate": "AB", "mood": "ok", "tags": "{a}", "äh name": "ok",
    "number": "9.9", "doc": "{}", "free": "x",
}  # fmt: skip


@pytest.fixture
def user(erp_db: str) -> Iterator[psycopg.Connection[Any]]:
    """The application's own connection."""
    with psycopg.connect(erp_db, autocommit=True) as conn:
        conn.execute(ODD_SQL)
        yield conn


def odd(id: str, **changes: str | None) -> Any:
    values = FINE | changes
    return row(1, id, tuple(values[name] for name in COLUMNS[1:]))


CASES: list[tuple[dict[str, str | None], str]] = [
    (
        {"äh name": "geheim", "short": "geh"},
        "22001 string_data_right_truncation: `äh name` is longer than the 5 characters of `public.Odd one.äh name`",
    ),
    (
        {"äh name": "geheim", "short": "geheim", "plate": "GEHEIMNIS"},
        "22001 string_data_right_truncation: `short` is longer than the 3 characters of `public.Odd one.short`; "
        "`plate` is longer than the 8 characters of `public.Odd one.plate`; "
        "`äh name` is longer than the 5 characters of `public.Odd one.äh name`",
    ),
    ({"tags": "{geheim}"}, "22001 string_data_right_truncation: in `public.Odd one`"),
    ({"small": "99999"}, "22003 numeric_value_out_of_range: `small` does not fit `public.Odd one.small` (`smallint`)"),
    (
        {"number": "999.96", "small": "7"},
        "22003 numeric_value_out_of_range: `number` does not fit `public.Odd one.number` (`numeric(4,1)`)",
    ),
    (
        {"day": "2026-02-30"},
        "22008 datetime_field_overflow: `day` does not fit `public.Odd one.day` (`date`)",
    ),
    ({"mood": "geheim"}, "22P02 invalid_text_representation: `mood` is no value of `public.Odd one.mood` (`mood`)"),
    ({"doc": "{geheim"}, "22P02 invalid_text_representation: `doc` is no value of `public.Odd one.doc` (`jsonb`)"),
    ({"plate": "ab"}, "23514 check_violation: `plate` is no value of `public.Odd one.plate` (`plate`)"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), CASES, ids=[reason[:5] for _, reason in CASES])
def test_the_field_and_the_limit_are_told_and_never_the_value(
    erp_db: str, user: psycopg.Connection[Any], changes: dict[str, str | None], reason: str
) -> None:
    user.execute("""INSERT INTO "Odd one" (id) VALUES ('old')""")
    nothing = (None,) * len(FIELDS)

    with opened(erp_db, book(ODD)) as target:
        insert = write("insert", "odd", FIELDS, [odd("new", **changes), odd("good", day="2026-01-02")])
        update = write("update", "odd", FIELDS, [(2, "old", ("old",), odd("", **changes)[3], nothing)])
        outcome = target.apply(batch(2, insert, update))

    assert outcome.exceptions == [RowResult("odd", key, "failed", reason=reason) for key in ("new", "old")]
    left = user.execute("""SELECT id, short FROM "Odd one" ORDER BY id""").fetchall()
    assert left == [("good", "abc"), ("old", None)]


def test_blanks_at_the_end_and_a_key_and_a_unique_index_with_a_condition_are_told_rightly(
    erp_db: str, user: psycopg.Connection[Any]
) -> None:
    with opened(erp_db, book(ODD)) as target:
        rows = [odd("1", short="ab     "), odd("geheim", day=None), odd("2")]
        outcome = target.apply(batch(1, write("insert", "odd", FIELDS, rows)))

    assert [(result.key, result.kind, result.reason) for result in outcome.exceptions] == [
        ("1", "stored", ""),
        (
            "geheim", "failed",
            "22001 string_data_right_truncation: `id` is longer than the 4 characters of `public.Odd one.id`",
        ),
        ("2", "failed", "23505 unique_violation: constraint `one day` of `public.Odd one` about `day`, `mood`"),
    ]  # fmt: skip


def test_what_no_field_is_to_blame_for_is_told_by_its_table(erp_db: str, user: psycopg.Connection[Any]) -> None:
    rules = book(ODD)
    (table,) = rules.tables["erp"]
    touched = replace(rules, tables={"erp": (replace(table, written=(("touched", "'far too long'"),)),)})
    user.execute("""
        CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
        $$ DECLARE t varchar(3); BEGIN t := NEW.free; RETURN NEW; END $$;
        CREATE TRIGGER cut BEFORE INSERT ON "Odd one" FOR EACH ROW EXECUTE FUNCTION cut()
    """)

    with opened(erp_db, touched) as target:
        by_rule = target.apply(batch(1, write("insert", "odd", FIELDS, [odd("1")])))
    with opened(erp_db, rules) as target:
        by_trigger = target.apply(batch(2, write("insert", "odd", FIELDS, [odd("1", free="long")])))

    assert [result.reason for result in by_rule.exceptions] == [
        "22001 string_data_right_truncation: in `public.Odd one`"
    ]
    assert [result.reason for result in by_trigger.exceptions] == [
        "22001 string_data_right_truncation: raised in function `cut`"
    ]


FIRM = Crossed(
    "firm",
    {
        "root": Rows("firm", {"name": "label", "land": "land", "boss": "boss"}, {}),
        "mail": Rows("contact", {"mail": "value"}, {"firm": "root.id"}, {"kind": "mail"}),
        "fax": Rows("contact", {"fax": "value"}, {"firm": "root.id"}, {"kind": "fax"}),
    },
    lookups={"land": Code("land", "id", "iso")}, references={"boss": "firm"},
)  # fmt: skip
FIRM_SQL = """
CREATE TABLE land (id serial PRIMARY KEY, iso varchar(2) UNIQUE);
CREATE TABLE firm (
    id serial PRIMARY KEY, label varchar(6) NOT NULL, land int REFERENCES land, boss int REFERENCES firm
);
CREATE TABLE contact (
    id serial PRIMARY KEY, firm int REFERENCES firm, kind varchar(4) NOT NULL, value varchar(4) CHECK (value <> 'no'),
    must text
);
INSERT INTO land (iso) VALUES ('de');
"""
FIRMS: list[tuple[Sequence[str | None], str]] = [
    (("geheim!", "de", None, None), "22001 string_data_right_truncation: `name` is longer than the 6 characters of "
     "`public.firm.label`"),
    (("a", "de", "geheim", "x"), "22001 string_data_right_truncation: `mail` is longer than the 4 characters of "
     "`public.contact.value`"),
    (("a", "de", None, "no"), "23514 check_violation: constraint `contact_value_check` of `public.contact` about "
     "`fax`"),
    ((None, "de", None, None), "23502 not_null_violation: `name` is NULL, which `public.firm.label` may not be"),
    (("a", "geheim", None, None), "`land`: no such code in `public.land`"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "reason"), FIRMS, ids=[reason[:5] for _, reason in FIRMS])
def test_of_a_record_of_several_tables_the_field_is_told_too(
    erp_db: str, values: Sequence[str | None], reason: str
) -> None:
    with psycopg.connect(erp_db, autocommit=True) as user:
        user.execute(FIRM_SQL)
        with opened(erp_db, crossed_book(FIRM)) as target:
            fields = "name land mail fax"
            rows = [(1, "bad", "", values), (1, "good", "", ("b", "de", "m", "f"))]
            outcome = target.apply(batch(1, FIRM.write("insert", fields, *rows)))

    told = {result.key: (result.kind, result.reason) for result in outcome.exceptions}
    assert told == {"bad": ("failed", reason), "good": ("created", "")}


def test_a_column_that_nobody_fills_is_told_by_its_name(erp_db: str) -> None:
    with psycopg.connect(erp_db, autocommit=True) as user:
        user.execute(FIRM_SQL + "ALTER TABLE contact ALTER must SET NOT NULL")
        with opened(erp_db, crossed_book(FIRM)) as target:
            outcome = target.apply(batch(1, FIRM.write("insert", "name mail", (1, "a", "", ("a", "m")))))

    assert [result.reason for result in outcome.exceptions] == [
        "23502 not_null_violation: `public.contact.must` may not be NULL"
    ]
