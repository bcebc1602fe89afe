"""Files with which people run Curfew on machines of theirs: manifests, the chart, the dashboard and the alert rules."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from idp import conf

pytestmark = pytest.mark.once
ROOT = Path(__file__).parents[2]
KUBERNETES, CHART, MONITORING = (ROOT / "examples" / name for name in ("kubernetes", "helm/curfew", "monitoring"))
SETTINGS = {setting.name for setting in conf.SETTINGS}
METRIC = re.compile(r"\bcurfew_\w+")


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.yaml")):
        yield from yaml.safe_load_all(path.read_text())


def test_manifests_fit_the_schemas_of_kubernetes() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    assert set(listed) == {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    for version in ("1.27", "1.37"):
        argv = [Path(sys.executable).parent / "kubernetes-validate", "--strict", "--quiet", "-k", version, *listed]
        done = subprocess.run(argv, cwd=KUBERNETES, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_pod_runs_without_privileges_and_only_one_beat_runs() -> None:
    pods = {}
    for document in documents(KUBERNETES):
        if document["kind"] in ("Deployment", "Job"):
            pods[document["metadata"]["name"]] = document["spec"]
    assert set(pods) == {"curfew-web", "curfew-worker", "curfew-beat", "curfew-prepare"}
    assert (pods["curfew-beat"]["replicas"], pods["curfew-beat"]["strategy"]) == (1, {"type": "Recreate"})
    for each in pods.values():
        pod = each["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["enableServiceLinks"] is False  # a Service called curfew-web would become settings
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["resources"]["limits"]["memory"]


def test_manifests_and_chart_name_settings_that_exist() -> None:
    [configuration] = [each for each in documents(KUBERNETES) if each["kind"] == "ConfigMap"]
    secrets = re.findall(r"^(\w+)=", (KUBERNETES / "secret.env.example").read_text(), re.M)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert {*configuration["data"], *secrets, *values["settings"]} <= SETTINGS


def test_the_chart_is_of_this_release_and_uses_values_that_it_has() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    used = set(re.findall(r"\.Values\.([\w.]+)", "".join(path.read_text() for path in (CHART / "templates").iterdir())))
    assert len(used) > 10
    for path in used:
        found = values
        for name in path.split("."):
            assert name in found, path
            found = found[name]


def test_the_proxy_says_what_the_documentation_asks_of_one() -> None:
    documented = re.findall(r"^    (proxy_set_header [^;]+;)", (ROOT / "docs" / "operations.md").read_text(), re.M)
    configured = (ROOT / "examples" / "production" / "nginx.conf").read_text()
    assert documented
    assert [line for line in documented if line not in configured] == []


def test_compose_believes_nginx_alone_and_no_other_container_gets_its_address() -> None:
    """Clients by IPv6 come to it from the gateway: were that believed, they could say that they are anybody."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / "docker-compose.yml").read_text())
    text = re.sub(r"\$\{\w+:[?+][^}]*\}", "", text)
    compose = yaml.safe_load(text)
    [network] = compose["networks"]["default"]["ipam"]["config"]
    proxy = ipaddress.ip_address(compose["services"]["proxy"]["networks"]["default"]["ipv4_address"])
    for name in ("prepare", "web", "worker", "beat"):
        service = compose["services"][name]
        assert "networks" not in service
        assert ipaddress.ip_network(service["environment"]["CURFEW_TRUSTED_PROXIES"]) == ipaddress.ip_network(proxy)
    assert proxy in ipaddress.ip_network(network["subnet"])
    assert proxy not in ipaddress.ip_network(network["ip_range"])
    assert network["gateway"] != str(proxy)


def test_pods_of_the_chart_are_replaced_when_any_setting_is_another() -> None:
    settings = '{{ include (print $.Template.BasePath "/settings.yaml") . | sha256sum }}'
    for name in ("web", "worker", "beat"):
        assert settings in (CHART / "templates" / f"{name}.yaml").read_text()


def test_no_counter_of_the_database_is_added_up_over_web_servers() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    asked = [rule["expr"] for group in rules for rule in group["rules"]]
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    several = re.compile(
        r"(?<!max )(sum|count)( by \((?!le\))[\w, ]+\) )?\((rate|increase)?\(?curfew_\w+(?<!_bucket)\b"
    )
    assert [text for text in asked if several.search(text)] == []


def test_dashboard_and_alerts_ask_for_metrics_that_are_documented() -> None:
    known = set(METRIC.findall((ROOT / "docs" / "operations.md").read_text()))
    known |= {f"{name}_bucket" for name in known}
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    asked = [rule["expr"] for group in rules for rule in group["rules"]]
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert {name for text in asked for name in METRIC.findall(text)} <= known
    assert all(
        {"severity"} == set(rule["labels"]) and rule["annotations"]["summary"] for g in rules for rule in g["rules"]
    )
