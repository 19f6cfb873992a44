"""What is told twice, for PostgreSQL and for MariaDB, differs in what it must and in nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

HOME = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("of_postgresql", "of_mariadb"),
    [
        ("examples/demo/demo.yaml", "examples/demo/demo_mariadb.yaml"),
        ("deploy/rules.yaml", "deploy/rules-mariadb.yaml"),
    ],
)
def test_the_rules_for_a_crm_on_mariadb_differ_in_the_adapter_only(of_postgresql: str, of_mariadb: str) -> None:
    one, other = (yaml.safe_load((HOME / path).read_text(encoding="utf-8")) for path in (of_postgresql, of_mariadb))

    assert one["systems"]["crm"].pop("adapter") == "postgresql"
    assert other["systems"]["crm"].pop("adapter") == "mariadb"
    assert one == other


def test_both_compositions_run_duolog_and_the_erp_in_the_same_way() -> None:
    one, other = (
        yaml.safe_load((HOME / path).read_text(encoding="utf-8"))
        for path in ("docker-compose.yml", "docker-compose.mariadb.yml")
    )

    assert other["services"]["erp"] == one["services"]["erp"]
    mounted = [v.partition(":")[0] for service in other["services"].values() for v in service.get("volumes", [])]
    assert all((HOME / path).exists() for path in mounted if path.startswith("./"))
    for composition in (one, other):
        common = composition["x-duolog"]
        assert common["environment"].pop("CRM_URL").startswith("postgresql:" if composition is one else "mariadb:")
        assert common["volumes"].pop(0).startswith("./deploy/rules")
    for service in ("setup", "duolog"):
        assert other["services"][service] == one["services"][service]


def test_the_rules_for_an_erp_that_debezium_reads_differ_in_that_only() -> None:
    one, other = (
        yaml.safe_load((HOME / path).read_text(encoding="utf-8"))
        for path in ("deploy/rules.yaml", "deploy/rules-kafka.yaml")
    )

    erp = other["systems"]["erp"]
    assert (erp.pop("kafka"), erp.pop("topics")) == ("${KAFKA_URL}", "erp")
    assert (one["systems"]["erp"].pop("adapter"), erp.pop("adapter")) == ("postgresql", "debezium")
    assert (one.pop("name"), other.pop("name")) == ("compose", "compose_kafka")
    assert one == other


def test_both_connectors_say_the_same_but_for_whom() -> None:
    one, other = (
        json.loads((HOME / path).read_text(encoding="utf-8"))
        for path in ("examples/18_connector.json", "deploy/connector.json")
    )

    differs = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert differs == {"database.hostname", "database.user", "table.include.list"}


def test_the_profile_kafka_leaves_the_rest_of_the_composition_alone() -> None:
    services = yaml.safe_load((HOME / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    profile = {name for name, service in services.items() if service.get("profiles") == ["kafka"]}

    assert profile == {"kafka", "connect", "connector", "setup-kafka", "duolog-kafka"}
    needed = {name: set(service.get("depends_on", {})) for name, service in services.items()}
    assert all(not needed[name] & profile for name in services.keys() - profile)
    assert needed["connector"] == {"erp", "connect"} and "connector" in needed["setup-kafka"]
    for name in ("setup", "duolog"):
        one, other = services[name], services[f"{name}-kafka"]
        same = set(one) - {"environment", "volumes", "depends_on"}
        assert {key: one[key] for key in same} == {key: other[key] for key in same}
    mounted = [v.partition(":")[0] for name in profile for v in services[name].get("volumes", [])]
    assert all((HOME / path).exists() for path in mounted if path.startswith("./"))


def test_the_profile_sqlserver_has_servers_of_its_own_and_the_rules_of_the_example() -> None:
    services = yaml.safe_load((HOME / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    profile = {name for name, service in services.items() if service.get("profiles") == ["sqlserver"]}

    assert profile == {"sqlserver", "sqlserver-tables", "crm-sqlserver", "setup-sqlserver", "duolog-sqlserver"}
    for name, service in services.items():
        assert (set(service.get("depends_on", {})) <= profile) == (name in profile or not service.get("depends_on"))
    mounted = [v.partition(":")[0] for name in profile for v in services[name].get("volumes", [])]
    assert all((HOME / path).exists() for path in mounted if path.startswith("./"))
    one, other = (
        yaml.safe_load((HOME / path).read_text(encoding="utf-8"))
        for path in ("examples/22_erp_on_sqlserver.yaml", "deploy/rules-sqlserver.yaml")
    )
    assert (other.pop("name"), other.pop("store")) == ("compose_sqlserver", "sqlite:////var/lib/duolog/store.db")
    for system in ("erp", "crm"):
        assert (other["systems"][system].pop("url"), other["systems"][system].pop("insecure")) == (
            f"${{{system.upper()}_URL}}", True,
        )  # fmt: skip
        del one["systems"][system]["url"]
    assert one == other
