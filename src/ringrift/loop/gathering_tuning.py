"""Tuned sets and studies of hyper-parameters as facts, from their files (`core.md` 12)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ringrift.core.errors import DataError, RingriftError
from ringrift.core.hyperparameters import HYPERPARAMETERS_FILE, load_hyperparameters
from ringrift.loop.facts import StudyFacts, TuningFacts
from ringrift.tuning.hp.report import REPORT, read_report, study_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ringrift.core.hyperparameters import HyperparameterFile
    from ringrift.core.paths import Paths

KINDS = ("nn", "nnue", "nnue-policy")


@dataclass(slots=True)
class TunedSets:
    """Keeps the hyper-parameter file and the reports of studies in mind until they change."""

    paths: Paths
    _file: tuple[int, HyperparameterFile | str] | None = None
    _studies: dict[Path, tuple[int, StudyFacts | None]] = field(default_factory=dict)

    def of(self, config: str) -> TuningFacts:
        """Return what is known of a configuration; what cannot be read is its `error`."""
        content = self._content()
        if isinstance(content, str):
            return TuningFacts(confidence=None, error=content)
        medium = content.tuning_config.evaluation.medium_confidence_trials
        try:
            study = self._newest(config)
        except DataError as error:
            return TuningFacts(confidence=None, error=str(error))
        entry = content.configs.get(config)
        if entry is None:
            return TuningFacts(trials_of_medium=medium, study=study)
        return TuningFacts(
            confidence=entry.confidence,
            trials=entry.tuning_trials,
            tuned_at=entry.last_tuned,
            trials_of_medium=medium,
            study=study,
        )

    def _content(self) -> HyperparameterFile | str:
        path = self.paths.root / HYPERPARAMETERS_FILE
        changed_ns = _changed(path)
        if self._file is None or self._file[0] != changed_ns:
            found: HyperparameterFile | str
            try:
                found = load_hyperparameters(root=self.paths.root).content
            except RingriftError as error:
                found = str(error)
            self._file = (changed_ns, found)
        return self._file[1]

    def _newest(self, config: str) -> StudyFacts | None:
        """Return the newest study that the loop filed."""
        found = [self._study(study_folder(self.paths.runs, config, kind)) for kind in KINDS]
        studies = [study for study in found if study is not None]
        return max(studies, key=lambda study: study.at, default=None)

    def _study(self, folder: Path) -> StudyFacts | None:
        changed_ns = _changed(folder / REPORT)
        known = self._studies.get(folder)
        if known is None or known[0] != changed_ns:
            report = read_report(folder) if changed_ns else None
            known = (changed_ns, _study_of(report, where=str(folder / REPORT)))
            self._studies[folder] = known
        return known[1]


def _study_of(report: Mapping[str, Any] | None, *, where: str) -> StudyFacts | None:
    """Return a report of the loop's as facts; None for one that a person asked for."""
    if report is None or "job" not in report:
        return None
    try:
        contest = report["contest"]
        sides = report["confirmation"]
        return StudyFacts(
            job=report["job"],
            at=float(report["ended_at"]),
            upto=int(report["upto"]),
            trials=len(report["trials"]),
            written=bool(report["written"]),
            outcome=str(report["outcome"]),
            gain=None if sides is None else sides["gain"],
            score=None if contest is None else contest["score"],
            games=None if contest is None else contest["games"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"no report of a study: {error!r}", where=where) from error


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
