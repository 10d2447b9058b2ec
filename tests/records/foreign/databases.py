"""Replay databases of several schema versions, by the columns that are documented for them."""

import gzip
import json
import sqlite3

from ringrift.records.foreign.line_writers import walk
from ringrift.records.foreign.moves import move_json
from ringrift.records.foreign.states import state_json
from ringrift.rules import Position

GAMES = {
    1: "game_id board_type num_players rng_seed created_at completed_at game_status winner"
    " termination_reason total_moves total_turns duration_ms source",
    4: "schema_version time_control_type initial_time_ms time_increment_ms",
    7: "metadata_json",
    18: "quality_score",
}
MOVES = {
    1: "game_id move_number turn_number player phase move_type move_json timestamp think_time_ms",
    4: "time_remaining_ms engine_eval engine_eval_type engine_depth engine_nodes engine_pv"
    " engine_time_ms",
    18: "move_probs search_stats_json",
}
OTHERS = {
    1: {
        "game_players": "game_id player_number player_type ai_type ai_difficulty ai_profile_id"
        " final_eliminated_rings final_territory_spaces final_rings_in_hand",
        "game_initial_state": "game_id initial_state_json compressed",
        "game_state_snapshots": "game_id move_number state_json compressed",
        "game_choices": "game_id move_number choice_type player options_json",
    },
    7: {
        "game_history_entries": "game_id move_number player phase_before phase_after"
        " status_before status_after progress_before_json progress_after_json"
        " state_hash_before state_hash_after",
    },
}


def columns(table, version):
    return " ".join(text for since, text in table.items() if since <= version).split()


class Fixture:
    """A database of a version; rows have the columns that it knows."""

    def __init__(self, path, version):
        self.version = version
        self.connection = sqlite3.connect(path)
        tables = {"games": columns(GAMES, version), "game_moves": columns(MOVES, version)}
        for since, others in OTHERS.items():
            if since <= version:
                tables |= {name: text.split() for name, text in others.items()}
        if version >= 4:
            tables["game_state_snapshots"] = [*tables["game_state_snapshots"], "state_hash"]
            tables["schema_metadata"] = ["key", "value"]
        self.tables = tables
        for name, known in tables.items():
            self.connection.execute(f"CREATE TABLE {name} ({', '.join(known)})")
        if version >= 4:
            self.put("schema_metadata", key="schema_version", value=str(version))

    def put(self, table, **values):
        known = {name: value for name, value in values.items() if name in self.tables[table]}
        names, marks = ", ".join(known), ", ".join("?" * len(known))
        self.connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(known.values())
        )

    def add(self, record, *, first_number=0, snapshots=20, bottom_first=False, **row):
        """Add a game, its moves numbered from `first_number`, states as that numbering has them."""
        state = json.dumps(self.state(Position.of(record.spec), bottom_first))
        self.put("game_initial_state", game_id=row["game_id"], **self.stored(state))
        position = Position.of(record.spec)
        for ply, position, packed in walk(record):
            number = ply + first_number
            fields = move_json(position, packed)
            after = position.after(packed)
            self.put(
                "game_moves",
                game_id=row["game_id"],
                move_number=number,
                turn_number=1,
                player=fields["player"],
                phase=position.phase,
                move_type=fields["type"],
                move_json=json.dumps(fields),
                move_probs='{"0": 1.0}' if ply == 0 else None,
            )
            if "game_history_entries" in self.tables:
                self.put(
                    "game_history_entries",
                    game_id=row["game_id"],
                    move_number=number,
                    player=fields["player"],
                    phase_before=position.phase,
                    state_hash_before=position.fingerprint,
                    state_hash_after=after.fingerprint,
                )
            if (ply + 1) % snapshots == 0:
                self.put(
                    "game_state_snapshots",
                    game_id=row["game_id"],
                    move_number=number,
                    state_hash=after.fingerprint,
                    **self.stored(json.dumps(self.state(after, bottom_first)), "state_json"),
                )
        result = record.result
        for seat in range(record.spec.players):
            self.put(
                "game_players",
                game_id=row["game_id"],
                player_number=seat + 1,
                player_type="ai",
                ai_type="mcts",
                ai_difficulty=5,
                final_eliminated_rings=result.elim[seat],
                final_territory_spaces=result.terr[seat],
                final_rings_in_hand=result.hand[seat],
            )
        told = {
            "board_type": record.spec.board,
            "num_players": record.spec.players,
            "rng_seed": 7,
            "created_at": "2025-11-02T10:00:00Z",
            "game_status": "completed",
            "winner": result.winner,
            "termination_reason": "elimination"
            if result.reason == "ring_elimination"
            else result.reason,
            "total_moves": len(record.moves),
            "source": "self_play",
            "metadata_json": "{}",
            "quality_score": 0.5,
        }
        self.put("games", **{**told, **row})
        self.connection.commit()

    def stored(self, text, name="initial_state_json"):
        if self.version < 4:
            return {name: text, "compressed": 0}
        return {name: gzip.compress(text.encode()), "compressed": 1}

    def state(self, position, bottom_first):
        fields = {**state_json(position, game_id="x")}
        del fields["canonicalState"]
        if bottom_first:
            for stack in fields["board"]["stacks"].values():
                stack["rings"] = stack["rings"][::-1]
        return fields
