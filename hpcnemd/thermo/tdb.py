"""A strict reader of TDB files (the interchange format of CALPHAD data): every command with its line, every T range, every name resolved.

It evaluates G and L parameters itself (for binaries without magnetism or ordering), and it is what the pre-check looks at. Nothing is dropped in silence:
what cannot be read is a `DatabaseSyntax` with its line."""
import ast
import difflib
import hashlib
import math
import re
from dataclasses import dataclass, field

import numpy as np

from .errors import DatabaseSyntax, TemperatureGap, TemperatureOutOfRange, UndefinedFunction

COMMANDS = ("ELEMENT", "SPECIES", "PHASE", "CONSTITUENT", "FUNCTION", "PARAMETER", "TYPE_DEFINITION", "DEFINE_SYSTEM_DEFAULT", "DEFAULT_COMMAND",
            "DATABASE_INFORMATION", "VERSION_DATE", "REFERENCE_FILE", "ADD_REFERENCES", "LIST_OF_REFERENCES", "TEMPERATURE_LIMITS", "ASSESSED_SYSTEMS",
            "ZEROVOLUME_SPECIES", "DIFFUSION")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?"
_ALLOWED = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Constant, ast.Name, ast.Load, ast.Call, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.UAdd, ast.USub)
_BUILTIN = {"T", "P", "R", "LN", "LOG", "EXP", "SQRT"}


@dataclass
class Pieces:
    """A function of T in pieces: `ranges` [(low, high, code, names used)], from the command at `line`."""
    name: str
    line: int
    ranges: list

    @property
    def low(self):
        return self.ranges[0][0]

    @property
    def high(self):
        return self.ranges[-1][1]

    def names(self):
        return set().union(*(r[3] for r in self.ranges))


@dataclass
class Parameter:
    kind: str
    phase: str
    constituents: tuple         # one tuple of names per sublattice
    order: int
    value: Pieces
    line: int
    of: str = ""                # the diffusing species of a mobility

    def __str__(self):
        return f"{self.kind}({self.phase}{'&' + self.of if self.of else ''},{':'.join(','.join(s) for s in self.constituents)};{self.order})"


@dataclass
class PhaseEntry:
    name: str
    line: int
    sites: tuple
    types: str
    options: str = ""
    constituents: tuple = ()


@dataclass
class Database:
    """What a TDB file says. `sha256` of its bytes; `elements` {name: line}; `species` {name: {element: atoms}}."""
    path: str
    sha256: str
    elements: dict = field(default_factory=dict)
    species: dict = field(default_factory=dict)
    phases: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)
    parameters: list = field(default_factory=list)
    types: dict = field(default_factory=dict)           # character -> text
    ignored: list = field(default_factory=list)

    def function(self, name, t, gas_constant=8.3145, seen=()):
        """Value of FUNCTION `name` at t (K). Raises UndefinedFunction, TemperatureOutOfRange."""
        entry = self.functions.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self.functions, 1)
            raise UndefinedFunction(f"{self.path}: the function {name} is used but not defined{f'; did you mean {near[0]}?' if near else ''}")
        return self.evaluate(entry, t, gas_constant, seen + (name,))

    def evaluate(self, pieces, t, gas_constant=8.3145, seen=()):
        for low, high, code, names in pieces.ranges:
            if low <= t <= high:
                if set(seen) & names:
                    raise DatabaseSyntax(f"{self.path}, line {pieces.line}: {pieces.name} is defined by itself", pieces.line)
                scope = {"T": t, "P": 101325.0, "R": gas_constant, "LN": math.log, "LOG": math.log, "EXP": math.exp, "SQRT": math.sqrt, "__builtins__": {}}
                for name in names:
                    scope[name] = self.function(name, t, gas_constant, seen)
                return eval(code, scope)
        raise TemperatureOutOfRange(f"{self.path}, line {pieces.line}: {pieces.name} is given for {pieces.low:g}-{pieces.high:g} K, and T = {t:g} K was asked", pieces.line)

    def span(self, pieces, seen=()):
        """(low, high) K over which a function and all that it uses are given."""
        low, high = pieces.low, pieces.high
        for name in pieces.names():
            if name in self.functions and name not in seen:
                a, b = self.span(self.functions[name], seen + (name,))
                low, high = max(low, a), min(high, b)
        return low, high


def read(path):
    """The Database of a TDB file. Raises DatabaseSyntax, TemperatureGap with the line."""
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
    except OSError as problem:
        raise DatabaseSyntax(f"{path}: cannot be read ({problem.strerror}); give the path of a TDB file") from None
    return parse(raw.decode("latin-1"), str(path), hashlib.sha256(raw).hexdigest())


def parse(text, name="(text)", sha256=None):
    """The Database of TDB text."""
    db = Database(name, sha256 or hashlib.sha256(text.encode("latin-1", "replace")).hexdigest())
    for line, command in _commands(text):
        word, _, rest = command.partition(" ")
        word, rest = word.upper(), rest.strip()
        found = [c for c in COMMANDS if _abbreviates(word, c)]
        if not found:
            near = difflib.get_close_matches(word, COMMANDS, 1)
            raise DatabaseSyntax(f"{name}, line {line}: {word} is not a TDB command{f'; did you mean {near[0]}?' if near else ''}", line)
        handler = _HANDLERS.get(found[0])
        if handler is None:
            db.ignored.append((line, found[0]))
            continue
        try:
            handler(db, rest, line)
        except (DatabaseSyntax, TemperatureGap):
            raise
        except (ValueError, IndexError, AttributeError, TypeError) as problem:
            raise DatabaseSyntax(f"{name}, line {line}: {found[0]} cannot be read ({problem}): {rest[:80]}", line) from None
    return db


def _commands(text):
    """(line, command) for each `... !`; comment lines begin with $."""
    lines = [("" if line.lstrip().startswith("$") else line) for line in text.replace("\r", "").split("\n")]
    start, buffer = None, []
    for number, line in enumerate(lines, start=1):
        while True:
            before, mark, line = line.partition("!")
            if start is None and before.lstrip().startswith("$"):
                break                           # a comment behind the end of a command
            if before.strip() and start is None:
                start = number
            buffer.append(before)
            if not mark:
                break
            command = " ".join(" ".join(buffer).split())
            if command:
                yield start, command
            start, buffer = None, []
    rest = " ".join(" ".join(buffer).split())
    if rest:
        raise DatabaseSyntax(f"line {start}: the last command has no ! at its end: {rest[:60]}", start)


def _abbreviates(word, command):
    """PARA, TYPE_DEF, T_D: each part between underscores may be cut short."""
    parts, whole = word.replace("-", "_").split("_"), command.split("_")
    return len(word) >= 3 and len(parts) <= len(whole) and all(w.startswith(p) for p, w in zip(parts, whole))


def expression(text, where, line):
    """(code, names used) of an arithmetic expression in T. Raises DatabaseSyntax."""
    source = re.sub(r"(?<=[\d.])[dD](?=[-+]?\d)", "E", text.upper().replace("#", "").replace(" ", ""))
    source = re.sub(r"(?<![\w.])0+(?=\d)", "", source)
    try:
        tree = ast.parse(source, mode="eval")
    except SyntaxError:
        raise DatabaseSyntax(f"{where}, line {line}: the expression {text.strip()[:80]!r} cannot be read", line) from None
    names = set()
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED) or isinstance(node, ast.Call) and (not isinstance(node.func, ast.Name) or node.func.id not in _BUILTIN or len(node.args) != 1):
            raise DatabaseSyntax(f"{where}, line {line}: {text.strip()[:80]!r} has a part that is not arithmetic", line)
        if isinstance(node, ast.Name):
            names.add(node.id)
    return compile(tree, where, "eval"), frozenset(names - _BUILTIN)


def _pieces(db, name, text, line):
    """`298.15 expr; 700 Y expr; 933 N ref`"""
    match = re.match(rf"\s*({_NUMBER}|,+)?\s*(.*)$", text)
    head = re.match(rf"\s*({_NUMBER})\s+(?=\S)", text)
    if head:
        low, rest = float(head[1].replace("D", "E")), text[head.end():]
    else:
        low, rest = 0.01, match[2] if match and (match[1] or "").startswith(",") else text
    ranges = []
    while True:
        body, mark, rest = rest.partition(";")
        if not mark:
            raise DatabaseSyntax(f"{db.path}, line {line}: {name}: no ; and upper temperature after {body.strip()[:50]!r}", line)
        tail = re.match(rf"\s*({_NUMBER}|,)?\s*([YyNn])?\s*(.*)$", rest)
        high = float(tail[1].replace("D", "E")) if tail[1] and tail[1] != "," else 6000.0
        if high <= low:
            raise TemperatureGap(f"{db.path}, line {line}: {name}: the range {low:g}-{high:g} K is empty; temperatures must ascend and the ranges meet", line)
        code, names = expression(body, f"{db.path}: {name}", line)
        ranges.append((low, high, code, names))
        if (tail[2] or "N").upper() == "N":
            if ";" in tail[3]:
                raise TemperatureGap(f"{db.path}, line {line}: {name}: more ranges after the N that ends it at {high:g} K: a gap; write Y between ranges", line)
            return Pieces(name, line, ranges)
        low, rest = high, tail[3]


def _element(db, text, line):
    db.elements[text.split()[0].upper()] = line


def _species(db, text, line):
    name, formula = text.split()[:2]
    formula = formula.split("/")[0].upper()
    parts = re.findall(r"([A-Z]{1,2})(\d*\.?\d*)", formula)
    db.species[name.upper()] = {e: float(n or 1) for e, n in parts}


def _phase(db, text, line):
    words = text.split()
    name = words[0].split(":")[0].upper()
    if name in db.phases:
        raise DatabaseSyntax(f"{db.path}, line {line}: the phase {name} is declared twice (first on line {db.phases[name].line})", line)
    count = int(words[2])
    sites = tuple(float(w) for w in words[3:3 + count])
    if len(sites) != count:
        raise DatabaseSyntax(f"{db.path}, line {line}: PHASE {name} announces {count} sublattices and gives {len(sites)} site numbers", line)
    db.phases[name] = PhaseEntry(name, line, sites, words[1], words[0].partition(":")[2].upper())


def _constituent(db, text, line):
    name, _, rest = text.partition(" ")
    name = name.split(":")[0].upper()
    if name not in db.phases:
        near = difflib.get_close_matches(name, db.phases, 1)
        raise DatabaseSyntax(f"{db.path}, line {line}: CONSTITUENT of {name}, which is not a phase{f'; did you mean {near[0]}?' if near else ''}", line)
    body = rest.strip().strip(":")
    sublattices = tuple(tuple(s.strip().rstrip("%").strip().upper() for s in re.split(r"[,\s]+", part.strip()) if s.strip("% ")) for part in body.split(":"))
    if len(sublattices) != len(db.phases[name].sites):
        raise DatabaseSyntax(f"{db.path}, line {line}: {name} has {len(db.phases[name].sites)} sublattices and CONSTITUENT gives {len(sublattices)}", line)
    db.phases[name].constituents = sublattices


def _function(db, text, line):
    name, _, rest = text.partition(" ")
    name = name.upper()
    if name in db.functions:
        raise DatabaseSyntax(f"{db.path}, line {line}: the function {name} is defined twice (first on line {db.functions[name].line})", line)
    db.functions[name] = _pieces(db, name, rest, line)


def _parameter(db, text, line):
    match = re.match(r"([A-Za-z]\w*)\s*\(\s*([^,&\s]+)\s*(?:&\s*([\w/-]+))?\s*,\s*([^;)]*?)\s*(?:;\s*(\d+))?\s*\)\s*(.*)$", text)
    if not match:
        raise DatabaseSyntax(f"{db.path}, line {line}: PARAMETER {text[:60]!r}: write G(PHASE,A,B:VA;0) 298.15 expression; 6000 N", line)
    kind, phase, of, array, order, rest = match.groups()
    constituents = tuple(tuple(c.rstrip("%").upper() for c in re.split(r"[,\s]+", part.strip()) if c) for part in array.split(":"))
    entry = Parameter(kind.upper(), phase.split(":")[0].upper(), constituents, int(order or 0), None, line, (of or "").upper())
    entry.value = _pieces(db, str(entry), rest, line)
    db.parameters.append(entry)


def _type_definition(db, text, line):
    character, _, rest = text.partition(" ")
    db.types[character[0]] = (rest.strip().upper(), line)


_HANDLERS = {"ELEMENT": _element, "SPECIES": _species, "PHASE": _phase, "CONSTITUENT": _constituent, "FUNCTION": _function, "PARAMETER": _parameter,
             "TYPE_DEFINITION": _type_definition}


def needs_engine(db, phase):
    """Why the own code cannot evaluate a phase ("" where it can): magnetism, ordering, other parameters than G and L, several mixing sublattices."""
    entry = db.phases[phase]
    for character in entry.types:
        text = db.types.get(character, ("", 0))[0]
        for word in ("MAGNETIC", "DIS", "NEVER"):
            if re.search(rf"\b{word}", text) and "GES" in text:
                return f"type definition {character} ({text})"
    other = {p.kind for p in db.parameters if p.phase == phase} - {"G", "L"}
    return f"parameters {', '.join(sorted(other))}" if other else ""


def stable_range(db, components, phases):
    """(low, high, where) K in which all functions that these phases use for these components are given."""
    low, high, where_low, where_high = 0.0, np.inf, "", ""
    wanted = set(components)
    for p in db.parameters:
        if p.phase in phases and all(c in wanted or c == "*" for s in p.constituents for c in s):
            a, b = db.span(p.value)
            if a > low:
                low, where_low = a, f"{p} on line {p.line}"
            if b < high:
                high, where_high = b, f"{p} on line {p.line}"
    return low, high, where_low, where_high
