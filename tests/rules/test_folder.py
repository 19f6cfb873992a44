"""Rules in several files of one folder: as if they were one, but every problem knows its own file.

The messages about folders are in `diagnostics/R12*`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rules import compile_book, find_store, load, printed
from rules.trials import failures, run_tests
from tests.rules.cases import ENVIRON

SYSTEMS = """\
duolog: 1
name: split
systems:
  erp: {adapter: postgresql, url: "${ERP_URL}"}
  crm: {adapter: postgresql, url: "${CRM_URL}"}
"""
CUSTOMER = """\
duolog: 1
entities:
  customer:
    identity: [no]
    conflict: last_writer
    bind: {erp: {table: customer}, crm: {table: account}}
    fields:
      no: no
      name: name
"""
ORDER = """\
duolog: 1
entities:
  order:
    identity: [id]
    owner: erp
    bind: {erp: {table: orders}, crm: {table: deal}}
    fields:
      id: id
      customer: {erp: customer, crm: account, reference: customer}
      paid: {erp: paid, crm: {column: paid, map: {Y: yes, N: no}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files, whose names say another order than their references."""
    home = tmp_path / "02_ERP-CRM"
    home.mkdir()
    for name, text in (("a_orders", ORDER), ("b_systems", SYSTEMS), ("customers", CUSTOMER)):
        (home / f"{name}.yaml").write_text(text)
    return home


def test_the_files_of_a_folder_are_one(folder: Path) -> None:
    loaded = load(folder, ENVIRON)

    assert loaded.rules is not None, printed(loaded.problems)
    assert list(loaded.rules.entities) == ["order", "customer"] and loaded.rules.name == "split"
    one = folder.with_name("one.yaml")
    one.write_text(SYSTEMS + ORDER.removeprefix("duolog: 1\n") + CUSTOMER.removeprefix("duolog: 1\nentities:\n"))
    alone = load(one, ENVIRON)
    assert alone.rules is not None
    ours, theirs = compile_book(loaded.rules, None)[0], compile_book(alone.rules, None)[0]
    assert list(ours.entities) == list(theirs.entities) == ["customer", "order"], "parents first"
    assert ours.tables == theirs.tables and ours.entities["customer"].fields == theirs.entities["customer"].fields


def test_name_and_store_are_the_folders_where_no_file_says_them(folder: Path) -> None:
    (folder / "b_systems.yaml").write_text(SYSTEMS.replace("name: split\n", ""))

    loaded = load(folder, ENVIRON)

    assert loaded.rules is not None and loaded.rules.store is not None
    assert loaded.rules.name == "erp_crm"
    assert loaded.rules.store.reveal() == f"sqlite:///{folder}/erp_crm.store.db"
    assert loaded.rules.home == folder


def test_a_folder_is_the_same_by_whatever_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "b_systems.yaml").write_text(SYSTEMS.replace("name: split\n", ""))
    (folder / "inner").mkdir()
    names = []
    for place, path in ((folder, "."), (folder / "inner", ".."), (folder.parent, folder.name + "/")):
        monkeypatch.chdir(place)
        loaded = load(path, ENVIRON)
        assert loaded.rules is not None and loaded.rules.store is not None
        names.append((loaded.rules.name, loaded.rules.store.reveal()))

    assert len(set(names)) == 1


def test_secret_files_are_looked_for_in_the_folder(folder: Path) -> None:
    secret = folder / "crm.secret"
    secret.write_text("hunter2")
    secret.chmod(0o600)
    (folder / "b_systems.yaml").write_text(
        SYSTEMS.replace("${CRM_URL}", "postgresql://crm:${file:crm.secret}@crm.example/crm")
    )

    loaded = load(folder, ENVIRON)

    assert loaded.rules is not None, printed(loaded.problems)


def test_every_problem_names_its_own_file_line_and_column(folder: Path) -> None:
    (folder / "a_orders.yaml").write_text(ORDER.replace("owner: erp", "owner: erq"))
    (folder / "customers.yaml").write_text(CUSTOMER.replace("conflict: last", "conflict: lost"))
    (folder / "b_systems.yaml").write_text(SYSTEMS.replace("${CRM_URL}", "${NOT_THERE}"))

    told = [str(problem).splitlines()[0] for problem in load(folder, ENVIRON).problems]

    assert [line[: line.index("]") + 1].removeprefix(f"{folder}/") for line in told] == [
        "a_orders.yaml:5:12: error[R301]", "b_systems.yaml:5:35: error[R502]", "customers.yaml:5:15: error[R205]"
    ]  # fmt: skip


def test_what_the_tests_and_the_maps_say_is_placed_in_its_file_too(folder: Path) -> None:
    with (folder / "a_orders.yaml").open("a") as file:
        file.write("    tests:\n      - {agreed: {paid: yes}, erp: {paid: no}, then: {paid: yes}}\n")
    loaded = load(folder, ENVIRON)
    assert loaded.rules is not None, printed(loaded.problems)
    book, _ = compile_book(loaded.rules, None)

    (problem,) = failures(run_tests(loaded.rules.entities, loaded.rules.document, book, types_known=False))

    assert str(problem.place) == f"{folder}/a_orders.yaml:12:61" and problem.place.text.endswith("{paid: yes}}")


def test_a_file_that_cannot_be_read_is_told_alone(folder: Path) -> None:
    """What it would have said is missing everywhere else: nothing is told that only follows from that."""
    (folder / "customers.yaml").write_text("duolog: 1\nentities: [\n")

    assert [(Path(p.place.file).name, p.code) for p in load(folder, ENVIRON).problems] == [("customers.yaml", "R104")]


def test_files_of_another_format_and_files_without_a_mapping_are_told(folder: Path) -> None:
    (folder / "customers.yaml").write_text(CUSTOMER.replace("duolog: 1", "duolog: 2"))
    assert [p.code for p in load(folder, ENVIRON).problems] == ["R207"]

    (folder / "customers.yaml").write_text("- a\n")
    assert "R204" in [p.code for p in load(folder, ENVIRON).problems]


def test_only_yaml_files_of_the_folder_itself_are_rules(folder: Path) -> None:
    for name in (".#customers.yaml", "notes.txt", "customers.yaml~", "old/customers.yaml", "x.yml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("nonsense: [")
    (folder / "a_folder.yaml").mkdir()

    assert load(folder, ENVIRON).problems == []


@pytest.mark.parametrize(
    ("text", "name", "store"),
    [
        (SYSTEMS + "entities: nonsense", "split", "split.store.db"),
        (SYSTEMS.replace("split", "Wrong!") + 'store: "sqlite:///x.db"', "rules", "x.db"),
        ("duolog: [", "rules", "rules.store.db"),
        ("- a", "rules", "rules.store.db"),
    ],
)
def test_the_store_of_wrong_rules_is_found_by_what_can_be_read_of_them(
    text: str, name: str, store: str, tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(text)

    found = find_store(tmp_path / "rules.yaml", ENVIRON)

    assert found is not None and (found[0], found[1].reveal()) == (name, f"sqlite:///{tmp_path / store}")


def test_the_store_is_not_guessed_where_it_is_said_in_a_way_that_cannot_be_read(tmp_path: Path) -> None:
    for said in ("[a]", '"${NOT_THERE}"', '"mysql://h/d"'):
        (tmp_path / "rules.yaml").write_text(SYSTEMS + f"store: {said}\n")

        assert find_store(tmp_path / "rules.yaml", ENVIRON) is None
