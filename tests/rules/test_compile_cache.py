"""The compile cache: an edited callee is seen, an unchanged source is loaded, starts are quick."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ringrift

PACKAGE = Path(ringrift.__file__).parent
HASH_OF_START = (
    "from ringrift.rules import engine, layout as lay, BoardSpec\n"
    "from ringrift.rules.geometry import board_tables\n"
    "states, boards = lay.zeros(1, lay.STATE), board_tables(BoardSpec.create('square8'))\n"
    "states[0]['misc'][lay.CUR] = 1\n"
    "print(engine.hash64(lay.view(states), 0, lay.view(boards)))\n"
)
PLAY_A_PLY = (
    "from ringrift.rules import Position\n"
    "p = Position.start('square8')\n"
    "p.play('P 3,3 1')\n"
    "print(len(p.legal_packed()), p.hash64)\n"
)


def run(code, folder, cache, **environment):
    """Run `code` compiled, also where this run itself is the plain mode."""
    outer = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            **outer,
            "PYTHONPATH": str(folder),
            "NUMBA_CACHE_DIR": str(cache),
            **environment,
        },
    )
    return done.stdout.strip(), time.monotonic() - began


@pytest.fixture
def copied(tmp_path):
    """A copy of the package whose sources may be edited."""
    target = tmp_path / "src" / "ringrift"
    for room in ("core", "rules"):
        shutil.copytree(PACKAGE / room, target / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PACKAGE / "__init__.py", target)
    return target


def compiled_files(cache):
    return {p: p.stat().st_mtime_ns for p in cache.rglob("*.nbc")}


@pytest.mark.slow
def test_an_edited_callee_changes_what_its_cached_caller_answers(copied, tmp_path):
    cache = tmp_path / "cache"
    before, _ = run(HASH_OF_START, copied.parent, cache)
    source = copied / "rules" / "hashing.py"
    text = source.read_text()
    assert "h ^ (h >> 15)" in text
    source.write_text(text.replace("h ^ (h >> 15)", "h ^ (h >> 13)"))
    wanted, _ = run(HASH_OF_START, copied.parent, cache, NUMBA_DISABLE_JIT="1")
    after, _ = run(HASH_OF_START, copied.parent, cache)
    assert after != before
    assert after == wanted


@pytest.mark.slow
def test_an_unchanged_source_compiles_once(copied, tmp_path):
    cache = tmp_path / "cache"
    first, _ = run(HASH_OF_START, copied.parent, cache)
    made = compiled_files(cache)
    second, _ = run(HASH_OF_START, copied.parent, cache)
    assert made
    assert (first, made) == (second, compiled_files(cache))


@pytest.mark.timed
@pytest.mark.acceptance
def test_first_use_under_60_s_and_later_starts_under_3_s(tmp_path):
    cache = tmp_path / "cache"
    said, cold_s = run(PLAY_A_PLY, PACKAGE.parent, cache)
    again, warm_s = run(PLAY_A_PLY, PACKAGE.parent, cache)
    print(f"first use {cold_s:.1f} s, later start {warm_s:.2f} s")
    assert said == again
    assert cold_s < 60
    assert warm_s < 3
