"""Units and manifests for an installation, checked with the tools that use them."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from app.settings import Settings
from tests.conftest import ROOT
from tests.support.docs.markdown import read

# The module has no types; `make test` installs it.
kubernetes_validate = pytest.importorskip("kubernetes_validate")
INSTALL = read("docs/install.md")
UNIT = ROOT / "deploy/systemd/rollcall.service"
MANIFESTS = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
RESOURCES: list[dict[str, Any]] = [
    resource for path in MANIFESTS for resource in yaml.safe_load_all(path.read_text())
]
PODS = [each["spec"]["template"]["spec"] for each in RESOURCES if "Set" in each["kind"]]
JOBS = [each["spec"]["template"]["spec"] for each in RESOURCES if "Job" in each["kind"]]
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd: apt install systemd"
)


@needs_systemd
def test_unit_has_an_exposure_of_at_most_3() -> None:
    done = subprocess.run(
        [  # noqa: S607 - apt's
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            "--threshold=30",
            UNIT,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rated = re.search(
        r"Overall exposure level for rollcall.service: (\S+)", done.stdout
    )
    assert rated is not None
    assert f"rates its exposure {rated[1]} " in INSTALL


def test_unit_reloads_and_stops_as_the_service_expects() -> None:
    unit = UNIT.read_text()
    assert "Type=notify\n" in unit
    assert "ExecReload=/bin/kill -HUP $MAINPID\n" in unit
    # Only the parent gets SIGTERM, and stops its workers.
    assert "KillMode=mixed\n" in unit
    [stop_s] = re.findall(r"TimeoutStopSec=(\d+)\n", unit)
    assert int(stop_s) > 2 * Settings.model_fields["drain_timeout_seconds"].default
    [files] = re.findall(r"LimitNOFILE=(\d+)\n", unit)
    assert f"LimitNOFILE={files}`" in INSTALL


@pytest.mark.parametrize(
    "resource",
    RESOURCES,
    ids=lambda each: f"{each['kind']}-{each['metadata']['name']}",
)
def test_manifest_matches_the_schema_of_kubernetes(resource: dict[str, Any]) -> None:
    kubernetes_validate.validate(resource, "1.37", strict=True)


@pytest.mark.parametrize("pod", [*PODS, *JOBS])
def test_pod_gets_no_foreign_variables_and_no_rights(pod: dict[str, Any]) -> None:
    assert pod["enableServiceLinks"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    [container] = pod["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    known = {f"ROLLCALL_{name.upper()}" for name in Settings.model_fields}
    assert {each["name"] for each in container["env"]} <= known


def test_stateful_set_keeps_and_drains_the_journal_of_each_replica() -> None:
    [stateful] = [each for each in RESOURCES if each["kind"] == "StatefulSet"]
    spec = stateful["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenScaled"] == "Retain"
    [claim] = spec["volumeClaimTemplates"]
    [pod] = PODS
    [container] = pod["containers"]
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    data_dir = mounts[claim["metadata"]["name"]]
    *_, script = container["lifecycle"]["preStop"]["exec"]["command"]
    assert f"ls -A {data_dir}/journal" in script
    waits = sum(map(int, re.findall(r"sleep (\d+);|seq (\d+)", script)[0][:1])) + 60
    drain_s = Settings.model_fields["drain_timeout_seconds"].default
    assert pod["terminationGracePeriodSeconds"] > waits + drain_s
    probes = {
        name: container[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "liveness", "readiness")
    }
    assert probes == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    services = {each["metadata"]["name"] for each in RESOURCES}
    assert spec["serviceName"] in services
