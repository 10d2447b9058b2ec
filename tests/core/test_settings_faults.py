"""A settings file with many faults: all of them in one run, each with line, key, found, expected."""

import re

import pytest

from ringrift.core.settings_loader import check_file

# Twenty faults of different kinds; `# 1` to `# 20` mark the lines they must be reported at.
FAULTY = """\
version: "3"                           # 1
verbose: perhaps                       # 2
metrics_port: 8001                     # 3
configurations:
  - square8_2p
  - square9_2p                         # 4
training:
  batch_sze: 512                       # 5
  learning_rate: -0.1                  # 6
  timeout_hours: .inf                  # 7
  warm_start: null                     # 8
  sampling_weights: late               # 9
  max_reuse: [4]                       # 10
  shadow_games_per_config: 10          # 11
  trigger_threshold_games: 300
selfplay:
  min_games_for_training: 400          # 12
  games_per_job: many                  # 13
  full_search_fraction: 1.5            # 14
  temperature: 0.5
  temperature: 0.7                     # 15
promotion:
  min_games: 900                       # 16
limits:
  disk_warning: 75                     # 17
limtis:                                # 18
  cpu_critical: 90
pbt:
  enabled: true                        # 19
cloud:
  vast:
    api_key: 0123456789abcdef          # 20
"""

# Fault -> key, what was found, what was expected, the name that is near.
EXPECTED = {
    1: ("version", "found '3'", 'expected "2"', None),
    2: ("verbose", "found 'perhaps'", "expected true or false", None),
    3: ("metrics_port", "found port 8001 twice", "expected a port for each", None),
    4: ("configurations.1", "found 'square9_2p'", "expected one of square8_2p", "square19_2p"),
    5: ("training.batch_sze", "unknown key", "expected a known one", "batch_size"),
    6: ("training.learning_rate", "found -0.1", "expected a number > 0, or null", None),
    7: ("training.timeout_hours", "found inf", "expected a finite number > 0", None),
    8: ("training.warm_start", "found null", "expected true or false", None),
    9: ("training.sampling_weights", "found 'late'", "expected one of uniform", "late_game"),
    10: ("training.max_reuse", "found [4]", "expected a number > 0", None),
    11: ("training.shadow_games_per_config", "unknown key", "expected a known one",
         "evaluation.shadow_games_per_config"),
    12: ("selfplay.min_games_for_training", "found 300 and 400", "expected one value",
         "keeping training.trigger_threshold_games only"),
    13: ("selfplay.games_per_job", "found 'many'", "expected a whole number >= 1", None),
    14: ("selfplay.full_search_fraction", "found 1.5", "expected a number from 0 to 1", None),
    15: ("selfplay.temperature", "found a second time", "expected once, as in line 20",
         "removing one of the two"),
    16: ("promotion.min_games", "found min_games 900", "expected at most 800", None),
    17: ("limits.disk_warning", "found disk_warning 75", "expected less than 70", None),
    18: ("limtis", "unknown section", "expected a known one", "limits"),
    19: ("pbt.enabled", "found True", "expected false", "removing the section pbt"),
    20: ("cloud.vast.api_key", "found ***", "expected env:NAME or file:PATH", None),
}  # fmt: skip


def planted():
    marks = (re.search(r"# (\d+)$", line) for line in FAULTY.splitlines())
    return {int(mark[1]): number for number, mark in enumerate(marks, start=1) if mark}


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    file = tmp_path_factory.mktemp("faults") / "bad.yaml"
    file.write_text(FAULTY)
    return file, check_file(file)


def test_twenty_faults_are_twenty_problems(problems):
    _, found = problems
    assert len(found) == len(planted()) == len(EXPECTED) == 20, "\n".join(map(str, found))
    assert {problem.exit_code for problem in found} == {78}


@pytest.mark.parametrize("number", EXPECTED)
def test_each_fault_is_named_with_line_key_found_expected_and_nearest_name(problems, number):
    file, found = problems
    key, seen, wanted, hint = EXPECTED[number]
    place = f"{file}:{planted()[number]} {key}"
    (problem,) = [one for one in found if place in str(one.where).split(", ")]
    assert seen in problem.message
    assert wanted in problem.message
    assert problem.hint == hint


def test_problems_come_in_the_order_of_the_file(problems):
    _, found = problems
    lines = [int(re.search(r":(\d+) ", one.where)[1]) for one in found]
    assert lines == sorted(lines)


def test_the_planted_secret_is_not_repeated(problems):
    assert "0123456789abcdef" not in " ".join(map(str, problems[1]))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("training:\n\tbatch_size: 3\n", 2),
        ("training:\n  batch_size: 3\n warm_start: true\n", 3),
        ("training: [1, 2\n", 2),
        ("a: b: c\n", 1),
        ("a: *nowhere\n", 1),
    ],
)
def test_a_syntax_error_is_one_problem_with_its_line(tmp_path, text, line):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    (problem,) = check_file(file)
    assert f"{file}:{line}" in str(problem)
    assert "not valid YAML" in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "training: &a\n  policy: *a\n",
        "a: &a [*a]\n",
        "x: &a {<<: *a}\n",
        "? [1, 2]\n: 3\n",
        "<<: 3\n",
        "training: {<<: [1]}\n",
        "!!python/object:os.system x\n",
        "web: !!int x\n",
        # each level nine times as long as the one below
        (
            "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
            "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
            "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
        ),
    ],
)
def test_files_made_to_break_a_reader_are_problems_not_crashes(tmp_path, text):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    assert check_file(file)


def test_merged_mappings_give_what_the_section_itself_leaves_out(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(
        "evaluation: &games\n  full_tournament_games: 7\n"
        "tournament:\n  <<: *games\n  shadow_games: 15\n"
    )
    assert check_file(file) == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("training: {batch_size: true}", "found True; expected a whole number >= 1"),
        ("web: {required_levels: [true]}", "found True; expected a list of"),
        ("training: {use_ema: y}", "found 'y'; expected true or false"),
        ("training: {batch_size: 2.5}", "found 2.5; expected a whole number"),
        ("training: {batch_size: {a: 1}}", "expected a whole number"),
        ("configurations: square8_2p", "found 'square8_2p'; expected a list"),
        ("configurations: []", "expected a list of at least one"),
        ("log_dir: ''", "expected text that is not empty"),
        ("ladder: {11: {}}", "ladder.11"),
        ("ladder: {4: {hex8_3p: {randomness: 2}}}", "ladder.4.hex8_3p.randomness: found 2"),
        ("p2p_daemon: {known_peers: [nowhere]}", "expected HOST:PORT"),
        ("p2p: {p2p_base_url: 'http://me:pw@host'}", "without user and password"),
        ("external_drive_sync: {enabled: true}", "expected a folder in target_dir"),
    ],
)
def test_types_are_as_strict_as_the_document(tmp_path, text, seen):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    (problem,) = check_file(file)
    assert seen in str(problem)
    assert f"{file}:1" in str(problem)
