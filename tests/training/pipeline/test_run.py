"""Stages of a pipeline: done once for the same inputs, in order, one run at a time."""

import json

import pytest

from ringrift.core.errors import BusyError, DataError, NegativeResult
from ringrift.core.files import lock
from ringrift.training.pipeline.jobs import JobBook, job_id
from ringrift.training.pipeline.run import Ahead, Needless, Worked, plan_pipeline, run_pipeline


class Writes:
    """A stage that writes a file, whose content follows from its input and the stage before."""

    def __init__(self, folder, name, value, *, needs=None, problems=()):
        self.name = name
        self.path = folder / name
        self.value = value
        self.needs = needs
        self.problems = problems
        self.worked = 0

    def look(self, results):
        if self.value is None:
            return Needless("not here")
        if self.needs is not None and self.needs not in results:
            return Ahead(inputs=None, counts={"values": 1})
        before = results[self.needs]["content"] if self.needs else 0
        return Ahead(inputs={"value": self.value, "before": before}, counts={"values": 1})

    def work(self, identity, results):
        before = results[self.needs]["content"] if self.needs else 0
        content = f"{before}{self.value}"
        self.path.write_text(content)
        self.worked += 1
        return Worked(
            result={"path": str(self.path), "content": content},
            told=f"wrote {content}",
            problems=self.problems,
        )

    def stands(self, result):
        return self.path.exists()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "pipeline"


def states(outcomes):
    return [outcome.state for outcome in outcomes]


def test_an_unchanged_run_does_nothing(tmp_path, folder):
    stages = [Writes(tmp_path, "a", 1), Writes(tmp_path, "b", 2, needs="a")]
    first = run_pipeline(stages, folder)
    again = run_pipeline(stages, folder)
    assert states(first) == ["done", "done"]
    assert states(again) == ["finished before", "finished before"]
    assert [stage.worked for stage in stages] == [1, 1]
    assert [one.told for one in again] == [one.told for one in first]
    assert [one.job for one in again] == [one.job for one in first]


def test_what_an_input_changes_is_done_again_and_what_it_does_not_is_not(tmp_path, folder):
    first = [
        Writes(tmp_path, "a", 1),
        Writes(tmp_path, "b", 2),
        Writes(tmp_path, "c", 3, needs="a"),
    ]
    run_pipeline(first, folder)
    changed = [
        Writes(tmp_path, "a", 9),
        Writes(tmp_path, "b", 2),
        Writes(tmp_path, "c", 3, needs="a"),
    ]
    assert states(run_pipeline(changed, folder)) == ["done", "finished before", "done"]
    assert (tmp_path / "c").read_text() == "093"
    assert states(run_pipeline(first, folder)) == ["finished before"] * 3


def test_a_stage_whose_file_is_gone_is_done_again(tmp_path, folder):
    stages = [Writes(tmp_path, "a", 1)]
    run_pipeline(stages, folder)
    stages[0].path.unlink()
    assert states(run_pipeline(stages, folder)) == ["done"]


def test_a_stage_with_problems_is_not_finished(tmp_path, folder):
    stage = Writes(tmp_path, "a", 1, problems=("not read: x",))
    assert run_pipeline([stage], folder)[0].problems == ("not read: x",)
    assert states(run_pipeline([stage], folder)) == ["done"]


def test_a_stage_that_changes_its_own_inputs_is_finished_with_the_new_ones(tmp_path, folder):
    class Grows(Writes):
        def work(self, identity, results):
            self.value += 1
            inputs = {"value": self.value, "before": 0}
            return Worked(result={}, told="", inputs=inputs)

        def stands(self, result):
            return True

    stage = Grows(tmp_path, "a", 1)
    assert states(run_pipeline([stage], folder)) == ["done"]
    assert states(run_pipeline([stage], folder)) == ["finished before"]


def test_what_is_before_an_error_is_kept(tmp_path, folder):
    class Fails(Writes):
        def work(self, identity, results):
            raise NegativeResult("nothing learned")

    stages = [Writes(tmp_path, "a", 1), Fails(tmp_path, "b", 2)]
    seen = []
    with pytest.raises(NegativeResult):
        run_pipeline(stages, folder, on_outcome=seen.append)
    assert states(seen) == ["done"]
    stages[1] = Writes(tmp_path, "b", 2)
    assert states(run_pipeline(stages, folder)) == ["finished before", "done"]


def test_a_plan_changes_nothing_and_knows_what_is_finished(tmp_path, folder):
    stages = [
        Writes(tmp_path, "a", 1),
        Writes(tmp_path, "b", None),
        Writes(tmp_path, "c", 3, needs="a"),
    ]
    planned = plan_pipeline(stages, folder)
    assert states(planned) == ["to do", "skipped", "to do"]
    assert (planned[0].job is not None, planned[2].job) == (True, None)
    assert planned[2].counts == {"values": 1}
    assert list(tmp_path.iterdir()) == []
    run_pipeline(stages, folder)
    assert states(plan_pipeline(stages, folder)) == [
        "finished before",
        "skipped",
        "finished before",
    ]


def test_a_plan_says_what_is_known_only_after_another_stage(tmp_path, folder):
    class Unknown(Writes):
        def look(self, results):
            raise NegativeResult("zero samples", hint="ringrift selfplay run")

    stages = [Writes(tmp_path, "a", 1), Unknown(tmp_path, "b", 2), Unknown(tmp_path, "c", 2)]
    told = [one.told for one in plan_pipeline(stages, folder)]
    assert told[1:] == ["known after a: zero samples"] * 2
    assert "ringrift selfplay run" in plan_pipeline(stages[1:], folder)[0].told


def test_a_second_run_at_the_same_time_is_refused(tmp_path, folder):
    with lock(folder / ".lock"), pytest.raises(BusyError, match="the pipeline held by"):
        run_pipeline([Writes(tmp_path, "a", 1)], folder)


# --- finished jobs


def test_an_id_follows_from_stage_and_inputs_alone():
    one = job_id("train", {"a": 1, "b": [2, 3]})
    assert job_id("train", {"b": [2, 3], "a": 1}) == one
    assert len({one, job_id("elo", {"a": 1, "b": [2, 3]}), job_id("train", {"a": 1})}) == 3


def test_the_newest_job_of_a_stage_is_found(folder):
    book = JobBook(folder)
    assert book.newest("train") is None
    for number in (1, 2, 3):
        inputs = {"number": number}
        identity = job_id("train", inputs)
        book.write("train", identity, inputs, result={"model": number}, told="", seconds=1.0)
    newest = book.newest("train")
    assert newest is not None
    assert newest.result == {"model": 3}
    assert book.newest("elo") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1, "stage": "train"}', "newer"])
def test_a_damaged_job_names_its_file_and_the_remedy(folder, text):
    book = JobBook(folder)
    book.write("train", "0" * 64, {}, result={}, told="", seconds=1.0)
    (path,) = folder.iterdir()
    if text == "newer":
        text = json.dumps(json.loads(path.read_text()) | {"schema": 2})
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        book.find("train", "0" * 64)
    assert (caught.value.where, "deleting it" in str(caught.value)) == (str(path), True)
