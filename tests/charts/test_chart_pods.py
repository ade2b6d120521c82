"""Every pod of the chart: what it may do on its node, what it is told, how it is asked."""

import re
from collections.abc import Callable, Mapping

import pytest

import market_feed.settings
import paper_venue.settings
import risk_gateway.settings
import strategy_operator.settings
from chart_driver import VALUES, HelmFailed, Object, Rendering, rendered
from strategy_operator import names

FILES = sorted(path.stem for path in VALUES.glob("*.yaml"))
PAGES = ("stratops-operator", "stratops-gateway", "stratops-venue", "stratops-feed")
SERVERS = ("stratops-redis", "stratops-nats")

# What the kubelet fills in.
FIELDS = {
    "metadata.namespace": "trading",
    "metadata.name": "stratops-x-5d4f8-abcde",
    "journal/url": "postgresql://journal.example/desk",
}


READ_BY: Mapping[str, Callable[[Mapping[str, str]], object]] = {
    "stratops-operator": strategy_operator.settings.Settings.from_environment,
    "stratops-uninstall": strategy_operator.settings.Settings.from_environment,
    "stratops-gateway": risk_gateway.settings.Settings.from_environment,
    "stratops-venue": paper_venue.settings.Settings.from_environment,
    "stratops-feed": market_feed.settings.Settings.from_environment,
}


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # of str only
        self.names.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)


@pytest.fixture(scope="module", params=FILES)
def rendering(request: pytest.FixtureRequest) -> Rendering:
    return rendered(request.param)


def containers(rendering: Rendering) -> list[tuple[str, Object]]:
    return [
        (name, each) for name, pod in rendering.pods().items() for each in pod["spec"]["containers"]
    ]


def test_every_pod_is_restricted(rendering: Rendering) -> None:
    for name, pod in rendering.pods().items():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == security["runAsGroup"] == 10001, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["spec"]["enableServiceLinks"] is False, name


def test_every_container_is_restricted(rendering: Rendering) -> None:
    for name, container in containers(rendering):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


def test_every_container_has_bounds_and_an_image_with_a_version(rendering: Rendering) -> None:
    for name, container in containers(rendering):
        assert container["resources"]["limits"]["memory"], name
        assert "cpu" in container["resources"]["requests"], name
        assert "@sha256:" in container["image"] or ":" in container["image"].rpartition("/")[2]


def test_what_runs_for_seconds_finds_a_place_on_a_full_node(rendering: Rendering) -> None:
    lasting = {each["metadata"]["name"] for each in rendering.of_kind("Deployment", "StatefulSet")}
    for name, container in containers(rendering):
        if name not in lasting:
            assert container["resources"]["requests"] == {"cpu": 0, "memory": 0}, name


def test_a_hook_ends_before_helm_s_own_patience_does(rendering: Rendering) -> None:
    """So that Helm says what became of it: five minutes, if nobody says otherwise."""
    for job in rendering.of_kind("Job"):
        assert job["spec"]["activeDeadlineSeconds"] < 300
        assert job["metadata"]["annotations"]["helm.sh/hook-output-log-policy"] == "hook-failed"


def test_live_is_allowed_by_nobody_who_was_not_asked() -> None:
    told = "STRATOPS_ALLOW_LIVE"
    assert rendered("external").env("stratops-gateway")[told] == "false"
    assert rendered("everything-set").env("stratops-gateway")[told] == "true"


def test_no_volume_is_mounted_that_is_not_there(rendering: Rendering) -> None:
    claims = {
        each["metadata"]["name"]: {
            claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates") or ()
        }
        for each in rendering.of_kind("StatefulSet")
    }
    for name, pod in rendering.pods().items():
        there = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        (container,) = pod["spec"]["containers"]
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted == there | claims.get(name, set()), name


@pytest.mark.parametrize("pod", PAGES)
def test_what_serves_pages_is_asked_for_health_and_readiness(pod: str) -> None:
    (container,) = rendered("demo").pods()[pod]["spec"]["containers"]
    paths = {
        probe: (container[probe]["httpGet"]["path"], container[probe]["httpGet"]["port"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    health, ready = ("/health", "http"), ("/ready", "http")
    assert list(paths.values()) == [health, health, ready]
    assert {"name": "http", "containerPort": 9092} in container["ports"]


@pytest.mark.parametrize(("pod", "within_s"), [("gateway", 3600), ("operator", 120)])
def test_nobody_is_killed_while_it_starts(pod: str, within_s: int) -> None:
    """A gateway reads its whole journal: 50 us for an order and its fill."""
    (container,) = rendered("demo").pods()[f"stratops-{pod}"]["spec"]["containers"]
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == within_s


@pytest.mark.parametrize("pod", SERVERS)
def test_the_servers_are_probed(pod: str) -> None:
    (container,) = rendered("demo").pods()[pod]["spec"]["containers"]
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


def test_every_probe_asks_a_port_that_is_there(rendering: Rendering) -> None:
    for name, container in containers(rendering):
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container.get(probe, {})
            where = asked.get("httpGet", asked.get("tcpSocket", {})).get("port")
            assert where is None or where in ports, name


def test_a_component_starts_on_its_environment_and_reads_all_of_it(rendering: Rendering) -> None:
    for pod in READ_BY.keys() & rendering.pods().keys():
        told = {name: FIELDS.get(value, value) for name, value in rendering.env(pod).items()}
        environment = Asked(told)
        READ_BY[pod](environment)
        within = set(re.findall(r"\$\((\w+)\)", " ".join(told.values())))
        assert set(told) - environment.names - within == set(), pod


def test_a_replay_tells_its_own_time_and_a_real_feed_does_not() -> None:
    assert rendered("demo").env("stratops-gateway")["STRATOPS_CLOCK"] == "market"
    assert rendered("external").env("stratops-gateway")["STRATOPS_CLOCK"] == "wall"
    other_feed = rendered("demo", ['feed.url="redis://redis.example"'])
    assert other_feed.env("stratops-venue")["STRATOPS_CLOCK"] == "wall"


def test_the_desk_says_where_gateway_and_feed_are() -> None:
    assert rendered("demo").one("ConfigMap", "stratops-desk")["data"] == {
        "gateway": "stratops-gateway.trading.svc:9090",
        "feed": "redis://stratops-redis.trading.svc:6379",
    }
    external = rendered("external").one("ConfigMap", "stratops-desk")
    assert external["data"]["feed"] == "rediss://redis.example:6380"


CA = "-----BEGIN CERTIFICATE-----"


def test_a_feed_s_own_ca_is_where_its_url_says_it_is() -> None:
    rendering = rendered("external", (f'feed.ca="{CA}"',))
    url = "rediss://redis.example:6380?ca=/etc/stratops/desk/feed-ca.crt"
    assert rendering.one("ConfigMap", "stratops-desk")["data"]["feed"] == url
    assert rendering.one("ConfigMap", names.FEED_CA)["data"] == {"ca.crt": CA}
    assert rendering.env("stratops-gateway")["STRATOPS_REDIS_URL"] == url
    spec = rendering.pods()["stratops-gateway"]["spec"]
    (volume,) = (each for each in spec["volumes"] if each["name"] == "feed-ca")
    assert volume["configMap"] == {
        "name": names.FEED_CA, "items": [{"key": "ca.crt", "path": "feed-ca.crt"}],
    }  # fmt: skip
    mounts = spec["containers"][0]["volumeMounts"]
    assert {"name": "feed-ca", "mountPath": "/etc/stratops/desk", "readOnly": True} in mounts


def test_a_ca_without_tls_is_refused() -> None:
    with pytest.raises(HelmFailed, match=r"feed.ca: set, .* expected rediss"):
        rendered("demo", (f'feed.ca="{CA}"',))


def test_replicas_are_left_to_whoever_scales() -> None:
    for each in rendered("demo").of_kind("Deployment", "StatefulSet"):
        assert "replicas" not in each["spec"], each["metadata"]["name"]
    assert rendered("cluster-wide").one("Deployment", "stratops-operator")["spec"]["replicas"] == 2


def test_scheduling_annotations_and_pull_secrets_reach_their_pods() -> None:
    rendering = rendered("everything-set")
    for name in (*PAGES, *SERVERS):
        pod = rendering.pods()[name]
        assert pod["metadata"]["annotations"] == {"example.com/team": "desk-a"}
        assert pod["spec"]["priorityClassName"] == "system-cluster-critical"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry-example"}]
        assert pod["spec"]["tolerations"] == [{"key": "trading", "operator": "Exists"}]
    runner = rendering.one("ServiceAccount", "stratops-runner")
    assert runner["imagePullSecrets"] == [{"name": "registry-example"}]


def test_images_are_named_by_digest_else_by_tag_else_by_the_chart_s_version() -> None:
    chosen = {name: each["image"] for name, each in containers(rendered("everything-set"))}
    assert chosen["stratops-gateway"] == "registry.example/stratops/gateway@sha256:" + "0" * 64
    assert chosen["stratops-operator"] == "registry.example/stratops/operator:7"
    default = {name: each["image"] for name, each in containers(rendered("demo"))}
    assert default["stratops-venue"] == "ghcr.io/stratops/venue:0.1.0"
    runner = rendered("demo").env("stratops-operator")["STRATOPS_RUNNER_IMAGE"]
    assert runner == "ghcr.io/stratops/runner:0.1.0"


def test_services_and_budgets_select_exactly_the_pods_they_are_named_after() -> None:
    rendering = rendered("demo")
    for each in rendering.of_kind("Service", "PodDisruptionBudget"):
        spec = each["spec"]["selector"]
        selector = dict(spec.get("matchLabels", spec))
        selector.pop("statefulset.kubernetes.io/pod-name", None)  # set on the pod by its set
        selected = [
            name
            for name, pod in rendering.pods().items()
            if selector.items() <= pod["metadata"].get("labels", {}).items()
        ]
        assert selected == [each["metadata"]["name"].removesuffix("-headless")]


def test_every_port_of_a_service_is_one_of_its_pod() -> None:
    rendering = rendered("demo")
    for each in rendering.of_kind("Service"):
        pod = rendering.pods()[each["metadata"]["name"].removesuffix("-headless")]
        (container,) = pod["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for port in each["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"], each["metadata"]["name"]


def test_the_gateway_is_reached_when_it_is_not_ready_and_only_the_one() -> None:
    """It must be told to halt when its venue is away; a second replica is another journal."""
    spec = rendered("demo").one("Service", "stratops-gateway")["spec"]
    assert spec["publishNotReadyAddresses"] is True
    assert spec["selector"]["statefulset.kubernetes.io/pod-name"] == "stratops-gateway-0"


def test_what_proves_who_we_are_is_mounted_where_it_is_named() -> None:
    plain = rendered("external").env("stratops-gateway")
    assert not {"STRATOPS_VENUE_TLS_DIR", "STRATOPS_NATS_DIR"} & set(plain)
    secrets = rendered("external", ('venue.tlsSecret="venue-tls"', 'nats.secret="nats-tls"'))
    env = secrets.env("stratops-gateway")
    spec = secrets.pods()["stratops-gateway"]["spec"]
    named = {
        volume["name"]: volume["secret"]["secretName"]
        for volume in spec["volumes"]
        if "secret" in volume
    }
    mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
    for setting, secret in (("VENUE_TLS_DIR", "venue-tls"), ("NATS_DIR", "nats-tls")):
        (name,) = (name for name, held in named.items() if held == secret)
        assert mounts[name] == env[f"STRATOPS_{setting}"]
