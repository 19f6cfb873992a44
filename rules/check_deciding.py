"""Who is right, judged without a database: owners, policies, what is closed, how values are compared, and limits.

Every field has an answer, said once, by somebody who can. What stands in the expressions is for `rules/formulas.py` to
read, and how fields make other fields is judged in `rules/check_derived.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rules.durations import ALLOWED, RATES_ALLOWED, microseconds, rate
from rules.findings import Findings
from rules.formulas import Formulas
from rules.problem import Path, did_you_mean, listed, quoted
from rules.ruling import Ruling, groups_by_field, identity_fields, reachable, registers, ruling, sole_owner
from rules.syntax import POLICIES, ConflictSyntax, EntitySyntax, OwnerSyntax

SINGLE_VALUE_POLICIES = ("max", "min", "delta", "union")
TIME_POLICIES = ("last_writer", "first_writer")
NO_FALLBACKS = (*TIME_POLICIES, "expression")
POLICY_FORMS = {"expression": "{expression: …}"}
"""Of policies that one word does not say."""


def known_system(findings: Findings, path: Path, system: str, known: Iterable[str], *, key: bool = False) -> bool:
    """A system that may be named there."""
    known = tuple(known)
    if system in known:
        return True
    findings.error("R301", path, f"unknown system {quoted(system)}", key=key, allowed=known,
                   mend=did_you_mean(system, known))  # fmt: skip
    return False


def check_entity_ruling(top: Path, entity: EntitySyntax, accepted: tuple[str, ...], findings: Findings) -> None:
    """What the entity says for all fields that say nothing themselves, and its limits."""
    check_owners(top, entity.owner, accepted, findings)
    check_conflict(top, entity.conflict, findings)
    owner = sole_owner(entity.owner)
    if owner is not None and entity.conflict is not None:
        findings.warn(
            "R352", (*top, "conflict"), f"this policy is never asked: `owner: {owner}` decides every field"
            " that says nothing itself", mend="leave one of them out",
            also=(("the owner is named here", (*top, "owner")),),
        )  # fmt: skip
    for word in ("inserts", "updates", "deletes") if entity.limits is not None else ():
        text = getattr(entity.limits, word)
        if text is not None and rate(text) is None:
            findings.error("R368", (*top, "limits", word), "so many within so long must stand here",
                           found=quoted(text), allowed=RATES_ALLOWED)  # fmt: skip


def check_ruling(name: str, entity: EntitySyntax, field: str | None, group: str | None, systems: set[str],
                 findings: Findings) -> None:  # fmt: skip
    """Who decides a field or a group: said once, by somebody who can. `systems`: those that have it."""
    decided = field if field is not None else group
    path: Path = ("entities", name, "fields" if field is not None else "groups", str(decided))
    own = entity.fields[field] if field is not None else entity.groups[str(group)]
    owner = sole_owner(own.owner)
    if owner is not None and own.conflict is not None:
        findings.error("R310", (*path, "conflict"), f"{quoted(owner)} owns {quoted(decided)}: no conflict can"
                       " arise", mend="leave out `owner` or `conflict`",
                       also=(("the owner is named here", (*path, "owner")),))  # fmt: skip
    check_conflict(path, own.conflict, findings)
    if not check_owners(path, own.owner, entity.bind, findings):
        return
    said = ruling(name, entity, field, group)
    _check_owners_can(path, str(decided), own.owner is not None, said, entity, systems, findings)
    if said.policy is None and said.owners:
        findings.error("R361", said.said, f"nobody owns {quoted(decided)} when none of these conditions holds, and"
                       " there is no policy for that", allowed=("a last entry without a condition", *_policies()),
                       mend="name who owns it otherwise, or say `conflict`")  # fmt: skip
    elif said.policy is None and len(systems - said.closed) > 1:
        findings.error("R309", path, f"{quoted(decided)} has neither owner nor policy", key=True,
                       allowed=tuple(f"owner: {system}" for system in systems_in_order(entity, systems)) + _policies(),
                       mend="choose one, here or for the whole entity")  # fmt: skip


def _policies() -> tuple[str, ...]:
    return tuple(f"conflict: {POLICY_FORMS.get(policy, policy)}" for policy in POLICIES)


def systems_in_order(entity: EntitySyntax, systems: set[str]) -> list[str]:
    """As the entity binds them."""
    return [system for system in entity.bind if system in systems]


def check_owners(path: Path, owners: list[OwnerSyntax] | None, known: Iterable[str], findings: Findings) -> bool:
    """Known systems, each of which can have its turn. `path`: of the level that names them."""
    good = True
    for at, one in enumerate(owners or ()):
        good &= known_system(findings, owner_path(path, at, one), one.system, known, key=one.when is not None)
    if owners is not None and len(reachable(owners)) < len(owners):
        last = len(reachable(owners))
        always = owners[last - 1]
        findings.error("R360", owner_path(path, last, owners[last]), f"{quoted(owners[last].system)} never has its"
                       f" turn: {quoted(always.system)} owns it always", key=owners[last].when is not None,
                       mend="put what has a condition first, or take it out",
                       also=(("it stands here", owner_path(path, last - 1, always)),))  # fmt: skip
    return good


def owner_path(path: Path, at: int, one: OwnerSyntax) -> Path:
    """Where an owner is named."""
    return (*path, "owner", at) if one.when is None else (*path, "owner", at, one.system)


def _check_owners_can(path: Path, decided: str, own: bool, said: Ruling, entity: EntitySyntax, systems: set[str],
                      findings: Findings) -> None:  # fmt: skip
    """Whoever owns it has it, and is listened to; and somebody is."""
    named = [said.owner] if said.owner is not None else [one.system for one in reachable(said.owners)]
    place = (*path, "owner") if own else path
    for system in dict.fromkeys(named):
        if system not in entity.bind:
            continue
        if system not in systems:
            findings.error("R311", place, f"{quoted(system)} owns {quoted(decided)}, but does not have it",
                           key=not own, mend="choose another owner, or a policy")  # fmt: skip
        elif system in said.closed:
            findings.error("R363", place, f"{quoted(system)} owns {quoted(decided)}, but nothing is taken from there",
                           key=not own, found="`one_way`",
                           mend="choose another owner, or take `one_way` out")  # fmt: skip
    if systems and systems <= said.closed:
        findings.error("R364", path, f"nobody can write {quoted(decided)}: it is one-way in every system", key=True,
                       found=listed(map(quoted, systems_in_order(entity, systems))),
                       mend="take `one_way` out where it comes from")  # fmt: skip


def check_conflict(path: Path, said: ConflictSyntax | None, findings: Findings) -> None:
    """The words of a policy go together. `path`: of the level that says it."""
    if said is None:
        return
    place: Path = (*path, "conflict")
    if said.policy == "expression" and said.expression is None:
        findings.error("R366", place, "an expression must say which write wins", found="`expression`",
                       mend='write it: `conflict: {expression: "length(name)"}`')  # fmt: skip
    if said.policy != "expression" and said.expression is not None:
        findings.error("R366", (*place, "expression"), f"{quoted(said.policy)} asks no expression", key=True,
                       mend="leave out `policy` or `expression`")  # fmt: skip
    for word, text in (("within", said.within), ("else", said.else_)):
        if text is not None and said.policy not in TIME_POLICIES:
            findings.error("R366", (*place, word), f"{quoted(said.policy)} does not go by time: {quoted(word)} means"
                           " nothing here", key=True, allowed=tuple(f"policy: {policy}" for policy in TIME_POLICIES),
                           mend="take it out")  # fmt: skip
    if said.else_ in NO_FALLBACKS and said.policy in TIME_POLICIES:
        findings.error("R366", (*place, "else"), "this cannot tell writes apart that are too close",
                       found=quoted(said.else_),
                       allowed=tuple(policy for policy in POLICIES if policy not in NO_FALLBACKS))  # fmt: skip
    if said.within is not None and microseconds(said.within) is None:
        findings.error("R367", (*place, "within"), "a length of time must stand here", found=quoted(said.within),
                       allowed=ALLOWED)  # fmt: skip


def check_single_value(path: Path, said: Ruling, members: str, own: bool, findings: Findings) -> None:
    """Policies for one value, where several are decided together. `members`: what they are."""
    for word, policy in (("policy", said.policy), ("else", said.conflict.else_ if said.conflict else None)):
        if policy in SINGLE_VALUE_POLICIES:
            allowed = tuple(one for one in POLICIES if (one not in SINGLE_VALUE_POLICIES and word == "policy")
                            or one not in (*SINGLE_VALUE_POLICIES, *NO_FALLBACKS))  # fmt: skip
            findings.error("R316", (*said.asked, word) if own else path, f"{quoted(policy)} decides one value, and"
                           f" {members}", key=not own, allowed=allowed)  # fmt: skip


def check_sameness(name: str, entity: EntitySyntax, key: tuple[str, ...], findings: Findings) -> None:
    """A form of comparison where values are compared, and have several spellings."""
    group_of = groups_by_field(entity)
    for field_name, field in entity.fields.items():
        path: Path = ("entities", name, "fields", field_name, "same")
        if field.same == "exact":
            continue
        policy = ruling(name, entity, field_name, group_of.get(field_name)).policy
        if field_name in key:
            findings.error("R378", path, f"{quoted(field_name)} is the key in every system, and keys are the same as"
                           " they stand", mend="take it out, or say it at the identity")  # fmt: skip
        elif field.reference is not None:
            findings.error("R378", path, f"{quoted(field_name)} refers to a record, and that has no spellings",
                           mend="take it out")  # fmt: skip
        elif policy in ("delta", "union"):
            findings.error("R378", path, f"{quoted(policy)} puts values together, and they must be the same as they"
                           " stand", mend="take `same` out, or choose another policy")  # fmt: skip


def check_recognised(top: Path, entity: EntitySyntax, findings: Findings) -> None:
    """What a record is recognised by is in its rows, and not worked out."""
    for name in identity_fields(entity):
        if name in entity.fields and entity.fields[name].derive is not None:
            findings.error("R365", (*top, "fields", name, "derive"), f"records are recognised by {quoted(name)}: it"
                           " cannot be worked out", key=True, mend="recognise them by another field")  # fmt: skip


def check_conditions(name: str, entity: EntitySyntax, key: tuple[str, ...], findings: Findings) -> Formulas:
    """All expressions, as far as they can be read without types; and no owner by what he owns."""
    formulas = Formulas(name, entity, dict.fromkeys(entity.fields, ""), findings)
    names = list(entity.fields)
    for group, members in registers(entity, key):
        said = ruling(name, entity, None if group is not None else members[0], group)
        formulas.preference(said)
        for at, claim in enumerate(formulas.claims(said)):
            fields = frozenset(names[number] for number in claim.when.fields) if claim.when is not None else frozenset()
            if not fields.isdisjoint(members):
                _tell_own(name, said, at, group or members[0], group is not None, findings)
    formulas.checks()
    return formulas


def _tell_own(name: str, said: Ruling, at: int, decided: str, group: bool, findings: Findings) -> None:
    """An owner's condition looks at what he owns by it: whoever writes it would take it from the other in passing."""
    condition: Path = (*said.said, at, said.owners[at].system)
    mend = f"say by itself who owns {quoted(decided)}"
    if len(said.said) > len(("entities", name, "owner")):
        findings.error("R362", condition, f"who owns {quoted(decided)} cannot depend on {quoted(decided)}", mend=mend)
        return
    path: Path = ("entities", name, "groups" if group else "fields", decided)
    findings.error("R362", path, f"who owns {quoted(decided)} cannot depend on {quoted(decided)}", key=True, mend=mend,
                   also=(("the condition is here", condition),))  # fmt: skip
