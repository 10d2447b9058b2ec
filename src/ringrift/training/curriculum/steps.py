"""The steps of one generation: the command that each runs, and what is kept of its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringrift.core.errors import RefusedError
from ringrift.training.curriculum.children import Commands, Outcome, failed
from ringrift.training.curriculum.generation_config import CurriculumConfig
from ringrift.training.curriculum.retention import games_in, write_game_weights

STEPS = ("players", "selfplay", "pool", "export", "train", "strength", "test")
MODE = "gumbel-mcts-only"
HEURISTIC = "none"
"""Model of a self-play search that does without one."""
REASON = "first model of a curriculum"
HOLDOUT_UNKNOWN = "the hold-out value error of the "
"""How a decision says that hold-out games are missing; then nobody can be promoted."""
DECIDED = ("promoted", "rejected", "inconclusive")
KINDS = {"nn": "cnn", "nnue-policy": "nnue-policy"}
"""Kinds of models by the trainers that make them."""

_NO, _BAD_INPUT = 1, 6

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """One generation of a run; every step may be repeated and then does only what is missing.

    `stores` maps the stores of verified games that count, this generation's first, to the weight of
    their games. Each method takes what the steps before it gave, and returns what is kept. All raise
    what `Commands.run` raises.
    """

    config: CurriculumConfig
    commands: Commands
    folder: Path
    generation: int
    stores: Mapping[Path, float]

    def players(self, _: Found) -> dict[str, Any]:
        """Find who must be beaten, who plays, and whose weights are trained on.

        Without a champion the base model becomes one, else an untrained net.
        """
        base = None
        if self.generation == 0 and self.config.base_model is not None:
            base = self._model(self.config.base_model)
        champions = self._champions()
        if not champions:
            first = self._untrained() if base is None else base["id"]
            self._run(
                "players", "models", "promote", "--manual", "--reason", REASON, "--no-regression",
                "--candidate", first,
            )  # fmt: skip
            champions = [first]
        champion = self._model(champions[-1])
        chosen = champion if base is None else base
        player = None if chosen["random"] and base is None else chosen["id"]
        same = player is not None and chosen["kind"] == KINDS[self.config.kind]
        return {
            "champion": champion["id"],
            "player": player,
            "parent": player if same else None,
        }

    def selfplay(self, found: Found) -> dict[str, Any]:
        """Play the games of the generation."""
        config, run = self.config, self.folder / "selfplay"
        words = [
            "selfplay", "run", "--config-key", config.config_key,
            "--num-games", config.games_per_generation, "--seed", config.seed + self.generation,
            "--engine-mode", MODE, "--nn-model-id", found["players"]["player"] or HEURISTIC,
            "--max-moves", config.max_moves, "--device", config.device,
            "--record-db", self._raw, "--output-dir", run,
        ]  # fmt: skip
        if config.simulations is not None:
            words += ["--mcts-sims", config.simulations]
        if (run / "header.json").is_file():
            words.append("--resume")
        result = self._run("selfplay", *words).result
        return {"games": result["games"], "plies": result["plies"], "ends": result["ends"]}

    def pool(self, _: Found) -> dict[str, Any]:
        """Take the games through the gate into a store that may be trained on."""
        store = next(iter(self.stores))
        self._run(
            "pool", "data", "pool", "--no-require-completed",
            "--input-db", self._raw, "--output", store,
        )  # fmt: skip
        return {"games": len(games_in(store, self.config.config_key))}

    def export(self, _: Found) -> dict[str, Any]:
        """Export the games that still count, each with its generation's weight."""
        config = self.config
        weights = write_game_weights(
            self.folder,
            config.config_key,
            self.stores,
            {"stores": {path.name: weight for path, weight in self.stores.items()}},
        )
        stores = [word for path in self.stores for word in ("--db", path)]
        (made,) = self._run(
            "export", "data", "export", "--board", config.board_type,
            "--players", config.num_players, *stores, "--weights", weights,
            "--max-reuse", config.max_reuse, "--seed", config.seed,
            "--output", self.folder / "dataset",
        ).result["datasets"]  # fmt: skip
        return {"dataset": made["id"], "path": made["path"], "samples": made["samples"]}

    def train(self, found: Found) -> dict[str, Any]:
        """Train the candidate."""
        config, parent = self.config, found["players"]["parent"]
        words = [
            "train", config.kind, "--config-key", config.config_key,
            "--data-path", found["export"]["path"], "--run-dir", self.folder / "training",
            "--epochs", config.training_epochs, "--batch-size", config.batch_size,
            "--learning-rate", config.learning_rate, "--max-reuse", config.max_reuse,
            "--seed", config.seed, "--device", config.device,
        ]  # fmt: skip
        if parent is not None:
            words += ["--warm-start", parent]
        words += self._size()
        result = self._run("train", *words).result
        if result.get("model_id") is None:
            raise RefusedError(
                "no model was trained", where=f"ringrift train {config.kind}",
                hint="training.policy.enabled, or --kind nn",
            )  # fmt: skip
        return {"model_id": result["model_id"], "epochs": result["epochs"]}

    def strength(self, found: Found) -> dict[str, Any]:
        """Measure the candidate against the last champions before the present one, if asked for."""
        config, candidate = self.config, found["train"]["model_id"]
        if not config.use_model_pool:
            return {"score": None, "games": 0}
        apart = {candidate, found["players"]["champion"]}
        former = [one for one in dict.fromkeys(reversed(self._champions())) if one not in apart]
        score, games = 0.0, 0
        for other in former[: config.model_pool_size]:
            test = self._run(
                "strength", "models", "promote", "--candidate", candidate, "--against", other,
                *self._length(config.model_pool_games, config.model_pool_games),
            ).result["test"]  # fmt: skip
            score += test["score"] * test["games"]
            games += test["games"]
        return {"score": score / games if games else None, "games": games}

    def test(self, found: Found) -> dict[str, Any]:
        """Let the sequential test decide about the candidate; nothing else moves a champion."""
        config, candidate = self.config, found["train"]["model_id"]
        pool = found["strength"]["score"]
        told = {"test_games": None, "elo_diff": None, "pool_score": pool}
        if pool is not None and pool < config.model_pool_threshold:
            reason = f"{pool:.2f} against former champions; expected {config.model_pool_threshold}"
            return {**told, "outcome": "below_pool", "reason": reason}
        made = self._decision(candidate)
        if made is None:
            outcome = self._run(
                "test", "models", "promote", "--candidate", candidate,
                *self._length(*config.test_games),
                accept=(0, _NO, _BAD_INPUT),
                variables={
                    "RINGRIFT_PROMOTION__SIGNIFICANCE_LEVEL": f"{1 - config.promotion_confidence:g}"
                },
            )  # fmt: skip
            if outcome.error is not None:
                if not outcome.error.startswith(HOLDOUT_UNKNOWN):
                    raise failed("ringrift models promote", outcome, self._log("test"))
                return {**told, "outcome": "undecided", "reason": outcome.error}
            made = outcome.result["decisions"][-1]
        return {
            **told,
            "outcome": made["kind"],
            "reason": made["reason"],
            "test_games": made["games"],
            "elo_diff": made["elo_diff"],
        }

    # --- what the steps share

    @property
    def _raw(self) -> Path:
        return self.folder / "games.db"

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _run(
        self,
        step: str,
        *words: object,
        accept: Sequence[int] = (0,),
        variables: Mapping[str, str] | None = None,
    ) -> Outcome:
        return self.commands.run(
            [str(word) for word in words], log=self._log(step), accept=accept, variables=variables
        )

    def _length(self, least: int, most: int) -> list[object]:
        """Return the options of a test of so many games."""
        return [
            "--config-key", self.config.config_key, "--seed", self.config.seed,
            "--elo-threshold", f"{self.config.elo_threshold:.3f}",
            "--min-games", least, "--max-games", most,
        ]  # fmt: skip

    def _size(self) -> list[str]:
        """Return the options of the net's size that were given."""
        if self.config.kind == "nn":
            size = self.config.model_size
            return [] if size is None else ["--model-size", size]
        hidden = self.config.hidden_dim
        return [] if hidden is None else ["--hidden-dim", str(hidden)]

    def _champions(self) -> list[str]:
        """Return the champions of the configuration, first to last."""
        outcome = self._run(
            "players", "models", "lineage", "--config-key", self.config.config_key, accept=(0, _NO)
        )
        return [turn["model"] for turn in outcome.result.get("champions", [])]

    def _model(self, reference: str) -> dict[str, Any]:
        """Return the row of a model in the list of models."""
        row: dict[str, Any] = self._run(
            "players", "models", "show", reference, "--config-key", self.config.config_key
        ).result["model"]
        return row

    def _untrained(self) -> str:
        config = self.config
        made = self._run(
            "players", "models", "init", "--board", config.board_type,
            "--players", config.num_players, "--kind", KINDS[config.kind],
            "--seed", config.seed, *self._size(),
        )  # fmt: skip
        return str(made.result["id"])

    def _decision(self, candidate: str) -> dict[str, Any] | None:
        """Return what was decided before a kill, None where nothing was."""
        result = self._run("test", "models", "show", candidate).result
        made = [
            one
            for one in result["decisions"]
            if one["role"] == "candidate" and one["kind"] in DECIDED
        ]
        if not made:
            return None
        row = result["model"]
        return {**made[-1], "games": row["test_games"], "elo_diff": row["elo_diff"]}
