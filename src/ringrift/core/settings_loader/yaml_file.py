"""Read a settings file, keeping the line of every key and element.

The file is read as YAML's own tree of nodes: that shows a key that stands twice, which plain
loading either hides or stops at. This module loads `ruamel.yaml`: import it where there is a file.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ringrift.core.settings_loader.keys import section_paths
from ringrift.core.settings_loader.layers import Layers, Origin, Spot, Value
from ringrift.core.settings_loader.names import set_known

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MERGE = "tag:yaml.org,2002:merge"
_DEEPEST = 20
_MOST = 100_000  # elements of one value: aliases can grow without end


def read_yaml(
    layers: Layers, path: Path, kind: Literal["profile", "file"], profile: str = ""
) -> None:
    """Add the leaves of a YAML file; `where` of problems is `FILE:LINE KEY.PATH`."""
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"))
        reader = _Reader(layers, path, kind, profile, yaml.constructor.construct_object)
        reader.top(root)
    except OSError as error:
        layers.problem(f"cannot read the settings file: {error.strerror}", where=str(path))
    except UnicodeDecodeError as error:
        layers.problem(f"not UTF-8 at byte {error.start}", where=str(path), hint="saving as UTF-8")
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        words = str(getattr(error, "problem", None) or error).splitlines()
        what = words[0] if words else type(error).__name__
        layers.problem(f"not valid YAML: {what}", where=f"{path}{line}")


class _Reader:
    """Walk the nodes of one file."""

    def __init__(
        self,
        layers: Layers,
        path: Path,
        kind: Literal["profile", "file"],
        profile: str,
        scalar: Callable[[Node], Any],
    ) -> None:
        self._layers = layers
        self._path = path
        self._kind = kind
        self._profile = profile
        self._scalar = scalar

    def top(self, node: Node | None) -> None:
        """Read the whole file."""
        value = None if node is None else self._plain(node, "", (), {}, 0)
        if node is None or value is None:
            return
        if not isinstance(node, MappingNode):
            self._layers.problem(
                f"found {value!r} at the top; expected sections with keys",
                where=self._place(node),
            )
            return
        self._section(node, "")

    def _section(self, node: MappingNode, prefix: str) -> None:
        for name, key, value in self._items(node, prefix):
            path = f"{prefix}{name}"
            origin = self._origin(key)
            lines: dict[Spot, int] = {}
            if path not in section_paths():
                raw = self._plain(value, path, (), lines, 0)
                held = Value(raw=raw, origin=origin, lines=MappingProxyType(lines))
                set_known(self._layers, path, held)
            elif isinstance(value, MappingNode):
                self._section(value, f"{path}.")
            else:
                raw = self._plain(value, path, (), lines, 0)
                if raw is not None:  # a section whose keys are all commented out is empty
                    self._layers.problem(
                        f"{path}: found {raw!r}; expected a section with keys",
                        where=f"{origin} {path}",
                    )

    def _items(self, node: MappingNode, prefix: str) -> list[tuple[str, Node, Node]]:
        """Return a mapping's pairs; of a key that stands twice the first is kept."""
        found: dict[str, tuple[str, Node, Node]] = {}
        merged: list[tuple[str, Node, Node]] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merged += self._merged(value, prefix)
            elif not isinstance(key, ScalarNode):
                self._layers.problem(
                    "found a list or mapping as the name of a key; expected a plain name",
                    where=self._place(key),
                )
            elif key.value in found:
                first = self._line(found[key.value][1])
                self._layers.problem(
                    f"{prefix}{key.value}: found a second time; expected once, as in line {first}",
                    where=f"{self._place(key)} {prefix}{key.value}",
                    hint="removing one of the two",
                )
            else:
                found[key.value] = (key.value, key, value)
        for pair in merged:  # what stands there itself wins, then the first that is merged
            found.setdefault(pair[0], pair)
        return list(found.values())

    def _merged(self, node: Node, prefix: str) -> list[tuple[str, Node, Node]]:
        """Return the pairs of a mapping, or of a list of mappings, behind `<<`."""
        if isinstance(node, MappingNode):
            return self._items(node, prefix)
        if isinstance(node, SequenceNode):
            return [pair for item in node.value for pair in self._merged(item, prefix)]
        raise ValueError(f"<< of line {self._line(node)} names no mapping")

    def _plain(self, node: Node, path: str, spot: Spot, lines: dict[Spot, int], depth: int) -> Any:
        """Turn a node into plain data and note the line of each element."""
        lines[spot] = self._line(node)
        if depth > _DEEPEST or len(lines) > _MOST:  # an alias may stand inside what it names
            raise ValueError(f"{path} is nested too deep or too large")
        if isinstance(node, SequenceNode):
            return [
                self._plain(item, path, (*spot, index), lines, depth + 1)
                for index, item in enumerate(node.value)
            ]
        if isinstance(node, MappingNode):
            prefix = ".".join(map(str, (path, *spot))) + "." if path else ""
            if depth == 0 and not path:  # the top is walked by `_section`
                return {}
            return {
                name: self._plain(value, path, (*spot, name), lines, depth + 1)
                for name, _, value in self._items(node, prefix)
            }
        return self._scalar(node)

    def _origin(self, key: Node) -> Origin:
        if self._kind == "profile":
            return Origin("profile", f"profile {self._profile}")
        return Origin("file", self._place(key))

    def _place(self, node: Node) -> str:
        return f"{self._path}:{self._line(node)}"

    @staticmethod
    def _line(node: Node) -> int:
        line: int = node.start_mark.line
        return line + 1
