"""Content ids: one value, one text, one id; prefixes people type."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringrift.core.errors import DataError, UsageError
from ringrift.core.ids import canonical_json, canonical_msgpack, content_id, resolve_prefix, short

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def test_the_id_is_sha256_over_kind_zero_byte_and_data():
    assert content_id("game", b"abc") == hashlib.sha256(b"game\0abc").hexdigest()
    assert content_id("game", b"abc") != content_id("model", b"abc")
    assert short(content_id("game", b"abc")) == content_id("game", b"abc")[:12]


@pytest.mark.parametrize("kind", ["", "a\0b"])
def test_odd_kinds_are_refused(kind):
    with pytest.raises(ValueError, match="kind"):
        content_id(kind, b"")


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.randoms())
def test_the_order_of_keys_changes_no_byte(value, shuffler):
    items = list(value.items())
    shuffler.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)
    assert canonical_msgpack(dict(items)) == canonical_msgpack(value)


def test_canonical_json_is_small_utf8_without_nan():
    assert canonical_json({"b": 1, "a": ["é", None]}) == '{"a":["é",null],"b":1}'.encode()
    for bad in (float("nan"), float("inf"), object()):
        with pytest.raises(DataError):
            canonical_json({"x": bad})


IDS = ["abcdef0123456789", "abcdef9999999999", "123456789abcdef0"]


def test_prefixes_of_six_digits_find_one_id():
    assert resolve_prefix("123456", IDS) == IDS[2]
    assert resolve_prefix("ABCDEF01", IDS) == IDS[0]


@pytest.mark.parametrize(
    ("prefix", "wanted"),
    [("12345", "at least 6"), ("xyzxyz", "hex"), ("abcdef", "fits 2"), ("123457", "none starts")],
)
def test_other_prefixes_are_usage_errors(prefix, wanted):
    with pytest.raises(UsageError, match=wanted) as caught:
        resolve_prefix(prefix, IDS, what="model")
    assert caught.value.message.startswith("model")


def test_an_unknown_prefix_suggests_the_nearest():
    with pytest.raises(UsageError) as caught:
        resolve_prefix("123456789abd", IDS)
    assert caught.value.hint == "123456789abc"[:12]
