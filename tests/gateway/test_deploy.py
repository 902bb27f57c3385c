from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from wattspan.gateway.configuration import load_serve_config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def test_the_configuration_in_the_kubernetes_manifest_is_good(tmp_path: Path) -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    by_kind = {document["kind"]: document for document in documents}
    path = tmp_path / "gateway.yaml"
    path.write_text(by_kind["ConfigMap"]["data"]["gateway.yaml"])
    gateway = load_serve_config(path, {}).gateway
    pod = by_kind["StatefulSet"]["spec"]["template"]["spec"]
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert ports == {
        "otlp-http": gateway.http.port,
        "otlp-grpc": gateway.grpc.port,
        "telemetry": gateway.telemetry.port,
    }
    mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
    assert str(gateway.spool.directory.parent) in mounts
    assert pod["terminationGracePeriodSeconds"] > gateway.drain_s


def test_the_variables_of_the_image_and_the_unit_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("gateway: {destinations: [{name: a, endpoint: 'http://b:1'}]}")
    texts = [(DEPLOY / name).read_text() for name in ("Dockerfile", "wattspan.service")]
    variables = dict(match for text in texts for match in re.findall(r"(WATTSPAN__\w+)=(\S+)", text))
    assert len(variables) == 4
    gateway = load_serve_config(path, variables).gateway
    assert gateway.http.host == gateway.grpc.host == gateway.telemetry.host == "0.0.0.0"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", texts[0], re.MULTILINE)
    sources = [name for line in copied for name in line.split()]
    # The README comes with the first release.
    assert [name for name in sources if name != "README.md" and not (ROOT / name).exists()] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "wattspan.service"
    unit.write_text(
        (DEPLOY / "wattspan.service").read_text().replace("/opt/wattspan/bin/wattspan", "/bin/true")
    )
    result = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert [line for line in result.stderr.splitlines() if "wattspan.service" in line] == []
