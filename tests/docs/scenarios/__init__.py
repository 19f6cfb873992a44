"""What users do with each example, and what is to be seen then: rounds of SQL, both ways.

Each string is one transaction. Keys that a system makes are never asked for by value: rows are told by what they mean.
"""

from __future__ import annotations

from tests.docs.scenarios import (
    by_debezium,
    by_odbc,
    deciding,
    fed,
    held,
    on_mariadb,
    on_sqlite,
    own_keys,
    prices,
    seats,
    shared_keys,
    spellings,
    stock,
    values,
    workflow,
)
from tests.docs.scenarios.rounds import Round

SCENARIOS: dict[str, list[Round]] = {
    "01_one_table": shared_keys.ONE_TABLE,
    "02_owners_and_conflicts": shared_keys.OWNERS_AND_CONFLICTS,
    "03_references": shared_keys.REFERENCES,
    "04_generated_keys": own_keys.GENERATED_KEYS,
    "05_parts": own_keys.PARTS,
    "06_inheritance_and_links": own_keys.INHERITANCE_AND_LINKS,
    "07_orders": workflow.ORDERS,
    "08_owned_by_the_erp": workflow.OWNED_BY_THE_ERP,
    "09_three_systems": shared_keys.THREE_SYSTEMS,
    "10_decided_by_state": deciding.DECIDED_BY_STATE,
    "11_values": values.VALUES,
    "12_spellings": spellings.SPELLINGS,
    "13_prices": prices.PRICES,
    "14_stock": stock.STOCK,
    "15_held": held.HELD,
    "16_crm_on_mariadb": on_mariadb.CRM_ON_MARIADB,
    "17_synchronous": seats.SEATS,
    "18_erp_by_debezium": by_debezium.BY_DEBEZIUM,
    "19_feed": fed.FED,
    "20_shop_on_sqlite": on_sqlite.SHOP_ON_SQLITE,
    "21_erp_by_odbc": by_odbc.ERP_BY_ODBC,
}
"""By the name of the example."""
