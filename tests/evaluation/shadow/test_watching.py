"""Files of a watched folder are told once, and not before they are whole."""

from tests.evaluation.shadow.made import Clock

from ringrift.evaluation.shadow.watching import FolderWatch


def test_a_file_is_told_once_its_size_has_not_changed_for_2_s(tmp_path):
    clock = Clock(0.0)
    watch = FolderWatch(tmp_path, clock=clock)
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"half")
    assert watch.settled() == []
    clock.now_s = 1.9
    assert watch.settled() == []
    path.write_bytes(b"half and more")
    clock.now_s = 2.25
    assert watch.settled() == []
    clock.now_s = 4.0
    assert watch.settled() == []
    clock.now_s = 4.25
    assert watch.settled() == [path]
    clock.now_s = 100.0
    assert watch.settled() == []
    path.write_bytes(b"another model")
    assert watch.settled() == []
    clock.now_s = 103.0
    assert watch.settled() == [path]


def test_descriptions_hidden_files_and_folders_are_no_models(tmp_path):
    clock = Clock(0.0)
    watch = FolderWatch(tmp_path / "later", clock=clock)
    assert watch.settled() == []
    (tmp_path / "later" / "folder").mkdir(parents=True)
    for name in ("a.json", ".hidden", "b.pt"):
        (tmp_path / "later" / name).write_bytes(b"x")
    watch.settled()
    clock.now_s = 3.0
    assert [path.name for path in watch.settled()] == ["b.pt"]
