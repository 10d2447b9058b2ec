"""Know every settings key: its path, type in words, default, variable and meaning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

    from ringrift.core.settings import Section

KeyKind = Literal[
    "boolean", "whole number", "number", "choice", "text", "list", "mapping", "secret"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Describe one settings key."""

    path: str
    default: Any
    variable: str
    kind: KeyKind
    optional: bool
    choices: tuple[str, ...]
    item_kind: KeyKind | None
    info: FieldInfo

    @property
    def meaning(self) -> str:
        """One line on what the key does."""
        return _meanings()[self.path]

    @property
    def type(self) -> str:
        """Type and range in words, as in `whole number >= 1, or null`."""
        return _words(self.info.annotation, tuple(self.info.metadata), self.info.title)

    @property
    def item_type(self) -> str:
        """Type of the elements of a list in words."""
        item = get_args(_without_metadata(_without_null(self.info.annotation)[0])[0])
        return _words(item[0], (), None) if self.is_list else self.type

    @property
    def is_bool(self) -> bool:
        """Whether the key is true or false."""
        return self.kind == "boolean"

    @property
    def is_list(self) -> bool:
        """Whether the key is a list."""
        return self.kind == "list"

    @property
    def is_structured(self) -> bool:
        """Whether a variable must give the key as JSON: mappings, and lists of mappings."""
        return self.kind == "mapping" or self.item_kind == "mapping"

    @property
    def secret(self) -> bool:
        """Whether the key refers to a secret."""
        return self.kind == "secret"


@cache
def known_keys() -> Mapping[str, Key]:
    """Return every settings key by its dotted path, in the order of the model."""
    from ringrift.core.settings import Settings

    return MappingProxyType({key.path: key for key in _walk(Settings, "")})


@cache
def section_paths() -> frozenset[str]:
    """Return the dotted paths of all sections, nested ones included."""
    found: set[str] = set()
    for path in known_keys():
        parts = path.split(".")[:-1]
        found.update(".".join(parts[: n + 1]) for n in range(len(parts)))
    return frozenset(found)


def field_name(part: str) -> str:
    """Return the attribute of a path's part: `lambda` is a word of the language."""
    return "lambda_" if part == "lambda" else part


def value_at(tree: Any, path: str) -> Any:
    """Return the value at a dotted path of a settings object."""
    for part in path.split("."):
        tree = getattr(tree, field_name(part))
    return tree


def _walk(model: type[Section], prefix: str) -> Iterator[Key]:
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        section = _section(info.annotation)
        if section is not None:
            yield from _walk(section, f"{path}.")
            continue
        annotation, optional = _without_null(info.annotation)
        inner, _ = _without_metadata(annotation)
        kind = _kind(inner)
        item = get_args(inner)[0] if kind == "list" else None
        item_kind = _kind(_without_metadata(item)[0]) if item is not None else None
        choice = inner if kind == "choice" else item if item_kind == "choice" else None
        default = info.get_default(call_default_factory=True)
        yield Key(
            path=path,
            default=str(default) if kind == "secret" else default,
            variable="RINGRIFT_" + path.replace(".", "__").upper(),
            kind=kind,
            optional=optional,
            choices=get_args(choice) if choice is not None else (),
            item_kind=item_kind,
            info=info,
        )


def _section(annotation: Any) -> type[Section] | None:
    from ringrift.core.settings.base import Section

    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return None


def _without_null(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    left = [part for part in get_args(annotation) if part is not NoneType]
    return left[0], True


def _without_metadata(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        return inner, tuple(metadata)
    return annotation, ()


def _kind(annotation: Any) -> KeyKind:
    from ringrift.core.settings.secrets import Secret

    kinds: dict[Any, KeyKind] = {
        bool: "boolean",
        int: "whole number",
        float: "number",
        str: "text",
        Secret: "secret",
        tuple: "list",
        dict: "mapping",
        Literal: "choice",
    }
    if _section(annotation) is not None:
        return "mapping"
    return kinds[get_origin(annotation) or annotation]


def _words(annotation: Any, metadata: tuple[Any, ...], title: str | None) -> str:
    """Put a type into words."""
    annotation, optional = _without_null(annotation)
    annotation, more = _without_metadata(annotation)
    flat: list[Any] = []
    for item in (*more, *metadata):
        flat += [*item.metadata] if hasattr(item, "metadata") else [item]
        title = title or getattr(item, "title", None)
    text = title or _plain_words(annotation) + _range_words(flat)
    if title is None and any(getattr(item, "min_length", None) for item in flat):
        text = text.replace("a list of", "a list of at least one", 1)
    return f"{text}, or null" if optional else text


def _plain_words(annotation: Any) -> str:
    kind = _kind(annotation)
    arguments = get_args(annotation)
    if kind == "choice":
        return arguments[0] if len(arguments) == 1 else f"one of {', '.join(arguments)}"
    if kind == "list":
        return f"a list of: {_words(arguments[0], (), None)}"
    if kind == "secret":
        from ringrift.core.settings.secrets import EXPECTED

        return EXPECTED
    if kind == "boolean":
        return "true or false"
    if kind == "mapping":
        section = _section(annotation)
        if section is not None:
            return f"a mapping with the keys {', '.join(section.model_fields)}"
        name, value = (_words(part, (), None) for part in arguments)
        return f"a mapping of {name} to {value}"
    return {"whole number": "a whole number", "number": "a number"}.get(kind, "text")


def _range_words(metadata: list[Any]) -> str:
    bounds = {
        bound: limit
        for item in metadata
        for bound in ("ge", "gt", "le", "lt")
        if (limit := getattr(item, bound, None)) is not None
    }
    if bounds.keys() == {"ge", "le"}:
        return f" from {bounds['ge']:g} to {bounds['le']:g}"
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    words = [f"{signs[bound]} {limit:g}" for bound, limit in bounds.items()]
    return " " + " and ".join(words) if words else ""


@cache
def _meanings() -> Mapping[str, str]:
    """Read the docstrings below the keys, which the compiled modules do not have."""
    from ringrift.core.settings import Settings

    sources: dict[str, dict[tuple[str, str], str]] = {}

    def walk(model: type[Section], prefix: str) -> Iterator[tuple[str, str]]:
        module = sources.setdefault(model.__module__, _docstrings(model.__module__))
        for name, info in model.model_fields.items():
            path = f"{prefix}{info.alias or name}"
            section = _section(info.annotation)
            if section is not None:
                yield from walk(section, f"{path}.")
            else:
                yield path, module.get((model.__name__, name), "")

    return MappingProxyType(dict(walk(Settings, "")))


@cache
def _docstrings(module: str) -> dict[tuple[str, str], str]:
    import ast
    import sys

    source = sys.modules[module].__file__
    tree = ast.parse(Path(source or "").read_text(encoding="utf-8"))
    found: dict[tuple[str, str], str] = {}
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for key, text in zip(node.body, node.body[1:], strict=False):
            match key, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(words))),
                ):
                    found[node.name, name] = words
    return found
