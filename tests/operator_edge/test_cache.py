"""The cache: what is older never replaces what is newer, and what is gone stays gone."""

from hypothesis import given
from hypothesis import strategies as st

from strategy_operator.cache import Store

A, B = ("desk", "a"), ("desk", "b")


def store() -> Store[str]:
    return Store(parent=lambda value: value.partition(":")[0])


def test_what_is_new_is_news_and_the_same_again_is_not() -> None:
    pods = store()
    assert pods.put(A, "u1", 5, "btc:starting")
    assert not pods.put(A, "u1", 5, "btc:starting")
    assert not pods.put(A, "u1", 6, "btc:starting")
    assert pods.put(A, "u1", 7, "btc:ready")


def test_an_older_version_changes_nothing() -> None:
    pods = store()
    pods.put(A, "u1", 7, "btc:ready")
    assert not pods.put(A, "u1", 5, "btc:starting")
    assert pods.children(("desk", "btc")) == {"a": "btc:ready"}


def test_an_answer_that_comes_after_the_deletion_does_not_bring_it_back() -> None:
    pods = store()
    pods.put(A, "u1", 5, "btc:ready")
    assert pods.remove(A, "u1", 9) == "btc:ready"
    assert not pods.put(A, "u1", 8, "btc:ready")
    assert pods.get(A) is None


def test_another_object_of_that_name_may_come() -> None:
    pods = store()
    pods.put(A, "u1", 5, "btc:ready")
    pods.remove(A, "u1", 9)
    assert pods.put(A, "u2", 10, "btc:starting")


def test_the_deletion_of_an_earlier_object_leaves_the_new_one() -> None:
    pods = store()
    pods.put(A, "u2", 10, "btc:starting")
    assert pods.remove(A, "u1", 9) is None
    assert pods.children(("desk", "btc")) == {"a": "btc:starting"}


def test_an_object_that_lost_its_label_may_come_back_in_the_same_version() -> None:
    """A watch with a selector says DELETED then; the answer of a GET has the same version."""
    pods = store()
    pods.put(A, "u1", 5, "btc:ready")
    pods.remove(A, "u1", 9)
    assert pods.put(A, "u1", 9, "btc:ready")


def test_what_changes_its_parent_is_found_under_the_new_one_only() -> None:
    pods = store()
    pods.put(A, "u1", 5, "btc:x")
    pods.put(A, "u1", 6, "eth:x")
    assert (pods.children(("desk", "btc")), pods.children(("desk", "eth"))) == ({}, {"a": "eth:x"})


def test_what_a_list_did_not_have_is_missing() -> None:
    pods = store()
    pods.put(A, "u1", 5, "btc:x")
    pods.put(B, "u2", 6, "btc:y")
    assert [key for key, _ in pods.missing({"u2"}, up_to=100)] == [A]


def test_what_is_newer_than_a_list_is_not_missing() -> None:
    """It was created while the list was on its way."""
    pods = store()
    pods.put(A, "u1", 101, "btc:x")
    assert pods.missing(set(), up_to=100) == []


def test_the_memory_of_what_went_is_bounded() -> None:
    pods = store()
    for number in range(5_000):
        pods.put(A, f"u{number}", number + 1, "btc:x")
        pods.remove(A, f"u{number}", number + 1)
    assert len(pods._gone) <= 1_000


EVENTS = st.lists(
    st.tuples(st.sampled_from(["u1", "u2"]), st.booleans(), st.integers(1, 30)), max_size=40
)


@given(EVENTS)
def test_children_are_exactly_the_entries(
    events: list[tuple[str, bool, int]],
) -> None:
    pods = store()
    for uid, deleted, version in events:
        if deleted:
            pods.remove(A, uid, version)
        else:
            pods.put(A, uid, version, f"btc:{uid}{version % 3}")
    entry = pods.get(A)
    assert pods.children(("desk", "btc")) == ({"a": entry.value} if entry else {})
