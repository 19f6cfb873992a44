"""The words of a rule file as pydantic models: which keys there are, and what may stand behind each.

Takes the tree of `rules/located.py`; short forms (`city: city`, a list for a group, one word for `delete`) become the
long ones here. Nothing is looked up: whether a system or a field exists is for `rules/check.py` to say. The editor's
JSON Schema is generated from these models (`rules/schema.py`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from engine.rulebook import Clearing, DeletePolicy, Form, PolicyName, Removal

FORMAT: Final = 1
"""The format version that this duolog reads."""

SYSTEM_NAME: Final = r"[a-z][a-z0-9_]{0,30}"
FIELD_NAME: Final = r"[A-Za-z][A-Za-z0-9_]{0,62}"

LATER_KEYS: Final = frozenset({"round", "same", "tests", "time_zone", "mode", "expression"})
"""Keys of the language that this version does not have. (`same` it has in an identity, but not of a field.)"""

LATER_WORDS: Final = frozenset({"union", "expression", "mariadb", "mysql", "odbc", "debezium", "memory"})
"""Policies and adapters that this version does not have."""


def _named(pattern: str, rule: str) -> Any:
    def judge(value: object) -> object:
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            raise PydanticCustomError("R206", "this cannot be a name here", {"allowed": (rule,)})
        return value

    return BeforeValidator(judge)


def _whole(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        return int(value)
    raise PydanticCustomError("R204", "a whole number must stand here", {"allowed": ()})


def _truth(value: object) -> object:
    if value in ("true", "false"):
        return value == "true"
    raise PydanticCustomError("R205", "this is neither true nor false", {"allowed": ("true", "false")})


def _nonempty(value: object) -> object:
    if value in ([], {}):
        raise PydanticCustomError("R208", "this may not be empty", {})
    return value


def _once_each(value: object) -> object:
    """A list in which nothing stands twice."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if item in value[:index]:
                raise PydanticCustomError("R209", "this is listed twice", {"index": index})
    return _nonempty(value)


def _as_list(value: object) -> object:
    """One word for a list of one."""
    return [value] if isinstance(value, str) else value


def _not_mixed(value: object) -> object:
    """A list of fields, or a list of lists."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, list) != isinstance(value[0], list):
                what = "a field stands among lists of fields: are they alternatives, or does it go with one?"
                allowed = ("[a, b]: both together", "[[a], [b]]: one after the other")
                raise PydanticCustomError("R204", what, {"index": index, "allowed": allowed})
    return value


Nonempty = BeforeValidator(_nonempty)
OnceEach = BeforeValidator(_once_each)

SystemName = Annotated[
    str,
    _named(SYSTEM_NAME, "a lower-case letter, then up to 30 of a-z 0-9 _"),
    WithJsonSchema({"type": "string", "pattern": f"^{SYSTEM_NAME}$"}),
]
FieldName = Annotated[
    str,
    _named(FIELD_NAME, "a letter, then up to 62 of A-Z a-z 0-9 _"),
    WithJsonSchema({"type": "string", "pattern": f"^{FIELD_NAME}$"}),
]
Whole = Annotated[int, BeforeValidator(_whole), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": FORMAT})]
Truth = Annotated[bool, BeforeValidator(_truth)]
Names = Annotated[
    list[str],
    OnceEach,
    BeforeValidator(_as_list),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Leaving: TypeAlias = Literal["ignore", "deactivate", "delete", "hold"]
"""What it may mean that a record's row is there, but no longer a member."""


PartName = Annotated[
    str,
    _named(r"(?!root$)" + FIELD_NAME, "a letter, then up to 62 of A-Z a-z 0-9 _; not `root`"),
    WithJsonSchema({"type": "string", "pattern": f"^{FIELD_NAME}$"}),
]


class Syntax(BaseModel):
    """What all models have in common: no unknown keys, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


class SystemSyntax(Syntax):
    """`erp: {adapter: postgresql, url: "${ERP_URL}"}`"""

    adapter: Literal["postgresql"] = Field(description="The kind of database.")
    url: str = Field(repr=False, description="Its address, with references for secrets: `${NAME}`, `${file:/path}`.")
    insecure: Truth = Field(default=False, description="Allow a connection without TLS to another machine.")


class LookupSyntax(Syntax):
    """`{table: country, key: id, by: iso, missing: quarantine}`"""

    table: str = Field(description="The code table.")
    schema_: str | None = Field(default=None, alias="schema", description="The schema, for names with dots.")
    key: str | None = Field(default=None, description="Its key, which the field's column holds.")
    by: str = Field(description="Its natural column, by which a code means the same in all systems.")
    missing: Literal["quarantine", "insert"] = Field(
        default="quarantine", description="What becomes of a record whose code the table lacks."
    )


class PartSyntax(Syntax):
    """`vat: {table: party_code, on: "party = root.id", where: "kind = 'vat'", first_by: [seq, id], clear: delete}`"""

    table: str = Field(description="`name` or `schema.name`; the name alone where `schema` is given.")
    schema_: str | None = Field(default=None, alias="schema", description="The schema, for names with dots.")
    key: Names | None = Field(default=None, description="Its key columns; default: the primary key.")
    on: str = Field(description="By which columns its rows are found: `party = root.id`, with `and`.")
    where: str | None = Field(default=None, description="Which rows of the table belong, as SQL.")
    first_by: Names = Field(default_factory=list, description="Of several rows, which counts: columns, `-column` down.")
    clear: Clearing = Field(default="keep", description="What becomes of a row whose fields are all NULL.")
    remove: Literal["row", "keep"] | None = Field(
        default=None, description="What becomes of the row when the record is deleted."
    )
    on_create: dict[str, str] = Field(default_factory=dict, description="What a new row gets besides, as SQL.")


class TableSyntax(Syntax):
    """`erp: {table: public.customer}`, or `{schema: sales, table: a.name.with.dots}`"""

    table: str = Field(description="`name` or `schema.name`; the name alone where `schema` is given.")
    schema_: str | None = Field(default=None, alias="schema", description="The schema, for names with dots.")
    key: Names | None = Field(default=None, description="This system's own key columns.")
    where: str | None = Field(default=None, description="Which rows of the table are records, as SQL.")
    parts: dict[PartName, PartSyntax] = Field(default_factory=dict, description="Rows of other tables that belong.")
    member_when: Names = Field(default_factory=list, description="The parts without which it is no record.")
    deactivate: dict[str, str] = Field(default_factory=dict, description="Column: value of a row that is deleted.")
    reactivate: dict[str, str] = Field(default_factory=dict, description="Column: value of a row that is back.")
    remove: Removal | None = Field(default=None, description="How a record is deleted here.")
    on_create: dict[str, str] = Field(default_factory=dict, description="What a new row gets besides, as SQL.")


class ColumnSyntax(Syntax):
    """`erp: stage`, or `erp: {column: stage, map: {P: prospect, A: active}}`"""

    column: str = Field(description="The column's name, as the catalog has it; `part.column` for one of a part.")
    map: Annotated[dict[str, str], Nonempty] | None = Field(
        default=None, description="What is stored: what it means; one-to-one."
    )
    lookup: LookupSyntax | None = Field(default=None, description="The column holds the key of a code table.")
    empty: Literal[""] | None = Field(default=None, description="NULL is stored as an empty text there.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        return {"column": value} if isinstance(value, str) else value


class FieldSyntax(Syntax):
    """`city: city`, or `name: {erp: name, crm: account_name, conflict: last_writer}`"""

    everywhere: str | None = Field(default=None)
    columns: dict[str, ColumnSyntax] = Field(default_factory=dict)
    owner: str | None = Field(default=None, description="The only system whose writes count.")
    conflict: PolicyName | None = Field(default=None, description="Who wins when two write at the same time.")
    reference: str | None = Field(default=None, description="The entity whose key this field holds.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        if isinstance(value, str):
            return {"everywhere": value}
        if not isinstance(value, dict):
            return value
        options = {key: value[key] for key in FIELD_OPTIONS if key in value}
        return {"columns": {k: v for k, v in value.items() if k not in FIELD_OPTIONS}, **options}


FIELD_OPTIONS: Final = ("owner", "conflict", "reference")


class GroupSyntax(Syntax):
    """`[street, city]`, or `{fields: [street, city], conflict: last_writer}`"""

    fields: Annotated[list[str], OnceEach] = Field(description="Fields that are decided together.")
    owner: str | None = Field(default=None, description="The only system whose writes count.")
    conflict: PolicyName | None = Field(default=None, description="Who wins when two write at the same time.")

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


class EntitySyntax(Syntax):
    """A business object that is kept in step."""

    identity: Annotated[list[Identity], OnceEach, BeforeValidator(_not_mixed)] = Field(
        description="The fields that tell which rows are one record; a list of lists: alternatives, tried in turn."
    )
    bind: Annotated[dict[str, TableSyntax], Nonempty] = Field(description="By system: where it lives.")
    fields: Annotated[dict[FieldName, FieldSyntax], Nonempty] = Field(description="What is kept in step.")
    groups: dict[FieldName, GroupSyntax] = Field(default_factory=dict, description="Fields decided together.")
    owner: str | None = Field(default=None, description="The owner of fields that say nothing themselves.")
    conflict: PolicyName | None = Field(default=None, description="The policy of fields that say nothing themselves.")
    order: Annotated[list[str], OnceEach] | None = Field(
        default=None, description="The systems, the most trusted first: for `system_of_record`, and for every tie."
    )
    create: Annotated[list[str], OnceEach] | None = Field(default=None, description="Whose inserts make a record.")
    delete: dict[str, DeletePolicy] = Field(
        default_factory=dict, description="What a deletion means: by system, or one word for all."
    )
    leave: dict[str, Leaving] = Field(
        default_factory=dict, description="What it means that a row is there, but no record any more: by system, or one"
        " word for all."
    )
    on_delete_conflict: Literal["keep", "delete"] = Field(
        default="keep", description="When a deletion meets a write that it had not seen."
    )

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


class FileSyntax(Syntax):
    """A rule file."""

    duolog: Whole = Field(description="The format version.")
    name: SystemName | None = Field(default=None, description="Names the slot, the origin and the ledger's rows.")
    store: str | None = Field(
        default=None, repr=False, description="Where our own state is kept; default: SQLite beside this file."
    )
    systems: Annotated[dict[SystemName, SystemSyntax], Nonempty] = Field(description="The databases that take part.")
    entities: Annotated[dict[FieldName, EntitySyntax], Nonempty] = Field(description="What is kept in step.")


POLICIES: Final = get_args(PolicyName)
