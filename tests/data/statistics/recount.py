"""The report again, by plain Python over `Position` alone: slow, and independent of the room.

`recount(games)` takes records of one configuration with their analyses and returns the sections as
`ringrift.data.statistics.report` names them, without the quality score.
"""

import json
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
from scipy.stats import binomtest, chisquare

from ringrift.rules import BoardSpec, Position

NAMES = {
    "P": "place_ring",
    "SP": "skip_placement",
    "NP": "no_placement_action",
    "SW": "swap_sides",
    "M": "move_stack",
    "C": "overtaking_capture",
    "K": "continue_capture_segment",
    "SC": "skip_capture",
    "NM": "no_movement_action",
    "R": "recovery_slide",
    "SR": "skip_recovery",
    "L": "process_line",
    "O": "choose_line_option",
    "NL": "no_line_action",
    "T": "choose_territory_option",
    "ST": "skip_territory_processing",
    "NT": "no_territory_action",
    "E": "eliminate_rings_from_stack",
    "F": "forced_elimination",
}
IDLE = {"NP", "NM", "NL", "NT", "SP", "SC", "SR", "ST"}
PHASES = (
    "ring_placement",
    "movement",
    "capture",
    "chain_capture",
    "line_processing",
    "territory_processing",
    "forced_elimination",
)
TYPES = (
    "ring_elimination",
    "territory_control",
    "last_player_standing_early",
    "last_player_standing_rounds",
    "tie_break_territory",
    "tie_break_rings",
    "tie_break_markers",
    "tie_break_last_mover",
    "max_plies",
    "resignation",
    "aborted",
    "unknown",
)
SEARCHING = {"mcts", "gumbel", "descent", "puct"}


class Walk:
    """One game, replayed move by move."""

    def __init__(self, record, analyses):
        self.record = record
        start, spec = record.start, record.spec
        self.position = Position.parse(start, spec=spec) if start else Position.of(spec)
        self.plies = []  # (word, text, phase, seat, legal moves)
        self.eligible = Counter()
        self.offered = Counter()
        self.territory = []
        self.eliminated = []
        self.play()
        self.turns, self.whole = self.split_turns()
        self.searched = {}
        for analysis in analyses:
            for p in analysis.plies:
                self.searched.setdefault(p.ply, set()).add(p.kind)
        self.sims = max((p.sims for a in analyses for p in a.plies), default=None)

    def play(self):
        position = self.position
        for packed in self.record.moves:
            legal = position.legal_packed().tolist()
            text = position.move_text(packed)
            seat, phase = position.current_player, position.phase
            self.plies.append((text.split(" ")[0], text, phase, seat, len(legal)))
            if phase == "movement" and self.could_recover(seat):
                self.eligible[seat] += 1
                words = {position.move_text(m).split(" ")[0] for m in legal}
                self.offered[seat] += "R" in words
            position.play(packed)
            self.territory.append(alone(position.territory))
            self.eliminated.append(alone(position.eliminated))

    def could_recover(self, seat):
        stacks = self.position.stacks.values()
        return (
            all(rings[-1] != str(seat) for rings in stacks)
            and seat in self.position.markers.values()
            and any(str(seat) in rings[:-1] for rings in stacks)
        )

    def split_turns(self):
        turns = []
        for i, ply in enumerate(self.plies):
            if ply[2] == "ring_placement" and (i == 0 or self.plies[i - 1][0] != "SW"):
                turns.append([])
            turns[-1].append(ply)
        over = self.position.is_over
        whole = over or (self.position.phase == "ring_placement" and self.plies[-1][0] != "SW")
        return turns, whole

    @property
    def words(self):
        return [ply[0] for ply in self.plies]

    @property
    def empty(self):
        """For each turn that is over, whether nothing acted in it."""
        over = self.turns if self.whole else self.turns[:-1]
        return [all(ply[0] in IDLE for ply in turn) for turn in over]

    @property
    def type(self):
        result, spec = self.record.result, self.record.spec
        if result.end != "game_over":
            ends = {"max_plies": "max_plies", "resigned": "resignation", "aborted": "aborted"}
            return ends[result.end]
        if result.reason == "lps_rounds":
            return "last_player_standing_rounds"
        position, winner = self.position, result.winner
        if result.reason == "ring_elimination":
            enough = position.eliminated[winner - 1] >= spec.ring_threshold
            return "ring_elimination" if enough else "tie_break_rings"
        owners = list(position.collapsed.values())
        own = owners.count(winner)
        if result.reason == "territory_control":
            enough = own >= spec.territory_minimum and own > len(owners) - own
            return "territory_control" if enough else "tie_break_territory"
        if position.stacks:
            return "last_player_standing_early"
        markers = Counter(position.markers.values())
        most = max(markers.values(), default=0)
        leaders = [seat for seat, n in markers.items() if n == most]
        return "tie_break_markers" if leaders == [winner] else "tie_break_last_mover"

    @property
    def seats(self):
        """Agent specs by the seat that they had at the end."""
        specs = [agent.spec for agent in self.record.agents]
        if "SW" in self.words:
            specs[:2] = specs[1], specs[0]
        return specs

    def chains(self):
        """Segments of each capture."""
        found = []
        for word in self.words:
            if word == "C":
                found.append(1)
            elif word == "K":
                found[-1] += 1
        return found


def alone(values):
    """The one seat with the largest positive value, 0 if there is none."""
    most = max(values)
    return values.index(most) + 1 if most > 0 and list(values).count(most) == 1 else 0


def changes(leaders):
    seats = [seat for seat in leaders if seat]
    return sum(a != b for a, b in pairwise(seats))


def rated(part, whole):
    if not whole:
        return {"count": part, "of": whole, "share": None, "low": None, "high": None}
    interval = binomtest(part, whole).proportion_ci(method="wilson")
    return {
        "count": part,
        "of": whole,
        "share": part / whole,
        "low": interval.low,
        "high": interval.high,
    }


def share(part, whole):
    return part / whole if whole else None


def distribution(values):
    names = ("min", "q1", "median", "q3", "max", "mean", "sd")
    if not values:
        return {"n": 0, **dict.fromkeys(names)}
    figures = (
        *np.percentile(values, [0, 25, 50, 75, 100]).tolist(),
        np.mean(values),
        np.std(values),
    )
    return {"n": len(values), **dict(zip(names, map(float, figures), strict=True))}


def by_value(values):
    return {str(value): n for value, n in sorted(Counter(values).items())}


def recount(games):
    walks = [Walk(record, analyses) for record, analyses in games]
    types = Counter(walk.type for walk in walks)
    done = sum(n for t, n in types.items() if t not in ("max_plies", "aborted", "unknown"))
    return {
        "games": len(walks),
        "completed": done,
        "victory": victory(walks, types),
        "seats": seats(walks),
        "lengths": lengths(walks),
        "rules": rules(walks),
        "recovery": recovery(walks),
        "moves": moves(walks),
        "captures": captures(walks),
        "swings": swings(walks),
        "activity": activity(walks),
        "ply_limit": ply_limit(walks),
        "agents": agents(walks),
        "quality": quality(walks),
    }


def victory(walks, types):
    reasons = Counter(w.record.result.reason for w in walks if w.record.result.end == "game_over")
    reasons["last_player_standing"] += reasons.pop("lps_rounds", 0)
    classes = ("ring_elimination", "territory_control", "last_player_standing")
    ended = sum(reasons.values())
    return {
        "games": len(walks),
        "types": {t: {"count": types[t], "share": types[t] / len(walks)} for t in TYPES},
        "classes": {c: {"count": reasons[c], "share": share(reasons[c], ended)} for c in classes},
    }


def seats(walks):
    players = walks[0].record.spec.players
    winners = Counter(w.record.result.winner for w in walks)
    wins = [winners[seat] for seat in range(1, players + 1)]
    test = chisquare(wins) if sum(wins) else None
    ranks = None
    if players > 2:
        finished = [w.record.result.ranks for w in walks if w.record.result.ranks]
        ranks = [
            [sum(r[seat] == rank for r in finished) for rank in range(1, players + 1)]
            for seat in range(players)
        ]
    swapped = [w for w in walks if "SW" in w.words]
    offered = sum(w.record.spec.swap_rule and players == 2 for w in walks)
    decided = [w for w in swapped if w.record.result.winner]
    return {
        "by_players": [
            {
                "players": players,
                "games": sum(wins),
                "without_winner": winners[0],
                "wins": [{"seat": i + 1, **rated(n, sum(wins))} for i, n in enumerate(wins)],
                "chi_square": None if test is None else test.statistic,
                "p": None if test is None else test.pvalue,
                "ranks": ranks,
            }
        ],
        "pie_rule": {
            "offered": offered,
            "used": len(swapped),
            "use_share": share(len(swapped), offered),
            "won_by_swapper": rated(
                sum(w.record.result.winner == 1 for w in decided), len(decided)
            ),
        },
    }


def lengths(walks):
    timed = [w for w in walks if w.record.meta.ms is not None]
    seconds = sum(w.record.meta.ms for w in timed) / 1000
    return {
        "plies": distribution([len(w.plies) for w in walks]),
        "decision_plies": distribution([sum(p[4] > 1 for p in w.plies) for w in walks]),
        "turns": distribution([len(w.turns) for w in walks]),
        "time": {
            "games": len(timed),
            "total_s": seconds if timed else None,
            "games_per_s": share(len(timed), seconds),
            "plies_per_s": share(sum(len(w.plies) for w in timed), seconds),
        },
    }


def rules(walks):
    names = (
        "rings_per_player",
        "ring_threshold",
        "territory_minimum",
        "lps_rounds",
        "line_length",
        "base_line_length",
        "swap_rule",
    )
    values, mismatches = {}, {}
    spec = walks[0].record.spec
    usual = BoardSpec.create(spec.board, spec.players)
    for name in names:
        found = defaultdict(Counter)
        for walk in walks:
            found[int(getattr(walk.record.spec, name))][walk.type] += 1
        values[name] = [
            {"value": value, "games": sum(ends.values()), "outcomes": dict(ends)}
            for value, ends in sorted(found.items())
        ]
        if name != "swap_rule":
            mismatches[name] = sum(
                getattr(walk.record.spec, name) != getattr(usual, name) for walk in walks
            )
    return {"rules_version": {"1": len(walks)}, "values": values, "mismatches": mismatches}


def recovery(walks):
    slides = Counter()
    groups = {name: [0, 0] for name in ("users", "eligible_non_users", "never_eligible")}
    for walk in walks:
        users = set()
        for _, text, _, seat, _ in walk.plies:
            if text.startswith("R "):
                slides[seat, text.split(" ")[1]] += 1
                users.add(seat)
        winner = walk.record.result.winner
        if not walk.eligible or not winner:
            continue
        for seat in range(1, walk.record.spec.players + 1):
            if seat in users:
                group = groups["users"]
            else:
                group = groups["eligible_non_users" if walk.eligible[seat] else "never_eligible"]
            group[0] += 1
            group[1] += seat == winner
    eligible = sum((walk.eligible for walk in walks), Counter())
    offered = sum((walk.offered for walk in walks), Counter())
    modes = {"line": "L", "fallback": "F", "stack_strike": "S"}
    return {
        "games": sum(bool(walk.eligible) for walk in walks),
        "of_games": len(walks),
        "opportunities": eligible.total(),
        "with_slide": offered.total(),
        "slides": {
            mode: sum(slides[seat, letter] for seat in range(1, 5))
            for mode, letter in modes.items()
        },
        "by_seat": [
            {
                "seat": seat,
                "opportunities": eligible[seat],
                "with_slide": offered[seat],
                **{mode: slides[seat, letter] for mode, letter in modes.items()},
            }
            for seat in range(1, 5)
        ],
        "wins": {name: rated(won, n) for name, (n, won) in groups.items()},
    }


def moves(walks):
    words = Counter(word for walk in walks for word in walk.words)
    branching = {}
    for phase in PHASES:
        legal = [p[4] for walk in walks for p in walk.plies if p[2] == phase]
        branching[phase] = {
            "plies": len(legal),
            "mean": float(np.mean(legal)) if legal else None,
            "p95": float(np.percentile(legal, 95)) if legal else None,
            "max": max(legal, default=None),
        }
    total = words.total()
    return {
        "plies": total,
        "types": {
            name: {"count": words[word], "share": words[word] / total}
            for word, name in NAMES.items()
        },
        "branching": branching,
    }


def captures(walks):
    first = {seat: [0, 0, 0] for seat in range(1, 5)}
    for walk in walks:
        takers = [p[3] for p in walk.plies if p[0] == "C"]
        if takers:
            winner = walk.record.result.winner
            counts = first[takers[0]]
            counts[0] += 1
            counts[1] += winner > 0
            counts[2] += winner == takers[0]
    chains = [walk.chains() for walk in walks]
    return {
        "segments": sum(map(sum, chains)),
        "captures": sum(map(len, chains)),
        "chains": sum(n >= 2 for found in chains for n in found),
        "games": sum(bool(found) for found in chains),
        "longest_chain": distribution([max(found, default=0) for found in chains]),
        "first_capture": [
            {"seat": seat, "games": n, "won": rated(won, decided)}
            for seat, (n, decided, won) in first.items()
        ],
    }


def swings(walks):
    forced = [[p[3] for p in walk.plies if p[0] == "F"] for walk in walks]
    winners = [walk.record.result.winner for walk in walks]
    leads = {}
    for name in ("territory", "eliminated"):
        turns = [changes(getattr(walk, name)) for walk in walks]
        led = back = 0
        for walk, winner in zip(walks, winners, strict=True):
            half = len(walk.plies) // 2
            ahead = getattr(walk, name)[half - 1] if half else 0
            led += ahead > 0 and winner > 0
            back += ahead > 0 and winner > 0 and ahead != winner
        leads["territory" if name == "territory" else "elimination"] = {
            "changes": sum(turns),
            "games_with_change": sum(n > 0 for n in turns),
            "comebacks": rated(back, led),
        }
    return {
        "forced_eliminations": {
            "count": sum(map(len, forced)),
            "by_seat": [sum(seats.count(seat) for seats in forced) for seat in range(1, 5)],
            "games": sum(bool(seats) for seats in forced),
            "winners_who_suffered": sum(
                winner in seats for winner, seats in zip(winners, forced, strict=True)
            ),
        },
        "leads": leads,
    }


def activity(walks):
    streaks = []
    for walk in walks:
        longest = run = 0
        for empty in walk.empty:
            run = run + 1 if empty else 0
            longest = max(longest, run)
        streaks.append(longest)
    words = [word for walk in walks for word in walk.words]
    texts = [p[1].split(" ") for walk in walks for p in walk.plies]
    lines = [text[1].count("|") + 1 for text in texts if text[0] in ("L", "O")]
    regions = [text[1].count("|") + 1 for text in texts if text[0] == "T"]
    return {
        "acting_plies": rated(sum(word not in IDLE for word in words), len(words)),
        "turns": sum(len(walk.turns) for walk in walks),
        "empty_turns": sum(sum(walk.empty) for walk in walks),
        "longest_empty_streak": distribution(streaks),
        "lines": {"count": len(lines), "by_size": by_value(lines)},
        "regions": {"count": len(regions), "by_size": by_value(regions)},
    }


def ply_limit(walks):
    cut = [len(walk.plies) for walk in walks if walk.record.result.end == "max_plies"]
    return {"games": len(cut), "by_plies": by_value(cut)}


def family(spec):
    for letter in "(@":
        spec = spec.split(letter)[0]
    return spec.split(":")[0]


def agents(walks):
    def group(key):
        names = sorted({key(spec) for walk in walks for spec in walk.seats})
        return [agent(name, key) for name in names]

    def agent(name, key):
        seats = [[0, 0] for _ in range(4)]
        ends, decisions, searched, full, games, held = Counter(), 0, 0, 0, 0, 0
        for walk in walks:
            mine = [i + 1 for i, spec in enumerate(walk.seats) if key(spec) == name]
            if not mine:
                continue
            games += 1
            held += len(mine)
            ends[walk.type] += 1
            winner = walk.record.result.winner
            for seat in mine if winner else ():
                seats[seat - 1][0] += 1
                seats[seat - 1][1] += winner == seat
            for i, ply in enumerate(walk.plies):
                if ply[4] > 1 and ply[3] in mine:
                    kinds = walk.searched.get(i, set())
                    decisions += 1
                    searched += bool(kinds)
                    full += bool(kinds - {"cheap"})
        known = family(name) in SEARCHING or searched > 0
        return {
            "name": name,
            "games": games,
            "seats": held,
            "wins": rated(sum(won for _, won in seats), sum(n for n, _ in seats)),
            "by_seat": [{"seat": i + 1, **rated(won, n)} for i, (n, won) in enumerate(seats)],
            "types": dict(ends),
            "decision_plies": decisions,
            "searched": searched if known else None,
            "searched_full": full if known else None,
            "coverage": share(searched, decisions) if known else None,
        }

    specs = sorted(group(str), key=lambda a: (-a["games"], a["name"]))
    families = sorted(group(family), key=lambda a: (-a["games"], a["name"]))
    searching = [a for a in specs if a["searched"] is not None]
    decisions = sum(a["decision_plies"] for a in searching)
    return {
        "agents": specs,
        "families": families,
        "search_budgets": by_value([w.sims for w in walks if w.sims is not None]),
        "searched_games": sum(w.sims is not None for w in walks),
        "policy_coverage": rated(sum(a["searched"] for a in searching), decisions),
        "full_coverage": rated(sum(a["searched_full"] for a in searching), decisions),
    }


def quality(walks):
    texts = [tuple(p[1] for p in walk.plies) for walk in walks]
    plays = [(w.record.spec, w.record.start, t) for w, t in zip(walks, texts, strict=True)]
    hosts = Counter(walk.record.meta.host or "unknown" for walk in walks)
    return {
        "metadata": {"explicit": len(walks), "inferred": 0},
        "missing_winner": sum(walk.record.result.winner == 0 for walk in walks),
        "missing_moves": 0,
        "hosts": dict(sorted(hosts.items())),
        "duplicate_plays": len(plays) - len(set(plays)),
        "openings": {
            str(n): {
                "distinct": len({t[:n] for t in texts}),
                "games": len(texts),
                "share": len({t[:n] for t in texts}) / len(texts),
            }
            for n in (4, 8, 12)
        },
        "score": None,
    }


def differences(found, expected, path="$"):
    """Where two trees differ, floats to twelve digits."""
    if isinstance(found, dict) and isinstance(expected, dict):
        if found.keys() != expected.keys():
            return [f"{path}: keys {sorted(found)} and {sorted(expected)}"]
        return [d for k in found for d in differences(found[k], expected[k], f"{path}.{k}")]
    if isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            return [f"{path}: {len(found)} and {len(expected)} entries"]
        pairs = enumerate(zip(found, expected, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{path}[{i}]")]
    numbers = (int, float)
    if isinstance(found, numbers) and isinstance(expected, numbers):
        close = abs(found - expected) <= 1e-12 * max(1.0, abs(expected))
        return [] if close else [f"{path}: {found} and {expected}"]
    return [] if found == expected else [f"{path}: {json.dumps(found)} and {json.dumps(expected)}"]
