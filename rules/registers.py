"""What is decided as one, and by whom, as the engine's registers: existence, then fields and groups, then derived ones.

Turns the words of one entity into numbers and ready formulas, filling in every default. Judges nothing.
"""

from __future__ import annotations

from engine.rulebook import EXISTENCE, Limit, Limits, Register
from rules.durations import microseconds, rate
from rules.formulas import Formulas
from rules.joints import joint_of
from rules.ruling import Ruling, order_of, registers, ruling
from rules.syntax import EntitySyntax


def decided(formulas: Formulas, key: tuple[str, ...], systems: tuple[str, ...]) -> tuple[Register, ...]:
    """Existence, then each field or group in the order of the file, then what is derived, each after what it needs."""
    syntax = formulas.syntax
    # Existence is decided by `create`, `delete` and `on_delete_conflict`; its policy only breaks ties.
    made = [Register(EXISTENCE, (), None, "system_of_record", order_of(syntax, systems))]
    for group, members in registers(syntax, key):
        if syntax.fields[members[0]].derive is None:
            said = ruling(formulas.name, syntax, None if group is not None else members[0], group)
            made.append(_register(len(made), members, said, formulas, systems))
    numbers = list(syntax.fields)
    for name in formulas.in_turn():
        order, everybody = order_of(syntax, systems), frozenset(syntax.bind)
        number = (numbers.index(name),)
        made.append(Register(len(made), number, None, "system_of_record", order, closed=everybody))
    return tuple(made)


def _register(number: int, members: tuple[str, ...], said: Ruling, formulas: Formulas, systems: tuple[str, ...]
              ) -> Register:  # fmt: skip
    syntax, numbers = formulas.syntax, list(formulas.syntax.fields)
    conflict = said.conflict
    always = next((one.system for one in said.owners if one.when is None), said.owner)
    within = microseconds(conflict.within) if conflict is not None and conflict.within is not None else None
    whole = next((name for name in members if syntax.fields[name].join is not None), None)
    join = syntax.fields[whole].join if whole is not None else None
    return Register(
        number=number,
        fields=tuple(sorted(numbers.index(name) for name in members)),
        owner=said.owner,
        policy=said.policy or "system_of_record",
        order=order_of(syntax, systems, always),
        claims=formulas.claims(said),
        closed=said.closed,
        fallback=(conflict.else_ if conflict is not None else None) or "system_of_record",
        margin_us=within or 0,
        preference=formulas.preference(said),
        joint=joint_of(syntax, whole, join) if whole is not None and join is not None else None,
    )


def limits_of(syntax: EntitySyntax) -> Limits:
    """How much may happen before somebody is asked."""
    said = syntax.limits
    if said is None:
        return Limits()
    return Limits(_limit(said.inserts), _limit(said.updates), _limit(said.deletes), said.emptied == "ask")


def _limit(text: str | None) -> Limit | None:
    found = rate(text) if text is not None else None
    return Limit(*found) if found is not None else None
