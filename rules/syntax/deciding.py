"""Who is right, and what is too much: owners, policies, checks, limits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from engine.rulebook import PolicyName
from rules.syntax.words import OnceEach, Syntax


class OwnerSyntax(Syntax):
    """`crm`, or `{crm: "stage = 'prospect'"}`: who owns it, and until when."""

    system: str
    when: str | None = Field(default=None, description="As long as this holds, as SQL over the fields.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        if isinstance(value, str):
            return {"system": value}
        if isinstance(value, dict) and len(value) == 1:
            ((system, when),) = value.items()
            return {"system": system, "when": when}
        allowed = ("erp", "{crm: \"stage = 'prospect'\"}")
        raise PydanticCustomError("R204", "a system must stand here, or one system and its condition",
                                  {"allowed": allowed})  # fmt: skip


Owners = Annotated[
    list[OwnerSyntax], OnceEach, BeforeValidator(lambda value: value if isinstance(value, list) else [value])
]


class ConflictSyntax(Syntax):
    """`last_writer`, or `{policy: last_writer, within: 2 s, else: hold}`, or `{expression: length(name)}`"""

    policy: PolicyName = Field(description="Who wins when two write at the same time.")
    within: str | None = Field(default=None, description="Writes closer than this are too close to tell apart: `2 s`.")
    else_: PolicyName | None = Field(default=None, alias="else", description="Who wins then.")
    expression: str | None = Field(default=None, description="The write for which this is more wins, as SQL.")

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        if isinstance(value, str):
            return {"policy": value}
        if isinstance(value, dict) and "expression" in value and "policy" not in value:
            return {"policy": "expression", **value}
        return value


class JoinSyntax(Syntax):
    """`{of: [first_name, last_name], with: " ", split: last}`"""

    of: Annotated[list[str], OnceEach] = Field(description="The fields that it is put together of.")
    with_: str = Field(default=" ", alias="with", description="What stands between them.")
    split: Literal["first", "last"] = Field(default="last", description="Where it is cut, if that occurs often.")


class CheckSyntax(Syntax):
    """`credit_limit >= 0`, or `{name: no debts, that: "credit_limit >= 0", else: overrule}`"""

    name: str | None = Field(default=None, description="What it is called in reasons.")
    that: str = Field(description="What must be so, as SQL over the fields. NULL is good enough.")
    else_: Literal["hold", "overrule"] = Field(
        default="hold", alias="else", description="What becomes of a write that breaks it."
    )

    @model_validator(mode="before")
    @classmethod
    def _long(cls, value: object) -> object:
        return {"that": value} if isinstance(value, str) else value


class LimitsSyntax(Syntax):
    """`{deletes: 100 in 10 min, updates: 5000 in 1 h, emptied: allow}`"""

    inserts: str | None = Field(default=None, description="At most so many: `100 in 10 min`.")
    updates: str | None = Field(default=None, description="At most so many: `100 in 10 min`.")
    deletes: str | None = Field(default=None, description="At most so many: `100 in 10 min`.")
    emptied: Literal["ask", "allow"] = Field(default="ask", description="What a table means that has lost all rows.")
