"""Choose the packaged selection of recorded games; run by hand when the recordings change.

    python tests/records/select_corpus.py ../shared/traces

Greedy cover: per configuration and line variant each kind of move (recovery mode and option,
payment context and window choices told apart), each way a game ends, and each set of options, at
the least compressed bytes; scenario games included, contract vectors not.
"""

import gzip
import json
import sys
import zlib
from pathlib import Path

from ringrift.records.traces import PACKAGED, read_traces, trace_files

LIMIT_BYTES = 1_900_000


def kind(text: str) -> str:
    """Name a move by what the engine has to tell apart."""
    words = text.split(" ")
    if words[0] == "R":
        return f"R{words[1]}{words[4]}"
    if words[0] == "E":
        return f"E{words[1]}"
    if words[0] == "O":
        return "Oall" if words[2] == "*" else "Owindow"
    if words[0] == "P":
        return f"P{words[2]}"
    return words[0]


def features(game: dict) -> set[tuple]:
    """List what a game shows."""
    config = (game["board_type"], game["num_players"], game["engine_variant"])
    options = game["options"]
    found = {(*config, kind(p["m"])) for p in game["positions"]}
    found.add((*config, game["result"]["end"], game["result"]["reason"]))
    found.add((game["board_type"], options["ringsPerPlayer"], options["lpsRoundsRequired"]))
    found.add((*config, "swap", options["swapRuleEnabled"]))
    found.add((*config, "source", (game.get("source") or {}).get("kind")))
    if any("tb" in p and p["tb"] for p in game["positions"]):
        found.add((*config, "border"))
    return found


def main(folder: Path) -> None:
    """Write the selection beside the package's reader."""
    games = []
    for path in trace_files([folder]):
        if path.name.startswith("vectors"):
            continue
        for trace in read_traces(path):
            line = json.dumps(trace.game, separators=(",", ":"))
            games.append(
                (path.name, line, len(zlib.compress(line.encode(), 9)), features(trace.game))
            )
    covered: set[tuple] = set()
    chosen: dict[str, list[str]] = {}
    size = 0
    while True:
        name, line, cost, shown = max(games, key=lambda g: len(g[3] - covered) / g[2])
        if not shown - covered or size + cost > LIMIT_BYTES:
            break
        covered |= shown
        size += cost
        chosen.setdefault(name, []).append(line)
    missing = set().union(*(g[3] for g in games)) - covered
    for old in PACKAGED.glob("*.jsonl.gz"):
        old.unlink()
    PACKAGED.mkdir(exist_ok=True)
    for name, lines in sorted(chosen.items()):
        data = ("\n".join(lines) + "\n").encode()
        (PACKAGED / name).write_bytes(gzip.compress(data, 9, mtime=0))
    total = sum(p.stat().st_size for p in PACKAGED.iterdir())
    print(
        f"{sum(map(len, chosen.values()))} games, {total:,} bytes, {len(missing)} features missing"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
