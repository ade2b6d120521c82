"""Every manifest that we show people is one that a cluster takes."""

import re
from collections.abc import Iterator
from pathlib import Path
from string import Template

import pytest

from crd_driver import PLURALS, Api
from platform_spec.documents import documents
from platform_spec.manifest import parse
from platform_spec.objects import strategy_of

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown() -> Iterator[tuple[str, str]]:
    """File and text of each manifest in docs, examples and templates."""
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/**/*.md")]:
        for block in _BLOCK.findall(path.read_text()):
            if re.search(r"^kind: (Strategy|RiskPolicy)$", block, re.MULTILINE):
                yield path.name, block
    for path in (ROOT / "cli/stratops/examples").glob("*.yaml"):
        yield path.name, path.read_text()
    template = ROOT / "cli/stratops/templates/strategy.yaml.tmpl"
    yield template.name, Template(template.read_text()).substitute(name="mine", class_name="Mine")


def applied(text: str) -> str:
    """As one applies it to the test's namespace of a cluster, where no file lies beside it."""
    here = re.sub(r", namespace: \w+", "", text)
    return re.sub(r"\bfile: [\w.]+", "inline: 'x = 1'", here)


SHOWN = list(shown())


@pytest.mark.parametrize("text", [text for _, text in SHOWN], ids=[name for name, _ in SHOWN])
def test_a_manifest_that_is_shown_is_taken_and_means_the_same(api: Api, text: str) -> None:
    kept = {}
    for document in documents(applied(text).encode()):
        if document.value["kind"] in PLURALS:
            resource = api.create_object(document.value, dry=True)
            kept[resource["metadata"]["name"]] = resource
    for written in parse(applied(text).encode(), "").strategies:
        resource = kept[written.strategy.metadata.name]
        assert strategy_of(resource).spec == written.strategy.spec


def test_docs_examples_and_templates_have_manifests() -> None:
    names = {name for name, _ in SHOWN}
    assert {"README.md", "contracts.md", "desk.yaml", "strategy.yaml.tmpl"} <= names
