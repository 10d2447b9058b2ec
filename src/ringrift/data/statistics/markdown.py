"""The report of the statistics as Markdown: every share with what it is of (data.md 10)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from ringrift.data.statistics.measures import Tree

UNKNOWN = "unknown"
MOST_VALUES = 12
"""Values of a histogram that one line names."""


def markdown(report: Tree) -> str:
    """Return the report as Markdown: what stands out first, then all games, then each configuration."""
    lines = ["# Game statistics", "", _read(report), ""]
    lines += ["## Findings", ""]
    lines += [f"- {f['configuration']}: {f['text']}" for f in report["findings"]] or ["- none"]
    lines += ["", *_left_out(report["left_out"])]
    if report["configurations"]:
        lines += _overview(report["configurations"])
    if len(report["configurations"]) > 1:
        lines += _sections("All configurations", report["total"])
    for config, sections in report["configurations"].items():
        lines += _sections(config, sections)
    kept = [line for before, line in pairwise(["", *lines]) if before or line]  # one blank at most
    return "\n".join(kept).rstrip() + "\n"


def _read(report: Tree) -> str:
    stores, files = (report["inputs"][name] for name in ("stores", "files"))
    return (
        f"{report['games']:,} games, {report['completed']:,} completed; stores: {len(stores)}, "
        f"other files: {len(files)}."
    )


def _left_out(left: Tree) -> list[str]:
    lines = ["## Left out", "", f"- further copies of a game: {left['repeated']:,}"]
    for name, what in (
        ("malformed", "cannot be read or replayed"),
        ("quarantined", "refused by a store"),
    ):
        counts = left[name]
        named = ", ".join(f"{reason} {n:,}" for reason, n in counts.items())
        lines.append(f"- {what}: {sum(counts.values()):,}" + (f" ({named})" if named else ""))
    for example in left["examples"]:
        at = "" if example["ply"] is None else f" at ply {example['ply']}"
        lines.append(
            f"  - {example['where'] or UNKNOWN}: {example['reason']}{at}: {example['detail']}"
        )
    return [*lines, ""]


def _overview(configurations: Tree) -> list[str]:
    heads = [
        "configuration",
        "games",
        "completed",
        "plies, median",
        "decisions, median",
        "first seat wins",
    ]
    rows = [
        [
            config,
            sections["games"],
            sections["completed"],
            sections["lengths"]["plies"]["median"],
            sections["lengths"]["decision_plies"]["median"],
            _rate(sections["seats"]["by_players"][0]["wins"][0]),
        ]
        for config, sections in configurations.items()
    ]
    return ["## Configurations", "", *_table(heads, rows), ""]


def _sections(name: str, s: Tree) -> list[str]:
    lines = [f"## {name}", ""]
    for number, (title, make) in enumerate(_PARTS, 1):
        lines += [f"### {number}. {title}", "", *make(s), ""]
    return lines


def _victory(s: Tree) -> Iterator[str]:
    part = s["victory"]
    rows = [
        [_words(t), v["count"], _percent(v["share"])]
        for t, v in part["types"].items()
        if v["count"]
    ]
    yield from _table([f"end ({part['games']:,} games)", "games", "share"], rows)
    yield ""
    ended = sum(c["count"] for c in part["classes"].values())
    rows = [[_words(t), v["count"], _percent(v["share"])] for t, v in part["classes"].items()]
    yield from _table([f"reason ({ended:,} ended by the rules)", "games", "share"], rows)


def _seats(s: Tree) -> Iterator[str]:
    for table in s["seats"]["by_players"]:
        heads = [
            f"seat ({table['players']} players, {table['games']:,} games)",
            "wins",
            "share",
            "95 % interval",
        ]
        rows = [[w["seat"], w["count"], _percent(w["share"]), _interval(w)] for w in table["wins"]]
        if table["ranks"] is not None:
            heads += [f"rank {rank + 1}" for rank in range(table["players"])]
            rows = [[*row, *ranks] for row, ranks in zip(rows, table["ranks"], strict=True)]
        yield from _table(heads, rows)
        yield ""
        yield (
            f"Chi-square {_number(table['chi_square'])}, p = {_number(table['p'])} against equal seats; "
            f"{table['without_winner']:,} games without a winner."
        )
        yield ""
    pie = s["seats"]["pie_rule"]
    yield (
        f"Pie rule: offered in {pie['offered']:,} games, used in {pie['used']:,} "
        f"({_percent(pie['use_share'])}); who swapped won {_rate(pie['won_by_swapper'])}."
    )


def _lengths(s: Tree) -> Iterator[str]:
    part = s["lengths"]
    yield from _distributions({_words(n): part[n] for n in ("plies", "decision_plies", "turns")})
    time = part["time"]
    yield ""
    yield (
        f"Time of {time['games']:,} games: {_number(time['total_s'])} s, "
        f"{_number(time['games_per_s'])} games/s, {_number(time['plies_per_s'])} plies/s."
    )


def _rules(s: Tree) -> Iterator[str]:
    part = s["rules"]
    rows = [
        [
            _words(name),
            v["value"],
            v["games"],
            ", ".join(f"{_words(t)} {n:,}" for t, n in v["outcomes"].items()),
        ]
        for name, values in part["values"].items()
        for v in values
    ]
    yield from _table(["option", "value", "games", "ends"], rows)
    yield ""
    wrong = {name: n for name, n in part["mismatches"].items() if n}
    named = ", ".join(f"{_words(name)} {n:,}" for name, n in wrong.items()) or "none"
    versions = ", ".join(f"{v} ({n:,} games)" for v, n in part["rules_version"].items())
    yield f"Rules version {versions}. Games with another value than the board's: {named}."


def _recovery(s: Tree) -> Iterator[str]:
    part = s["recovery"]
    yield (
        f"{part['games']:,} of {part['of_games']:,} games had a player who could recover: "
        f"{part['opportunities']:,} opportunities, {part['with_slide']:,} with a slide."
    )
    yield ""
    modes = list(part["slides"])
    rows = [
        [seat["seat"], seat["opportunities"], seat["with_slide"], *(seat[m] for m in modes)]
        for seat in part["by_seat"]
        if seat["opportunities"]
    ]
    total = ["all", part["opportunities"], part["with_slide"], *part["slides"].values()]
    heads = ["seat", "opportunities", "with a slide", *(f"slides: {_words(m)}" for m in modes)]
    yield from _table(heads, [*rows, total])
    yield ""
    wins = part["wins"]
    yield (
        "Wins in these games: "
        + "; ".join(f"{_words(n)} {_rate(w)}" for n, w in wins.items())
        + "."
    )


def _moves(s: Tree) -> Iterator[str]:
    part = s["moves"]
    rows = [
        [_words(t), v["count"], _percent(v["share"])]
        for t, v in part["types"].items()
        if v["count"]
    ]
    yield from _table([f"move ({part['plies']:,} plies)", "count", "share"], rows)
    yield ""
    rows = [
        [_words(phase), v["plies"], v["mean"], v["p95"], v["max"]]
        for phase, v in part["branching"].items()
    ]
    yield from _table(["legal moves by phase", "plies", "mean", "95th percentile", "most"], rows)


def _captures(s: Tree) -> Iterator[str]:
    part = s["captures"]
    yield (
        f"{part['segments']:,} segments in {part['captures']:,} captures, {part['chains']:,} of them "
        f"chains, in {part['games']:,} games."
    )
    yield ""
    yield from _distributions({"longest chain of a game": part["longest_chain"]})
    yield ""
    rows = [[f["seat"], f["games"], _rate(f["won"])] for f in part["first_capture"] if f["games"]]
    yield from _table(["seat of the first capture", "games", "won"], rows)


def _swings(s: Tree) -> Iterator[str]:
    part = s["swings"]
    forced = part["forced_eliminations"]
    seats = ", ".join(f"seat {i} {n:,}" for i, n in enumerate(forced["by_seat"], 1) if n) or "none"
    yield (
        f"Forced eliminations: {forced['count']:,} ({seats}) in {forced['games']:,} games; "
        f"{forced['winners_who_suffered']:,} winners suffered one."
    )
    yield ""
    rows = [
        [name, lead["changes"], lead["games_with_change"], _rate(lead["comebacks"])]
        for name, lead in part["leads"].items()
    ]
    heads = ["lead in", "changes", "games with one", "won by another than the leader at half"]
    yield from _table(heads, rows)


def _activity(s: Tree) -> Iterator[str]:
    part = s["activity"]
    yield (
        f"Plies that act: {_rate(part['acting_plies'])}. Turns: {part['turns']:,}, "
        f"{part['empty_turns']:,} of them empty."
    )
    yield ""
    yield from _distributions({"longest run of empty turns": part["longest_empty_streak"]})
    yield ""
    for name in ("lines", "regions"):
        yield f"{name.capitalize()} processed: {part[name]['count']:,}. By cells: {_values(part[name]['by_size'])}."
        yield ""


def _ply_limit(s: Tree) -> Iterator[str]:
    part = s["ply_limit"]
    yield f"{part['games']:,} games were cut. By plies: {_values(part['by_plies'])}."


def _agents(s: Tree) -> Iterator[str]:
    part = s["agents"]
    for name in ("agents", "families"):
        rows = [
            [
                a["name"],
                a["games"],
                _rate(a["wins"]),
                "; ".join(f"{w['seat']}: {_rate(w)}" for w in a["by_seat"] if w["of"]),
                ", ".join(f"{_words(t)} {n:,}" for t, n in a["types"].items()),
                "no search"
                if a["searched"] is None
                else f"{_percent(a['coverage'])} of {a['decision_plies']:,}",
            ]
            for a in part[name]
        ]
        heads = [name, "games", "wins", "wins by seat", "ends", "decisions with a distribution"]
        yield from _table(heads, rows)
        yield ""
    yield (
        f"Games with a search: {part['searched_games']:,}; most simulations: "
        f"{_values(part['search_budgets'])}. Policy coverage {_rate(part['policy_coverage'])}, by full "
        f"searches {_rate(part['full_coverage'])}."
    )


def _quality(s: Tree) -> Iterator[str]:
    part = s["quality"]
    meta = part["metadata"]
    yield (
        f"Metadata explicit in {meta['explicit']:,} games, inferred in {meta['inferred']:,}; without "
        f"winner {part['missing_winner']:,}, without moves {part['missing_moves']:,}; further copies of "
        f"a play {part['duplicate_plays']:,}. Hosts: {_values(part['hosts'])}."
    )
    yield ""
    rows = [
        [f"{n} plies", o["distinct"], o["games"], _percent(o["share"])]
        for n, o in part["openings"].items()
    ]
    yield from _table(["openings of", "different", "games", "share"], rows)
    yield ""
    score = part["score"]
    if score is None:
        yield f"Quality score: {UNKNOWN}."
        return
    yield f"Quality score: {_number(score['score'])} over {score['games']:,} games."
    yield ""
    rows = [
        [_words(c["name"]), "left out" if c["left_out"] else c["value"], c["weight"], c["n"]]
        for c in score["components"]
    ]
    yield from _table(["component", "value", "weight", "of"], rows)


_PARTS = (
    ("Victory types", _victory),
    ("Seats", _seats),
    ("Lengths", _lengths),
    ("Rules", _rules),
    ("Recovery", _recovery),
    ("Moves", _moves),
    ("Captures", _captures),
    ("Forced eliminations and leads", _swings),
    ("Activity", _activity),
    ("Games cut by the ply limit", _ply_limit),
    ("Agents", _agents),
    ("Data quality", _quality),
)


# --- words and tables


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return a table, its first column to the left and numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [all(_is_figure(row[i]) for row in rows) for i in range(len(heads))]
    marks = ["---:" if r and i else "---" for i, r in enumerate(right)]
    return [f"| {' | '.join(line)} |" for line in ([_cell(h) for h in heads], marks, *cells)]


def _distributions(figures: dict[str, Tree]) -> list[str]:
    names = ("n", "min", "q1", "median", "q3", "max", "mean", "sd")
    heads = ["", "games", "min", "quartile 1", "median", "quartile 3", "max", "mean", "sd"]
    return _table(heads, [[what, *(f[n] for n in names)] for what, f in figures.items()])


def _is_figure(value: Any) -> bool:
    return not isinstance(value, str) or value.endswith("%") or value == UNKNOWN


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("|", "\\|")
    return _number(value)


def _number(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1):
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1%}"


def _interval(rate: Tree) -> str:
    return UNKNOWN if rate["low"] is None else f"{rate['low']:.1%} to {rate['high']:.1%}"


def _rate(rate: Tree) -> str:
    """Return a share with its interval and n."""
    if not rate["of"]:
        return UNKNOWN
    return f"{_percent(rate['share'])} ({_interval(rate)}) of {rate['of']:,}"


def _values(counts: dict[str, int]) -> str:
    named = [f"{value}: {n:,}" for value, n in counts.items()]
    more = [f"{len(named) - MOST_VALUES} more values"] if len(named) > MOST_VALUES else []
    return ", ".join([*named[:MOST_VALUES], *more]) or "none"


def _words(name: str) -> str:
    return name.replace("_", " ")
