"""Take retired keys out of a settings file, leaving every other byte as it is (`core.md` 1).

The text is edited, not written anew: comments, order, quotes, anchors, indentation and line ends of
what stays cannot change.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ringrift.core.errors import SettingsError
from ringrift.core.settings_loader import (
    RETIRED_SECTIONS,
    check_file,
    known_keys,
    retired_key,
    section_paths,
)
from ringrift.core.yaml_text import MERGE, Node, parse_yaml, read_text, skip_space

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VERSION = "2"
_OLD_VERSION = re.compile(r"1\.\d+")
_OFF = frozenset({"false", "null", "~", ""})
_INDENT = re.compile(r"^[ \t]+(?=#)", re.MULTILINE)

Pair = tuple[Node, Node]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """Name a retired key that was taken out, its line in the old file, and what replaces it."""

    path: str
    line: int
    instead: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """Hold the text of a settings file before and after."""

    old: str
    new: str
    removed: tuple[Removed, ...] = ()
    old_version: str | None = None

    @property
    def changed(self) -> bool:
        """Whether anything is to be written."""
        return self.old != self.new

    def diff(self, name: str) -> str:
        """Return the unified diff; empty if nothing changed."""
        lines = difflib.unified_diff(
            _lines(self.old), _lines(self.new), f"{name} (old)", f"{name} (new)"
        )
        ended = (
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in lines
        )
        return "".join(ended)


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str = ""


def migrate_file(path: Path) -> Migration:
    """Return what a settings file becomes; writes nothing.

    Raises `SettingsError` with every problem of the file that is left when the retired keys are out.
    """
    migration = migrate_text(read_text(path), str(path), retired=retired_by)
    problems = check_file(path)
    if problems:
        first = problems[0]
        raise SettingsError(first.message, where=first.where, hint=first.hint, problems=problems)
    return migration


def retired_by(path: str, value: Node) -> str | None:
    """Return what replaced the key at a dotted path, `None` for a key that is not retired.

    A retired section that is switched on is not taken out: somebody has to decide about it.
    """
    if path in known_keys():
        return None
    if path in RETIRED_SECTIONS:
        return RETIRED_SECTIONS[path] if _is_off(value) else None
    section, _, name = path.rpartition(".")
    row = retired_key(name) if not section or section in section_paths() else None
    return row.replacement if row is not None else None


def _is_off(value: Node) -> bool:
    if value.kind == "mapping":
        switches = [below for key, below in value.pairs if key.value == "enabled"]
        return all(_is_off(switch) for switch in switches)
    return value.kind == "scalar" and not value.quote and value.value.lower() in _OFF


def migrate_text(text: str, where: str, *, retired: Callable[[str, Node], str | None]) -> Migration:
    """Return what a settings file becomes.

    `retired` says for a dotted key path and its value what replaces the key, `None` for a key that
    stays. Raises `SettingsError` for a syntax error, and where a retired key holds an anchor that
    the rest of the file uses.
    """
    root = parse_yaml(text, where)
    if root is None or root.kind != "mapping":
        return Migration(old=text, new=text)
    outs: list[tuple[Node, list[int]]] = []
    removed: list[Removed] = []

    def visit(node: Node, prefix: str) -> None:
        out: list[int] = []
        for number, (key, value) in enumerate(node.pairs):
            path = f"{prefix}{key.value}"
            instead = None if key.value == MERGE else retired(path, value)
            if instead is not None:
                out.append(number)
                removed.append(Removed(path=path, line=key.line, instead=instead))
            elif value.kind == "mapping":
                visit(value, prefix if key.value == MERGE else f"{path}.")
        outs.append((node, out))

    visit(root, "")
    gone = [node.pairs[number][1] for node, out in outs for number in out]
    _refuse_lost_anchors(root, gone, where)
    version = _old_version(root)
    for dedent in (False, True):
        edits = [edit for node, out in outs for edit in _without(text, node, out, where, dedent)]
        edits += [_raised(text, version)] if version is not None else []
        new = text
        for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
            new = new[: edit.start] + edit.text + new[edit.end :]
        if _same_meaning(root, {id(node) for node in gone}, new, where):
            return Migration(
                old=text,
                new=new,
                removed=tuple(sorted(removed, key=lambda one: one.line)),
                old_version=version.value if version is not None else None,
            )
    raise SettingsError(
        "without the retired keys the rest of the file would mean something else",
        where=where,
        hint="taking them out by hand",
    )


def _without(text: str, node: Node, out: list[int], where: str, dedent: bool) -> Iterator[_Edit]:
    if not node.flow:
        for number in out:
            yield _whole_lines(text, node.pairs[number], where, dedent)
        return
    pairs, last = node.pairs, len(node.pairs) - 1
    first_of_tail = last + 1
    while first_of_tail - 1 in out:
        first_of_tail -= 1
    for number in out:
        key, value = pairs[number]
        yield _Edit(key.start, value.end)
        if number >= first_of_tail > 0:
            # The comma before goes too: `{a: 1, b: 2}` becomes `{a: 1}`.
            before = pairs[number - 1][1].end
            yield from _bare(text[before : key.start], before)
        else:
            follower = pairs[number + 1][0].start if number < last else node.end - 1
            yield from _bare(text[value.end : follower], value.end)


def _bare(gap: str, offset: int) -> Iterator[_Edit]:
    """Take the comma out of what stands between two pairs, and the space if there is no comment."""
    comma = skip_space(gap, 0)
    if "#" not in gap:
        yield _Edit(offset, offset + len(gap))
    elif gap[comma : comma + 1] == ",":
        yield _Edit(offset + comma, offset + comma + 1)


def _whole_lines(text: str, pair: Pair, where: str, dedent: bool) -> _Edit:
    """Take out the lines of a pair.

    With `dedent` the comments after it move to its column: behind a block of text, a comment that
    is indented further would become part of the block.
    """
    key, value = pair
    start = max(text.rfind("\n", 0, key.start), text.rfind("\r", 0, key.start)) + 1
    start += text[start : key.start].count("\ufeff")
    end = _line_end(text, value.end)
    if text[start : key.start].strip(" \t?") or text[value.end : end].partition("#")[0].strip():
        raise SettingsError(
            f"the retired key {key.value!r} shares its line with something else",
            where=f"{where}:{key.line}",
            hint="taking it out by hand",
        )
    if not dedent:
        return _Edit(start, end)
    after = skip_space(text, end)
    # Up to the line of what comes next: its own indentation stays.
    comments = text[
        end : after if after == len(text) else max(text.rfind("\n", end, after) + 1, end)
    ]
    return _Edit(start, end + len(comments), _INDENT.sub(text[start : key.start], comments))


def _line_end(text: str, at: int) -> int:
    """Return the offset behind the line that `at` is in, its line end included."""
    while at < len(text) and text[at] not in "\r\n":
        at += 1
    return at + 2 if text.startswith("\r\n", at) else min(at + 1, len(text))


def _old_version(root: Node) -> Node | None:
    for key, value in root.pairs:
        if (
            key.value == "version"
            and value.kind == "scalar"
            and _OLD_VERSION.fullmatch(value.value)
        ):
            return value
    return None


def _raised(text: str, version: Node) -> _Edit:
    quote = version.quote if version.quote in {"'", '"'} else '"'
    # An anchor or tag before the value belongs to the span of the node.
    written = f"{version.quote}{version.value}{version.quote}"
    start = text.rfind(written, version.start, version.end)
    return _Edit(max(start, version.start), version.end, f"{quote}{VERSION}{quote}")


def _refuse_lost_anchors(root: Node, gone: list[Node], where: str) -> None:
    inside = {id(below) for node in gone for below in node.walk()}
    lost = {below.anchor: below.line for node in gone for below in node.walk() if below.anchor}
    for node in root.walk():
        if node.kind == "alias" and id(node) not in inside and node.value in lost:
            raise SettingsError(
                f"the retired key holds the anchor &{node.value} that line {node.line} uses",
                where=f"{where}:{lost[node.value]}",
                hint="writing the value out there first",
            )


def _same_meaning(root: Node, gone: set[int], new: str, where: str) -> bool:
    """Say whether only the retired keys and the version differ."""
    found = parse_yaml(new, where)
    meant = () if found is None else _meaning(found, set(), top=True)
    return meant == _meaning(root, gone, top=True)


def _meaning(node: Node, gone: set[int], *, top: bool = False) -> tuple[object, ...]:
    """Return nested data for comparisons, without keys that have no value.

    A section all of whose keys are gone is empty, where it was a mapping.
    """
    if node.kind == "sequence":
        return ("sequence", *(_meaning(item, gone) for item in node.items))
    if node.kind != "mapping":
        return (node.kind, node.quote, node.value)
    pairs = (
        (key.value, _meaning(value, gone))
        for key, value in node.pairs
        if id(value) not in gone and not (top and key.value == "version")
    )
    return tuple(pair for pair in pairs if pair[1] not in ((), ("scalar", "", "")))


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
