"""Turns packets of the binlog into events: a header that is checked, and what each kind of event says.

It holds no connection and no state: one packet in, one value out. Rows and tables have modules of their own, being
what nearly all events are; kinds that only other modes of replication write are refused by name rather than guessed.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

from engine.errors import WireError

START: Final = 1
"""Where an event begins in its packet: behind the byte that says that it is one."""

HEADER: Final = 19
BODY: Final = START + HEADER
"""Where an event's body begins in its packet."""

CHECKSUM: Final = 4
"""Bytes at the end of an event."""

QUERY: Final = 2
STOP: Final = 3
ROTATE: Final = 4
FORMAT: Final = 15
XID: Final = 16
EXECUTE_LOAD: Final = 18
TABLE_MAP: Final = 19
WRITE_V1, UPDATE_V1, DELETE_V1 = 23, 24, 25
INCIDENT: Final = 26
HEARTBEAT: Final = 27
WRITE, UPDATE, DELETE = 30, 31, 32
GTID_MYSQL: Final = 33
GTID_ANONYMOUS: Final = 34
XA_PREPARE: Final = 38
PARTIAL_UPDATE: Final = 39
PAYLOAD: Final = 40
HEARTBEAT_V2: Final = 41
GTID_TAGGED: Final = 42
GTID_MARIADB: Final = 162
ENCRYPTED: Final = 164
QUERY_COMPRESSED: Final = 165
WRITE_COMPRESSED_V1, UPDATE_COMPRESSED_V1, DELETE_COMPRESSED_V1 = 166, 167, 168
WRITE_COMPRESSED, UPDATE_COMPRESSED, DELETE_COMPRESSED = 169, 170, 171

SAYS_NOTHING: Final = frozenset({
    STOP, 5, 13, 14,  # what statements use: INTVAR, RAND, USER_VAR
    9, 17,  # the file of a LOAD DATA; the statement itself comes in EXECUTE_LOAD
    28, 29, 35, 36, 37,  # IGNORABLE, ROWS_QUERY, PREVIOUS_GTIDS, TRANSACTION_CONTEXT, VIEW_CHANGE
    160, 161, 163,  # ANNOTATE_ROWS, BINLOG_CHECKPOINT, GTID_LIST
    ENCRYPTED,  # the file is encrypted; what is sent is not
})  # fmt: skip

ARTIFICIAL: Final = 0x20
"""Flag: made for us; it does not stand in the log."""

IGNORABLE: Final = 0x80
"""Flag: who does not know the kind may pass it over."""

_READ_HEADER: Final = struct.Struct("<IBIIIH").unpack_from

_BEFORE: Final = 0x0F6A7026
"""The sum that a first byte of 0, by which a packet tells that it is an event, turns into the beginning of one."""
_BEHIND: Final = 0x2144DF1C
"""What a sum comes to that is taken over bytes and their own sum behind them: so nothing needs to be cut out."""

_u16 = struct.Struct("<H").unpack_from
_u32 = struct.Struct("<I").unpack_from
_u64 = struct.Struct("<Q").unpack_from


class Header(NamedTuple):
    """What every event begins with."""

    at: int
    """Seconds since 1970 UTC."""
    kind: int
    server_id: int
    size: int
    """Bytes, header and checksum included."""
    end: int
    """The last 32 bits of the offset in the file at which it ends; 0 if it does not stand in the log."""
    flags: int


class Format(NamedTuple):
    """How a file of the log is written."""

    server: str
    """The version of the server that wrote it."""
    checksummed: bool


class Rotate(NamedTuple):
    """The log goes on in another file."""

    file: str
    offset: int


class Gtid(NamedTuple):
    """A group of events begins: one transaction, or one statement that is none."""

    text: str
    """`0-1-4711`; empty where the server does not tell."""
    committed_at: int
    """Microseconds since 1970 UTC; 0: not told here."""
    standalone: bool
    """The group is over after one statement."""
    prepared: bool
    """The group ends with XA PREPARE: it takes effect by an XA COMMIT of a later group, if at all."""


class Query(NamedTuple):
    """A statement in the log."""

    schema: str
    """The database that unqualified names were in; empty: none."""
    text: str
    ansi_quotes: bool
    """`"` quotes names."""


def read_header(packet: bytes) -> Header:
    """An event's header. Raises WireError unless the packet has the event's size."""
    try:
        header = Header(*_READ_HEADER(packet, START))
    except struct.error:
        raise WireError(f"an event of {HEADER} bytes or more expected, the packet ends", len(packet)) from None
    if header.size != len(packet) - START:
        raise WireError(f"an event of {header.size} bytes expected, found {len(packet) - START}", START + 9)
    return header


def opened(packet: bytes) -> tuple[int, int, int]:
    """(kind, end, flags) of an event's header, for events that come by the million. Raises WireError as above."""
    try:
        _, kind, _, size, end, flags = _READ_HEADER(packet, START)
    except struct.error:
        size, kind, end, flags = -2, 0, 0, 0  # the size of no packet
    if size != len(packet) - START:
        read_header(packet)
    return kind, end, flags


def check_sum(packet: bytes) -> int:
    """Where the body of an event ends that has a checksum. Raises WireError if that is not the event's."""
    end = len(packet) - CHECKSUM
    if end < BODY:
        raise WireError("an event's checksum expected, the packet ends", len(packet))
    if zlib.crc32(packet, _BEFORE) != _BEHIND:
        raise WireError("another checksum expected: the event was changed on its way, or in the log's file", end)
    return end


def sum_end(packet: bytes) -> int:
    """Where the body ends of an event that was made for us, and may or may not have a checksum."""
    end = len(packet) - CHECKSUM
    if end >= BODY and zlib.crc32(packet, _BEFORE) == _BEHIND:
        return end
    return len(packet)


def read_format(packet: bytes) -> Format:
    """How the file is written from here on. Raises WireError."""
    end = len(packet) - CHECKSUM  # this one has room for a sum even where the others have none
    if end - BODY < 2 + 50 + 4 + 1 + 1:
        raise WireError("a file's format expected, the event ends", len(packet))
    version = _u16(packet, BODY)[0]
    if version != 4 or packet[BODY + 56] != HEADER:
        raise WireError(f"format 4 of the log expected, found {version}", BODY)
    algorithm = packet[end - 1]
    if algorithm > 1:
        raise WireError(f"checksums of kind 0 or 1 expected, found {algorithm}", end - 1)
    if algorithm:
        check_sum(packet)
    server = packet[BODY + 2 : BODY + 52].rstrip(b"\0").decode("utf-8", "replace")
    return Format(server, algorithm == 1)


def read_rotate(packet: bytes, end: int) -> Rotate:
    """Where the log goes on. Raises WireError."""
    if end - BODY < 9:
        raise WireError("the name of a file expected, the event ends", end)
    return Rotate(_text(packet[BODY + 8 : end], BODY + 8), _u64(packet, BODY)[0])


def heartbeat_file(packet: bytes, end: int) -> str:
    """The file that a heartbeat's position is in; empty if it is said in another way. Raises WireError."""
    return _text(packet[BODY:end], BODY) if packet[START + 4] == HEARTBEAT else ""


def read_gtid(packet: bytes, end: int, header: Header) -> Gtid:
    """The beginning of a group. Raises WireError."""
    body = packet[BODY:end]
    if header.kind == GTID_MARIADB:
        if len(body) < 13:
            raise WireError("a GTID of 13 bytes or more expected, the event ends", end)
        number, domain, flags = struct.unpack_from("<QIB", body)
        return Gtid(f"{domain}-{header.server_id}-{number}", 0, bool(flags & 0x01), bool(flags & 0x40))
    if header.kind == GTID_TAGGED:
        return Gtid("", 0, standalone=False, prepared=False)
    if len(body) < 25:
        raise WireError("a GTID of 25 bytes or more expected, the event ends", end)
    text = ""
    if header.kind == GTID_MYSQL:
        hexed = body[1:17].hex()
        uuid = "-".join((hexed[:8], hexed[8:12], hexed[12:16], hexed[16:20], hexed[20:]))
        text = f"{uuid}:{_u64(body, 17)[0]}"
    # From 8.0 on: two numbers of its schedule (16 bytes) after a byte that says so, then the time of the commit.
    committed_at = 0
    if len(body) >= 49 and body[25] == 2:
        committed_at = int.from_bytes(body[42:49], "little") & (1 << 55) - 1
    return Gtid(text, committed_at, standalone=False, prepared=False)


def read_query(packet: bytes, end: int, kind: int) -> Query:
    """The statement of a QUERY, QUERY_COMPRESSED or EXECUTE_LOAD event. Raises WireError."""
    post = 13 + (13 if kind == EXECUTE_LOAD else 0)
    if end - BODY < post + 1:
        raise WireError("a statement expected, the event ends", end)
    schema_size = packet[BODY + 8]
    variables_size = _u16(packet, BODY + 11)[0]
    at = BODY + post + variables_size
    text_at = at + schema_size + 1
    if text_at > end or packet[text_at - 1] != 0:
        raise WireError("a database's name that ends with 0 expected", min(text_at, end))
    mode, charset = _variables(packet[BODY + post : at])
    body = packet[text_at:end]
    if kind == QUERY_COMPRESSED:
        body = uncompressed(body, text_at)
    codec = "utf-8" if charset == 0 else _CLIENT_CODECS.get(charset, "utf-8")
    schema = packet[at : at + schema_size].decode("utf-8", "replace")
    # What is judged are names and keywords; a value that cannot be decoded does not matter.
    return Query(schema, body.decode(codec, "replace"), bool(mode & 4))


def read_xa_prepare(packet: bytes, end: int) -> tuple[str, bool]:
    """(the XA transaction that is prepared, as XA COMMIT will name it: `X'7831',X'',1`; it is committed already).

    Raises WireError."""
    if end - BODY < 13:
        raise WireError("the name of an XA transaction expected, the event ends", end)
    form, first, second = struct.unpack_from("<III", packet, BODY + 1)
    at = BODY + 13
    if at + first + second > end:
        raise WireError("the name of an XA transaction expected, the event ends", end)
    name = f"X'{packet[at : at + first].hex()}',X'{packet[at + first : at + first + second].hex()}',{form}"
    return name, bool(packet[BODY])


def uncompressed(data: bytes, at: int) -> bytes:
    """What MariaDB compressed of an event, or of a COMPRESSED column. `at`: where that is. Raises WireError."""
    if not data or data[0] & 0xF0 != 0x80:
        raise WireError("compressed bytes expected", at)
    width = data[0] & 0x07
    size = int.from_bytes(data[1 : 1 + width], "big")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS if data[0] & 0x08 else zlib.MAX_WBITS)
    try:
        whole = inflate.decompress(data[1 + width :], size + 1)
    except zlib.error:
        raise WireError("compressed bytes expected, found others", at) from None
    if len(whole) != size or not inflate.eof:
        raise WireError(f"{size} bytes expected when uncompressed, found {len(whole)}", at)
    return whole


def _variables(data: bytes) -> tuple[int, int]:
    """The sql_mode and the client's collation of a statement; 0 where it does not tell."""
    mode = charset = at = 0
    try:
        while at < len(data):
            code = data[at]
            if code == 1:
                mode = _u64(data, at + 1)[0]
            elif code == 4:
                charset = _u16(data, at + 1)[0]
            if code in _VARIABLES:
                at += 1 + _VARIABLES[code]
            elif code in (2, 5, 6):  # a text; the first of them ends with 0 besides
                at += 2 + data[at + 1] + (code == 2)
            else:
                break  # those that matter come before all others
    except (IndexError, struct.error):
        raise WireError("the variables of a statement expected, they end", BODY) from None
    return mode, charset


_VARIABLES: Final = {0: 4, 1: 8, 3: 4, 4: 6, 7: 2, 8: 2, 9: 8, 10: 4}
"""Bytes of the variables of fixed length, by their codes."""

_CLIENT_CODECS: Final = {8: "cp1252", 5: "cp1252", 15: "cp1252", 47: "cp1252", 48: "cp1252", 28: "gbk", 87: "gbk"}
"""What a client may have spoken that is not UTF-8, by its collation; others give keywords and ASCII names right."""


def _text(data: bytes, at: int) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WireError("a text in UTF-8 expected", at + error.start) from None
