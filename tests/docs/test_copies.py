"""What is told twice, for PostgreSQL and for MariaDB, differs in what it must and in nothing else."""

from __future__ import annotations

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
