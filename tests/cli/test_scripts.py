"""`ringrift scripts`: the reference, the man pages and the schemas."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ringrift.cli.exit_codes import EXIT_CODES
from ringrift.cli.reference.markdown import MARK, reference_files
from ringrift.cli.reference.pages import all_pages, split_examples
from ringrift.cli.reference.roff import man_pages
from ringrift.core.errors import RingriftError
from ringrift.core.metrics_table import TABLE
from ringrift.core.settings_loader import VARIABLES, known_keys

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


# --- the Markdown reference


def test_docs_reference_is_what_the_program_says(spawn):
    process = spawn("scripts", "docs", str(REFERENCE), "--check")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, f"{out}{err}"


def test_check_names_what_differs_is_missing_or_is_too_many(ringrift, tmp_path):
    assert ringrift("scripts", "docs", "here")[0] == 0
    assert ringrift("scripts", "docs", "here", "--check")[:2] == (
        0,
        f"{len(reference_files())} files are as written\n",
    )
    here = tmp_path / "here"
    (here / "settings.md").write_text("other")
    (here / "commands" / "config.md").unlink()
    (here / "commands" / "gone.md").write_text(f"{MARK}\n")
    (here / "notes.md").write_text("of somebody else")
    code, out, _ = ringrift("scripts", "docs", "here", "--check")
    assert code == 1
    assert re.findall(r"differs: here/(\S+)", out) == [
        "commands/config.md",
        "settings.md",
        "commands/gone.md",
    ]
    answer = json.loads(ringrift("scripts", "docs", "here", "--check", "--json")[1])
    assert answer["ok"] is False
    assert answer["stale"] == ["commands/gone.md"]
    assert (here / "settings.md").read_text() == "other"
    assert ringrift("scripts", "docs", "here", "--dry-run")[0] == 0
    assert (here / "settings.md").read_text() == "other"
    assert ringrift("scripts", "docs", "here")[0] == 0
    assert ringrift("scripts", "docs", "here", "--check")[0] == 0
    assert not (here / "commands" / "gone.md").exists()
    assert (here / "notes.md").read_text() == "of somebody else"


def test_a_file_in_place_of_the_folder_is_a_usage_error(ringrift, tmp_path):
    (tmp_path / "here").write_text("")
    for command in ("docs", "man"):
        code, _, err = ringrift("scripts", command, "here")
        assert code == 2
        assert "here" in err


WRITE = "import sys; from ringrift.cli.main import run; sys.exit(run(['scripts', 'docs', 'here']))"


def test_the_text_depends_on_no_machine_terminal_or_environment(tmp_path):
    written = []
    for number, more in enumerate(
        (
            {"COLUMNS": "40", "PYTHONHASHSEED": "1", "NO_COLOR": "1"},
            {"COLUMNS": "200", "PYTHONHASHSEED": "2", "FORCE_COLOR": "1", "TZ": "Asia/Tokyo"}
            | {"RINGRIFT_TRAINING__BATCH_SIZE": "17", "RINGRIFT_NODE_ID": "n", "HOME": "/x"},
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", WRITE], cwd=folder, env={**os.environ, **more}, check=True
        )
        files = sorted((folder / "here").rglob("*.md"))
        written.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    assert written[0] == written[1]
    assert len(written[0]) == len(reference_files())


def test_every_option_key_variable_metric_and_code_is_in_it():
    files = reference_files()
    for page in all_pages():
        if page.children:
            continue
        text = files[f"commands/{page.words[0]}.md"]
        section = text.partition(f"# {page.name}\n")[2].partition("\n## ")[0]
        assert page.summary in section
        for option in page.options:
            if "--help" not in option.names:
                escaped = [name.replace("|", "\\|") for name in option.names]
                assert all(f"`{name}" in section for name in escaped), option.names
        assert all(example in section for example in page.examples)
    for key in known_keys().values():
        assert f"| `{key.path.rpartition('.')[2]}` |" in files["settings.md"]
        assert f"`{key.variable}`" in files["settings.md"]
        assert key.type.replace("|", "\\|") in files["settings.md"]
    for variable in VARIABLES:
        assert f"`{variable.name}`" in files["environment.md"]
    for name in TABLE:
        assert f"`{name}`" in files["metrics.md"]
    for number, meaning in EXIT_CODES.items():
        assert f"| {number} | {meaning} |" in files["exit-codes.md"]


def test_tables_have_one_width_and_links_lead_somewhere():
    files = reference_files()
    anchors = {
        name: {line.lstrip("# ").replace(" ", "-") for line in text.splitlines() if line[:1] == "#"}
        for name, text in files.items()
    }
    for text in files.values():
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            cells = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
            assert len(cells) == 1, block
        for target in re.findall(r"\]\(([^)]+)\)", text):
            name, _, anchor = target.partition("#")
            assert name in files
            assert not anchor or anchor in anchors[name]


def test_every_exit_code_of_an_error_is_in_the_table():
    pending = [RingriftError]
    while pending:
        kind = pending.pop()
        assert kind.exit_code in EXIT_CODES, kind
        pending += kind.__subclasses__()


def test_examples_are_cut_at_our_name_only():
    text = "Examples: ringrift a --x 'p | q' | ringrift b"
    assert split_examples(text) == ["ringrift a --x 'p | q'", "ringrift b"]


# --- man pages


def test_man_writes_one_page_per_command_and_group(ringrift, tmp_path):
    assert ringrift("scripts", "man", "pages", "--dry-run")[0] == 0
    assert list(tmp_path.iterdir()) == []
    code, out, _ = ringrift("scripts", "man", "pages", "--json")
    assert code == 0
    names = {"-".join(("ringrift", *page.words)) + ".1" for page in all_pages()}
    assert {path.name for path in (tmp_path / "pages" / "man1").iterdir()} == names
    assert set(json.loads(out)["files"]) == names


REQUESTS = {".TH", ".SH", ".PP", ".TP", ".nf", ".fi"}


def test_man_pages_use_known_requests_in_the_usual_order():
    for name, text in man_pages("1.0").items():
        lines = text.splitlines()
        assert lines[0].startswith('.TH "RINGRIFT')
        heads = [line[4:] for line in lines if line.startswith(".SH ")]
        assert heads[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"], name
        assert "EXIT STATUS" in heads
        assert text.count(".nf") == text.count(".fi")
        for line in lines:
            if line[:1] in (".", "'"):
                assert line.split()[0] in REQUESTS, (name, line)
            assert re.search(r"(?<!\\)-", line.partition(".TH")[0]) is None, (name, line)
            assert line.strip(), name


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff on this machine")
def test_groff_has_nothing_to_say_about_the_pages(tmp_path):
    for name, text in man_pages("1.0").items():
        (tmp_path / name).write_text(text)
    pages = sorted(str(path) for path in tmp_path.iterdir())
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", *pages],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- schemas


def test_schema_prints_what_other_tools_can_read(ringrift):
    code, out, _ = ringrift("scripts", "schema", "config", "show")
    assert code == 0
    schema = json.loads(out)
    assert schema["properties"]["command"] == {"const": "config show"}
    assert {"schema", "command", "ok", "settings"} <= set(schema["required"])
    answer = json.loads(ringrift("scripts", "schema", "config", "show", "--json")[1])
    assert answer["json_schema"] == schema


def test_schema_without_a_command_lists_them(ringrift):
    assert "config show" in ringrift("scripts", "schema")[1]
    listed = json.loads(ringrift("scripts", "schema", "--json")[1])["commands"]
    assert {"config show", "error", "version"} <= set(listed)


def test_an_unknown_command_is_a_usage_error_with_the_nearest(ringrift):
    code, _, err = ringrift("scripts", "schema", "config", "shw")
    assert code == 2
    assert "config show" in err
