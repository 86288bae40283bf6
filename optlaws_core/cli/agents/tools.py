"""A tool for each command: its inputs are the command's options, and a call of it is the command line they stand for.

So there is one list of options, one check of them, and one place that makes the numbers.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ...errors import OptLawsError
from ...parallel import Report
from ...text import listed
from .. import COMMANDS, add_options
from ..options import PRIORS, Flag, Parser, amount, file, logs, output, path, place, prior, step, updates
from .allowed import Files, keep

MOST = 60_000  # characters of an answer: what a language model takes in without losing sight of its task
APART = ("share", "mcp", "watch")  # the store is its operator's, a server needs no server, and a watch does not end
KINDS = {step: "integer", updates: "integer", int: "integer", float: "number"}
READ = (logs, file, path, place, prior)  # types of options that name a file or a folder
# Options that a server has no use for, beside those that write a file.
IDLE = {
    "laws": {"bibtex"},
    "rank": {"width", "title"},
    "select": {"cluster", "processes"},
    "plan_public": {"text"},
}
ALWAYS = ("as_json", "json")  # what an answer takes, where a command has it
FILES = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "Contents of files by name, for files that are not on this machine. Paths may name them: "
    'with {"logs/a.csv": "step,loss…"}, logs/a.csv is that file and logs its folder.',
}
FIT = " The answer names the file of the fit, which other tools take as fit."


@dataclass(frozen=True)
class Tool:
    """A command, or a part of one, by the options of its parser."""

    name: str
    parser: Parser

    @property
    def description(self) -> str:
        """What it does."""
        said = (self.parser.description or "").strip()
        return f"{said[0].upper()}{said[1:]}.{FIT if self.writes else ''}"

    @property
    def writes(self) -> str:
        """The option that names the file of a fit; empty where there is none."""
        return next((option_of(a) for a in self.parser._actions if a.type is output and a.required), "")

    @cached_property
    def inputs(self) -> dict[str, argparse.Action]:
        """What an agent may give, by name."""
        idle = {*ALWAYS, "help", *IDLE.get(self.name, ())}
        return {
            name: action
            for action in self.parser._actions
            if (name := name_of(action)) not in idle and action.type is not output
        }

    @property
    def schema(self) -> dict:
        """The inputs as a JSON schema."""
        found = {name: self._property(action) for name, action in self.inputs.items()}
        if any(action.type in READ for action in self.inputs.values()):
            found["files"] = FILES
        needed = [name for name, a in self.inputs.items() if a.required and a.nargs != "?"]
        return {"type": "object", "properties": found, "required": needed, "additionalProperties": False}

    def _property(self, action: argparse.Action) -> dict:
        said = {"description": self.told((action.help or "").replace("%%", "%"))} if action.help else {}
        if isinstance(action, Flag):
            return {"type": "boolean"} | said
        one = _kind(action)
        return ({"type": "array", "items": one} if takes_many(action) else one) | said

    def told(self, text: str) -> str:
        """A sentence for a command line, with the names that options have here."""
        mine = {option_of(action): name for name, action in self.inputs.items() if action.option_strings}
        return re.sub(r"(?<![\w-])--[a-z]+(-[a-z]+)*", lambda found: mine.get(found[0], found[0]), text)

    def words(self, inputs: Mapping[str, Any], files: Files, sent: Path | None) -> list[str]:
        """The command line of a call. Raises `OptLawsError` for inputs that there are not, or of another kind."""
        if unknown := [name for name in inputs if name not in self.inputs]:
            raise OptLawsError(f"{self.name} takes no {unknown[0][:40]!r}; it takes {listed(self.inputs, 40)}.")
        always = [f"--{name.replace('_', '-')}" for name in ALWAYS if self._has(name)][:1]
        named, placed = list(always), []
        for name, value in inputs.items():
            action = self.inputs[name]
            texts = [_text(name, action, one, files, sent) for one in _values(name, action, value)]
            if not action.option_strings:
                placed += texts
            elif isinstance(action, Flag):
                named += [option_of(action)] * bool(texts)
            else:  # in one word, so that no value is taken for an option
                named += [f"{option_of(action)}={text}" for text in texts]
        return [*named, "--", *placed] if placed else named

    def _has(self, name: str) -> bool:
        return any(name_of(a) == name and isinstance(a, Flag) for a in self.parser._actions)

    def run(self, inputs: Mapping[str, Any], files: Files, watch: Report | None = None) -> dict:
        """What the command finds, as plain values, and its remarks. Raises what the command raises."""
        inputs = {name: value for name, value in inputs.items() if value is not None}
        with tempfile.TemporaryDirectory(prefix="optlaws-sent-") as folder:
            sent, out = None, files.new_fit()
            if "files" in inputs and "files" in self.schema["properties"]:
                sent = Path(folder).resolve()
                keep(inputs.pop("files"), sent)
            words = self.words(inputs, files, sent)
            args = self.parser.parse_args([f"{self.writes}={out}", *words] if self.writes else words)
            found: list[Any] = []
            args.show, args.watch = found.append, watch
            remarks = [self.told(remark) for remark in args.run(args) or ()]
        kept = {"fit": out.name} if self.writes and out.exists() else {}
        return {**kept, "result": found[0], "remarks": remarks}


def tools() -> dict[str, Tool]:
    """Every tool by name. All commands are imported for it, which takes seconds."""
    return {name: tool for command in COMMANDS if command not in APART for name, tool in _of(command).items()}


def tool_named(name: str) -> Tool:
    """One tool, for which its command alone is imported. Raises `OptLawsError` for a name that there is not."""
    command = name.split("_")[0]
    if command not in COMMANDS or command in APART or name not in (found := _of(command)):
        raise OptLawsError(f"There is no tool {name[:40]!r}. Tools: {', '.join(tools())}.")
    return found[name]


@cache
def _of(command: str) -> dict[str, Tool]:
    """The tools of a command: itself, or its parts."""
    parser = Parser(prog=command, description=COMMANDS[command])
    add_options(command, parser)
    parts = next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
    if parts is None:
        return {command: Tool(command, parser)}
    return {f"{command}_{part}": Tool(f"{command}_{part}", sub) for part, sub in parts.choices.items()}


def option_of(action: argparse.Action) -> str:
    """An option as it is typed; empty for what stands by its place."""
    return action.option_strings[-1] if action.option_strings else ""


def name_of(action: argparse.Action) -> str:
    """What an input is called."""
    return option_of(action).lstrip("-").replace("-", "_") or action.dest


def takes_many(action: argparse.Action) -> bool:
    """Whether an option takes a list."""
    return action.nargs in ("+", "*") or isinstance(action, argparse._AppendAction)


def _kind(action: argparse.Action) -> dict:
    if action.choices is not None:
        return {"enum": list(action.choices)}
    if action.type is amount:
        return {"anyOf": [{"type": "number"}, {"type": "string"}]}
    return {"type": next((kind for of, kind in KINDS.items() if action.type is of), "string")}


def _values(name: str, action: argparse.Action, value: Any) -> list:
    """The values that an input has, one by one; for a flag one where it is set."""
    if isinstance(action, Flag):
        if not isinstance(value, bool):
            raise OptLawsError(f"{name} is either true or false, got {str(value)[:40]!r}.")
        return [value] * value
    if isinstance(value, list) and not takes_many(action):
        raise OptLawsError(f"{name} takes one value, got a list of {len(value)}.")
    found = value if isinstance(value, list) else [value]
    if wrong := [one for one in found if isinstance(one, bool) or not isinstance(one, str | int | float)]:
        raise OptLawsError(f"{name} takes a text or a number, got {json.dumps(wrong[0])[:40]}.")
    return found


def _text(name: str, action: argparse.Action, value: Any, files: Files, sent: Path | None) -> str:
    """A value as it is typed: a path in full, once it is known that it may be read."""
    if action.type in READ and not (action.type is prior and value in PRIORS):
        return str(files.found(str(value), sent))
    whole = isinstance(value, float) and value.is_integer() and _kind(action) == {"type": "integer"}
    return str(int(value) if whole else value)


def bounded(answer: dict, most: int = MOST) -> str:
    """An answer as JSON of at most about `most` characters; a remark says what was left out for that."""
    text = _plain(answer)
    if len(text) <= most:
        return text
    result, remarks = answer["result"], answer["remarks"]
    room = most - len(_plain(remarks))
    kept: list | dict
    if isinstance(result, list):
        kept = _first(result, room)
        said = f"The first {len(kept)} of {len(result)} are here, since an answer has at most {most:,} characters."
    else:
        longest = sorted(result, key=lambda key: len(_plain(result[key])))
        kept, left = dict(result), []
        while kept and len(_plain(kept)) > room:
            left.append(longest.pop())
            del kept[left[-1]]
        said = f"Left out, since an answer has at most {most:,} characters: {listed(left)}."
    return _plain(answer | {"result": kept, "remarks": [*remarks, said]})


def _first(rows: list, most: int) -> list:
    """As many rows as fit."""
    kept, used = [], 0
    for row in rows:
        used += len(_plain(row)) + 1
        if used > most:
            break
        kept.append(row)
    return kept


def _plain(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
