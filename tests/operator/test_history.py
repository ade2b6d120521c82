"""What is kept of earlier revisions."""

from operator_world import NAME, World, spec


def edited(world: World, count: int, **fields: object) -> World:
    for number in range(1, count + 1):
        world.apply(spec(str(number), **fields))
        world.settle()
    return world


def test_as_many_are_kept_as_the_spec_says() -> None:
    world = edited(World(), 6, revisionHistoryLimit=2)
    kept = {each.name for each in world.cluster.revisions.values()}
    assert kept == {world.revision_of(str(number)) for number in (3, 4, 5, 6)}  # 5 to fall back on


def test_ten_are_kept_where_it_does_not_say() -> None:
    assert len(edited(World(), 14).cluster.revisions) == 12


def test_with_none_to_keep_the_fallback_stays() -> None:
    world = edited(World(), 4, revisionHistoryLimit=0)
    kept = {each.name for each in world.cluster.revisions.values()}
    assert kept == {world.revision_of("3"), world.revision_of("4")}


def test_a_quarantined_one_is_kept() -> None:
    world = World()
    world.settle()
    failing = world.revision_of("7")
    world.cluster.crashing.add(failing)
    world.apply(spec("7"))
    world.settle()
    edited(world, 4, revisionHistoryLimit=0)
    assert f"{NAME}-{failing}" in world.cluster.revisions


def test_one_whose_orders_are_at_work_is_kept_until_they_have_ended() -> None:
    world = edited(World(), 2)
    first = world.revision_of("1")
    world.gateway.revisions_at_work = frozenset({first})
    for number in (3, 4, 5):
        world.apply(spec(str(number), revisionHistoryLimit=0))
        world.settle()
    assert first in {each.name for each in world.cluster.revisions.values()}
    world.gateway.revisions_at_work = frozenset()
    world.apply(spec("6", revisionHistoryLimit=0))
    world.settle()
    assert first not in {each.name for each in world.cluster.revisions.values()}


def test_config_maps_are_kept_for_pods_only() -> None:
    world = edited(World(), 3)
    assert list(world.cluster.config_maps) == [f"{NAME}-{world.wanted}"]


def test_nothing_is_thrown_away_without_the_gateways_word() -> None:
    world = edited(World(), 3)
    world.gateway.up = False
    world.apply(spec("3", revisionHistoryLimit=0))
    world.settle()
    assert len(world.cluster.revisions) == 3
