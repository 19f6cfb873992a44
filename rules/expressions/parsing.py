"""Words to a tree, by the grammar of PostgreSQL's expressions: its precedences, and nothing but what is allowed.

Our own, and not sqlglot's: that one reads what any database understands (`ifnull`, `==`, `a[1]` as the element 0),
binds some operators otherwise than PostgreSQL, and forgets where an operator stood. An expression that PostgreSQL
would read differently must not be understood at all (docs/decisions/0019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NoReturn

from rules.expressions.kinds import TYPE_NAMES
from rules.expressions.tree import Call, Cast, Choice, Constant, Name, Tree
from rules.expressions.words import Refusal, Word, words_of

DEPTH_MAX: Final = 40
NODES_MAX: Final = 500

OR, AND, NOT, IS, COMPARE, WITHIN, JOIN, ADD, MULTIPLY, SIGNED, CAST = range(1, 12)
"""How tightly an operator binds. `WITHIN`: between, in, like."""

_TESTS: Final = ("null", "true", "false", "unknown")
"""What `is` asks for without a second operand; one such test may follow another."""

_ALONE: Final = frozenset({IS, COMPARE, WITHIN})
"""Where two in a row need parentheses."""

_INFIX: Final = {
    "or": OR, "and": AND, "is": IS, "=": COMPARE, "<>": COMPARE, "!=": COMPARE, "<": COMPARE, "<=": COMPARE,
    ">": COMPARE, ">=": COMPARE, "between": WITHIN, "in": WITHIN, "like": WITHIN, "ilike": WITHIN, "||": JOIN,
    "+": ADD, "-": ADD, "*": MULTIPLY, "/": MULTIPLY, "%": MULTIPLY, "::": CAST,
}  # fmt: skip

_RESERVED_WORDS: Final = """
    all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default
    deferrable desc distinct do else end except false fetch for foreign from grant group having in initially intersect
    into is isnull lateral leading like ilike limit not notnull null offset on only or order placing primary references
    returning select similar some symmetric table then to trailing true union unique user using variadic when where
    window with between
"""
_RESERVED: Final = frozenset(_RESERVED_WORDS.split())
"""Words that cannot be names, unless in double quotes."""

_CHANGING_WORDS: Final = """
    now current_date current_time current_timestamp localtime localtimestamp clock_timestamp statement_timestamp
    transaction_timestamp timeofday random gen_random_uuid nextval currval lastval current_user session_user user
    current_role current_catalog current_schema current_setting age txid_current
"""
_CHANGING: Final = frozenset(_CHANGING_WORDS.split())
"""What gives something else each time, or to each caller."""


def tree_of(text: str) -> Tree:
    """The tree of a text. Raises Refusal, at the first place where it can be none."""
    parser = _Parser(words_of(text), text)
    tree = parser.expression(0)
    if parser.word.kind != "end":
        parser.unexpected()
    return tree


@dataclass(slots=True)
class _Parser:
    words: list[Word]
    text: str
    at: int = 0
    depth: int = 0
    nodes: int = 0

    @property
    def word(self) -> Word:
        """The next word."""
        return self.words[self.at]

    @property
    def end(self) -> int:
        """Where what has been read ends."""
        return self.words[self.at - 1].end

    def expression(self, least: int) -> Tree:
        """As much as is held together by operators that bind at least so tightly."""
        self.depth += 1
        self.nodes += 1
        if self.depth > DEPTH_MAX or self.nodes > NODES_MAX:
            raise Refusal("R427", "the expression is too large", (self.word.start, self.word.end),
                          found="nested too deeply" if self.depth > DEPTH_MAX else "too many operators",
                          allowed=(f"a depth of {DEPTH_MAX}", f"{NODES_MAX} operands"),
                          mend="make several of it")  # fmt: skip
        left = self.operand(least)
        last = CAST + 1
        while (level := self.level()) >= least and level:
            if level in _ALONE and level == last:
                self.unexpected("say by parentheses what belongs together")
            left = self.operator(left, level)
            last = CAST + 1 if self.words[self.at - 1].lower in _TESTS and level == IS else level
        self.depth -= 1
        return left

    def level(self) -> int:
        """How tightly the operator binds that stands next; 0 if there is none."""
        if self.word.lower == "not":
            return WITHIN if self.words[self.at + 1].lower in ("between", "in", "like", "ilike") else 0
        return _INFIX.get(self.word.lower, 0)

    def operator(self, left: Tree, level: int) -> Tree:
        """What the operator that stands next makes of what stands before it."""
        negated = self.take("not")
        sign = self.next().lower
        match sign:
            case "::":
                name, parameters = self.type()
                return Cast(left.start, self.end, left, name, parameters)
            case "is":
                return self.test(left)
            case "between":
                low = self.expression(JOIN)
                self.expect("and")
                tree = self.call("between", left, low, self.expression(JOIN))
            case "in":
                self.expect("(")
                tree = self.call("in", left, *self.listed())
            case "like" | "ilike":
                pattern = self.expression(JOIN)
                escape = (self.expression(JOIN),) if self.take("escape") else ()
                tree = self.call(sign, left, pattern, *escape)
            case _:
                tree = self.call("<>" if sign == "!=" else sign, left, self.expression(level + 1))
        return self.call("not", tree) if negated else tree

    def call(self, name: str, *arguments: Tree) -> Call:
        """An operator between its operands."""
        return Call(arguments[0].start, max(self.end, arguments[-1].end), name, arguments)

    def test(self, left: Tree) -> Tree:
        """What may stand behind `is`."""
        negated = self.take("not")
        for word in _TESTS:
            if self.take(word):
                tree = self.call("is " + word, left)
                break
        else:
            if not self.take("distinct"):
                self.unexpected(allowed=(*_TESTS, "distinct from"))
            self.expect("from")
            tree = self.call("is distinct from", left, self.expression(COMPARE))
        return self.call("not", tree) if negated else tree

    def operand(self, least: int) -> Tree:
        """What stands where an operand must."""
        word = self.next()
        match word.kind:
            case "text" | "number":
                return Constant(word.start, word.end, word.kind, word.text)
            case "quoted":
                return self.name(word)
            case "word":
                return self.worded(word, least)
            case "sign" if word.text == "(":
                tree = self.expression(0)
                self.expect(")")
                return tree
            case "sign" if word.text in "+-":
                inner = self.expression(SIGNED)
                if word.text == "-" and isinstance(inner, Constant) and inner.kind == "number":
                    text = inner.text.removeprefix("-") if inner.text.startswith("-") else "-" + inner.text
                    return Constant(word.start, inner.end, "number", text)
                return Call(word.start, self.end, "unary " + word.text, (inner,))
            case _:
                self.at -= 1
                self.unexpected()

    def worded(self, word: Word, least: int) -> Tree:
        """What begins with a bare word: a constant, a call, a choice or a name."""
        following = self.word
        match word.lower:
            case "true" | "false":
                return Constant(word.start, word.end, "boolean", word.lower)
            case "null":
                return Constant(word.start, word.end, "null")
            case "not" if least <= NOT:
                return Call(word.start, self.end, "not", (self.expression(NOT),))
            case "case":
                return self.choice(word)
            case "cast" if following.lower == "(":
                self.at += 1
                inner = self.expression(0)
                self.expect("as")
                name, parameters = self.type()
                self.expect(")")
                return Cast(word.start, self.end, inner, name, parameters)
            case lower if following.kind == "text" and (lower in TYPE_NAMES or lower == "interval"):
                self.at += 1
                constant = Constant(following.start, following.end, "text", following.text)
                return Cast(word.start, self.end, constant, "interval" if lower == "interval" else TYPE_NAMES[lower])
            case lower if lower in _CHANGING and (following.lower == "(" or lower.startswith(("cur", "local"))):
                raise Refusal("R424", "an expression must give the same for the same record, always and everywhere",
                              (word.start, word.end), found=word.text,
                              mend="keep what it should depend on in a field")  # fmt: skip
            case lower if lower in _RESERVED:
                self.at -= 1
                self.unexpected(f'put it in double quotes, if it is a name: "{word.text}"')
            case lower if following.lower == "(":
                return self.function(word, lower)
            case _:
                return self.name(word)

    def name(self, word: Word) -> Name:
        """A field, or a column of a part."""
        if not self.take("."):
            return Name(word.start, word.end, word.text)
        inner = self.next()
        if inner.kind not in ("word", "quoted"):
            self.at -= 1
            self.unexpected()
        return Name(word.start, inner.end, inner.text, word.text)

    def choice(self, word: Word) -> Choice:
        """`case`, both forms."""
        subject = self.expression(0) if self.word.lower != "when" else None
        if isinstance(subject, Constant) and subject.kind in ("text", "null"):
            subject = Cast(subject.start, subject.end, subject, "text")
        branches: list[tuple[Tree, Tree]] = []
        while self.take("when"):
            condition = self.expression(0)
            if subject is not None:
                condition = Call(condition.start, condition.end, "=", (subject, condition))
                self.nodes += 1
            self.expect("then")
            branches.append((condition, self.expression(0)))
        if not branches:
            self.unexpected(allowed=("when",))
        otherwise = self.expression(0) if self.take("else") else Constant(self.word.start, self.word.end, "null")
        self.expect("end")
        return Choice(word.start, self.end, tuple(branches), otherwise)

    def function(self, word: Word, name: str) -> Call:
        """A function and its arguments, also those that SQL parts by words."""
        self.at += 1
        match name:
            case "extract":
                field = self.next()
                if field.kind not in ("word", "text"):
                    self.at -= 1
                    self.unexpected()
                self.expect("from")
                arguments = [Constant(field.start, field.end, "text", field.text), self.expression(0)]
                self.expect(")")
            case "position":
                inner = self.expression(JOIN)
                self.expect("in")
                arguments = [self.expression(0), inner]
                self.expect(")")
                name = "strpos"
            case "trim":
                name, arguments = self.trim()
            case "substring":
                arguments = self.substring()
            case _:
                arguments = [] if self.take(")") else self.listed()
        return Call(word.start, self.end, name, tuple(arguments))

    def trim(self) -> tuple[str, list[Tree]]:
        """`trim(both 'x' from name)`: the function that does it, and its arguments."""
        name = "btrim"
        for side, short in (("both", "btrim"), ("leading", "ltrim"), ("trailing", "rtrim")):
            if self.take(side):
                name = short
        if self.take("from"):
            return name, self.listed()
        first = self.expression(0)
        if not self.take("from"):
            if self.take(")"):
                return name, [first]
            self.expect(",")
            return name, [first, *self.listed()]
        return name, [*self.listed(), first]

    def substring(self) -> list[Tree]:
        """`substring(name from 1 for 3)`, in any of its forms."""
        arguments = [self.expression(0)]
        if self.take(","):
            return [*arguments, *self.listed()]
        start = self.expression(0) if self.take("from") else None
        length = self.expression(0) if self.take("for") else None
        if start is None and length is not None and self.take("from"):
            start = self.expression(0)
        self.expect(")")
        if start is None:
            start = Constant(self.end - 1, self.end, "number", "1")
        return [*arguments, start, *([length] if length is not None else [])]

    def listed(self) -> list[Tree]:
        """Expressions with commas between, up to the parenthesis that closes."""
        found = [self.expression(0)]
        while self.take(","):
            found.append(self.expression(0))
        self.expect(")")
        return found

    def type(self) -> tuple[str, tuple[int, ...]]:
        """The name of a type, and what stands in parentheses behind it."""
        first = self.next()
        name = first.lower
        if name == "character" and self.take("varying"):
            name = "varchar"
        if name == "double" and self.take("precision"):
            name = "double precision"
        parameters: list[int] = []
        if self.take("("):
            while True:
                number = self.next()
                if number.kind != "number" or not number.text.isdigit() or len(number.text) > 9:
                    self.at -= 1
                    self.unexpected(allowed=("a whole number",))
                parameters.append(int(number.text))
                if not self.take(","):
                    break
            self.expect(")")
        if name in ("timestamp", "time") and self.word.lower in ("with", "without"):
            zoned = self.next().lower == "with"
            self.expect("time")
            self.expect("zone")
            name = name + "tz" if zoned else name
        if name not in TYPE_NAMES:
            raise Refusal("R421", "a cast to this type cannot stand in an expression", (first.start, self.end),
                          found=self.text[first.start : self.end], allowed=tuple(TYPE_NAMES))  # fmt: skip
        return TYPE_NAMES[name], tuple(parameters)

    def next(self) -> Word:
        """The next word, and on."""
        word = self.word
        if word.kind == "end":
            self.unexpected()
        self.at += 1
        return word

    def take(self, text: str) -> bool:
        """True if this stands next; then it is read."""
        if self.word.lower != text:
            return False
        self.at += 1
        return True

    def expect(self, text: str) -> None:
        """This must stand next."""
        if not self.take(text):
            self.unexpected(allowed=(text,))

    def unexpected(self, mend: str = "", *, allowed: tuple[str, ...] = ()) -> NoReturn:
        """The next word cannot stand where it does."""
        word = self.word
        if word.lower == "select":
            what = "an expression looks at one record only: no `select` can stand in it"
            mend = "keep what it should ask for in a field"
            raise Refusal("R421", what, (word.start, word.end), found=word.text, mend=mend)
        if word.kind == "end":
            start = max(0, len(self.text) - 1)
            raise Refusal("R330", "the expression ends too early", (start, start + 1), allowed=allowed, mend=mend)
        raise Refusal("R330", "this is no SQL: it cannot be understood here", (word.start, word.end),
                      found=self.text[word.start : word.end], allowed=allowed, mend=mend)  # fmt: skip
