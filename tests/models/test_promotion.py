"""Promotions: what is kept of them, what may not become champion, and what a kill leaves."""

import os
import random
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringrift.core.errors import BusyError, DataError, NegativeResult, RefusedError, UsageError
from ringrift.core.settings.measuring import Promotion
from ringrift.models.decisions import read_chain
from ringrift.models.judging import Rules
from ringrift.models.promotion import (
    configurations,
    first_champion,
    follow_decisions,
    promote_manually,
    record_verdict,
    waiting_s,
)
from ringrift.models.rollback import roll_back
from ringrift.nets.container import ModelError, read_card

from .made import CONFIG, PLAIN, crown, in_full, make_model, match, measured, named

KEYS = {
    *("match_ids", "score", "llr", "bounds", "elo_diff", "elo_ci95", "games", "opening_book_hash"),
    *("floors", "holdout", "regression", "settings", "warnings", "rules", "against_champion"),
    *("candidate_random", "candidate_heuristic", "champion_random", "champion_heuristic"),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A models folder with four models and the ids of them."""
    models = tmp_path_factory.mktemp("models")
    return models, [make_model(models, seed) for seed in range(4)]


@pytest.fixture
def models(originals, tmp_path):
    """A copy with the first one as champion; returns (folder, ids)."""
    source, ids = originals
    folder = tmp_path / "models"
    os.system(f"cp -r {source} {folder}")
    first_champion(folder, read_chain(folder / "decisions", CONFIG), ids[0], "first", inputs={})
    return folder, ids


def chain_of(folder):
    return read_chain(folder / "decisions", CONFIG)


def record(folder, candidate, found, rules=PLAIN, **more):
    return record_verdict(
        folder, chain_of(folder), candidate, found, rules, settings={"sims": 16}, **more
    )


def test_a_promotion_moves_every_name_and_keeps_every_input(models):
    folder, ids = models
    made = record(folder, ids[1], in_full(regression=(match(0.5, 20),)), Rules(), by="me")
    assert made.decision.kind == "promoted"
    assert named(folder) == (ids[1],) * 3
    kept = chain_of(folder).decisions[-1]
    assert kept.inputs.keys() >= KEYS
    assert kept.inputs["games"] == 60
    assert kept.inputs["settings"] == {"sims": 16}
    assert kept.inputs["holdout"]["candidate"]["value_error"] == 0.5
    assert len(kept.inputs["match_ids"]) == 6
    assert (kept.champion_before, kept.by) == (ids[0], "me")


def test_a_rejection_keeps_all_inputs_and_the_champion(models):
    folder, ids = models
    made = record(folder, ids[1], measured("reject"))
    assert made.decision.kind == "rejected"
    assert made.changed == ()
    assert made.decision.inputs.keys() >= KEYS
    assert chain_of(folder).champion == ids[0]
    assert named(folder) == (ids[0],) * 3


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (replace(measured(), candidate_random=match(None, 0)), "no games"),
        (replace(measured(), against_champion=match(None, 0, tested=True)), "not finished"),
        (in_full(candidate=None), "unknown"),
    ],
)
def test_without_matches_or_hold_out_nobody_is_promoted(models, found, told):
    folder, ids = models
    with pytest.raises(DataError, match=told):
        record(folder, ids[1], found, Rules())
    assert chain_of(folder).champion == ids[0]


def test_a_model_of_another_configuration_is_refused(models):
    folder, ids = models
    other = make_model(folder, 9, config="hex8_2p")
    with pytest.raises(RefusedError, match=f"made for hex8_2p; expected {CONFIG}"):
        record(folder, other, measured())
    with pytest.raises(RefusedError, match="made for hex8_2p"):
        promote_manually(folder, chain_of(folder), other, "why", regression="run", by="me")
    assert named(folder) == (ids[0],) * 3


def test_a_damaged_model_is_refused(models):
    folder, ids = models
    path = folder / "objects" / ids[1][:2] / f"{ids[1]}.safetensors"
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="hash_mismatch"):
        record(folder, ids[1], measured())
    assert chain_of(folder).champion == ids[0]


def test_by_hand_needs_a_reason_and_another_model(models):
    folder, ids = models
    with pytest.raises(UsageError, match="needs a reason"):
        promote_manually(folder, chain_of(folder), ids[1], " ", regression="skipped", by="me")
    with pytest.raises(NegativeResult, match="already"):
        promote_manually(folder, chain_of(folder), ids[0], "why", regression="skipped", by="me")
    made = promote_manually(folder, chain_of(folder), ids[1], "why", regression="skipped", by="me")
    assert made.decision.kind == "manual"
    assert made.decision.inputs == {"tested": False, "regression": "skipped"}
    assert named(folder) == (ids[1],) * 3


def test_a_demoted_model_needs_a_new_test(models):
    folder, ids = models
    record(folder, ids[1], measured())
    roll_back(folder, CONFIG, "worse", by="me")
    with pytest.raises(RefusedError, match="this very test"):
        record(folder, ids[1], measured())
    again = measured()
    again = replace(again, against_champion=replace(again.against_champion, plan="another"))
    assert record(folder, ids[1], again).decision.kind == "promoted"


def test_what_a_kill_left_is_completed_and_then_nothing_changes(models):
    folder, ids = models
    crown(folder, ids[1])  # the decision alone
    assert named(folder) == (ids[0],) * 3
    assert follow_decisions(folder) != ()
    assert named(folder) == (ids[1],) * 3
    before = {p: p.lstat().st_mtime_ns for p in folder.rglob("*") if not p.name.endswith(".lock")}
    assert follow_decisions(folder) == ()
    after = {p: p.lstat().st_mtime_ns for p in folder.rglob("*") if not p.name.endswith(".lock")}
    assert after == before
    assert configurations(folder) == [CONFIG]


def test_cooldown_and_the_day_s_limit_hold_for_automatic_promotions(models):
    folder, ids = models
    settings = Promotion(cooldown_seconds=900, max_promotions_per_day=2)
    now = datetime.now(UTC)
    assert waiting_s(chain_of(folder), settings)[0] == 0  # the first model is no promotion
    crown(folder, ids[1])
    rest, why = waiting_s(chain_of(folder), settings, now)
    assert 890 < rest <= 901
    assert "cooldown_seconds" in why
    later = now + timedelta(seconds=1000)
    assert waiting_s(chain_of(folder), settings, later)[0] == 0
    crown(folder, ids[2])
    rest, why = waiting_s(chain_of(folder), settings, later)
    assert 85_000 < rest < 86_400
    assert "max_promotions_per_day" in why
    uncapped = Promotion(cooldown_seconds=0, max_promotions_per_day=None)
    assert waiting_s(chain_of(folder), uncapped, later)[0] == 0


# --- kills and races, with real processes


def forked(work):
    """Run `work` in a child process; return its pid."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = work() or 0
        finally:
            os._exit(code)
    return pid


def killed_promotions(folder, ids, kills, seed):
    """Promote in children that are killed at random moments; return how often it had happened."""
    rng = random.Random(seed)
    happened = 0
    began_s = time.monotonic()
    os.waitpid(forked(lambda: record(folder, ids[1], plan(0)) and None), 0)
    lasts_s = time.monotonic() - began_s
    for number in range(1, kills + 1):
        before = chain_of(folder)
        candidate = ids[1 + number % 3]
        pid = forked(lambda c=candidate, n=number: record(folder, c, plan(n)) and None)
        time.sleep(rng.uniform(0, lasts_s))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        chain = chain_of(folder)
        assert len(chain.decisions) - len(before.decisions) in (0, 1)
        assert len(list((folder / "decisions" / CONFIG).glob("*.json"))) == len(chain.decisions)
        for name in named(folder):
            assert name in {before.champion, chain.champion}
        assert read_card(folder / f"{CONFIG}.safetensors")[1]["config"] == CONFIG
        happened += len(chain.decisions) - len(before.decisions)
        follow_decisions(folder)
        assert named(folder) == (chain.champion,) * 3
    return happened


def plan(number):
    found = measured()
    return replace(found, against_champion=replace(found.against_champion, plan=f"plan {number}"))


@pytest.mark.slow
def test_kill_9_leaves_the_old_or_the_new_champion_everywhere(models):
    killed_promotions(*models, kills=10, seed=1)


@pytest.mark.acceptance
def test_fifty_kills_leave_the_old_or_the_new_champion_everywhere(models):
    happened = killed_promotions(*models, kills=50, seed=2)
    assert 5 <= happened <= 45  # the moments were spread over the promotion


def test_two_racing_promoters_make_one_champion_and_one_refused_writer(models, tmp_path):
    folder, ids = models

    def race(candidate):
        chain = chain_of(folder)
        (tmp_path / candidate).touch()
        while not (tmp_path / "go").exists():
            time.sleep(0.0005)
        try:
            record_verdict(folder, chain, candidate, measured(), PLAIN, settings={})
        except BusyError:
            return 75
        return 0

    pids = [forked(lambda c=candidate: race(c)) for candidate in ids[1:3]]
    while not all((tmp_path / candidate).exists() for candidate in ids[1:3]):
        time.sleep(0.01)
    (tmp_path / "go").touch()
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)
    assert codes == [0, 75]
    assert len(chain_of(folder).decisions) == 2
    assert named(folder) == (chain_of(folder).champion,) * 3
