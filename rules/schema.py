"""The JSON Schema of rule files, for editors: generated from the models of `rules/syntax`, never written by hand.

`python -m rules.schema > rules/duolog.schema.json` prints it again; a test keeps the file fresh. It says less than
`duolog check` does: only the shape. What is done here is to add the short forms, which the models take as long ones,
and to take out what is Python's own (null for a key that is left out, titles).
"""

from __future__ import annotations

import json
from typing import Any

from rules.syntax import FIELD_OPTIONS, TEST_OPTIONS, FileSyntax

_SCALAR = {"type": ["string", "number", "boolean"]}
_VALUES = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}
"""What a record has, in a test: NULL is a value."""


def schema() -> str:
    """The schema as it stands in `rules/duolog.schema.json`."""
    generated = _plain(FileSyntax.model_json_schema(by_alias=True))
    models = generated["$defs"]
    _with_short_forms(models)
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "duolog rule file",
        "description": "What keeps which databases in step.",
    }
    return json.dumps({**generated, **about}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _with_short_forms(models: dict[str, Any]) -> None:
    models["ColumnSyntax"]["properties"]["map"]["additionalProperties"] = _SCALAR
    for model, options, others in (
        ("FieldSyntax", FIELD_OPTIONS, {"$ref": "#/$defs/ColumnSyntax"}),
        ("TestSyntax", TEST_OPTIONS, _or(_VALUES, {"type": "null"})),
    ):
        properties = models[model]["properties"]
        models[model]["properties"] = {name: properties[name] for name in options}
        models[model]["additionalProperties"] = others
        models[model].pop("required", None)
    cases = models["TestSyntax"]["properties"]
    for word in ("agreed", "then"):
        cases[word] = {**_or(_VALUES, {"type": "null"}), "description": cases[word]["description"]}
    for by_system in (cases["stored"], cases["steps"]["items"]):
        by_system["additionalProperties"] = _or(_VALUES, {"type": "null"})
    one = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 1}
    models["OwnerSyntax"] = {"description": models["OwnerSyntax"]["description"], "anyOf": [{"type": "string"}, one]}
    policy = models["ConflictSyntax"]["properties"]["policy"]
    models["ConflictSyntax"]["required"] = []
    for name, short in (
        ("CheckSyntax", {"type": "string"}),
        ("ColumnSyntax", {"type": "string"}),
        ("ConflictSyntax", policy),
        ("FieldSyntax", {"type": "string"}),
        ("GroupSyntax", models["GroupSyntax"]["properties"]["fields"]),
        ("IdentitySyntax", {"type": "string"}),
        ("TopicsSyntax", {"type": "string"}),
    ):
        models[name] = _or(models[name], short)
    entity = models["EntitySyntax"]["properties"]
    for word in ("delete", "leave"):
        entity[word] = _or(entity[word], entity[word]["additionalProperties"])
    for model in ("EntitySyntax", "FieldSyntax", "GroupSyntax"):
        inner = models[model]["anyOf"][1] if "anyOf" in models[model] else models[model]
        inner["properties"]["owner"] = _or(inner["properties"]["owner"], {"$ref": "#/$defs/OwnerSyntax"})
    for words in (models["TableSyntax"]["properties"], models["PartSyntax"]["properties"]):
        for word in ("on_create", "on_write", "deactivate", "reactivate"):
            if word in words:
                words[word]["additionalProperties"] = _SCALAR


def _or(long: dict[str, Any], short: dict[str, Any]) -> dict[str, Any]:
    """Either form, described once."""
    inner = {key: value for key, value in long.items() if key != "description"}
    told = {"description": long["description"]} if "description" in long else {}
    return {"anyOf": [{key: value for key, value in short.items() if key != "description"}, inner], **told}


def _plain(node: Any) -> Any:
    """Without titles, and without null: a key that says nothing is left out of a rule file."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: _plain(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None)
    }
    choices = kept.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del kept["anyOf"]
        kept = {**kept, **rest[0]} if len(rest) == 1 else {**kept, "anyOf": rest}
    return kept


if __name__ == "__main__":
    print(schema(), end="")
