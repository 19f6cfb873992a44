"""Whatever stands in the words of a binding, with or without a catalog: problems with a place, never a fall."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import compile_book, load
from tests.rules.cases import ENVIRON
from tests.rules.catalogs import catalog
from tests.rules.test_compile import HEAD

COLUMNS = "id int key default, name text not null, party int, kind char(4), active bool, at date, iso text unique"
TABLES = {f"public.{table}": COLUMNS for table in ("party", "code", "country")}

names = st.sampled_from(["id", "name", "party", "kind", "active", "at", "iso", "nmae", "", "a.b", "-id", "id desc"])
parts = st.sampled_from(["root", "one", "two", "toe"])
constants = st.sampled_from(["'x'", "5", "-5", "true", "null", "1.5", "x'1f'", "$1", "now()", "'", "e'\\n'", "''"])
columns = names | st.builds("{}.{}".format, parts, names)
operators = st.sampled_from(["=", "<>", "<", "and", "or", "in", "is", "not in", "is not", "like", "::", ";", "--"])
expressions = st.recursive(
    columns | constants,
    lambda inner: st.builds("{} {} {}".format, inner, operators, inner)
    | st.builds("not {}".format, inner)
    | st.builds("({})".format, inner)
    | st.builds("{} in ({}, {})".format, inner, inner, inner)
    | st.builds("coalesce({})".format, inner),
    max_leaves=6,
)
joins = st.builds("{} = {}.{}".format, names, parts, names)
given_values = st.dictionaries(columns, expressions, max_size=2)


def some(**words: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    """A mapping with some of these words."""
    return st.fixed_dictionaries({}, optional=words)


part = st.builds(
    lambda on, rest: {"table": "code", "on": on, **rest},
    joins | st.builds("{} and {}".format, joins, expressions),
    some(where=expressions, first_by=st.lists(names, min_size=1, max_size=2, unique=True), on_create=given_values,
         clear=st.sampled_from(["keep", "delete", "unlink"]), remove=st.sampled_from(["row", "keep"]), key=names),
)  # fmt: skip
binding = some(
    key=names | st.lists(names, min_size=1, max_size=2, unique=True), where=expressions,
    parts=st.dictionaries(st.sampled_from(["one", "two"]), part, max_size=2),
    member_when=st.sampled_from(["one", "two", "three"]), on_create=given_values,
    deactivate=st.dictionaries(names, st.sampled_from(["true", "x", "'x'"]), max_size=2),
    reactivate=st.dictionaries(names, st.sampled_from(["false", "y"]), max_size=1),
    remove=st.sampled_from(["row", "membership", "columns"]),
)  # fmt: skip
lookup = st.builds(lambda by, rest: {"table": "country", "by": by, **rest}, names, some(key=names))
column = columns | st.builds(lambda name, rest: {"column": name, **rest}, columns, some(
    lookup=lookup, empty=st.just(""), map=st.just({"A": "x"}),
))  # fmt: skip
field = st.builds(lambda erp, crm, rest: {"erp": erp, "crm": crm, **rest}, column, column, some(
    reference=st.sampled_from(["thing", "other"]),
))  # fmt: skip


@given(binding, st.lists(field, min_size=1, max_size=3), st.sampled_from([["a"], [["a"], ["b"]], [["b", "a"]]]))
def test_no_words_of_a_binding_make_the_compiler_fall(
    tmp_path_factory: pytest.TempPathFactory, bound: dict[str, object], fields: list[object], identity: object
) -> None:
    thing = {
        "identity": identity, "conflict": "last_writer", "fields": dict(zip("abc", fields, strict=False)),
        "bind": {"erp": {"table": "party", **bound}, "crm": {"table": "party"}},
    }  # fmt: skip
    other = {"identity": ["a"], "owner": "erp", "bind": {"erp": {"table": "x"}, "crm": {"table": "x"}},
             "fields": {"a": "a", "up": {"erp": "up", "crm": "up", "reference": "thing"}}}  # fmt: skip
    path = tmp_path_factory.getbasetemp() / "words.yaml"
    path.write_text(HEAD + f"  thing: {json.dumps(thing)}\n  other: {json.dumps(other)}\n")

    loaded = load(path, ENVIRON)

    assert all(problem.place.line and str(problem) for problem in loaded.problems)
    if loaded.rules is not None:
        for catalogs in (None, {"erp": catalog("erp", {**TABLES, "public.x": "a text, up int, id int key"})}):
            book, problems = compile_book(loaded.rules, catalogs)
            assert all(str(problem) for problem in problems)
            if not any(problem.severity == "error" for problem in problems):
                for binding in book.bound["erp"]:
                    table = book.tables["erp"][binding.table]
                    assert len(set(table.columns)) == len(table.columns)
                    assert binding.assembly is None or binding.assembly.parts[0].table == binding.table
