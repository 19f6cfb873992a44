"""Every code a problem of a rule file can bear, with its situation in one line.

`docs/errors-rules.md` is printed from this table (`python -m rules.codes`), and a test compares the two. Codes are
stable: one that is no longer used is never given to another problem. R1 the file, R2 its words, R3 its meaning,
R4 its fit to the databases' catalogs, R5 secrets and addresses.
"""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, str]] = {
    "R101": "The rule file cannot be read.",
    "R102": "The file is empty, or holds nothing but comments.",
    "R103": "The file is not UTF-8, or starts with a byte order mark.",
    "R104": "The file is not YAML.",
    "R105": "A tab is used to indent.",
    "R106": "A key stands twice in one mapping; both lines are named.",
    "R107": "An anchor or an alias is used; a small file could unfold to a huge one.",
    "R108": "A tag (`!!…`) is used; rule files make no objects.",
    "R109": "The file is nested too deeply.",
    "R110": "The file is too large.",
    "R111": "The file holds more than one YAML document.",
    "R112": "A key is not a word: null, a list or a mapping.",
    "R201": "An unknown key.",
    "R202": "A key of the language that this version does not have yet.",
    "R203": "A key that must be there is missing.",
    "R204": "A value of the wrong type: a mapping for a word, nothing at all, and so on.",
    "R205": "A word that is not one of those allowed here.",
    "R206": "A name that names here cannot have.",
    "R207": "The file is written for a newer duolog.",
    "R208": "A list or mapping that may not be empty is empty.",
    "R209": "Something is listed twice.",
    "R211": "A number outside its range.",
    "R301": "A system that the file does not have, or that the entity is not bound in.",
    "R302": "Fewer than two systems: there is nothing to keep in step.",
    "R303": "One table is bound twice in one system; both lines are named.",
    "R304": "One column is bound twice in one system; both lines are named.",
    "R305": "The identity names a field that the entity does not have.",
    "R306": "A field of the identity is not bound in every system of the entity.",
    "R307": "A field of the identity has an owner or a policy, or is in a group; it is never decided.",
    "R308": "A field is bound in one system only: there is nothing to keep in step.",
    "R309": "A field that several systems may write has neither owner nor policy: choose one.",
    "R310": "A field or group has an owner and a policy at once; an owned field has no conflicts.",
    "R311": "The owner does not have the field it is to own.",
    "R312": "A group names a field that the entity does not have.",
    "R313": "A field is in two groups; both lines are named.",
    "R314": "A field of a group has an owner or a policy of its own; both lines are named.",
    "R315": "The fields of a group are not bound in the same systems.",
    "R316": "`max`, `min` or `delta` for a group: they decide one value.",
    "R317": "A value map is not one-to-one: the colliding values are shown.",
    "R318": "A reference to an entity that the file does not have.",
    "R319": "A reference to an entity whose identity has several fields.",
    "R320": "References form a cycle; it is named edge by edge.",
    "R321": "A reference and the key it refers to are mapped differently in one system.",
    "R322": "An order that leaves out a system of the entity.",
    "R324": "Two systems are the same database, and an entity is bound to the same table in both: a loop.",
    "R325": "A name of a table or column that no database can have: too long, empty, or with a NUL.",
    "R326": "A table's name with several dots.",
    "R351": "Warning: a value that one system's map yields has no counterpart in another system's map.",
    "R352": "Warning: an entity's policy is never asked, because its owner decides every field without one.",
    "R401": "A table does not exist; the nearest names are told.",
    "R402": "A column does not exist; the nearest names are told.",
    "R403": "A table's or column's name differs from the catalog's by upper and lower case only.",
    "R404": "A generated column: it cannot be written.",
    "R405": "The types of a field's columns cannot be told in each other.",
    "R406": "A type that is kept in step only with the very same type.",
    "R407": "A policy that needs numbers, or values in an order, for a field that has none.",
    "R408": "A value in a map is none that the column can hold.",
    "R409": "The identity is of a type that cannot tell records apart.",
    "R410": "A key would lose something on its way: two records could become one.",
    "R411": "A reference is of another type than the key it refers to.",
    "R412": "A key is written in different forms in different systems.",
    "R451": "Warning: texts may be longer than the other column.",
    "R452": "Warning: digits after the point are lost.",
    "R453": "Warning: fractions of a second are lost.",
    "R454": "Warning: numbers may be larger than the other column can hold.",
    "R455": "Warning: values without a counterpart on the other side; a record that has one waits in quarantine.",
    "R456": "Warning: blanks at the end are lost.",
    "R457": "Warning: keys that differ for one system are equal for another.",
    "R458": "Warning: digits of a floating-point number are lost.",
    "R501": "A password stands in the file.",
    "R502": "An environment variable is missing or empty.",
    "R503": "A secret file cannot be read.",
    "R504": "Everybody may read a secret file.",
    "R505": "A reference is not written as `${NAME}` or `${file:/path}`.",
    "R506": "An address of a scheme that the adapter or the store does not have.",
    "R507": "An address that cannot be understood, or names no host or database.",
}


def table() -> str:
    """The page for the manual."""
    lines = [
        "# What can be wrong with a rule file",
        "",
        "Printed from `rules/codes.py`; `python -m rules.codes > docs/errors-rules.md` prints it again.",
        "A faulty file with the whole message of each stands in `tests/rules/diagnostics/`.",
        "",
        "| code | situation |",
        "|---|---|",
        *(f"| {code} | {situation} |" for code, situation in CODES.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
