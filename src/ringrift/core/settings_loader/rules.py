"""What holds between keys: one meaning, one limit, one order, one port each."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ringrift.core.settings_loader.checking import Checked, build, check_types
from ringrift.core.settings_loader.keys import known_keys, value_at
from ringrift.core.settings_loader.layers import Layers, Origin, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ringrift.core.settings import Section, Settings

# Two keys with one meaning: the first named is the one that is read.
SAME_MEANING = (
    ("training.trigger_threshold_games", "selfplay.min_games_for_training"),
    ("evaluation.baseline_models", "tournament.baseline_models"),
    ("evaluation.shadow_games_per_config", "tournament.shadow_games"),
    ("evaluation.full_tournament_games", "tournament.full_tournament_games"),
    ("evaluation.min_games_for_elo", "tournament.min_games_for_rating"),
)

# Thresholds that mean the same as a limit, and must not lie above it.
LIMITED = (
    ("limits.cpu_critical", "resource_targets.cpu_critical"),
    ("limits.gpu_critical", "resource_targets.gpu_critical"),
    ("limits.memory_critical", "resource_targets.memory_critical"),
    ("limits.cpu_critical", "p2p_daemon.cpu_high_threshold"),
    ("limits.memory_critical", "p2p_daemon.memory_high_threshold"),
    ("limits.disk_critical", "p2p_daemon.disk_high_threshold"),
)

# Keys that must not exceed their left neighbour. One that nobody set follows a lowered neighbour.
DESCENDING = (
    *(
        tuple(f"resource_targets.{name}_{aim}" for aim in ("critical", "max", "target", "min"))
        for name in ("cpu", "gpu", "memory")
    ),
    tuple(f"resource_targets.throughput_{aim}" for aim in ("max", "target", "min")),
    tuple(f"resource_targets.selfplay_rate_{aim}" for aim in ("max", "start", "min")),
)
_AIMS = ("max", "target", "min")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NODE_PORT = "RINGRIFT_P2P_PORT"


class _Port(NamedTuple):
    name: str
    number: int
    place: str


def check_all(layers: Layers, environ: Mapping[str, str]) -> Settings:
    """Return the settings with all rules applied; raise every problem together."""
    same = _join_same_meaning(layers)
    checked = check_types(layers, same)
    if _follow_limits(layers, checked):
        checked = Checked(build(layers, checked.bad), checked.bad)
    _report_conflicts(layers, checked)
    _report_ports(layers, checked, environ)
    if layers.problems:
        raise layers.error()
    return checked.settings


def _join_same_meaning(layers: Layers) -> dict[str, str]:
    """Give both keys of each pair one value; return which key only repeats which."""
    same: dict[str, str] = {}
    for first, second in SAME_MEANING:
        ours, theirs = layers.values.get(first), layers.values.get(second)
        if theirs is not None and layers.rank(second) > layers.rank(first):
            layers.values[first] = theirs
            same[first] = second
            continue
        if ours is None:
            continue
        if (
            theirs is not None
            and ours.origin.kind == theirs.origin.kind
            and str(ours.raw) != str(theirs.raw)
        ):
            layers.problem(
                f"{first} and {second} mean the same: found {ours.raw!r} and {theirs.raw!r}; "
                "expected one value",
                where=f"{ours.origin} {first}, {theirs.origin} {second}",
                hint=f"keeping {first} only",
            )
        layers.values[second] = ours
        same[second] = first
    return same


def _follow_limits(layers: Layers, checked: Checked) -> bool:
    """Let thresholds follow the limits, and unset aims what lies above them; say if any did."""
    before = dict(layers.values)
    for limit, threshold in LIMITED:
        _follow(layers, checked, limit, threshold)
    for name in ("cpu", "gpu", "memory"):
        for aim in _AIMS:
            _cut(layers, checked, f"limits.{name}_critical", f"resource_targets.{name}_{aim}")
    for chain in DESCENDING:
        for upper, lower in pairwise(chain):
            if layers.rank(lower) == 0:
                _cut(layers, checked, upper, lower)
    return layers.values != before


def _follow(layers: Layers, checked: Checked, limit: str, threshold: str) -> None:
    if {limit, threshold} & checked.bad:
        return
    wanted, found = _now(layers, checked, limit), _now(layers, checked, threshold)
    ours, theirs = layers.rank(limit), layers.rank(threshold)
    if ours > theirs and found != wanted:
        layers.values[threshold] = Value(raw=wanted, origin=layers.values[limit].origin)
    elif ours == theirs != 0 and found != wanted:
        first, second = layers.values[limit].origin, layers.values[threshold].origin
        layers.problem(
            f"{limit} and {threshold} mean the same: found {wanted:g} and {found:g}; "
            "expected one value",
            where=f"{first} {limit}, {second} {threshold}",
            hint=f"keeping {limit} only",
        )
        checked.bad.add(threshold)
    else:
        _cut(layers, checked, limit, threshold)


def _cut(layers: Layers, checked: Checked, upper: str, lower: str) -> None:
    """Lower a value to the one above it; say so where somebody set it."""
    if {upper, lower} & checked.bad:
        return
    most, found = _now(layers, checked, upper), _now(layers, checked, lower)
    if found <= most:
        return
    bound = layers.values.get(upper)
    origin = bound.origin if bound is not None else Origin("default")
    if layers.rank(lower):
        layers.warn(
            f"{layers.values[lower].origin} {lower}: found {found:g}, above {upper} {most:g} "
            f"({origin}); cut to {most:g}"
        )
    layers.values[lower] = Value(raw=most, origin=origin)


def _now(layers: Layers, checked: Checked, path: str) -> Any:
    """Return the checked value, or what a rule has put in its place since."""
    value = layers.values.get(path)
    if value is not None and isinstance(value.raw, int | float):
        return value.raw
    return value_at(checked.settings, path)


def _report_conflicts(layers: Layers, checked: Checked) -> None:
    for path, section in _sections(checked.settings, ""):
        for conflict in section.conflicts():
            keys = [f"{path}.{key}" if path else key for key in conflict.keys]
            if checked.bad.intersection(keys):
                continue
            places = [_place(layers, key) for key in keys]
            layers.problem(
                f"{path}: {conflict.message}",
                where=", ".join(place for place in places if place is not None) or path,
            )


def _sections(node: Any, path: str) -> Iterator[tuple[str, Section]]:
    """Yield every section below `node`, also those inside lists and mappings."""
    from ringrift.core.settings import Section

    if isinstance(node, Section):
        yield path, node
        parts = [
            (type(node).model_fields[name].alias or name, getattr(node, name))
            for name in type(node).model_fields
        ]
    elif isinstance(node, tuple):
        parts = [(str(index), item) for index, item in enumerate(node)]
    elif isinstance(node, dict):
        parts = [(str(name), item) for name, item in node.items()]
    else:
        return
    for name, item in parts:
        yield from _sections(item, f"{path}.{name}" if path else name)


def _place(layers: Layers, path: str) -> str | None:
    """Return where a key was set, or the list or mapping that it stands in."""
    if path in known_keys():
        value = layers.values.get(path)
        return None if value is None else f"{value.origin} {path}"
    outer, _, inner = path.rpartition(".")
    while outer and outer not in known_keys():
        outer, _, step = outer.rpartition(".")
        inner = f"{step}.{inner}"
    value = layers.values.get(outer)
    if value is None:
        return None
    spot = tuple(int(part) if part.isdigit() else part for part in inner.split("."))
    return f"{value.place_of(spot)} {path}"


def _report_ports(layers: Layers, checked: Checked, environ: Mapping[str, str]) -> None:
    """Two services cannot listen on one port; 0 stands for any free one."""
    taken: dict[int, _Port] = {}
    for port in _ports(layers, checked, environ):
        other = taken.setdefault(port.number, port)
        if other is not port:
            layers.problem(
                f"{other.name} and {port.name}: found port {port.number} twice; "
                "expected a port for each",
                where=f"{other.place}, {port.place}",
            )


def _ports(layers: Layers, checked: Checked, environ: Mapping[str, str]) -> Iterator[_Port]:
    settings = checked.settings

    def port(path: str, number: int | None) -> Iterator[_Port]:
        if number and path not in checked.bad:
            place = _place(layers, path) or f"default {path}"
            yield _Port(path, number, place)

    yield from port("web.port", settings.web.port)
    if settings.metrics_enabled:
        yield from port("metrics_port", settings.metrics_port)
    node = environ.get(_NODE_PORT, "").strip()
    if node.isdigit():
        if int(node):
            yield _Port(_NODE_PORT, int(node), f"environment {_NODE_PORT}")
        return
    address = urlsplit(settings.p2p.p2p_base_url)
    if settings.p2p.enabled and address.hostname in _LOOPBACK:
        yield from port("p2p.p2p_base_url", _port_of(layers, settings.p2p.p2p_base_url))


def _port_of(layers: Layers, url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        path = "p2p.p2p_base_url"
        layers.problem(
            f"{path}: found {url!r}; expected a port up to 65535",
            where=_place(layers, path),
        )
        return None
