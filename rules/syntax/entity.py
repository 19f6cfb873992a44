"""Entities, their fields and groups, their tests; and the file as a whole."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from engine.rulebook import DeletePolicy, Form
from rules.syntax.deciding import CheckSyntax, ConflictSyntax, JoinSyntax, LimitsSyntax, Owners
from rules.syntax.feed import FeedSyntax
from rules.syntax.places import ColumnSyntax, SystemSyntax, TableSyntax
from rules.syntax.words import FieldName, Leaving, Names, Nonempty, OnceEach, Syntax, SystemName, Whole, not_mixed


class FieldSyntax(Syntax):
    """`city: city`, or `name: {erp: name, crm: account_name, conflict: last_writer}`"""

    everywhere: str | None = Field(default=None)
    columns: dict[str, ColumnSyntax] = Field(default_factory=dict)
    owner: Owners | None = Field(default=None, description="The only system whose writes count; or several, in turn.")
    conflict: ConflictSyntax | None = Field(default=None, description="Who wins when two write at the same time.")
    reference: str | None = Field(default=None, description="The entity whose key this field holds.")
    same: Form = Field(default="exact", description="In what form two values are the same; each keeps its spelling.")
    check: CheckSyntax | None = Field(default=None, description="What must be so for a write to go elsewhere.")
    derive: str | None = Field(default=None, description="What it is worked out of, as SQL over the other fields.")
    join: JoinSyntax | None = Field(default=None, description="The fields that it is put together of.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        if isinstance(value, str):
            return {"everywhere": value}
        if not isinstance(value, dict):
            return value
        options = {key: value[key] for key in FIELD_OPTIONS if key in value}
        return {"columns": {k: v for k, v in value.items() if k not in FIELD_OPTIONS}, **options}


FIELD_OPTIONS: Final = ("owner", "conflict", "reference", "same", "check", "derive", "join")


class GroupSyntax(Syntax):
    """`[street, city]`, or `{fields: [street, city], conflict: last_writer}`"""

    fields: Annotated[list[str], OnceEach] = Field(description="Fields that are decided together.")
    owner: Owners | None = Field(default=None, description="The only system whose writes count; or several, in turn.")
    conflict: ConflictSyntax | None = Field(default=None, description="Who wins when two write at the same time.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        return {"fields": value} if isinstance(value, list) else value


class IdentitySyntax(Syntax):
    """`vat_no`, or `{field: vat_no, same: compact}`"""

    field: str = Field(description="A field by which a record is recognised.")
    same: Form = Field(default="exact", description="In what form its values are compared.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        return {"field": value} if isinstance(value, str) else value


Together = Annotated[list[IdentitySyntax], OnceEach]
Identity = Annotated[
    Annotated[IdentitySyntax, Tag("<field>")] | Annotated[Together, Tag("<together>")],
    Discriminator(lambda value: "<together>" if isinstance(value, list) else "<field>"),
]
"""A field, or fields that are one of several alternatives. (The tags are no names that a file could have.)"""


Written = Annotated[dict[str, dict[str, str | None] | None], Nonempty]
"""By system: what its users wrote, as it is stored there; nothing: they deleted the record."""


class TestSyntax(Syntax):
    """`{erp: {name: A}, crm: {name: B}, agreed: {name: X}, then: {name: B}, because: last_writer}`

    What the systems wrote is a step: nobody who wrote in it had seen the others'. `steps` tells several, in turn."""

    name: str | None = Field(default=None, description="What it is called when it fails.")
    agreed: dict[str, str | None] | None = Field(default=None, description="What all had before; nothing: new.")
    steps: Annotated[list[Written], Nonempty] = Field(
        description="What users wrote, by system: each step by people who had seen all of the step before."
    )
    apart: str | None = Field(default=None, description="How long after each other they committed: `500 ms`.")
    then: dict[str, str | None] | None = Field(default=None, description="What all have in the end; null: deleted.")
    stored: dict[str, dict[str, str | None] | None] = Field(
        default_factory=dict, description="By system: what its columns have in the end; null: no such record."
    )
    because: str | None = Field(default=None, description="Words of a reason that the journal gives.")
    held: Names = Field(default_factory=list, description="The fields that a person is to decide.")
    quarantine: Names = Field(default_factory=list, description="The systems that the record cannot be written to.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        if not isinstance(value, dict) or "steps" in value:
            return value
        words = {key: value[key] for key in TEST_OPTIONS if key in value}
        written = {key: said for key, said in value.items() if key not in TEST_OPTIONS}
        return {**words, "steps": [written]} if written else words


TEST_OPTIONS: Final = ("name", "agreed", "steps", "apart", "then", "stored", "because", "held", "quarantine")


class EntitySyntax(Syntax):
    """A business object that is kept in step."""

    identity: Annotated[list[Identity], OnceEach, BeforeValidator(not_mixed)] = Field(
        description="The fields that tell which rows are one record; a list of lists: alternatives, tried in turn."
    )
    bind: Annotated[dict[str, TableSyntax], Nonempty] = Field(description="By system: where it lives.")
    fields: Annotated[dict[FieldName, FieldSyntax], Nonempty] = Field(description="What is kept in step.")
    groups: dict[FieldName, GroupSyntax] = Field(default_factory=dict, description="Fields decided together.")
    owner: Owners | None = Field(default=None, description="The owner of fields that say nothing themselves.")
    conflict: ConflictSyntax | None = Field(
        default=None, description="The policy of fields that say nothing themselves."
    )
    order: Annotated[list[str], OnceEach] | None = Field(
        default=None, description="The systems, the most trusted first: for `system_of_record`, and for every tie."
    )
    create: Annotated[list[str], OnceEach] | None = Field(default=None, description="Whose inserts make a record.")
    delete: dict[str, DeletePolicy] = Field(
        default_factory=dict, description="What a deletion means: by system, or one word for all."
    )
    leave: dict[str, Leaving] = Field(
        default_factory=dict,
        description="What it means that a row is there, but no record any more: by system, or one word for all.",
    )
    on_delete_conflict: Literal["keep", "delete"] = Field(
        default="keep", description="When a deletion meets a write that it had not seen."
    )
    checks: list[CheckSyntax] = Field(default_factory=list, description="What must be so for a write to go elsewhere.")
    limits: LimitsSyntax | None = Field(default=None, description="How much may happen before somebody is asked.")
    tests: list[TestSyntax] = Field(default_factory=list, description="Cases that `check` and `duolog test` run.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        bound = value.get("bind")
        systems = list(bound) if isinstance(bound, dict) and bound else ["*"]
        for word in ("delete", "leave"):
            if isinstance(value.get(word), str):
                value = {**value, word: dict.fromkeys(systems, value[word])}
        return value


class WorkersSyntax(Syntax):
    """Several processes that share the work over Kafka."""

    kafka: str = Field(repr=False, description="Where the brokers are: `kafka://user@host:9093,other:9093/?ca=...`.")
    partitions: Whole = Field(default=8, description="Into how many parts the records are shared out, for good.")


class FileSyntax(Syntax):
    """A rule file."""

    duolog: Whole = Field(description="The format version.")
    name: SystemName | None = Field(default=None, description="Names the slot, the origin and the ledger's rows.")
    store: str | None = Field(
        default=None, repr=False, description="Where our own state is kept; default: SQLite beside this file."
    )
    workers: WorkersSyntax | None = Field(
        default=None, description="With `duolog run --worker`: who shares the work, and how."
    )
    feed: FeedSyntax | None = Field(default=None, description="Where agreed changes are told, in Kafka.")
    systems: Annotated[dict[SystemName, SystemSyntax], Nonempty] = Field(description="The databases that take part.")
    entities: Annotated[dict[FieldName, EntitySyntax], Nonempty] = Field(description="What is kept in step.")
