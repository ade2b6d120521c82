"""What the API server checks with more than one object in hand, or with numbers that may be text.

Two ValidatingAdmissionPolicies with their bindings. `stratops-resources` refuses numbers out of
bounds with the phrases of the models. `stratops-limits` holds a strategy within the RiskPolicy that
it names; it is asked once for each policy of the namespace, so a name that does not exist passes.

Both look only at a spec that changes: a policy that was tightened must not keep anybody from
labelling, releasing or deleting what was there before.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from platform_spec.crds import CATEGORY
from platform_spec.decimals import MOST_DIGITS
from platform_spec.limits import AT_LEAST, Limits
from platform_spec.metadata import API_VERSION, GROUP, VERSION
from platform_spec.pods import Quantities
from platform_spec.policy import KIND as POLICY
from platform_spec.resource import Resource
from platform_spec.shapes import PHRASE
from platform_spec.strategy import Capital

Manifest = dict[str, Any]

RESOURCES = "stratops-resources"
LIMITS = "stratops-limits"


def policies() -> tuple[Manifest, ...]:
    """Each policy, followed by its binding."""
    held = {"paramKind": {"apiVersion": API_VERSION, "kind": POLICY}}
    selected = {"paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"}}
    return (
        _policy(RESOURCES, ["strategies", "riskpolicies"], _NUMBERS, list(_number_rules())),
        _binding(RESOURCES, {}),
        _policy(LIMITS, ["strategies"], _NAMED, list(_limit_rules()), held),
        _binding(LIMITS, selected),
    )


def _policy(
    name: str,
    resources: list[str],
    variables: Mapping[str, str],
    validations: list[Manifest],
    held: Manifest | None = None,
) -> Manifest:
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": ["CREATE", "UPDATE"],
        "resources": resources,
        "scope": "*",
    }
    # Defaults are written too: the field is one value, and two who apply it must not differ.
    matched = {
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "resourceRules": [rule],
    }
    changed = "oldObject == null || object.spec != oldObject.spec"
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": _metadata(name),
        "spec": {
            "failurePolicy": "Fail",
            **(held or {}),
            "matchConstraints": matched,
            "matchConditions": [{"name": "spec-changes", "expression": changed}],
            "variables": [{"name": key, "expression": text} for key, text in variables.items()],
            "validations": validations,
        },
    }


def _binding(name: str, selected: Manifest) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": _metadata(name),
        "spec": {"policyName": name, "validationActions": ["Deny"], **selected},
    }


def _metadata(name: str) -> Manifest:
    return {"name": name, "labels": {"app.kubernetes.io/part-of": CATEGORY}}


def _validation(expression: str, message: str, said: str = "") -> Manifest:
    """`said` is CEL for a message that shows the value."""
    shown = {"messageExpression": said} if said else {}
    return {"expression": expression, "message": message, **shown, "reason": "Invalid"}


_NUMBERS = {
    "isPolicy": f"object.kind == '{POLICY}'",
    "mode": "variables.isPolicy ? '' : object.spec.?mode.orValue('')",
    "place": "variables.isPolicy ? 'spec.limits.' : 'spec.risk.limits.'",
    "limits": "variables.isPolicy ? object.spec.?limits.orValue({})"
    " : object.spec.?risk.?limits.orValue({})",
    "capital": "object.spec.?capital.orValue({})",
    "parameters": "object.spec.?parameters.orValue({})",
    "requests": "object.spec.?resources.?requests.orValue({})",
    "most": "object.spec.?resources.?limits.orValue({})",
}


def _number_rules() -> Iterator[Manifest]:
    for name, bounds in _numbers(Limits):
        yield _number(
            f"variables.limits.{name}", f"variables.place + '{name}'", f"limits.{name}", bounds
        )
    for name, bounds in _numbers(Capital):
        place = f"spec.capital.{name}"
        yield _number(f"variables.capital.{name}", f"'{place}'", place, bounds)
    yield _validation(
        "variables.mode != 'live' || has(variables.capital.amount)",
        "spec.capital.amount: missing, expected an amount, which mode live needs",
    )
    for name in Quantities.model_fields:
        yield _validation(
            f"!has(variables.requests.{name}) || !has(variables.most.{name})"
            f" || quantity(string(variables.requests.{name}))"
            f".compareTo(quantity(string(variables.most.{name}))) <= 0",
            f"spec.resources.requests.{name}: expected at most limits.{name}",
        )
    yield _validation(
        "variables.parameters.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_]*$')"
        " && name.size() <= 64 && variables.parameters[name] != null)",
        "spec.parameters: expected Python names of at most 64 characters, each with a value",
    )


def _numbers(model: type[Resource]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The fields that are numbers and may be text, and their bounds."""
    for name, field in model.model_json_schema()["properties"].items():
        written = field["anyOf"][0]
        if "minimum" in written and "type" not in written:
            yield name, written


def _number(value: str, place: str, name: str, bounds: Mapping[str, Any]) -> Manifest:
    above = ">" if bounds.get("exclusiveMinimum") else ">="
    kept = [f"double({value}) {above} {bounds['minimum']}.0"]
    most = f"<= {bounds['maximum']}.0" if "maximum" in bounds else f"< 1e{MOST_DIGITS}"
    kept.append(f"double({value}) {most}")
    if "multipleOf" in bounds:
        kept.append(f"double(int(double({value}))) == double({value})")
    plain = " || ".join(f"type({value}) == {one}" for one in ("int", "double", "string"))
    shown = f"({plain} || type({value}) == bool ? string({value}) : 'no number')"
    return _validation(
        f"!has({value}) || (({plain}) && {' && '.join(kept)})",
        f"{name}: expected {bounds[PHRASE]}",
        f"{place} + ': ' + {shown} + ', expected {bounds[PHRASE]}'",
    )


_NAMED = {
    "named": "params.metadata.name == object.spec.?risk.?policy.orValue('')",
    "own": "object.spec.?risk.?limits.orValue({})",
    "most": "params.spec.?limits.orValue({})",
    "of": "', of RiskPolicy ' + params.metadata.name",
}


def _limit_rules() -> Iterator[Manifest]:
    """What is not written is not looked at: the gateway holds everybody to the tighter limit."""
    for name, _ in _numbers(Limits):
        yield _limit(name, "least" if name in AT_LEAST else "most")
    yield _validation(
        "!variables.named || !has(variables.own.allowed_symbols) || ("
        "(variables.most.?allowed_symbols.orValue([]).size() == 0"
        " || variables.own.allowed_symbols.all(one, one in variables.most.allowed_symbols))"
        " && !variables.own.allowed_symbols.exists(one,"
        " one in variables.most.?blocked_symbols.orValue([])))",
        "spec.risk.limits.allowed_symbols: expected symbols that the RiskPolicy allows",
    )
    yield _validation(
        "!variables.named || object.spec.?mode.orValue('') != 'live'"
        " || params.spec.?allowLive.orValue(false)",
        "spec.mode: live, expected another mode: the RiskPolicy does not allow live",
    )


def _limit(name: str, bound: str) -> Manifest:
    """Compared twice: `quantity` is exact to nine places up to 10**19, `double` does the rest."""
    own, most, is_within = f"variables.own.{name}", f"variables.most.{name}", _IS_WITHIN[bound]
    return _validation(
        f"!variables.named || !has({own}) || !has({most}) || (double({own}) {is_within}"
        f" double({most}) && quantity(string({own})).compareTo(quantity(string({most})))"
        f" {is_within} 0)",
        f"spec.risk.limits.{name}: expected at {bound} that of the RiskPolicy",
        f"'spec.risk.limits.{name}: ' + string({own}) + ', expected at {bound} '"
        f" + string({most}) + variables.of",
    )


_IS_WITHIN = {"most": "<=", "least": ">="}
