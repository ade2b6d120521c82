"""Several clusters run side by side, and none takes what the host uses."""

from ipaddress import IPv4Network

import pytest

from dev_cluster.addresses import COUNT, Addresses, candidates

EVERYWHERE = IPv4Network("0.0.0.0/0")


def test_two_clusters_share_no_address() -> None:
    assert not Addresses(1).range.overlaps(Addresses(2).range)


@pytest.mark.parametrize("index", [0, 1, COUNT - 1])
def test_the_parts_of_a_cluster_lie_in_its_range_and_apart(index: int) -> None:
    one = Addresses(index)
    parts = (one.link, one.services, one.pods)
    assert all(part.subnet_of(one.range) for part in parts)
    assert [a.overlaps(b) for a in parts for b in parts].count(True) == len(parts)


def test_node_and_host_meet_on_the_link() -> None:
    one = Addresses(3)
    assert (str(one.node), str(one.host)) == ("10.80.0.1", "10.80.0.254")
    assert one.node in one.link
    assert one.host in one.link


def test_a_range_that_the_host_uses_is_no_candidate() -> None:
    used = Addresses(0).link
    assert 0 not in candidates([EVERYWHERE, used])


def test_a_range_that_a_wider_route_covers_comes_last() -> None:
    covered = IPv4Network("10.77.0.0/16").supernet(4)  # 10.64 to 10.79: the indexes 0 to 2
    assert candidates([EVERYWHERE, covered]) == [*range(3, COUNT), 0, 1, 2]
