"""The data root: who names it, who is asked, what is refused."""

from pathlib import Path

import pytest

from ringrift.core.errors import UsageError
from ringrift.core.paths import MARKER, Paths, locate_root, resolve_root


def test_option_wins_over_environment_over_the_nearest_marker(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    Paths(tmp_path / "c").create()
    deep = tmp_path / "c" / "runs"
    environ = {"RINGRIFT_ROOT": str(tmp_path / "b"), "RINGRIFT_DIR": "/nowhere"}
    assert locate_root(option=tmp_path / "a", environ=environ, cwd=deep) == tmp_path / "a"
    assert locate_root(environ=environ, cwd=deep) == tmp_path / "b"
    assert locate_root(environ={}, cwd=deep) == tmp_path / "c"
    assert locate_root(environ={}, cwd=tmp_path / "a") is None


@pytest.mark.parametrize("name", ["RINGRIFT_ROOT", "RINGRIFT_PATH", "RINGRIFT_DIR"])
def test_each_variable_names_a_root(tmp_path, name):
    assert locate_root(environ={name: str(tmp_path)}, cwd=tmp_path) == tmp_path


def test_relative_roots_are_relative_to_the_working_folder(tmp_path):
    assert locate_root(option=Path("x"), environ={}, cwd=tmp_path) == tmp_path / "x"


def test_without_a_root_somebody_must_agree(tmp_path):
    with pytest.raises(UsageError, match="--yes") as caught:
        resolve_root(environ={}, cwd=tmp_path)
    assert caught.value.exit_code == 2
    asked = []

    def agree(folder):
        asked.append(folder)
        return True

    assert resolve_root(environ={}, cwd=tmp_path, ask=agree).root == tmp_path
    assert asked == [tmp_path]
    with pytest.raises(UsageError):
        resolve_root(environ={}, cwd=tmp_path, ask=lambda _folder: False)
    assert resolve_root(environ={}, cwd=tmp_path, assume_yes=True).root == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_create_makes_marker_and_folders_and_keeps_what_is_there(tmp_path):
    paths = Paths(tmp_path / "root")
    assert not paths.exists
    paths.create()
    note = paths.games / "kept"
    note.write_text("x")
    paths.create()
    assert note.read_text() == "x"
    assert paths.exists
    folders = [
        getattr(paths, name)
        for name in dir(Paths)
        if isinstance(getattr(Paths, name), property)
        and name not in {"exists", "marker", "game_store"}
    ]
    assert len(folders) > 20
    assert all(folder.is_dir() for folder in folders)


def test_a_root_inside_another_is_refused(tmp_path):
    Paths(tmp_path).create()
    inner = tmp_path / "data" / "inner"
    with pytest.raises(UsageError, match="inside another"):
        locate_root(option=inner, environ={})
    with pytest.raises(UsageError, match="inside another"):
        Paths(inner).create()
    assert not inner.exists()


def test_a_file_is_no_root(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(UsageError, match="not a folder"):
        locate_root(option=tmp_path / "f", environ={})


def test_paths_of_settings_are_relative_to_the_root(tmp_path):
    paths = Paths(tmp_path)
    assert paths.from_setting("logs/x") == tmp_path / "logs" / "x"
    assert paths.from_setting("/abs") == Path("/abs")
    assert paths.marker.name == MARKER
