"""Parse YAML into nodes that know where they stand in the text.

A loader gives values and loses the text; an editor that must leave every other byte alone needs the
positions. Offsets count characters from the beginning of the text, lines from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ringrift.core.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MERGE = "<<"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Hold one value: its span in the text, and what it consists of.

    `value` is the text of a scalar or the name of an alias; `flow` says that a mapping or sequence
    stands in brackets. The span of a block ends with its last value, before comments after it.
    """

    kind: Literal["scalar", "alias", "mapping", "sequence"]
    start: int
    end: int
    line: int
    value: str = ""
    quote: str = ""
    flow: bool = False
    anchor: str | None = None
    pairs: tuple[tuple[Node, Node], ...] = ()
    items: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below, in the order of the text."""
        yield self
        for key, value in self.pairs:
            yield from key.walk()
            yield from value.walk()
        for item in self.items:
            yield from item.walk()


def read_text(path: Path) -> str:
    """Return a file's text with its line ends as they are; `SettingsError` where it has none."""
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise SettingsError(f"cannot read the file: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"not UTF-8 at byte {error.start}", where=str(path), hint="saving as UTF-8"
        ) from error


def parse_yaml(text: str, where: str) -> Node | None:
    """Return the node of the only document; `None` if there is none.

    Raises `SettingsError` naming `where` and the line of a syntax error.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        events = [
            event
            for event in YAML(typ="rt", pure=True).parse(text)
            if type(event).__name__ not in {"StreamStartEvent", "StreamEndEvent"}
        ]
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        what = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise SettingsError(f"not valid YAML: {what}", where=f"{where}{line}") from error
    starts = [event for event in events if type(event).__name__ == "DocumentStartEvent"]
    if not starts:
        return None
    if len(starts) > 1:
        raise SettingsError(
            f"found {len(starts)} documents; expected one",
            where=f"{where}:{starts[1].start_mark.line + 1}",
        )
    try:
        return _Builder(text, events[1:]).node()
    except RecursionError as error:
        raise SettingsError("not valid YAML: nested too deeply", where=where) from error


def duplicate_keys(node: Node | None, prefix: str = "") -> Iterator[tuple[str, int, int]]:
    """Yield the dotted path of each key that stands twice, its line, and the line of the first."""
    if node is None:
        return
    first: dict[str, int] = {}
    for key, value in node.pairs:
        path = f"{prefix}{key.value}"
        if key.value in first and key.value != MERGE:
            yield path, key.line, first[key.value]
        first.setdefault(key.value, key.line)
        yield from duplicate_keys(value, f"{path}.")
    for number, item in enumerate(node.items):
        yield from duplicate_keys(item, f"{prefix}{number}.")


def skip_space(text: str, at: int) -> int:
    """Return the first offset from `at` on that is neither white space nor in a comment."""
    while at < len(text):
        if text[at] == "#" and (at == 0 or text[at - 1].isspace()):
            while at < len(text) and text[at] not in "\r\n":
                at += 1
        elif text[at].isspace():
            at += 1
        else:
            break
    return at


class _Builder:
    """Turn the parser's events into nodes."""

    def __init__(self, text: str, events: list[Any]) -> None:
        self._text = text
        self._events = events
        self._at = 0

    def node(self) -> Node:
        event = self._next()
        name = type(event).__name__
        kinds: dict[str, Literal["alias", "scalar", "sequence", "mapping"]] = {
            "AliasEvent": "alias",
            "ScalarEvent": "scalar",
            "SequenceStartEvent": "sequence",
            "MappingStartEvent": "mapping",
        }
        made = Node(
            kind=kinds[name],
            start=event.start_mark.index,
            end=event.end_mark.index,
            line=event.start_mark.line + 1,
            anchor=None if name == "AliasEvent" else event.anchor,
        )
        if made.kind == "alias":
            return replace(made, value=str(event.anchor))
        if made.kind == "scalar":
            quote = event.style or ""
            return replace(made, value=str(event.value), quote=quote, end=self._content_end(event))
        flow = bool(event.flow_style)
        if made.kind == "sequence":
            items = self._items(made.start)
            end = self._next().end_mark.index if flow else self._last(items[-1].end)
            return replace(made, flow=flow, items=items, end=end)
        pairs = self._pairs()
        end = self._next().end_mark.index if flow else self._last(pairs[-1][1].end)
        return replace(made, flow=flow, pairs=pairs, end=end)

    def _pairs(self) -> tuple[tuple[Node, Node], ...]:
        found = []
        while type(self._events[self._at]).__name__ != "MappingEndEvent":
            key = self.node()
            found.append((key, self._placed(self.node(), key.end, ":")))
        return tuple(found)

    def _items(self, start: int) -> tuple[Node, ...]:
        found: list[Node] = []
        while type(self._events[self._at]).__name__ != "SequenceEndEvent":
            found.append(self._placed(self.node(), found[-1].end if found else start, "-"))
        return tuple(found)

    def _placed(self, node: Node, after: int, sign: str) -> Node:
        """Put an empty value behind its sign: the parser puts it at whatever comes next."""
        if node.kind != "scalar" or node.end > node.start:
            return node
        at = skip_space(self._text, after)
        at = at + 1 if self._text[at : at + 1] == sign else after
        return replace(node, start=at, end=at)

    def _content_end(self, event: Any) -> int:
        end: int = event.end_mark.index
        if event.style not in {"|", ">"}:
            return end
        start: int = event.start_mark.index
        return start + len(self._text[start:end].rstrip())

    def _last(self, end: int) -> int:
        self._next()
        return end

    def _next(self) -> Any:
        self._at += 1
        return self._events[self._at - 1]
