"""Turns a live database with triggers into findings, each with its mend: what its triggers would not tell of.

What concerns a writer is `adapters.alchemy.preflight`'s. It changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from adapters.alchemy.session import Session
from adapters.changetable import asking, setup
from adapters.changetable.tables import Shadow, ours, stem_of
from adapters.relational.judging import ticked
from engine.catalog import Finding
from engine.errors import SchemaChanged, SystemStopped
from engine.rulebook import RuleBook


def findings(session: Session, book: RuleBook) -> list[Finding]:
    """What is wrong, or worth knowing. Raises sqlalchemy.exc.DBAPIError."""
    return list(_findings(session, book))


def _findings(session: Session, book: RuleBook) -> Iterator[Finding]:
    system = session.system
    try:
        made = ours(session)
        if not setup.is_begun(session, made):
            missing = f"there is no table `{made.change.fullname}`, or the role may not read it"
            found = missing + ", or `setup` was ended before it had made all"
            yield Finding("P190", "error", system, found, setup.SETUP)
            return
        setup.check_engine(session, made, book)
        shadows = setup.shadows(session, made, book)
    except SchemaChanged:
        return  # told of each column already
    except SystemStopped as stopped:
        yield Finding("P191", "error", system, stopped.found, stopped.mend)
        return
    yield from asking.answers(session, made, shadows)
    known = setup.known_triggers(session, made)
    for each in shadows:
        name = f"{each.table.schema}.{each.table.name}"
        if lost := setup.unshown(made, each):
            yield Finding(
                "P198", "error", system, f"{ticked(lost)} of `{name}` are of types that triggers are not shown, or of "
                "which no text makes the same value again", "leave them out of the rules; of `text`, `ntext` and "
                "`image`: have the columns be varchar(max), nvarchar(max), varbinary(max)", name,
            )  # fmt: skip
        said = setup.wrong(session, made, each, known)
        if said:
            yield Finding("P192", "error", system, said + ": its changes are not recorded", setup.AGAIN, name)
    if not made.words.cascades:
        for each in shadows:
            yield from _cascades(session, each)


def _cascades(session: Session, each: Shadow) -> Iterator[Finding]:
    """Foreign keys that change rows of the table by themselves, where no trigger is fired by that."""
    name = f"{each.table.schema}.{each.table.name}"
    with session.transaction() as conn:
        keys = sa.inspect(conn).get_foreign_keys(each.table.name, schema=each.table.schema)
    for key in keys:
        doing = {str(key.get("options", {}).get(on) or "RESTRICT").upper() for on in ("ondelete", "onupdate")}
        said = sorted(doing - {"RESTRICT", "NO ACTION"})
        if said:
            found = f"the foreign key `{key['name']}` of `{name}` has {' and '.join(said)}"
            mend = (
                f"make `{key['name']}` anew with ON DELETE RESTRICT ON UPDATE RESTRICT; what the application leaves to "
                "it, a trigger of the table that it refers to can do"
            )
            found += ": what it does to rows fires no trigger here, and is not recorded"
            yield Finding("P193", "error", session.system, found, mend, name)


def grants(session: Session, book: RuleBook, role: str) -> list[str]:
    """The SQL that gives a role what it needs to read changes; who writes needs no right on these tables."""
    if session.can.locking == "whole":
        return []
    made = ours(session)
    prepare = session.dialect.identifier_preparer
    who = prepare.quote(role)
    names = [made.change, made.mark, *(made.table(f"row_{stem_of(table)}") for table in book.tables[session.system])]
    said = "GRANT SELECT, UPDATE, DELETE ON"
    granted = [" ".join((said, prepare.format_table(each), "TO", who)) + ";" for each in names]
    if made.words.entering:
        granted.insert(0, made.words.entering.format(schema=prepare.quote(made.schema), who=who) + ";")
    if made.words.seeing:
        for table in book.tables[session.system]:
            place = prepare.format_table(sa.table(table.name, schema=table.schema))
            granted.append(made.words.seeing.format(table=place, who=who) + ";")
    return granted
