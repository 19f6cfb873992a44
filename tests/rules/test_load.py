"""What the files of faulty rules cannot show: places, scalars, secrets, and that nothing ever makes the loader fall."""

from __future__ import annotations

import doctest
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rules
from rules import Secret, compile_book, load, located
from rules.problem import Place, Problem, visible
from rules.schema import schema
from rules.secrets import has_literal_password, masked, resolve
from tests.rules.cases import ENVIRON
from tests.rules.test_compile import CUSTOMER, HEAD

ROOT = Path(__file__).parents[2]


def tree(text: str) -> located.Tree:
    document, problems = located.read("x.yaml", text.encode())
    assert document is not None and problems == []
    return document.root


def test_scalars_are_words_until_the_syntax_says_otherwise() -> None:
    assert tree("[no, on, 012, 1e3, 12:30:45, 2026-11-21, 0x1F, true, 5, '', \"null\"]") == [
        "no", "on", "012", "1e3", "12:30:45", "2026-11-21", "0x1F", "true", "5", "", "null"
    ]  # fmt: skip
    assert tree("[null, ~, , a]".replace(", ,", ", ")) == [None, None, "a"]
    assert tree("a:\nb: |\n  x\n  y\n") == {"a": None, "b": "x\ny\n"}


def test_every_key_and_value_knows_its_line_and_column() -> None:
    document, _ = located.read("x.yaml", "a:\n  b: [c, {d: €uro}]\n".encode())
    assert document is not None

    place = document.place(("a", "b", 1, "d"))
    key = document.place(("a", "b"), key=True)

    assert (place.line, place.column, place.length, place.text) == (2, 14, 4, "  b: [c, {d: €uro}]")
    assert (key.line, key.column, key.length) == (2, 3, 1)
    inner, _ = located.read("x.yaml", b"a: 'it''s odd'\nb: \"x y\"\nc: x y\nd: \"a\\tb\"\ne: |\n  x y\n")
    assert inner is not None
    within = [inner.within((name,), offset, length) for name, offset, length in (("a", 2, 4), ("b", 2, 1), ("c", 2, 1))]
    assert [(p.line, p.column, p.length) for p in within] == [(1, 7, 5), (2, 7, 1), (3, 6, 1)]
    assert inner.within(("d",), 1, 1) == inner.place(("d",)) and inner.within(("e",), 2, 1) == inner.place(("e",))
    # What pydantic puts between, and the file does not have, is skipped.
    assert document.place(("a", "columns", "b", 0)) == document.place(("a", "b", 0))


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = HEAD + CUSTOMER.replace("owner: crm", "owner: xyz")
    text += CUSTOMER.replace("  customer:", "  client:").replace("[no]", "[number]")
    (tmp_path / "x.yaml").write_text(text)

    loaded = load(tmp_path / "x.yaml", {})

    assert [(p.code, p.place.line) for p in loaded.problems] == [
        ("R502", 3), ("R502", 4), ("R301", 13), ("R305", 19), ("R303", 21), ("R303", 21)
    ]  # fmt: skip


def test_an_entity_of_bad_shape_does_not_hide_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    text = HEAD + CUSTOMER.replace("identity: [no]", "identity: no") + (
        "  order:\n    identity: [id]\n    bind: {erp: {table: o}, crm: {table: o}}\n"
        "    fields: {id: id, customer: {erp: c, crm: c, reference: customer}}\n"
    )
    (tmp_path / "x.yaml").write_text(text)

    codes = [problem.code for problem in load(tmp_path / "x.yaml", ENVIRON).problems]

    assert codes == ["R204", "R309"], "and the reference to it is not called unknown"


def test_without_an_environment_addresses_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(HEAD + CUSTOMER)

    loaded = load(tmp_path / "x.yaml", None)

    assert loaded.problems == [] and loaded.rules is not None
    assert loaded.rules.systems["erp"].url is None and loaded.rules.store is None


def test_a_table_of_mariadb_is_in_the_database_of_the_address(tmp_path: Path) -> None:
    text = HEAD.replace("crm: {adapter: postgresql", "crm: {adapter: mariadb")
    text += CUSTOMER.replace("{schema: sales, table: account.1}", "{table: account}")
    (tmp_path / "x.yaml").write_text(text)

    def schema_in(environ: dict[str, str] | None) -> str:
        loaded = load(tmp_path / "x.yaml", environ)
        assert loaded.rules is not None, loaded.problems
        book, problems = compile_book(loaded.rules, None)
        assert problems == []
        assert (book.tables["erp"][0].schema, book.tables["crm"][0].name) == ("public", "account")
        return book.tables["crm"][0].schema

    assert schema_in({**ENVIRON, "CRM_URL": "mariadb://crm:hunter2@crm.example/c%20rm?ssl_ca=ca.pem"}) == "c rm"
    assert schema_in(None) == "…", "nobody can know"


@pytest.mark.parametrize(
    ("adapter", "url", "schema"),
    [
        ("sqlserver", "mssql://crm:hunter2@crm.example/crm?driver=FreeTDS", "dbo"),
        ("sqlserver", "sqlserver://crm:hunter2@CRM", "dbo"),
        ("sqlite", "sqlite:////var/lib/crm.sqlite", "main"),
        ("odbc", "odbc://crm:hunter2@crm.example:5432/crm?driver=PostgreSQL+Unicode", "public"),
        ("odbc", "odbc://crm:hunter2@crm.example/c%20rm?Driver=MariaDB+Unicode", "c rm"),
        ("odbc", "odbc://crm:hunter2@crm.example/crm?driver=/usr/lib/libmyodbc9w.so", "crm"),
        ("odbc", "odbc:///?odbc_connect=DRIVER%3D%7BMariaDB+Unicode%7D%3BDATABASE%3Dshop%3BSERVER%3Dx", "shop"),
        ("odbc", "odbc://crm:hunter2@crm.example/crm?driver=ODBC+Driver+18+for+SQL+Server", "dbo"),
    ],
)
def test_a_table_that_is_named_alone_is_in_the_default_schema_of_its_database(
    adapter: str, url: str, schema: str, tmp_path: Path
) -> None:
    text = HEAD.replace("crm: {adapter: postgresql", f"crm: {{adapter: {adapter}")
    text += CUSTOMER.replace("{schema: sales, table: account.1}", "{table: account}")
    (tmp_path / "x.yaml").write_text(text)

    loaded = load(tmp_path / "x.yaml", {**ENVIRON, "CRM_URL": url})

    assert loaded.rules is not None, loaded.problems
    book, _ = compile_book(loaded.rules, None)
    assert (book.tables["crm"][0].schema, book.tables["crm"][0].name) == (schema, "account")
    assert load(tmp_path / "x.yaml", None).problems == [], "nobody can know, and nothing is wrong with it"


def test_an_sqlite_file_of_a_system_stands_beside_the_rules(tmp_path: Path) -> None:
    text = HEAD.replace("crm: {adapter: postgresql", "crm: {adapter: sqlite")
    text += CUSTOMER.replace("{schema: sales, table: account.1}", "{table: account}")
    (tmp_path / "x.yaml").write_text(text)

    def url(said: str) -> str:
        loaded = load(tmp_path / "x.yaml", {**ENVIRON, "CRM_URL": said})
        assert loaded.rules is not None and loaded.rules.systems["crm"].url is not None, loaded.problems
        return loaded.rules.systems["crm"].url.reveal()

    assert url("sqlite:///crm.sqlite") == f"sqlite:///{tmp_path}/crm.sqlite"
    assert url("sqlite+pysqlite:///crm.sqlite") == f"sqlite+pysqlite:///{tmp_path}/crm.sqlite"
    assert url("sqlite:////var/lib/crm.sqlite") == "sqlite:////var/lib/crm.sqlite"


def test_no_secret_is_shown_by_anything_that_is_loaded(tmp_path: Path) -> None:
    secret = tmp_path / "crm.secret"
    secret.write_text("hunter2/@:%\n")
    secret.chmod(0o600)
    text = HEAD.replace("${CRM_URL}", "postgresql://crm:${file:crm.secret}@crm.example/crm") + CUSTOMER
    (tmp_path / "x.yaml").write_text(text)

    loaded = load(tmp_path / "x.yaml", ENVIRON)
    assert loaded.rules is not None, loaded.problems
    book, _ = compile_book(loaded.rules, None)

    url = loaded.rules.systems["crm"].url
    assert url is not None and url.reveal() == "postgresql://crm:hunter2%2F%40%3A%25@crm.example/crm"
    for shown in (repr(loaded), str(loaded.rules), f"{url}", repr(book), repr(loaded.rules.document)):
        assert "hunter2" not in shown


def test_a_secret_compares_but_does_not_print() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert str(Secret("hunter2")) == repr(Secret("hunter2")) == f"{Secret('hunter2')}" == "Secret('***')"


@pytest.mark.parametrize(
    "line",
    [
        'url: "postgresql://a:hunter2@h/d"', "url: postgresql://a:hunt er2 hunter2@h/d", "password: hunter2",
        "{password: hunter2, x: 1}", "DB_PASSWORD=hunter2", "url: postgresql://h/d?password=hunter2&x=1",
        "secret_token : hunter2", 'url: "app:hunter2@host/d"', 'url: "${ERP_PASSWORD:-hunter2}"',
        "{erp: {url: 'postgresql://a:hunter2@h/d'}, crm: {url: 'postgresql://b:hunter2@h/d'}}",
        'url: "postgresql://a:p@hunter2@h/d"', 'url: "postgresql://a:hunter2${X}@h/d"',
        "url: odbc:///?odbc_connect=DRIVER%3DX%3BPWD+%3D+hunter2", "url: odbc:///?odbc_connect=PWD%20%3D%20hunter2",
        "url: odbc:///?odbc_connect=DRIVER={X};PWD={a hunter2 b}", "url: odbc://u@h/d?driver=X&Pwd=%7Ba%20hunter2%7D",
    ],
)  # fmt: skip
def test_a_line_is_shown_without_its_secrets(line: str) -> None:
    shown, column, length = masked(line, 1, len(line))

    assert "hunter2" not in shown and "***" in shown
    assert column == 1 and length == len(shown)


@pytest.mark.parametrize("line", ['url: "${ERP_URL}"', "fields: {name: name}", 'url: "postgresql://a:${PW}@h/d"'])
def test_a_line_without_a_secret_is_shown_as_it_is(line: str) -> None:
    assert masked(line, 3, 2) == (line, 3, 2)


@pytest.mark.parametrize(
    ("url", "literal"),
    [
        ("postgresql://a:b@h/d", True), ("postgresql://a:@h/d", False), ("postgresql://a@h:5432/d", False),
        ("postgresql://a:${PW}@h/d", False), ("postgresql://a:x${PW}@h/d", True), ("postgresql://h/d?password=x", True),
        ("postgresql://h/d?password=${PW}", False), ("${URL}", False), ("host=h password=x", True), ("a:b@h/d", True),
        ("sqlite:///a:b@c.db", False), ("postgresql://h1:1,h2:2/d", False),
        ("odbc:///?odbc_connect=DRIVER%3DX%3BPWD+%3D+x", True), ("odbc:///?odbc_connect=UID%3Da%3B%50WD%20%3Dx", True),
        ("odbc:///?odbc_connect=DRIVER%3DX%0APWD%3Dx", True), ("odbc:///?odbc_connect=UID%3Da%3BPWD%3D${PW}", False),
        ("odbc://u@h/d?driver=X&pwd=${PW}", False), ("odbc://u@h/d?driver=X&Pwd={x}", True),
    ],
)  # fmt: skip
def test_a_password_in_an_address_is_recognised(url: str, literal: bool) -> None:
    assert has_literal_password(url) is literal


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("odbc://u@h/d?driver=X&Pwd=${PW}", "odbc://u@h/d?driver=X&Pwd=a%2Bb%26%25"),
        ("odbc:///?odbc_connect=UID%3Da%3BPWD%3D%7B${PW}%7D", "odbc:///?odbc_connect=UID%3Da%3BPWD%3D%7Ba%2Bb%26%25%7D"),
        ("postgresql://h/d?password=${PW}&x=${PW}", "postgresql://h/d?password=a%2Bb%26%25&x=a+b&%"),
        ("host=h password=${PW}", "host=h password=a+b&%"),
    ],
)
def test_a_password_behind_the_address_may_hold_any_character(template: str, made: str, tmp_path: Path) -> None:
    assert resolve(template, {"PW": "a+b&%"}, tmp_path) == (Secret(made), [])


def test_a_reference_is_quoted_only_where_the_login_stands(tmp_path: Path) -> None:
    environ = {"USER": "a/b", "PW": "p@:", "HOST": "db:5433", "WHOLE": "postgresql://x:p%40@h/d"}

    secret, refusals = resolve("postgresql://${USER}:${PW}@${HOST}/d", environ, tmp_path)
    whole, _ = resolve("${WHOLE}", environ, tmp_path)

    assert refusals == [] and secret == Secret("postgresql://a%2Fb:p%40%3A@db:5433/d")
    assert whole == Secret("postgresql://x:p%40@h/d")


@pytest.mark.skipif(os.name != "posix", reason="file modes")
@pytest.mark.parametrize(("mode", "code"), [(0o644, "R504"), (0o604, "R504"), (0o640, ""), (0o400, "")])
def test_a_secret_file_must_not_be_for_everybody(mode: int, code: str, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("x")
    (tmp_path / "s").chmod(mode)

    _, refusals = resolve("${file:s}", {}, tmp_path)

    assert [refusal.code for refusal in refusals] == ([code] if code else [])


@given(st.binary(max_size=200) | st.text("{}[]:,-&*!|>'\"# \n\tab~%@`?", max_size=120).map(str.encode))
def test_no_bytes_make_the_reader_fall(raw: bytes) -> None:
    document, problems = located.read("x.yaml", raw)

    assert document is not None or problems
    assert all(str(problem) for problem in problems)


KEYS = [
    "erp", "crm", "fields", "bind", "identity", "table", "column", "map", "owner", "conflict", "groups", "delete",
    "create", "order", "reference", "a", "no", "key", "where", "parts", "on", "first_by", "member_when", "deactivate",
    "reactivate", "remove", "on_create", "lookup", "by", "empty", "same", "field", "leave", "clear",
    "check", "checks", "derive", "join", "of", "with", "else", "within", "policy", "expression", "limits", "deletes",
    "one_way", "on_write", "that", "tests", "then", "agreed",
]  # fmt: skip


@given(
    st.recursive(
        st.none() | st.sampled_from(["erp", "crm", "x", "1", "true", "last_writer", "a = root.b", "a and", "a.b"]),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=12,
    )
)  # fmt: skip
def test_no_tree_makes_the_loader_fall(tmp_path_factory: pytest.TempPathFactory, entity: object) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(HEAD + "  thing: " + json.dumps(entity).replace('"', "") + "\n")

    loaded = load(path, ENVIRON)

    assert (loaded.rules is None) == bool(loaded.problems)
    if loaded.rules is not None:
        compile_book(loaded.rules, None)


def test_a_problem_is_also_told_to_programs() -> None:
    place = Place("x.yaml", 3, 5, 2, "a: bc")
    problem = Problem(code="R201", place=place, what="unknown key `bc`", allowed=("a",), also=(("here", place),))

    told = json.loads(json.dumps(problem.json()))

    assert (told["file"], told["line"], told["column"], told["code"]) == ("x.yaml", 3, 5, "R201")
    assert told["also"] == [{"what": "here", "file": "x.yaml", "line": 3, "column": 5}]


def test_the_caret_stands_under_what_it_means_also_behind_wide_characters() -> None:
    place = Place("x.yaml", 1, 6, 2, "客户: [名字]")

    told = str(Problem(code="R201", place=place, what="unknown")).split("\n")

    assert told[1:] == ["  1 | 客户: [名字]", "    | " + " " * 7 + "^^^^"]


def test_what_could_command_a_terminal_is_written_out() -> None:
    assert visible("a\x1b[31m\u202eb\tc") == "a\\x1b[31m\\u202eb\\tc"


def test_the_tour_runs() -> None:
    assert doctest.testmod(rules).failed == 0


def test_the_editors_schema_is_fresh() -> None:
    assert (ROOT / "rules" / "duolog.schema.json").read_text() == schema(), "python -m rules.schema > …"


def test_the_editors_schema_knows_the_short_forms() -> None:
    models = json.loads(schema())["$defs"]

    assert models["ColumnSyntax"]["anyOf"][0] == {"type": "string"}
    assert models["GroupSyntax"]["anyOf"][0]["type"] == "array"
    assert models["FieldSyntax"]["anyOf"][1]["additionalProperties"] == {"$ref": "#/$defs/ColumnSyntax"}
    short, long = models["ConflictSyntax"]["anyOf"]
    assert short["enum"] == long["properties"]["policy"]["enum"]
    assert {"$ref": "#/$defs/OwnerSyntax"} in models["EntitySyntax"]["properties"]["owner"]["anyOf"]
    assert {name for name, model in models.items() if _null_is_lawful(model)} == {"TestSyntax"}


def _null_is_lawful(node: object) -> bool:
    """If nothing may stand somewhere in it."""
    if isinstance(node, dict):
        return "null" in (node.get("type"), *_types(node)) or any(_null_is_lawful(inner) for inner in node.values())
    return isinstance(node, list) and any(_null_is_lawful(inner) for inner in node)


def _types(node: dict[str, object]) -> list[object]:
    return kinds if isinstance(kinds := node.get("type"), list) else []
