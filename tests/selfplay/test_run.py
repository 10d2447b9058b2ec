"""Runs of self-play: the same games however they are cut, nothing lost, nothing doubled."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ringrift.core.errors import RefusedError, UsageError
from ringrift.records import Journal, read_jsonl
from ringrift.selfplay.recording import Recorder
from ringrift.selfplay.run import Outcome, play_run
from ringrift.selfplay.run_folder import RunFolder, choose_folder
from ringrift.selfplay.summary import Session

from .runs import NAME, Free, order, plan, stored, written

GAMES = 20
AGENTS = ("heuristic:mode=light,tau=1", "random")


def go(folder: Path, **fields: Any) -> Outcome:
    return play_run(order(folder, plan(*AGENTS), **fields), guard=Free())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A run that was never cut: two workers of up to 64 games."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, go(folder, workers=2, games_per_worker=64)


@pytest.mark.slow
def test_a_run_leaves_its_games_in_every_place(whole: tuple[Path, Outcome]) -> None:
    folder, outcome = whole
    assert outcome.complete
    assert outcome.failed is None
    ids = stored(folder)
    assert len(set(ids)) == GAMES
    assert written(folder) == ids
    assert not (folder / f"{NAME}.journal").exists()
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert summary == outcome.summary
    assert summary["games"] == summary["requested"] == GAMES
    assert summary["duplicates"] == summary["quarantined"] == summary["resumed"] == 0
    assert sum(summary["wins"].values()) + summary["draws_or_unfinished"] == GAMES
    assert sum(agent["won"] for agent in summary["agents"]) == sum(summary["wins"].values())
    assert summary["length_quantiles"]["0"] <= summary["mean_length"]
    assert 0 < summary["batch_fill"] <= 1
    assert summary["marks"]["random"] > 0


@pytest.mark.acceptance
def test_one_worker_and_one_game_at_a_time_play_the_same(
    whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    go(tmp_path, workers=1, games_per_worker=1)
    assert stored(tmp_path) == stored(whole[0])


@pytest.mark.acceptance
def test_a_stopped_run_goes_on_where_it_stopped(
    whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    seen: list[Session] = []
    first = play_run(
        order(tmp_path, plan(*AGENTS), workers=2, games_per_worker=2),
        guard=Free(),
        stop=lambda: bool(seen) and seen[-1].games >= 5,
        on_progress=seen.append,
    )
    assert not first.complete
    kept = first.summary["games"]
    assert 5 <= kept < GAMES
    assert len(written(tmp_path)) == kept
    second = go(tmp_path, workers=2, games_per_worker=2, resume=True)
    assert second.complete
    assert second.summary["resumed"] == kept
    assert second.summary["games"] == GAMES
    assert second.summary["duplicates"] == 0
    assert stored(tmp_path) == written(tmp_path) == stored(whole[0])
    again = go(tmp_path, resume=True)
    assert again.complete
    assert again.summary["games"] == GAMES


@pytest.mark.slow
def test_what_only_the_journal_has_is_taken_up(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    """The files of a run killed after its journal's last write, before any checkpoint."""
    source = whole[0]
    asked = order(tmp_path, plan(*AGENTS))
    recorder = Recorder(asked.folder, asked.places, 2, resume=False)
    games = [(record, ()) for record, _ in read_jsonl(source / "games.jsonl")]
    for game in games[:7]:
        recorder.journaled(game)
        recorder.add(game)
    recorder.commit()  # these seven are in the store and in the lines, and no checkpoint says so
    for game in games[7:11]:
        recorder.journaled(game)
    recorder._closing.close()  # the descriptors go, nothing else is written
    assert len(list(Journal.read(asked.places.journal))) == 11
    outcome = go(tmp_path, resume=True)
    assert outcome.summary["resumed"] == 11
    assert outcome.summary["games"] == GAMES
    assert outcome.summary["duplicates"] == 0
    assert stored(tmp_path) == written(tmp_path) == stored(source)


@pytest.mark.acceptance
def test_lines_of_others_in_the_file_stay(tmp_path: Path, whole: tuple[Path, Outcome]) -> None:
    line = (whole[0] / "games.jsonl").read_text().splitlines()[0]
    (tmp_path / "games.jsonl").write_text(f"{line}\n")
    asked = order(tmp_path, plan(*AGENTS, seed=8), games=2)
    play_run(asked, guard=Free())
    play_run(order(tmp_path, plan(*AGENTS, seed=8), games=3, resume=True), guard=Free())
    assert (tmp_path / "games.jsonl").read_text().startswith(f"{line}\n")
    assert len(written(tmp_path)) == 4


@pytest.mark.acceptance
def test_a_killed_worker_changes_nothing(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    killed = False

    def kill(session: Session) -> None:
        nonlocal killed
        if session.games >= 3 and not killed:
            killed = True
            os.kill(_children()[0], signal.SIGKILL)

    outcome = play_run(
        order(tmp_path, plan(*AGENTS), workers=2, games_per_worker=4),
        guard=Free(),
        on_progress=kill,
    )
    assert killed
    assert outcome.complete
    assert stored(tmp_path) == stored(whole[0])


def _children() -> list[int]:
    """Return the worker processes of this one."""
    import multiprocessing

    return sorted(
        child.pid
        for child in multiprocessing.active_children()
        if child.name == "ringrift-player" and child.pid is not None
    )


@pytest.mark.slow
def test_a_run_goes_on_only_with_what_it_was_begun_with(
    whole: tuple[Path, Outcome], tmp_path: Path
) -> None:
    folder = RunFolder(whole[0] / "run")
    tree = plan("random", seed=9).as_tree()
    with pytest.raises(RefusedError, match=r"another seed: 7; asked for 9"):
        folder.go_on("other", tree)
    with pytest.raises(UsageError, match="no run to resume"):
        choose_folder(tmp_path / "none", "key", resume=True, named=True)


@pytest.mark.slow
def test_a_folder_that_holds_a_run_is_left_alone(whole: tuple[Path, Outcome]) -> None:
    base = whole[0] / "run"
    key = RunFolder(base).header["key"]
    assert choose_folder(base, key, resume=False, named=True).path.name == "run-2"
    assert choose_folder(base, key, resume=True, named=False).path == base
    with pytest.raises(UsageError, match="no run with these options"):
        choose_folder(base, "other", resume=True, named=False)


@pytest.mark.acceptance
def test_sampled_games_are_played_again_and_games_on_the_clock_are_found_out(
    tmp_path: Path,
) -> None:
    sound = play_run(order(tmp_path / "a", games=4, shadow_rate=1.0, jsonl=False), guard=Free())
    assert sound.failed is None
    assert sound.summary["shadow"] == {"checked": 4, "differing": 0}
    timed = plan("mcts:eval=heuristic,ms=2", max_plies=40)
    found = play_run(
        order(tmp_path / "b", timed, games=4, games_per_worker=4, shadow_rate=1.0), guard=Free()
    )
    assert found.failed is not None
    assert "threshold 0.001" in found.failed
    differing = found.summary["shadow"]["differing"]
    assert differing > 0
    assert found.summary["anomalies"] == {"SHADOW-DIFFERS": differing}
    assert len(stored(tmp_path / "b")) == 4 - differing
    assert len(list((tmp_path / "b" / "run" / "anomalies").iterdir())) == differing
