"""A revision tells the gateway and the runner what they need, and the same on every machine."""

import hashlib
import json
from typing import Any

import pytest

from platform_spec.code import Code, in_image, text
from platform_spec.revision import Revision, revise, revision_name, state_key
from platform_spec.strategy import Mode, PositionPolicy, Spec, Supersede

BUILTIN = Code("c0de", {"builtin": "momentum"})
CLASS = "my_package.momentum:Momentum"


def spec(**fields: Any) -> Spec:
    written = {"strategy": {"builtin": "momentum"}, "symbols": ["BTCUSDT"], **fields}
    return Spec.model_validate(written)


def made(code: Code = BUILTIN, **fields: Any) -> Revision:
    return revise("desk/probe", spec(**fields), code)


def runner(code: Code = BUILTIN, **fields: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(made(code, **fields).runner)
    return document


def test_a_revision_is_named_by_its_hash() -> None:
    revision = made()
    assert revision.name == revision.hash[:10] == revision_name(spec(), "c0de")
    assert revision.state_key == state_key(spec(), "c0de")
    assert json.loads(revision.content)["revision"] == revision.name
    assert json.loads(revision.runner)["state_key"] == revision.state_key


def test_both_documents_are_canonical() -> None:
    for document in (made().content, made().runner):
        again = json.dumps(json.loads(document), sort_keys=True, separators=(",", ":"))
        assert document == again


def test_a_runner_takes_the_feed_of_the_desk_unless_its_own_is_written() -> None:
    assert "redis_url" not in runner()
    assert "manifest_dir" not in runner()
    own = {"redis": {"url": "redis://feed:6379", "channels": ["a:{symbol}"]}}
    assert runner(feed=own)["redis_url"] == "redis://feed:6379"
    assert runner(feed=own)["channels"] == ["a:btcusdt"]


def test_text_is_its_own_digest_and_travels_along() -> None:
    code = text("x = 1", "desk/probe.py")
    assert code.digest == hashlib.sha256(b"x = 1").hexdigest()
    written = runner(code, strategy={"source": {"inline": "x = 1"}})
    assert written["source"] == {"inline": "x = 1", "name": "desk/probe.py"}
    assert written["code_digest"] == code.digest


def test_a_class_is_known_by_its_image_and_not_compared() -> None:
    one, other = (made(in_image(CLASS, image), image=image) for image in ("a:1", "a:2"))
    assert one.code_digest == hashlib.sha256(f"a:1|{CLASS}".encode()).hexdigest()
    assert len({one.name, other.name}) == len({one.state_key, other.state_key}) == 2
    assert (one.image, json.loads(one.runner)["code_digest"]) == ("a:1", "")
    assert json.loads(one.content)["code_digest"] == one.code_digest


def test_the_image_that_ships_does_not_count() -> None:
    installed = hashlib.sha256(f"installed|{CLASS}".encode()).hexdigest()
    assert in_image(CLASS, None).digest == in_image(CLASS, "").digest == installed


def test_an_image_that_is_written_counts() -> None:
    assert made(image="a:1").name != made().name
    assert made(image="a:1").image == "a:1"


@pytest.mark.parametrize(
    "fields",
    [
        {"deletion": {"positionPolicy": "Flatten", "deadlineSeconds": 5}},
        {"revisionHistoryLimit": 3},
        {"progressDeadlineSeconds": 5},
        {"podTemplate": {"nodeSelector": {"disk": "fast"}, "labels": {"a": "b"}}},
        {"rollout": {"supersede": "Finish"}},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_how_it_is_run_changes_no_revision(fields: dict[str, Any]) -> None:
    assert made(**fields).name == made().name
    assert made(**fields).runner == made().runner


def test_what_is_not_written_has_a_value_in_force() -> None:
    assert spec().supersede_in_force() is Supersede.REPLACE
    assert spec().deletion_in_force().position_policy is PositionPolicy.KEEP
    assert spec().deletion_in_force().deadline_seconds == 30
    assert spec().revision_history_limit_in_force() == 10
    assert spec().progress_deadline_s() == 60
    assert (spec().mode_in_force(), spec().feed_url) == (Mode.SIMULATION, "")


def test_what_is_written_is_in_force() -> None:
    written = spec(
        rollout={"supersede": "Finish"},
        deletion={"positionPolicy": "Flatten"},
        revisionHistoryLimit=0,
        progressDeadlineSeconds=5.0,
    )
    assert written.supersede_in_force() is Supersede.FINISH
    assert written.deletion_in_force().position_policy is PositionPolicy.FLATTEN
    assert written.revision_history_limit_in_force() == 0
    assert written.progress_deadline_s() == 5
