"""Records that end: what a deletion in one system means in the others, by the rule and by what its user had seen.

Turns a deletion into a tombstone, an overruled deletion, a system that leaves, or a hold. It deletes nothing itself.
"""

from __future__ import annotations

from engine.merge.checks import forget
from engine.merge.outcomes import has_seen
from engine.merge.step import DEFAULT, EntityRules, Step, journal_entry, make_due
from engine.record import UNSET_VERSION, Layout, Record, Side, held_alive
from engine.rulebook import EXISTENCE


def decide_deletion(rules: EntityRules, key: str, record: Record, side: Side | None, step: Step) -> None:
    """A deletion that is to mean one everywhere: a successor, unless something was written that it had not seen."""
    unseen = _unseen(rules, record, side, rules.layouts[step.system])
    if unseen and not rules.entity.delete_wins:
        undo_delete(rules, key, record, "a concurrent write wins over a deletion", "delete_differs", step)
        step.count("conflicts")
        return
    for register in unseen:
        now = tuple([record.values[f] for f in rules.registers[register].fields])
        step.count("conflicts")
        step.count("overruled")
        step.journal.append(
            journal_entry(
                rules,
                key,
                register,
                "delete_differs",
                "a deletion wins over a concurrent write",
                step.version,
                (),
                record.version(register),
                now,
                step,
            )
        )
    step.count("deletes")
    die(rules, key, record, step)


def _unseen(rules: EntityRules, record: Record, side: Side | None, layout: Layout) -> list[int]:
    """The registers of which somebody made another value current than the system has: its users have not seen that.

    What is worked out of others tells nothing by itself: nobody wrote it.
    A register left to a person counts for whoever deletes, whichever of the contending values happens to be current."""
    held = [register for register in record.holds if register != EXISTENCE and layout.fields_of[register]]
    if side is None or not side.held:
        return sorted(held)
    row = layout.stored_row(record.values)
    derived = {register for register, _, _ in rules.derived}
    return sorted(
        {
            *held,
            *[
                register
                for register, (version, stored) in side.held.items()
                if register not in derived
                and not has_seen(version, current := record.version(register))
                and current != UNSET_VERSION
                and current.note != DEFAULT
                and (register == EXISTENCE or stored != tuple([row[f] for f in layout.fields_of[register]]))
            ],
        }
    )


def die(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """The record is a tombstone now; whoever still has the row is to delete it."""
    for system in rules.layouts:
        if system == step.system:
            continue
        side = record.side(system)
        if side.out:
            continue
        if side.sent is not None:  # the batch under way was formed for a record that exists
            side.held.setdefault(EXISTENCE, (record.version(EXISTENCE), (record.alive,)))
        side.layer().setdefault(EXISTENCE, (record.version(EXISTENCE), (True,)))
        make_due(side, system, step)
    own = record.sides.get(step.system)
    if own is not None:
        own.held, own.due, own.bad = {}, 0, ""
    for register in list(record.holds):
        del record.holds[register]
        step.holds[(rules.name, key, register)] = None
    record.alive = False
    record.accept([EXISTENCE], step.version)


def undo_delete(rules: EntityRules, key: str, record: Record, because: str, kind: str, step: Step) -> None:
    """The deletion is overruled: the record is created again where it was deleted."""
    step.count("overruled")
    step.journal.append(
        journal_entry(
            rules,
            key,
            EXISTENCE,
            kind,
            f"{because}; it is created again in {step.system}",
            record.version(EXISTENCE),
            (),
            step.version,
            (),
            step,
        )
    )
    forget(rules, key, record, step)
    side = record.side(step.system)
    side.held = {EXISTENCE: (step.version, (False,))}
    make_due(side, step.system, step)


def restore(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """The system's table was emptied, and that is to mean nothing: what it had is created there again."""
    side = record.sides.get(step.system)
    if record.alive and held_alive(record, side) and not (side is not None and side.out):
        undo_delete(rules, key, record, "truncated: to be restored", "owner", step)


def leave(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """The system no longer has the record, and that means nothing to the others."""
    step.count("deletes")
    step.journal.append(
        journal_entry(
            rules,
            key,
            EXISTENCE,
            "delete_differs",
            f"{'leave' if step.leaving else 'delete'}: ignore; {step.system} alone no longer has it",
            None,
            (),
            step.version,
            (),
            step,
        )
    )
    forget(rules, key, record, step)
    side = record.side(step.system)
    side.held, side.due, side.wait, side.out, side.bad = {}, 0, 0, True, ""


def hold_delete(rules: EntityRules, key: str, record: Record, step: Step) -> None:
    """A person is to say whether the deletion holds; until then nothing is deleted nor created again."""
    because = f"hold: deleted in {step.system}"
    step.count("held")
    step.journal.append(
        journal_entry(rules, key, EXISTENCE, "hold", because, record.version(EXISTENCE), (), step.version, (), step)
    )
    forget(rules, key, record, step)
    record.holds[EXISTENCE] = because
    step.holds[(rules.name, key, EXISTENCE)] = because
    record.side(step.system).held = {EXISTENCE: (step.version, (False,))}
