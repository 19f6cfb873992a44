"""The words of a rule file as pydantic models: which keys there are, and what may stand behind each.

Takes the tree of `rules/located.py`; short forms (`city: city`, a list for a group, one word for `delete`) become the
long ones here. Nothing is looked up: whether a system or a field exists is for `rules/check.py` to say. The editor's
JSON Schema is generated from these models (`rules/schema.py`).

`words` holds what all have in common, `places` says where something lives, `deciding` who is right, `entity` the rest.
"""

from rules.syntax.deciding import CheckSyntax, ConflictSyntax, JoinSyntax, LimitsSyntax, OwnerSyntax
from rules.syntax.entity import (
    FIELD_OPTIONS,
    TEST_OPTIONS,
    EntitySyntax,
    FieldSyntax,
    FileSyntax,
    GroupSyntax,
    IdentitySyntax,
    TestSyntax,
    WorkersSyntax,
)
from rules.syntax.feed import FeedSyntax
from rules.syntax.places import ColumnSyntax, LookupSyntax, PartSyntax, SystemSyntax, TableSyntax, TopicsSyntax
from rules.syntax.words import (
    DIGITS_MAX,
    FIELD_NAME,
    FORMAT,
    LATER_KEYS,
    LATER_WORDS,
    POLICIES,
    SYSTEM_NAME,
    Leaving,
    Syntax,
)

__all__ = [
    "DIGITS_MAX",
    "FIELD_NAME",
    "FIELD_OPTIONS",
    "FORMAT",
    "LATER_KEYS",
    "LATER_WORDS",
    "POLICIES",
    "SYSTEM_NAME",
    "TEST_OPTIONS",
    "CheckSyntax",
    "ColumnSyntax",
    "ConflictSyntax",
    "EntitySyntax",
    "FeedSyntax",
    "FieldSyntax",
    "FileSyntax",
    "GroupSyntax",
    "IdentitySyntax",
    "JoinSyntax",
    "Leaving",
    "LimitsSyntax",
    "LookupSyntax",
    "OwnerSyntax",
    "PartSyntax",
    "Syntax",
    "SystemSyntax",
    "TableSyntax",
    "TestSyntax",
    "TopicsSyntax",
    "WorkersSyntax",
]
