"""What is installed: each planted defect shows on its line, and on no other."""

from dataclasses import replace
from importlib import metadata

import pytest

from ringrift.cli.checks.installation import verify
from ringrift.cli.checks.model import installed_version
from ringrift.core.version_ranges import requirements, satisfies

from .conftest import plant


def with_packages(machine, **distributions):
    def find(name):
        return distributions.get(name) or machine().facts.distribution(name)

    return machine(distribution=find)


def test_the_healthy_machine_is_healthy(machine, bad_lines):
    assert bad_lines(machine()) == []


def test_an_old_python(machine, only):
    line = only(machine(python=(3, 10, 14)), "python")
    assert "3.10.14" in line.seen
    assert ">=3.11" in line.remedy


def test_a_package_of_a_wrong_version(machine, only):
    def installed(name):
        return "1.26.4" if name == "numpy" else installed_version(name)

    line = only(machine(installed=installed), "packages")
    assert "numpy 1.26.4" in line.seen
    assert line.remedy == "pip install 'numpy>=2.0'"


def test_a_missing_package(machine, only):
    def installed(name):
        return None if name == "msgspec" else installed_version(name)

    assert "msgspec is missing" in only(machine(installed=installed), "packages").seen


def test_a_version_beside_the_lock_is_a_warning(machine, only, tmp_path):
    lock = tmp_path / "constraints.txt"
    version = installed_version("numpy").partition("+")[0]
    lock.write_text(f"# pins\nnumpy=={version}\nscipy==0.0.1\nnot-installed-at-all==9\n")
    line = only(machine(constraints=lock), "lock", "warn")
    assert "scipy" in line.seen
    assert "numpy" not in line.seen
    assert "pip install -c constraints.txt" in line.remedy


def test_a_changed_file_of_our_wheel(machine, only, tmp_path):
    ours = plant(
        tmp_path / "wheel", "ringrift", {"ringrift/a.py": b"a = 1\n", "ringrift/b.py": b""}
    )
    context = with_packages(machine, ringrift=ours)
    (tmp_path / "wheel" / "ringrift" / "a.py").write_bytes(b"a = 2\n")
    line = only(context, "wheel")
    assert line.seen == "ringrift/a.py is not what was installed"
    assert line.remedy == "pip install --force-reinstall ringrift==1.0"


def test_a_sound_wheel_is_compared_and_an_editable_one_says_so(machine, bad_lines, tmp_path):
    ours = plant(tmp_path / "wheel", "ringrift", {"ringrift/a.py": b"a = 1\n"})
    assert bad_lines(with_packages(machine, ringrift=ours)) == []
    from ringrift.cli.checks.installation import check_wheel

    (found,) = check_wheel(with_packages(machine, ringrift=ours))
    assert found.seen == "1 files as recorded"
    info = next((tmp_path / "wheel").glob("*.dist-info"))
    (info / "direct_url.json").write_text('{"url": "file:///x/y", "dir_info": {"editable": true}}')
    (found,) = check_wheel(with_packages(machine, ringrift=ours))
    assert found.seen.startswith("editable: the sources of /x/y")


@pytest.mark.parametrize(
    ("content", "words"), [(b"x" * 250, "is not what was installed"), (b"x", "has 1 bytes")]
)
def test_a_damaged_library(machine, only, tmp_path, content, words):
    (tmp_path / "site" / "numba" / "core.so").write_bytes(content)
    line = only(machine(), "libraries")
    assert words in line.seen
    assert "numba" in line.remedy
    assert "torch" not in line.remedy


def test_a_deleted_library_file(machine, only, tmp_path):
    (tmp_path / "site" / "torch" / "core.so").unlink()
    assert "torch/core.so is missing" in only(machine(), "libraries").seen


def test_out_of_time_sizes_are_still_compared(tmp_path):
    planted = plant(tmp_path, "big", {"big/a": b"1234", "big/b": b"123"})
    (tmp_path / "big" / "a").write_bytes(b"4321")
    result = verify([planted], deadline_s=0.0)
    assert (result.hashed, result.sized, result.problems) == (0, 2, ())
    (tmp_path / "big" / "b").write_bytes(b"12")
    assert verify([planted], deadline_s=0.0).problems == ("big/b has 2 bytes, recorded 3",)


def test_a_distribution_without_record_is_no_sound_one(tmp_path):
    planted = plant(tmp_path, "bare", {})
    (tmp_path / "bare-1.0.dist-info" / "RECORD").unlink()
    assert verify([planted], 0.0).problems == ("bare has no RECORD",)


def test_an_old_sqlite(machine, only):
    line = only(machine(sqlite=(3, 36, 0)), "sqlite")
    assert "3.36.0" in line.seen
    assert "3.37" in line.remedy


def test_without_our_metadata_it_is_said(machine, bad_lines):
    def missing(name):
        if name == "ringrift":
            raise metadata.PackageNotFoundError(name)
        return machine().facts.distribution(name)

    bad = bad_lines(machine(distribution=missing))
    assert [line.check for line in bad] == ["packages", "wheel"]


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("2.13.0+cpu", ">=2.9", True),
        ("2.8.9", ">=2.9", False),
        ("2.10", ">=2.9,<3", True),
        ("3.0", ">=2.9,<3", False),
        ("1.0", "==1.0.0", True),
        ("1.4.5", "~=1.4.2", True),
        ("1.5.0", "~=1.4.2", False),
        ("1.0", "!=1.0", False),
        ("7", "", True),
        ("3.0.0rc1", ">=2.9", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version, wanted, expected):
    assert satisfies(version, wanted) is expected


def test_every_requirement_of_ours_is_understood():
    lines = metadata.distribution("ringrift").requires
    known = dict(requirements(lines))
    plain = [line for line in lines if "extra ==" not in line]
    assert len(known) == len(plain) > 5
    assert all(wanted.startswith(">=") for wanted in known.values())
    assert dict(requirements(["a[b,c]>=1", "d (>=2)", "e; extra == 'x'"])) == {
        "a": ">=1",
        "d": ">=2",
    }


def test_a_quick_run_compares_no_files(machine, tmp_path, bad_lines):
    (tmp_path / "site" / "numba" / "core.so").unlink()
    assert bad_lines(replace(machine(), quick=True)) == []
