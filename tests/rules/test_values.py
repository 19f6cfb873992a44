"""Whatever `check` lets through goes there and back: GetPut and PutGet of every conversion and every composition.

PutGet: what was written is what is read back, unless `check` has warned of a loss, or the words of the column are one
by themselves; then at least nothing changes a second time. GetPut: what was read and is written back is stored as it
was, or, where several spellings mean the same (`Codec.many`), means the same.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import chain

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ValueRefused
from engine.vocabulary import Text
from rules.syntax import ColumnSyntax
from rules.values import proof
from tests.rules.catalogs import column
from tests.rules.conversions import TYPES, WORDS, Conversion, conversions


@cache
def every() -> list[Conversion]:
    return conversions()


def read(conversion: Conversion, system: str, stored: str) -> Text:
    codec = conversion.codecs.get(system)
    return codec.decode(stored) if codec is not None else stored


def write(conversion: Conversion, system: str, value: Text) -> Text:
    codec = conversion.codecs.get(system)
    return codec.encode(value) if codec is not None and value is not None else value


def assert_get_put(conversion: Conversion, system: str, stored: str) -> Text:
    """Returns what it means. Raises ValueRefused if the column may not have it."""
    value = read(conversion, system, stored)
    if value is None or conversion.words(system).one_way:
        return None
    codec = conversion.codecs.get(system)
    again = write(conversion, system, value)
    if codec is not None and codec.many:
        assert again is not None and (conversion.loses(system) or read(conversion, system, again) == value), "GetPut"
    else:
        assert again == stored or conversion.loses(system), "GetPut"
    return value


def assert_put_get(conversion: Conversion, system: str, value: str) -> None:
    stored = write(conversion, system, value)
    if conversion.words(system).one_way:
        return
    back = read(conversion, system, stored) if stored is not None else None
    if not conversion.loses(system):
        assert back == value, "PutGet"
    elif back is not None and not conversion.is_endless(system):
        # A second writing changes nothing more.
        assert write(conversion, system, back) == stored, "PutGet, once it is there"


def test_every_conversion_keeps_the_laws_at_the_edges() -> None:
    tried: Counter[str] = Counter()
    broken: list[str] = []
    for conversion in every():
        for source in ("erp", "crm"):
            described = conversion.types[source == "crm"]
            for stored in proof.samples(column(f"x {described}")):
                try:
                    tried[described] += hold(conversion, source, stored)
                except AssertionError as found:
                    broken.append(str(found).partition("\n")[0])

    assert not broken, "\n".join(broken[:20])
    assert set(tried) == set(TYPES) - {"interval", "bytea", "inet"}, "nothing was tried of some type"


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_conversion_keeps_the_laws(data: st.DataObject) -> None:
    conversion = data.draw(st.sampled_from(every()))
    source = data.draw(st.sampled_from(["erp", "crm"]))

    hold(conversion, source, data.draw(TYPES[conversion.types[source == "crm"]]))


def hold(conversion: Conversion, source: str, stored: str) -> bool:
    """The laws for what one system has, there and in the other. False if it may not have that."""
    try:
        value = assert_get_put(conversion, source, stored)
    except ValueRefused:
        return False
    except AssertionError as broken:
        raise AssertionError(f"{conversion.label}: {stored!r} in {source}: {broken}") from None
    for target in ("erp", "crm"):
        try:
            if value is not None:
                assert_put_get(conversion, target, value)
        except ValueRefused:
            continue
        except AssertionError as broken:
            raise AssertionError(f"{conversion.label}: {value!r} to {target}: {broken}") from None
    return True


def test_every_word_of_a_column_is_tried_here() -> None:
    said = {word for conversion in every() for word in conversion.words("crm").model_fields_set}
    names = {known.alias or name for name, known in ColumnSyntax.model_fields.items()}

    assert set(WORDS) == names
    assert said == set(ColumnSyntax.model_fields) - {"lookup", "empty"}, "no column bears the word"
    assert {words for conversion in every() for words in [conversion.types[2]]} >= set(chain(*WORDS.values()))


def test_every_kind_of_column_is_tried_here() -> None:
    families = {column(f"x {described}").family for described in TYPES}

    assert families == {
        "text", "integer", "numeric", "boolean", "date", "time", "timestamp", "timestamptz", "interval", "uuid",
        "bytes", "json", "enum", "array", "float", "other",
    }  # fmt: skip


def test_a_refusal_names_the_field_and_the_system_and_never_the_value() -> None:
    for conversion in every():
        for system, codec in conversion.codecs.items():
            for way in (codec.decode, codec.encode):
                try:
                    way("hunter2\0")
                except ValueRefused as refused:
                    assert "hunter2" not in refused.found
                    assert refused.found.startswith(f"`{conversion.field}` of `{system}`: "), refused.found
