"""The expressions of an entity, made ready: who owns in turn, what is preferred, what is checked, what is derived.

Turns their texts into the engine's `Formula`s over the record's values. Each text is told at its own place once,
however many fields it decides. Without catalogs nothing is known of types, and the rest is checked all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import networkx as nx  # type: ignore[import-untyped,unused-ignore]

from engine.merge.derived import worked_out
from engine.rulebook import Check, Claim, Formula, Preference
from engine.vocabulary import Text
from rules.expressions import Known, formula
from rules.findings import Findings
from rules.problem import Path
from rules.ruling import Ruling
from rules.syntax import CheckSyntax, EntitySyntax

SYSTEM, COMMITTED = "system", "committed_at"
"""What a preference knows besides the fields: who wrote, and when that was committed."""


@dataclass(slots=True)
class Formulas:
    """The expressions of one entity."""

    name: str
    syntax: EntitySyntax
    families: Mapping[str, str]
    """By field: its canonical type; "" where no catalog has told it."""
    findings: Findings
    _made: dict[Path, Formula | None] = field(default_factory=dict)

    @property
    def top(self) -> Path:
        """Where the entity stands."""
        return ("entities", self.name)

    def claims(self, said: Ruling) -> tuple[Claim, ...]:
        """Who owns it in turn. With a problem among the findings they must not be used."""
        return tuple(
            Claim(one.system, self.owned_while(said, at) if one.when is not None else None)
            for at, one in enumerate(said.owners)
        )

    def owned_while(self, said: Ruling, at: int) -> Formula | None:
        """The condition of an owner in turn."""
        one = said.owners[at]
        return self._formula(str(one.when), (*said.said, at, one.system), "boolean") if one.when is not None else None

    def preference(self, said: Ruling) -> Preference | None:
        """The formula of `conflict: {expression: …}`."""
        if said.conflict is None or said.conflict.expression is None or said.policy != "expression":
            return None
        made = self._formula(said.conflict.expression, (*said.asked, "expression"), "", besides=True)
        return Preference(made) if made is not None else None

    def derived(self, name: str) -> Formula | None:
        """What a field is worked out of; None if it is not."""
        text = self.syntax.fields[name].derive
        if text is None:
            return None
        return self._formula(text, (*self.top, "fields", name, "derive"), self.families[name])

    def looked_at(self) -> dict[str, frozenset[str]]:
        """By derived field: the fields that it looks at."""
        names = list(self.syntax.fields)
        made = {name: self.derived(name) for name in names}
        return {name: frozenset(names[at] for at in one.fields) for name, one in made.items() if one is not None}

    def in_turn(self) -> list[str]:
        """The derived fields, each after those that it looks at; as the file has them, if there is a circle."""
        derived = self.looked_at()
        order = {name: at for at, name in enumerate(derived)}
        try:
            return list(nx.lexicographical_topological_sort(graph_of(derived), key=order.__getitem__))
        except nx.NetworkXUnfeasible:
            return list(derived)

    def checks(self) -> tuple[Check, ...]:
        """What must be so: of the fields in turn, then of the entity."""
        places: list[tuple[CheckSyntax, Path]] = [
            (said.check, (*self.top, "fields", name, "check"))
            for name, said in self.syntax.fields.items()
            if said.check is not None
        ]
        places += [(said, (*self.top, "checks", at)) for at, said in enumerate(self.syntax.checks)]
        made = [(said, self._formula(said.that, (*path, "that"), "boolean")) for said, path in places]
        return tuple(Check(said.name or said.that, made, said.else_) for said, made in made if made is not None)

    def _formula(self, text: str, path: Path, wants: str, *, besides: bool = False) -> Formula | None:
        # One text may decide many fields: a second problem, or a second formula, would say the same.
        place = self._place(path)
        if place not in self._made:
            made = formula(text, place, self._scope(besides), self.findings, wants=wants)
            self._made[place] = self._on_derived(made) if made is not None and place[-1] != "derive" else made
        return self._made[place]

    def _on_derived(self, made: Formula) -> Formula:
        """The same, looking at what the derived fields are worked out of: they follow only when all is decided."""
        numbers = {name: at for at, name in enumerate(self.syntax.fields)}
        fields, steps = set(made.fields), list[tuple[int, Formula]]()
        for name in reversed(self.in_turn()):
            derived = self.derived(name)
            if derived is not None and numbers[name] in fields:
                fields = fields - {numbers[name]} | derived.fields
                steps.insert(0, (numbers[name], derived))
        if not steps:
            return made

        def value(values: Sequence[Text | bool]) -> Text:
            now = list(values)
            for number, derived in steps:
                now[number] = worked_out(derived, tuple(now))
            return made.value(now)

        return Formula(made.text, made.family, frozenset(fields), value)

    def _place(self, path: Path) -> Path:
        """The way to a text as the file has it, in the short forms, too."""
        known: Path = ()
        for part in path:
            if (*known, part) in self.findings.document:
                known = (*known, part)
        return known

    def _scope(self, besides: bool) -> dict[str, Known]:
        scope = {name: Known(at, self.families[name]) for at, name in enumerate(self.syntax.fields)}
        if besides:
            for at, (name, family) in enumerate(((SYSTEM, "text"), (COMMITTED, "timestamptz")), len(scope)):
                scope.setdefault(name, Known(at, family))
        return scope


def graph_of(derived: Mapping[str, frozenset[str]]) -> nx.DiGraph[str]:
    """From each derived field to those that are worked out of it. `derived`: what each looks at."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(derived)
    graph.add_edges_from((other, name) for name, fields in derived.items() for other in fields if other in derived)
    return graph
