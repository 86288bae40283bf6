"""Values of the LaTeX formulas of schedules: a reader of just as much LaTeX as these use, to hold them to the rates.

"\\eta(t) = …" is an expression, one with a condition behind "\\text{for }", or cases. Definitions follow behind
"\\qquad", or within a case behind a comma and a space. A letter is a field's symbol, a definition, or t, i, π, e;
letters side by side are multiplied. A symbol such as "b_i" is a list: its entries count from 1 where a definition says
what "b_0" is, else from 0; a definition of "b_n" or "b_{n+1}" says what comes behind the last. i is the first index
whose condition holds.
"""

import math
import re
from collections.abc import Callable

TOKEN = re.compile(
    r"\\text\{[^}]*\}|\\begin\{cases\}|\\end\{cases\}|\\[A-Za-z]+|\\\\|[0-9.]+|[A-Za-z]|[-+=<>/(){}\[\]^_|,&]"
)
SKIPPED = (r"\left", r"\right", r"\,", r"\ ", r"\qquad", r"\quad", r"\;")
MOST = 1000  # indices that are tried
STOPS = {
    ")",
    "}",
    r"\rvert",
    ",",
    "&",
    "=",
    "<",
    r"\le",
    r"\ge",
    ">",
    r"\\",
    r"\end{cases}",
    r"\text{for }",
    r"\rfloor",
    r"\rceil",
}
NAMED = {r"\cos": math.cos, r"\sin": math.sin}
COMPARED = {"<": lambda a, b: a < b, r"\le": lambda a, b: a <= b, r"\ge": lambda a, b: a >= b, ">": lambda a, b: a > b}


class Reader:
    """One text, read from left to right."""

    def __init__(self, text: str, letters: dict, lists: dict[str, Callable], calls: dict[str, Callable]) -> None:
        text = text.replace(r"\left|", r"\lvert ").replace(r"\right|", r"\rvert ")
        for word in SKIPPED:
            text = re.sub(re.escape(word) + (r"(?![A-Za-z])" if word[-1].isalpha() else ""), " ", text)
        self.tokens, self.at, self.letters = TOKEN.findall(text), 0, letters
        self.lists, self.calls = lists, calls

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.next
        if not token or wanted and token != wanted:
            raise ValueError(f"expected {wanted or 'more'}, got {' '.join(self.tokens[self.at :])!r}")
        self.at += 1
        return token

    def sum(self) -> float:
        sign = -1.0 if self.next == "-" and self.take() else 1.0
        value = sign * self.product()
        while self.next in ("+", "-"):
            value += self.product() if self.take() == "+" else -self.product()
        return value

    def product(self) -> float:
        value = self.power()
        while self.next and self.next not in STOPS and self.next not in ("+", "-"):
            if self.next == "/":
                self.take()
                value /= self.power()
            elif self.next == r"\bmod":
                self.take()
                value %= self.power()
            else:
                value *= self.power()
        return value

    def power(self) -> float:
        value = self.atom()
        if self.next == "^":
            self.take()
            value **= self.group()
        return value

    def group(self) -> float:
        """In braces, or a single token."""
        if self.next != "{":
            return self.atom()
        self.take()
        value = self.sum()
        self.take("}")
        return value

    def between(self, end: str) -> float:
        value = self.sum()
        self.take(end)
        return value

    def atom(self) -> float:
        token = self.take()
        if token == "(":
            return self.between(")")
        if token == r"\lvert":
            return abs(self.between(r"\rvert"))
        if token in (r"\lfloor", r"\lceil"):
            return math.floor(self.between(r"\rfloor")) if token == r"\lfloor" else math.ceil(self.between(r"\rceil"))
        if token == r"\frac":
            above = self.group()
            return above / self.group()
        if token == r"\sqrt":
            return math.sqrt(self.group())
        if token in (r"\cos", r"\sin"):
            return NAMED[token](self.product())
        if token == r"\sum":
            return self.series()
        if token == r"\min" or token.startswith(r"\text"):
            self.take("(")
            values = [self.sum()]
            while self.next == ",":
                self.take()
                values.append(self.sum())
            self.take(")")
            return min(values) if token == r"\min" else self.calls[token[6:-1]](*values)
        if re.fullmatch(r"[0-9.]+", token):
            return float(token)
        return self.letter(token)

    def series(self) -> float:
        """Behind a \\sum: both ends, and the product that is summed."""
        for wanted in "_{":
            self.take(wanted)
        name = self.take()
        self.take("=")
        low = round(self.between("}"))
        self.take("^")
        high, begin, total = round(self.group()), self.at, 0.0
        for k in range(low, max(high, low) + 1):  # at least once, to read over it
            self.at, self.letters = begin, self.letters | {name: float(k)}
            term = self.product()
            total += term if k <= high else 0.0
        return total

    def letter(self, token: str) -> float:
        if self.next == "_":
            self.take()
            if f"{token}_{self.next}" in self.letters:
                return self.value(f"{token}_{self.take()}")
            return self.lists[f"{token}_i"](round(self.group()))
        if token == r"\eta":
            self.take("(")
            return self.calls["eta"](self.between(")"))
        return self.value(token)

    def value(self, name: str) -> float:
        found = self.letters[name]
        return found() if callable(found) else found

    def condition(self) -> bool:
        """A chain of comparisons."""
        left, holds = self.sum(), True
        while self.next in COMPARED:
            how = COMPARED[self.take()]
            right = self.sum()
            holds, left = holds and how(left, right), right
        return holds


def rate(formula: str, t: float, letters: dict, lists: dict[str, tuple], calls: dict[str, Callable]) -> float:
    """η(t). `letters`: numbers by symbol; `lists`: tuples by symbol; `calls`: eta, shape and rise."""
    head, *more = formula.removeprefix(r"\eta(t) = ").split(r"\qquad")
    rows, definitions = _rows(head.strip(" ,")), [d for part in more for d in part.split(r",\ ")]
    definitions += [d for row in rows for d in row[0].split(r",\ ")[1:]]
    known, entries = (
        dict(letters) | {"t": t, r"\pi": math.pi, "e": math.e},
        {k: dict(enumerate(v)) for k, v in lists.items()},
    )

    def read(text: str) -> Reader:
        return Reader(text, known, {name: (lambda i, n=name: entry(n, i)) for name in names}, calls)

    def entry(name: str, index: int) -> float:
        if name in indexed:
            known["i"], before = index, known["i"]
            value = read(indexed[name]).sum()
            known["i"] = before
            return value
        return entries[name][index]

    said = [tuple(side.strip() for side in d.split("=", 1)) for d in definitions]
    indexed = {name: text for name, text in said if name.endswith("_i") and name not in lists}
    names = {*lists, *indexed}
    for name, text in said:
        base, _, index = name.partition("_")
        if f"{base}_i" in lists and index == "0":
            entries[f"{base}_i"] = {0: 0.0} | {k + 1: v for k, v in entries[f"{base}_i"].items()}
        elif name not in indexed and f"{base}_i" not in lists:
            known[name] = lambda text=text: read(text).sum()
    for name, text in said:
        base, _, index = name.partition("_")
        if f"{base}_i" in lists:
            found = entries[f"{base}_i"]
            found[0 if index == "0" else len(found)] = read(text).sum()
    for known["i"] in range(MOST if names else 1):
        for expression, condition in rows:
            try:
                if not condition or read(condition).condition():
                    return read(expression.split(r",\ ")[0]).sum()
            except KeyError as missing:  # behind the end of a list
                if not isinstance(missing.args[0], int):
                    raise
    raise ValueError(f"no condition of {formula} holds at step {t}")


def _rows(head: str) -> list[tuple[str, str]]:
    """Expressions and their conditions, empty for none."""
    if not head.startswith(r"\begin{cases}"):
        expression, _, condition = head.partition(r"\text{for }")
        return [(expression, condition)]
    inner = head.removeprefix(r"\begin{cases}").removesuffix(r"\end{cases}")
    return [tuple(row.split("&")) for row in re.split(r"\\\\", inner)]
