"""Where things live: systems, tables and their parts, columns and how they store what is meant."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, model_validator

from engine.rulebook import Clearing, Removal
from rules.syntax.words import Away, Digits, Factor, Names, Nonempty, Parting, PartName, Syntax, TimeZone, Truth


class TopicsSyntax(Syntax):
    """`erp`, or `{prefix: erp, tables: {public.customer: customers}, transactions: erp.transaction}`"""

    prefix: str = Field(description="Debezium's `topic.prefix`: its topics are called `prefix.schema.table`.")
    tables: dict[str, str] = Field(
        default_factory=dict, description="Of tables whose topics are called otherwise: `schema.table`: topic."
    )
    transactions: str | None = Field(
        default=None, description="The topic that tells the transactions; `prefix.transaction` unless said."
    )
    heartbeats: str | None = Field(
        default=None, description="The topic of heartbeats; `__debezium-heartbeat.prefix` unless said."
    )
    options: dict[str, str] = Field(
        default_factory=dict, description="The connector's options that its messages do not tell, by Debezium's names."
    )

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        return {"prefix": value} if isinstance(value, str) else value


class SystemSyntax(Syntax):
    """`erp: {adapter: postgresql, url: "${ERP_URL}"}`"""

    adapter: Literal["postgresql", "mariadb", "mysql", "sqlserver", "sqlite", "odbc", "debezium"] = Field(
        description="The kind of database; `odbc`: any that has triggers, by its ODBC driver; or `debezium`: another"
        " program reads its log, into Kafka."
    )
    url: str = Field(repr=False, description="Its address, with references for secrets: `${NAME}`, `${file:/path}`.")
    kafka: str | None = Field(
        default=None, repr=False, description="Where its changes come from: `kafka://user@host:9093`, with references."
    )
    capture: Literal["cdc", "tracking"] | None = Field(
        default=None,
        description="SQL Server only: by what its changes are told, change data capture (`cdc`, unless said) or change"
        " tracking.",
    )
    topics: TopicsSyntax | None = Field(default=None, description="Debezium's `topic.prefix`, or more of its topics.")
    registry: str | None = Field(
        default=None, repr=False, description="Where the schemas of Avro are: `https://user@host:8081`."
    )
    insecure: Truth = Field(default=False, description="Allow a connection without TLS to another machine.")
    time_zone: TimeZone | None = Field(
        default=None, description="In which zone its times without one are: `Asia/Shanghai`, `UTC`."
    )
    commit: Literal["asynchronous", "synchronous"] = Field(
        default="asynchronous", description="Whether its users wait at COMMIT until the other systems have it."
    )
    when_away: Away | None = Field(
        default=None,
        description="How long a commit waits that cannot be carried over: `open after 5s`, or `closed` (no end).",
    )
    when_refused: Literal["release", "wait"] | None = Field(
        default=None, description="What a commit does that another system refuses; `release` unless said."
    )
    _database: str = PrivateAttr(default="")

    @property
    def database(self) -> str:
        """The kind of database behind it: what the adapter is called, where that is not told by the address."""
        return self._database or self.adapter

    def of(self, database: str) -> SystemSyntax:
        """The same system, whose kind of database is known."""
        known = self.model_copy()
        known._database = database
        return known


class LookupSyntax(Syntax):
    """`{table: country, key: id, by: iso, missing: quarantine}`"""

    table: str = Field(description="The code table.")
    schema_: str | None = Field(default=None, alias="schema", description="The schema (database), for names with dots.")
    key: str | None = Field(default=None, description="Its key, which the field's column holds.")
    by: str = Field(description="Its natural column, by which a code means the same in all systems.")
    missing: Literal["quarantine", "insert"] = Field(
        default="quarantine", description="What becomes of a record whose code the table lacks."
    )


class PartSyntax(Syntax):
    """`vat: {table: party_code, on: "party = root.id", where: "kind = 'vat'", first_by: [seq, id], clear: delete}`"""

    table: str = Field(description="`name` or `schema.name`; the name alone where `schema` is given.")
    schema_: str | None = Field(default=None, alias="schema", description="The schema (database), for names with dots.")
    key: Names | None = Field(default=None, description="Its key columns; default: the primary key.")
    on: str = Field(description="By which columns its rows are found: `party = root.id`, with `and`.")
    where: str | None = Field(default=None, description="Which rows of the table belong, as SQL.")
    first_by: Names = Field(default_factory=list, description="Of several rows, which counts: columns, `-column` down.")
    clear: Clearing = Field(default="keep", description="What becomes of a row whose fields are all NULL.")
    remove: Literal["row", "keep"] | None = Field(
        default=None, description="What becomes of the row when the record is deleted."
    )
    on_create: dict[str, str] = Field(default_factory=dict, description="What a new row gets besides, as SQL.")
    on_write: dict[str, str] = Field(
        default_factory=dict, description="What every row that we write gets besides, as SQL: `now()`."
    )


class TableSyntax(Syntax):
    """`erp: {table: public.customer}`, or `{schema: sales, table: a.name.with.dots}`"""

    table: str = Field(description="`name` or `schema.name`; the name alone where `schema` is given.")
    schema_: str | None = Field(default=None, alias="schema", description="The schema (database), for names with dots.")
    key: Names | None = Field(default=None, description="This system's own key columns.")
    where: str | None = Field(default=None, description="Which rows of the table are records, as SQL.")
    parts: dict[PartName, PartSyntax] = Field(default_factory=dict, description="Rows of other tables that belong.")
    member_when: Names = Field(default_factory=list, description="The parts without which it is no record.")
    deactivate: dict[str, str] = Field(default_factory=dict, description="Column: value of a row that is deleted.")
    reactivate: dict[str, str] = Field(default_factory=dict, description="Column: value of a row that is back.")
    remove: Removal | None = Field(default=None, description="How a record is deleted here.")
    on_create: dict[str, str] = Field(default_factory=dict, description="What a new row gets besides, as SQL.")
    on_write: dict[str, str] = Field(
        default_factory=dict, description="What every row that we write gets besides, as SQL: `now()`."
    )


class ColumnSyntax(Syntax):
    """`erp: stage`, or `erp: {column: stage, map: {P: prospect, A: active}}`"""

    column: str = Field(description="The column's name, as the catalog has it; `part.column` for one of a part.")
    map: Annotated[dict[str, str], Nonempty] | None = Field(
        default=None, description="What is stored: what it means. Of several that mean the same, the first is written."
    )
    round: Digits | None = Field(default=None, description="Digits after the point that are written there.")
    scale: Factor | None = Field(default=None, description="What is stored times this is what is meant: `100`.")
    trim: Truth = Field(default=False, description="Written there without blanks at the ends, and read so.")
    case: Literal["upper", "lower"] | None = Field(default=None, description="Written there in this case.")
    list_: Parting | None = Field(default=None, alias="list", description="A text of several values, parted by this.")
    read: str | None = Field(default=None, description="What is meant by the stored `value`, as SQL.")
    write: str | None = Field(default=None, description="What is stored for the meaning `value`, as SQL.")
    time_zone: TimeZone | None = Field(default=None, description="In which zone its times without one are.")
    on_overflow: Literal["quarantine", "cut", "nearest", "null"] = Field(
        default="quarantine", description="What is written of a value that is too long or too large there."
    )
    one_way: Truth = Field(default=False, description="Written there, never taken from there.")
    lossy: Truth = Field(default=False, description="What is lost there is known, and meant.")
    lookup: LookupSyntax | None = Field(default=None, description="The column holds the key of a code table.")
    empty: Literal[""] | None = Field(default=None, description="NULL is stored as an empty text there.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        if isinstance(value, dict) and "on_overflow" in value and value["on_overflow"] is None:
            return {**value, "on_overflow": "null"}  # as YAML reads the bare word
        return {"column": value} if isinstance(value, str) else value
