"""Which fit a data root has now, or had at a time (`evaluation.md` 5)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringrift.core.ids import canonical_json
from ringrift.core.paths import Paths
from ringrift.evaluation.ratings.cache import cache_path, read_cached, write_cache
from ringrift.evaluation.ratings.fit import Fit, FitRules, fit
from ringrift.evaluation.ratings.games import RatedGames, read_games
from ringrift.evaluation.ratings.lineage import model_facts, parents_of
from ringrift.evaluation.ratings.table import digest_of, tree_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingSource:
    """Where ratings come from: a game store, the models' descriptions, the folder of fits."""

    store: Path
    objects: Path
    folder: Path
    rules: FitRules = field(default_factory=FitRules)

    @classmethod
    def of_root(cls, paths: Paths, rules: FitRules | None = None) -> RatingSource:
        """Return those of a data root."""
        return cls(
            store=paths.game_store,
            objects=paths.model_objects,
            folder=paths.ratings,
            rules=rules or FitRules(),
        )

    def games(self, config: str, *, as_of: float | None = None) -> RatedGames:
        """Read the match games of a configuration."""
        return read_games(self.store, config, as_of=as_of)

    def fit(self, config: str, *, as_of: float | None = None) -> Fit:
        """Fit the games of a configuration, with all covariances; writes nothing."""
        games = self.games(config, as_of=as_of)
        return fit(games, self.rules, self.parents(games))

    def parents(self, games: RatedGames) -> dict[str, str]:
        """Return the parents of the models that played, as far as they are known and played too."""
        models = {who.model_id for who in games.participants if who.model_id is not None}
        found = parents_of(model_facts(self.objects, models))
        return {model: parent for model, parent in found.items() if parent in models}

    def tree(self, config: str, *, as_of: float | None = None, keep: bool = True) -> dict[str, Any]:
        """Return the fit of a configuration as it stands in its file, made if it is not there.

        Written with `keep`; fits as of a time are never: readers take the newest file for the
        present.
        """
        games = self.games(config, as_of=as_of)
        parents = self.parents(games)
        digest = digest_of(games.ids_hash, self.rules, parents)
        path = cache_path(self.folder, config, digest)
        kept = keep and as_of is None and len(games.ids) > 0
        tree = read_cached(path, digest) if kept else None
        if tree is None:
            made = tree_of(fit(games, self.rules, parents), digest)
            tree = json.loads(canonical_json(made))  # as it is read back
            if kept:
                write_cache(path, tree)
        return tree
