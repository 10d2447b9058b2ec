"""What a shell is told when the user presses tab."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unhurried import without_settings

from ringrift.cli.completion import complete_boards, complete_configurations
from ringrift.core.paths import Paths
from ringrift.core.settings import CONFIGURATIONS

PROGRAM = Path(sys.executable).with_name("ringrift")
IDS = ["ab" + "0" * 62, "ab" + "1" * 62, "cd" + "2" * 62]


def environment(folder, **more):
    return {**without_settings(), "HOME": str(folder), **more}


def complete(folder, line, shell="bash"):
    """Answer the shell's question about the last word of a line."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        "powershell": {
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1],
        },
    }[shell]
    done = subprocess.run(
        [PROGRAM],
        cwd=folder,
        env=environment(folder, _RINGRIFT_COMPLETE=f"complete_{shell}", **asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.fixture
def root(tmp_path):
    paths = Paths(tmp_path / "root")
    paths.create()
    for model in IDS:
        file = paths.model_objects / model[:2] / f"{model}.safetensors"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
    (paths.models / "aliases.json").write_text(json.dumps({"abc_best": {}, "strong": {}}))
    return paths.root


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ringrift conf", ["config"]),
        ("ringrift games sh", ["show"]),
        ("ringrift games list --config", ["--config-key", "--config"]),
        ("ringrift games list --js", ["--json"]),
        ("ringrift engine perft --board s", ["square8", "square19"]),
        ("ringrift engine perft --board-type hexa", ["hexagonal"]),
        ("ringrift games list --config-key hex8_", ["hex8_2p", "hex8_3p", "hex8_4p"]),
        ("ringrift bench engine --boards square8,hexa", ["square8,hexagonal"]),
        ("ringrift engine show --format s", ["svg", "state"]),
        ("ringrift config show --color a", ["auto", "always"]),
        ("ringrift engine perft --board x", []),
    ],
)
def test_names_and_choices_are_completed(tmp_path, line, wanted):
    assert [word for word in complete(tmp_path, line) if word] == wanted


@pytest.mark.parametrize("shell", ["zsh", "fish", "powershell"])
def test_every_shell_gets_the_same_names(tmp_path, shell):
    text = "\n".join(complete(tmp_path, "ringrift games list --config-key hex8_", shell))
    assert all(name in text for name in ("hex8_2p", "hex8_3p", "hex8_4p"))
    assert "square8_2p" not in text


def test_models_of_the_root_are_completed_wherever_it_is_named(root, tmp_path):
    wanted = ["abc_best", IDS[0][:12], IDS[1][:12]]
    for line in (
        "ringrift --root root games list --model ab",
        "ringrift games list --root root --model ab",
        "ringrift games list --ringrift-path=root --model ab",
    ):
        assert complete(tmp_path, line) == wanted, line
    assert complete(root / "data", "ringrift games list --model stro") == ["strong"]
    assert complete(root, f"ringrift games list --model {IDS[2][:14]}") == [IDS[2]]


def test_without_a_root_and_with_a_broken_alias_file_nothing_is_said(root, tmp_path):
    assert complete(tmp_path, "ringrift games list --model a") == [""]
    (root / "models" / "aliases.json").write_text("{broken")
    assert complete(root, "ringrift games list --model strong") == [""]
    assert not (tmp_path / ".ringrift-root").exists()


def test_a_comma_list_offers_what_it_does_not_have_yet():
    assert complete_configurations("hex8_2p,hex8_") == ["hex8_2p,hex8_3p", "hex8_2p,hex8_4p"]


def test_the_names_are_those_of_the_settings_and_the_rules():
    from ringrift import rules

    assert tuple(complete_configurations("")) == CONFIGURATIONS
    assert complete_boards("") == list(rules.BOARDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_has_a_script(tmp_path, shell):
    done = subprocess.run(
        [PROGRAM, "--show-completion", shell],
        cwd=tmp_path,
        env=environment(tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"_RINGRIFT_COMPLETE=complete_{shell}" in done.stdout.replace('" ', "").replace(
        '$Env:_RINGRIFT_COMPLETE = "', "_RINGRIFT_COMPLETE="
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bash_completes_after_installation(tmp_path):
    env = environment(tmp_path, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    env["PATH"] = f"{PROGRAM.parent}{os.pathsep}{env['PATH']}"
    subprocess.run(
        [PROGRAM, "--install-completion", "bash"], env=env, check=True, stdout=subprocess.DEVNULL
    )
    script = """
source ~/.bashrc
COMP_WORDS=(ringrift engine perft --board squ); COMP_CWORD=4
_ringrift_completion ringrift
echo "${COMPREPLY[@]}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["square8", "square19"]


# Counted in processor time, as a busy test machine makes the clock run on; 150 ms on an idle one.
@pytest.mark.timed
@pytest.mark.parametrize(
    "line", ["ringrift games list --config-key sq", "ringrift games list --model ab"]
)
def test_completion_is_quick(root, line):
    seconds = []
    for _ in range(5):
        before_s = sum(os.times()[2:4])
        complete(root, line)
        seconds.append(sum(os.times()[2:4]) - before_s)
    assert min(seconds) < 0.3, seconds


def test_completion_loads_neither_settings_nor_rules(root):
    code = (
        "import os, sys\n"
        "from ringrift.cli import main\n"
        "try:\n    main.main()\n"
        "except SystemExit:\n    pass\n"
        "print(sorted({'pydantic', 'numba', 'torch'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment(
            root,
            _RINGRIFT_COMPLETE="complete_bash",
            COMP_WORDS="ringrift games list --model ab",
            COMP_CWORD="4",
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split()[0] == "abc_best"
    assert done.stderr == "[]\n"
