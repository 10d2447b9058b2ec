"""Retired keys go out of a settings file as text: whatever stays, stays byte for byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.core.errors import SettingsError
from ringrift.core.settings_migration import migrate_text
from ringrift.core.yaml_text import duplicate_keys, parse_yaml, skip_space

RETIRED = {"training.use_swa", "training.swa_start", "replay_buffer", "pbt", "s.x", "s.y", "s.n.x"}


def retired(path, value):
    del value
    return "nothing" if path in RETIRED else None


def migrated(text):
    return migrate_text(text, "f.yaml", retired=retired)


def test_everything_but_the_retired_keys_stays_as_it_was():
    text = (
        "%YAML 1.2\n---\n"
        "# head\n"
        "version: '1.4' # of the file\n"
        "training: # odd indentation below\n"
        "     # about swa\n"
        "     use_swa:   true   # gone with its key\n"
        "     batch_size  :   0x100   # stays\n"
        "     learning_rate: &rate 1.0e-3\n"
        "     swa_start: |\n"
        "        # text, no comment\n"
        "        more\n"
        "\n"
        "     ema_decay: *rate\n"
        "pbt: {enabled: false,\n"
        "   more: [1, 2]}  # flow\n"
        "\n"
        "replay_buffer:\n"
        "- 1\n"
        "-   a: 2\n"
        "    b: 3\n"
        "# foot\n"
        'log_dir: "a: b"\n'
        "..."
    )
    migration = migrated(text)
    assert migration.new == (
        "%YAML 1.2\n---\n"
        "# head\n"
        "version: '2' # of the file\n"
        "training: # odd indentation below\n"
        "     # about swa\n"
        "     batch_size  :   0x100   # stays\n"
        "     learning_rate: &rate 1.0e-3\n"
        "\n"
        "     ema_decay: *rate\n"
        "\n"
        "# foot\n"
        'log_dir: "a: b"\n'
        "..."
    )
    assert [(one.path, one.line) for one in migration.removed] == [
        ("training.use_swa", 7),
        ("training.swa_start", 10),
        ("pbt", 15),
        ("replay_buffer", 18),
    ]
    assert migration.old_version == "1.4"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("s: {a: 1, x: 2, y: 3}\n", "s: {a: 1}\n"),
        ("s: {x: 2, a: 1,  y: 3,}", "s: {a: 1,}"),
        ("s: {x: 2, a: 1}", "s: {a: 1}"),
        ("s: { x: 1 }", "s: { }"),
        ("s: {x: 2, # why\n    y: 3, a: 4}\n", "s: { # why\n    a: 4}\n"),
        ("s: {a: 1, # why, then\n  x: 2}\n", "s: {a: 1 # why, then\n  }\n"),
        ('s: {a: "{x: 1, #", x: {b: [1, 2]}, c: 3}', 's: {a: "{x: 1, #", c: 3}'),
        ("{version: 1.0, pbt: {enabled: false}}", '{version: "2"}'),
        ("s:\n  x:\n  a: 1\n", "s:\n  a: 1\n"),
        ("s:\n  x:\n  # own\n\n  a: 1\n", "s:\n  # own\n\n  a: 1\n"),
        ("s:\n  x:\n", "s:\n"),
        ("s:\n  ? x\n  : 1\n  a: 2\n", "s:\n  a: 2\n"),
        ("s:\n  n:\n    x: 1\n    a: 2\n", "s:\n  n:\n    a: 2\n"),
        ("s: &k {x: 1, a: 2}\nt:\n  <<: *k\n", "s: &k {a: 2}\nt:\n  <<: *k\n"),
        ("s:\n  <<: {x: 1, a: 2}\n", "s:\n  <<: {a: 2}\n"),
        ("pbt:\n  enabled: false", ""),
        ("version: &v 1.0\na: *v\n", 'version: &v "2"\na: *v\n'),
        ("version: !!str 1.0\n", 'version: !!str "2"\n'),
        ("\ufeffpbt: 1\r\ns:\r\n  x: 1\r\n  a: 2\r\n", "\ufeffs:\r\n  a: 2\r\n"),
        ("s:\n  x: >-\n    one\n\n    two\n\n\n  a: 1\n", "s:\n\n\n  a: 1\n"),
        ("s:\n a: |\n   t\n x: 1\n    # c\n b: 2\n", "s:\n a: |\n   t\n # c\n b: 2\n"),
        ("s:\n a: |\n   t\n x: 1\n    # c", "s:\n a: |\n   t\n # c"),
        ("'s':\n  \"x\": 1\n  a: 1\n", "'s':\n  a: 1\n"),
    ],
)
def test_every_way_of_writing_a_key_can_be_taken_out(text, wanted):
    assert migrated(text).new == wanted
    assert not migrated(wanted).changed


@pytest.mark.parametrize(
    "text",
    ["", "# only\n", "version: 2\n", 'version: "2"\ns: {a: 1}', "[1, 2]", "a:   [1 ,2]  # x\n\n\n"],
)
def test_nothing_to_change_changes_nothing(text):
    migration = migrated(text)
    assert migration.new == text
    assert migration.diff("f") == ""
    assert migration.removed == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("s:\n  x: &k 2\n  a: *k\n", "&k that line 3 uses (f.yaml:2)"),
        ("s:\n  x: {b: &k 2}\n  a: *k\n", "&k that line 3 uses (f.yaml:2)"),
        ("a: [1,\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "found 2 documents; expected one (f.yaml:2)"),
        ("\tb: 1\n", "f.yaml:1"),
        ("[" * 1200 + "]" * 1200, "nested too deeply"),
    ],
)
def test_what_cannot_be_migrated_is_an_error_with_its_line(text, wanted):
    with pytest.raises(SettingsError) as caught:
        migrated(text)
    assert wanted in str(caught.value)


def test_an_anchor_used_only_inside_the_retired_key_is_no_obstacle():
    assert migrated("pbt:\n  a: &k 1\n  b: *k\nlog_dir: x\n").new == "log_dir: x\n"


def test_the_difference_is_a_unified_one_and_says_where_no_line_ends():
    text = migrated("log_dir: x\npbt: 1").diff("f.yaml")
    assert text.splitlines() == [
        "--- f.yaml (old)",
        "+++ f.yaml (new)",
        "@@ -1,2 +1 @@",
        " log_dir: x",
        "-pbt: 1",
        "\\ No newline at end of file",
    ]


VALUES = st.sampled_from(
    [
        "1",
        "''",
        '"# {"',
        "[1, {a: 2}]",
        "|\n{i}  text\n{i}  # more\n",
        "\n{i}  - 1\n{i}  - b: 2",
        "",
    ]
)
COMMENTS = st.sampled_from(["", "  # why: not, {x}"])
KEYS = st.lists(
    st.tuples(st.sampled_from(["use_swa", "swa_start", "a", "b", "c"]), VALUES, COMMENTS),
    max_size=5,
    unique_by=lambda one: one[0],
)


@given(
    keys=KEYS,
    indent=st.integers(1, 6),
    between=st.sampled_from(["", "\n", "  # free\n", "        # deep\n"]),
    end=st.sampled_from(["", "\n", "# foot\n", "log_dir: x"]),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_block_keys_go_out_line_by_line_whatever_is_around_them(
    keys, indent, between, end, newline
):
    def written(*, with_retired):
        lines = ["# head\ntraining:\n"]
        for name, value, comment in keys:
            if with_retired or f"training.{name}" not in RETIRED:
                space = " " * indent
                # A comment cannot stand behind the text of a block.
                tail = "" if "\n" in value else comment
                lines.append(f"{space}{name}: {value.replace('{i}', space)}{tail}\n")
            lines.append(between)
        return ("".join(lines) + end).replace("\n", newline)

    text = written(with_retired=True)
    if "|" in text:  # what looks like a comment may be the text of a block: no exact expectation
        migration = migrated(text)
        assert not migrated(migration.new).changed
    else:
        assert migrated(text).new == written(with_retired=False)


def test_keys_that_stand_twice_are_found_at_every_depth():
    node = parse_yaml("a: 1\nb:\n  - c: 1\n    d: 2\n    c: 3\na: 2\n<<: {}\n<<: {}\n", "f")
    assert sorted(duplicate_keys(node)) == [("a", 6, 1), ("b.0.c", 5, 3)]
    assert list(duplicate_keys(parse_yaml("", "f"))) == []


@pytest.mark.parametrize(
    ("text", "at"), [("", 0), ("a", 0), ("  # c\n b", 7), ("# c", 3), ("x#y", 0), (" \t\r\n,", 4)]
)
def test_space_and_comments_are_skipped_together(text, at):
    assert skip_space(text, 0) == at
