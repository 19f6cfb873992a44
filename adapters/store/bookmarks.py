"""Keeps where the reading of a system's log may begin, for a source whose log is not read by position alone.

A bookmark is a position and whatever the source needs to begin there. It stands where other processes write (on SQLite
in a file of its own), for it is written by reading threads, while the engine's own transaction may be open for minutes.
It says nothing that a lost one would cost: only how far back reading has to begin. Older ones are thinned out.
"""

from __future__ import annotations

from contextlib import closing
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from adapters.store.place import Place, told
from adapters.store.schema import bookmark
from engine.vocabulary import Position

kept_max: Final = 50
"""So many bookmarks of a system are kept: the newest, for the store as it is, and older ones for one from a backup."""


class Bookmarks:
    """Those of one system. Each call has a connection of its own; any thread. Raises StoreUnfit."""

    def __init__(self, place: Place, system: str) -> None:
        self._place = place
        self._system = system

    def keep(self, position: Position, document: str) -> None:
        """Who resumes at `position`, or behind it, may begin with `document`."""
        with told(self._place.where), closing(self._place.inbox()) as asking:
            asking.execute(delete(bookmark).where(self._ours, bookmark.c.position == position))
            asking.execute(insert(bookmark).values(system=self._system, position=position, document=document))
            self._thin_out(asking)

    def begin(self, position: Position, document: str) -> None:
        """As `keep`, for a log that was looked at just now, and ends at `position`: bookmarks beyond are of another
        one, from before the database came back from a backup, or was replaced."""
        with told(self._place.where), closing(self._place.inbox()) as asking:
            asking.execute(delete(bookmark).where(self._ours, bookmark.c.position >= position))
            asking.execute(insert(bookmark).values(system=self._system, position=position, document=document))

    def newest(self, resume: Position) -> str | None:
        """The document of the highest position that is not behind `resume`."""
        with told(self._place.where), closing(self._place.inbox()) as asking:
            query = select(bookmark.c.document).where(self._ours, bookmark.c.position <= resume)
            found = asking.execute(query.order_by(bookmark.c.position.desc()).limit(1)).scalar()
            return None if found is None else str(found)

    def forget(self) -> None:
        """Takes all of them out: the log was begun anew, and is agreed on anew."""
        with told(self._place.where), closing(self._place.inbox()) as asking:
            asking.execute(delete(bookmark).where(self._ours))

    @property
    def _ours(self):  # type: ignore[no-untyped-def]
        return bookmark.c.system == self._system

    def _thin_out(self, asking: Connection) -> None:
        """Every second one of the older half goes, once there are too many: the older, the sparser."""
        query = select(bookmark.c.position).where(self._ours).order_by(bookmark.c.position)
        positions = asking.execute(query).scalars().all()
        if len(positions) > kept_max:
            gone = positions[1 : kept_max // 2 : 2]
            asking.execute(delete(bookmark).where(self._ours, bookmark.c.position.in_(gone)))
