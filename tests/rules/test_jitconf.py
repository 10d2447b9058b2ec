"""Compile caches are named by the source they were compiled from (rules/jitconf.py)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ringrift.rules import jitconf


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package's sources."""
    copy = tmp_path / "ringrift"
    shutil.copytree(jitconf.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_editing_any_rules_file_names_another_folder(package: Path) -> None:
    """Numba alone would keep the old callee in a cached caller."""
    key = jitconf.source_key("rules", package)
    assert key == jitconf.source_key("rules", package)
    for path in sorted((package / "rules").glob("*.py")):
        before = path.read_text(encoding="utf-8")
        path.write_text(before + "\n# edited\n", encoding="utf-8")
        assert jitconf.source_key("rules", package) != key, path.name
        path.write_text(before, encoding="utf-8")
    assert jitconf.source_key("rules", package) == key


def test_later_rooms_recompile_with_the_rules_and_not_the_other_way_round(package: Path) -> None:
    compiled = package / "agents" / "compiled_example.py"
    compiled.parent.mkdir(exist_ok=True)
    compiled.write_text("from ringrift.rules.jitconf import rule\n", encoding="utf-8")
    rules, agents = jitconf.source_key("rules", package), jitconf.source_key("agents", package)
    compiled.write_text("from ringrift.rules.jitconf import rule  # edited\n", encoding="utf-8")
    assert jitconf.source_key("rules", package) == rules
    assert jitconf.source_key("agents", package) != agents
    plain = package / "core" / "not_compiled.py"
    agents = jitconf.source_key("agents", package)
    plain.write_text("", encoding="utf-8")
    assert jitconf.source_key("agents", package) == agents


def test_bounds_checked_code_has_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NUMBA_BOUNDSCHECK", raising=False)
    key = jitconf.source_key("rules")
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert jitconf.source_key("rules") != key


def test_only_the_last_few_folders_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for age in range(6):
        old = tmp_path / f"rules-{age:016x}"
        old.mkdir()
        os.utime(old, (1_000_000 + age, 1_000_000 + age))
    other = tmp_path / "agents-0123456789abcdef"
    other.mkdir()
    folder = jitconf.cache_folder.__wrapped__("rules")
    kept = {path.name for path in tmp_path.glob("rules-*")}
    assert folder.name in kept
    assert kept == {folder.name, "rules-0000000000000005", "rules-0000000000000004"}
    assert other.is_dir()


def test_cache_root_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert jitconf.cache_root() == tmp_path
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jitconf.cache_root() == tmp_path / "ringrift" / "numba"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert jitconf.cache_root() == Path.home() / ".cache" / "ringrift" / "numba"


def test_a_folder_that_cannot_be_made_is_left_to_numba(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    assert jitconf.cache_folder.__wrapped__("rules").parent == blocked
