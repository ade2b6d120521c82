"""Who may do what at the API server, and whose pods get a token to try."""

import pytest

from chart_driver import NAMESPACE, VALUES, Object, Rendering, rendered
from risk_gateway import people
from risk_gateway.roles import Role

OPERATOR = "stratops-operator"
API_CLIENTS = {
    "stratops-operator",
    "stratops-gateway",
    "stratops-certificates",
    "stratops-removal",
    "stratops-strategies-gone",
    "stratops-uninstall",
}
FILES = sorted(path.stem for path in VALUES.glob("*.yaml"))


@pytest.fixture(scope="module", params=FILES)
def rendering(request: pytest.FixtureRequest) -> Rendering:
    return rendered(request.param)


def rules(rendering: Rendering) -> list[tuple[str, dict[str, list[str]]]]:
    return [
        (each["metadata"]["name"], rule)
        for each in rendering.of_kind("Role", "ClusterRole")
        for rule in each["rules"]
    ]


def test_no_rule_has_a_wildcard(rendering: Rendering) -> None:
    for name, rule in rules(rendering):
        assert not any("*" in value for values in rule.values() for value in values), name


def test_nobody_but_hooks_has_to_do_with_secrets_and_with_one_only(rendering: Rendering) -> None:
    for name, rule in rules(rendering):
        if "secrets" in rule["resources"]:
            assert name in ("stratops-certificates", "stratops-removal")
            one = rule.get("resourceNames") == ["stratops-gateway-tls"]
            assert one or rule["verbs"] == ["create"]  # a create cannot be held to a name


def test_what_may_touch_secrets_is_gone_when_its_hook_is_over(rendering: Rendering) -> None:
    for each in rendering.of_kind("ServiceAccount", "Role", "RoleBinding"):
        if each["metadata"]["name"] in ("stratops-certificates", "stratops-removal"):
            policy = each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
            assert "hook-succeeded" in policy


def test_no_rule_lets_anybody_run_in_pods_or_ask_for_others_tokens(rendering: Rendering) -> None:
    for name, rule in rules(rendering):
        for resource in rule["resources"]:
            assert resource != "pods/exec", name
            if resource == "tokenreviews":
                assert name == f"stratops-gateway-people-{NAMESPACE}"
            if resource == "serviceaccounts/token":  # its own, for the gateway of each desk
                assert (name, rule["resourceNames"]) == ("stratops-operator-token", [OPERATOR])


def test_namespaced_mode_has_no_cluster_role_but_the_users(rendering: Rendering) -> None:
    namespaced = rendered("demo")
    names = {each["metadata"]["name"] for each in namespaced.of_kind("ClusterRole")}
    assert names == {"stratops-view", "stratops-edit", "stratops-admin"}
    assert namespaced.of_kind("ClusterRoleBinding") == ()


def test_cluster_wide_mode_has_the_same_rules_in_a_cluster_role() -> None:
    name = "stratops-operator"
    wide, narrow = rendered("cluster-wide"), rendered("demo")
    assert wide.one("ClusterRole", name)["rules"] == narrow.one("Role", name)["rules"]
    assert wide.one("Role", f"{name}-lease") == narrow.one("Role", f"{name}-lease")


def test_limits_are_not_for_editors() -> None:
    by_role = {name: rule for name, rule in rules(rendered("demo")) if name.count("-") == 1}
    assert "riskpolicies" not in by_role["stratops-edit"]["resources"]
    assert by_role["stratops-admin"]["resources"] == ["riskpolicies"]
    assert set(by_role["stratops-view"]["verbs"]) == {"get", "list", "watch"}


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_the_kinds_are_in_kubernetes_own_roles(role: str) -> None:
    labels = rendered("demo").one("ClusterRole", f"stratops-{role}")["metadata"]["labels"]
    assert labels[f"rbac.authorization.k8s.io/aggregate-to-{role}"] == "true"


def test_no_token_is_mounted_by_itself(rendering: Rendering) -> None:
    for account in rendering.of_kind("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    for name, pod in rendering.pods().items():
        assert pod["spec"]["automountServiceAccountToken"] is False, name


def test_only_who_needs_the_api_server_gets_a_token_for_it(rendering: Rendering) -> None:
    with_token = {name for name, pod in rendering.pods().items() if "" in audiences(pod)}
    assert with_token == API_CLIENTS & set(rendering.pods())


def test_operator_and_uninstall_prove_to_the_gateway_who_they_are(rendering: Rendering) -> None:
    with_token = {
        name
        for name, pod in rendering.pods().items()
        if f"stratops-gateway.{NAMESPACE}" in audiences(pod)
    }
    theirs = {OPERATOR, "stratops-uninstall"} & set(rendering.pods())
    asks = any(each.startswith("stratops-operator-token") for each, _ in rules(rendering))
    assert with_token == (set() if asks else theirs)


def test_only_an_operator_of_many_desks_asks_for_tokens() -> None:
    asking = {each for each in FILES if "stratops-operator-token" in dict(rules(rendered(each)))}
    assert asking == {"cluster-wide", "operator-only"}
    for each in asking:
        assert "STRATOPS_GATEWAY_TOKEN_FILE" not in rendered(each).env(OPERATOR)


@pytest.mark.parametrize(
    ("values", "operator"),
    [
        ("demo", "system:serviceaccount:trading:stratops-operator"),
        ("desk-only", "system:serviceaccount:stratops-system:stratops-operator"),
    ],
)
def test_the_gateway_obeys_the_operator_of_its_desk(values: str, operator: str) -> None:
    assert rendered(values).env("stratops-gateway")["STRATOPS_OPERATORS"] == operator


def test_the_gateway_knows_people_by_the_roles_that_they_were_given() -> None:
    ana = "system:serviceaccount:people:ana"
    sets = (f'gateway.callers.riskOfficers=["{ana}","b"]',)
    told = rendered("demo", sets).env("stratops-gateway")
    assert told["STRATOPS_RISK_OFFICERS"] == f"{ana},b"
    assert not {"STRATOPS_READERS", "STRATOPS_TRADERS"} & set(told)


def test_only_who_names_people_has_tokens_reviewed() -> None:
    reviewing = [each for each in FILES if "STRATOPS_PEOPLE" in _told(each)]
    assert reviewing == ["everything-set"]
    assert people.read(_told("everything-set")["STRATOPS_PEOPLE"]).roles(
        "ana@example.com", ["desk-risk"]
    ) == {Role.RISK_OFFICER, Role.READER}
    rules_of = dict(rules(rendered("everything-set")))
    assert rules_of[f"stratops-gateway-people-{NAMESPACE}"]["verbs"] == ["create"]


def _told(values: str) -> dict[str, str]:
    return rendered(values).env("stratops-gateway") if "operator-only" not in values else {}


def audiences(pod: Object) -> set[str]:
    """Of the tokens that it mounts; empty is the API server's own."""
    return {
        source["serviceAccountToken"].get("audience", "")
        for volume in pod["spec"].get("volumes", [])
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    }
