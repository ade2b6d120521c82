"""The pages of a process, as a probe and a scraper read them."""

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from gateway_driver import Process


def page(process: Process, name: str) -> tuple[int, str]:
    """Status and text."""
    url = f"http://127.0.0.1:{process.environment['STRATOPS_METRICS_PORT']}/{name}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(process: Process, name: str) -> list[tuple[dict[str, str], float]]:
    """Its samples: labels and value."""
    text = page(process, "metrics")[1]
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    return [(sample.labels, sample.value) for sample in samples if sample.name == name]
