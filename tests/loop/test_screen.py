"""The screen: a block on a terminal, one line per event without one, a line for each cycle."""

import io
import re

import pytest
from rich.console import Console

from ringrift.cli.loop.screen import Screen
from ringrift.loop.lines import cycle_line, duration, line_of, words_of

from . import status_scene as scene
from .test_status import status

BACK = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def event(kind, cycle=3, config=scene.CONFIG, **data):
    at = "2026-01-02T03:04:05.678Z"
    return {
        "seq": 1,
        "at": at,
        "kind": kind,
        "config": config,
        "cycle": cycle,
        "job": None,
        "data": data,
    }


def decided(kind, **more):
    data = {
        "candidate": "7c01be" + "0" * 58,
        "games": 1240,
        "losses": [1.82, 1.75, 1.71],
        "elo_diff": 64.0,
        "ci95": [41.0, 88.0],
        "test_games": 118,
        "reason": "accepted",
        "seconds": 252.0,
    }
    return event(kind, **{**data, **more})


def test_a_finished_cycle_leaves_the_line_of_the_document():
    assert cycle_line(decided("promoted")) == (
        "cycle 3  square8_2p  1 240 games  loss 1.82->1.71  +64 Elo [41, 88] 118 games  "
        "PROMOTED 7c01be  4m12s"
    )
    assert cycle_line(decided("rejected", reason="H0 accepted")).endswith(
        "rejected: 7c01be, H0 accepted  4m12s"
    )


def test_what_is_unknown_is_left_out_or_said():
    bare = decided(
        "rejected", games=None, losses=[], elo_diff=None, ci95=None, test_games=None, seconds=None
    )
    assert cycle_line(bare) == "cycle 3  square8_2p  rejected: 7c01be, accepted"
    assert "Elo unknown 118 games" in cycle_line(decided("promoted", elo_diff=None, ci95=None))


@pytest.mark.parametrize(
    ("seconds", "words"), [(12, "12s"), (252, "4m12s"), (59.7, "1m00s"), (11100, "3h05m")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_the_first_model_is_told_as_in_the_document():
    line = line_of(event("model_initialised", model="3f9a12" + "0" * 58, net="nnue-policy"))
    assert line == (
        "03:04:05 square8_2p  model initialised: no model yet - starting from random weights "
        "(model 3f9a12)"
    )


def test_a_level_of_the_guard_says_what_it_holds_and_why():
    reasons = ["65.9 % of the disk in use, warning from 65 %"]
    line = line_of(event("guard_level", config=None, level="warning", reasons=reasons))
    assert line == (
        "03:04:05 guard level: warning, no new self-play: 65.9 % of the disk in use, warning from "
        "65 % (ringrift node limits tells more)"
    )


def test_every_kind_of_event_has_words_without_its_fields_names_as_python(tmp_path):
    told = [
        event(
            "games_ingested", games=64, total=9120, new_games=134, trigger=200, games_per_hour=None
        ),
        event("training_finished", losses=[1.0, None], seconds=12.5, samples=1000),
        event("match_finished", title="t", score=None, games=4, wins=1, losses=2, capped=1),
        event("milestone", name="beats_random", minutes=4.25),
        event("job_failed", job_kind="match", attempts=3, error="DataError: no"),
        event("calibration", model="a" * 64, ece=0.031, temperature=None),
        event("signal", signal="INCREASE_DATA", reason="overfit"),
        event("guard_level", config=None, level="ok", reasons=[]),
        event("loop_stopped", config=None, ended="cycles"),
    ]
    for each in told:
        words = words_of(each)
        assert "None" not in words
        assert "{" not in words
        assert "\n" not in words


# --- without a terminal


def test_without_a_terminal_each_event_is_a_line_and_nothing_is_rewritten():
    out = io.StringIO()
    with Screen(Console(file=out, width=160), live=False) as screen:
        screen.note("2 cores")
        screen.step("rules", 1, 4)
        screen.show(status())
        screen.event(event("job_filed", job_kind="match"))
        screen.event(decided("promoted"))
        screen.event(event("loop_stopped", ended="cycles"))
    lines = out.getvalue().splitlines()
    assert lines[0] == "2 cores"
    assert lines[1] == "compiling rules (once): rules 1/4"
    assert lines[2].startswith("03:04:05 cycle 3  square8_2p")
    assert len(lines) == 4
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()


def test_verbose_shows_jobs_and_quiet_nothing():
    for more, wanted in (({"verbose": True}, 1), ({"quiet": True}, 0), ({}, 0)):
        out = io.StringIO()
        with Screen(Console(file=out, width=160), live=False, **more) as screen:
            screen.event(event("job_filed", job_kind="match"))
        assert len(out.getvalue().splitlines()) == wanted


# --- with one


def test_on_a_terminal_the_block_shows_each_part_and_goes_at_the_end():
    out = io.StringIO()
    console = Console(file=out, width=140, height=40, force_terminal=True, color_system="truecolor")
    with Screen(console, live=True) as screen:
        screen.step("rules", 1, 4)
        screen._live.refresh()
        screen.show(status(jobs=[scene.Running()]))
        screen._live.refresh()
        screen.event(event("games_ingested", games=1, total=1, new_games=1, trigger=2))
        screen.event(decided("promoted"))
    text = out.getvalue()
    plain = BACK.sub("", text)
    for words in (
        "compiling rules (once): rules 1/4",
        "square8_2p  collecting  134/200 games",
        "134/200  87 games/min  ETA 46s",
        "epoch 3  loss 1.700  9 800 samples/s  ETA 31s",
        "LLR +0.81 [-2.94, 2.94]  21/120 games  12-8-1 capped",
        "champion bbbbbb  Elo 512 ± 32  generation 1",
        "cpu 71 %  memory 42 %  disk 38 %  (ok)  jobs: 1 train",
        "hex8_2p  unborn",
        "cycle 3  square8_2p",
    ):
        assert words in plain, words
    assert "more, 1/2 new" not in plain
    assert "\x1b[2K" in text
