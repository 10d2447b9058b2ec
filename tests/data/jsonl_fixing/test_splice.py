"""Fields change, every other character stays."""

import json
import string

from hypothesis import given
from hypothesis import strategies as st

from ringrift.data.jsonl_fixing.splice import spans, with_fields

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(string.ascii_letters + '"\\é,:{}', max_size=6)


@given(
    st.dictionaries(NAMES, VALUES, max_size=6),
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.sampled_from([(",", ":"), (", ", ": ")]),
    st.booleans(),
)
def test_the_new_object_is_the_old_one_with_the_fields(old, values, separators, ascii_only):
    text = f" {json.dumps(old, separators=separators, ensure_ascii=ascii_only)} "
    new = with_fields(text, values)
    assert json.loads(new) == {**old, **values}
    untouched = [name for name in old if name not in values]
    for name, start, end in spans(text)[0]:
        if name in untouched:
            assert text[start:end] in new
    if not values:
        assert new == text


def test_other_bytes_stay_and_the_writers_spacing_is_kept():
    text = '{"a": 1.50,  "winner" : 7, "b": {"winner": 3}, "c": "\\u00e9"}'
    new = with_fields(text, {"winner": 2, "move_count": 9})
    assert new == (
        '{"a": 1.50,  "winner" : 2, "b": {"winner": 3}, "c": "\\u00e9", "move_count": 9}'
    )
    assert with_fields('{"a":1}', {"b": None}) == '{"a":1,"b":null}'
    assert with_fields("{}", {"b": "x"}) == '{"b":"x"}'


def test_a_name_that_comes_twice_changes_twice():
    assert with_fields('{"w":1,"w":2}', {"w": 5}) == '{"w":5,"w":5}'
