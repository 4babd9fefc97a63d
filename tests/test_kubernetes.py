"""deploy/kubernetes fits the schemas of the Kubernetes API, the settings there are and itself; no cluster is needed."""

import re
from base64 import b64encode
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from typing import Final

import kubernetes_validate
import pytest
import yaml

from ledger.api.permissions import PERMISSIONS
from ledger.cli.http import DRAIN_SECONDS
from ledger.settings import Settings, SettingsRefused, known_names

FOLDER: Final = Path(__file__).resolve().parents[1] / "deploy" / "kubernetes"
DEPLOYING: Final = FOLDER.parents[1] / "docs" / "operations" / "deploying.md"
VERSIONS: Final = ("1.30", "1.37")
"""From the oldest that the files are for to the newest that there are schemas of."""
FILES: Final = {
    path.name: [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
    for path in sorted(FOLDER.glob("*.yaml"))
}
KUSTOMIZATION: Final = FILES.pop("kustomization.yaml")[0]
THINGS: Final = {f"{one['kind']}/{one['metadata']['name']}": one for found in FILES.values() for one in found}
WORKLOADS: Final = (
    "Deployment/ledger-api",
    "Deployment/ledger-workers",
    "Job/ledger-migration-put-the-release-here",
)
GOOD: Final = {
    "secret-key": token_urlsafe(48),
    "key": b64encode(token_bytes(32)).decode(),
    "password": token_urlsafe(),
}
SECRETS: Final = {one["metadata"]["name"]: one["stringData"] for one in FILES["secrets.example.yaml"]}


def misfits(thing: dict, version: str) -> list[str]:
    """What the schemas of a release of Kubernetes say of one thing: unknown fields and wrong types too."""
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except kubernetes_validate.ValidationError as wrong:
        return [f"{'.'.join(map(str, wrong.path))}: {wrong.message}"]
    return []


def pod_of(name: str) -> dict:
    return THINGS[name]["spec"]["template"]


def container_of(name: str) -> dict:
    (container,) = pod_of(name)["spec"]["containers"]
    return container


def loose(pod: dict) -> Iterator[str]:
    """Say what a pod may do that it need not."""
    spec = pod["spec"]
    if not (spec["securityContext"].get("runAsNonRoot") and spec["securityContext"].get("runAsUser")):
        yield "runs as root"
    if spec["securityContext"].get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "makes any system call"
    if spec.get("automountServiceAccountToken") is not False:
        yield "holds a token of the cluster"
    for container in spec["containers"]:
        held = container.get("securityContext", {})
        if held.get("readOnlyRootFilesystem") is not True:
            yield "writes to its image"
        if held.get("allowPrivilegeEscalation") is not False or held.get("capabilities") != {"drop": ["ALL"]}:
            yield "may become more than it is"
        if not {"requests", "limits"} <= container.get("resources", {}).keys():
            yield "takes as much as it likes"


def settings_of(name: str) -> dict[str, str]:
    """What a workload's container has in its environment, with good secrets: those of the example start nothing."""
    container = container_of(name)
    values = dict(THINGS["ConfigMap/ledger-settings"]["data"])
    assert container["envFrom"] == [{"configMapRef": {"name": "ledger-settings"}}]
    for one in container["env"]:
        place = one["valueFrom"]["secretKeyRef"]
        told = SECRETS[place["name"]][place["key"]]
        values[one["name"]] = GOOD.get(place["key"], told)
    return values


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", THINGS)
def test_it_is_what_kubernetes_takes(name, version):
    assert misfits(THINGS[name], version) == []


BROKEN: Final = {
    "a field that there is not": lambda api: api["spec"]["template"]["spec"]["containers"][0][
        "securityContext"
    ].update(readOnlyRootFileSystem=True),
    "a word for a number": lambda api: api["spec"].update(replicas="two"),
    "a probe of two kinds in one": lambda api: api["spec"]["template"]["spec"]["containers"][0][
        "livenessProbe"
    ].update(httpPath="/health/live"),
    "a field that is missing": lambda api: api["spec"].pop("selector"),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", BROKEN)
def test_what_kubernetes_does_not_take_is_noticed(what, version):
    api = deepcopy(THINGS["Deployment/ledger-api"])
    BROKEN[what](api)

    assert len(misfits(api, version)) == 1


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_may_do_what_it_needs_and_no_more(name):
    assert list(loose(pod_of(name))) == []


def test_a_pod_that_may_more_is_noticed():
    pod = deepcopy(pod_of("Deployment/ledger-api"))
    del pod["spec"]["containers"][0]["securityContext"]
    pod["spec"]["securityContext"]["runAsNonRoot"] = False

    assert list(loose(pod)) == ["runs as root", "writes to its image", "may become more than it is"]


@pytest.mark.parametrize("name", WORKLOADS)
def test_where_it_writes_there_is_a_volume(name):
    mounted = {mount["mountPath"]: mount["name"] for mount in container_of(name)["volumeMounts"]}

    assert set(mounted) == {settings_of(name)["LEDGER_DATA_DIR"], "/" + "tmp"}
    assert set(mounted.values()) == {volume["name"] for volume in pod_of(name)["spec"]["volumes"]}


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_service_takes_its_settings(name):
    values = settings_of(name)

    assert set(values) <= set(known_names())
    assert Settings.load(values).is_production


def test_the_secrets_of_the_example_start_nothing():
    values = settings_of(WORKLOADS[0]) | {"LEDGER_SECRET_KEY": SECRETS["ledger-service"]["secret-key"]}

    with pytest.raises(SettingsRefused) as refused:
        Settings.load(values)
    assert [problem.about for problem in refused.value.problems] == ["LEDGER_SECRET_KEY"]


def test_only_the_migration_holds_the_login_of_the_owner():
    assert [name for name in WORKLOADS if "LEDGER_OWNER_DATABASE_URL" in settings_of(name)] == [WORKLOADS[2]]


def test_only_workers_hold_the_key_of_the_notary():
    assert [name for name in WORKLOADS if "LEDGER_NOTARY_KEY" in settings_of(name)] == [WORKLOADS[1]]


def test_no_secret_stands_in_a_file():
    for name in WORKLOADS:
        assert [one["name"] for one in container_of(name)["env"] if "value" in one] == []
    for values in SECRETS.values():
        assert [value for value in values.values() if value and "REPLACE-ME" not in value] == []


def test_every_image_and_address_says_that_it_is_a_placeholder():
    images = {container_of(name)["image"] for name in WORKLOADS} | {
        one["newName"] for one in KUSTOMIZATION["images"]
    }
    assert {image.split("/")[0] for image in images} == {"registry.invalid"}
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml"))
    for cidr in re.findall(r"cidr: (\d[\d./]+)", text):
        assert cidr.startswith("192.0.2.") or cidr == "0.0.0.0/0"


@pytest.mark.parametrize("name", WORKLOADS[:2])
def test_there_are_two_of_each_and_one_of_them_always_stays(name):
    deployment, budget = THINGS[name], THINGS[f"PodDisruptionBudget/{name.partition('/')[2]}"]

    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert budget["spec"]["minAvailable"] == 1
    assert budget["spec"]["selector"] == deployment["spec"]["selector"]


@pytest.mark.parametrize("name", WORKLOADS[:2])
def test_a_pod_has_the_time_to_drain(name):
    pause = container_of(name)["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert pod_of(name)["spec"]["terminationGracePeriodSeconds"] >= 2 * (pause + DRAIN_SECONDS)


@pytest.mark.parametrize("name", WORKLOADS[:2])
def test_probes_ask_what_there_is(name):
    container, values = container_of(name), settings_of(name)
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    assert set(ports.values()) <= {values["LEDGER_PORT"], values["LEDGER_METRICS_PORT"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe].get("httpGet") or container[probe]["tcpSocket"]
        assert asked["port"] in ports
        assert "path" not in asked or PERMISSIONS[f"GET {asked['path']}"] is None


def test_every_selector_finds_a_pod():
    pods = [pod_of(name)["metadata"]["labels"] for name in WORKLOADS]
    for name, thing in THINGS.items():
        spec = thing.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        wanted = selector.get("matchLabels", selector)
        found = [labels for labels in pods if wanted.items() <= labels.items()]
        assert found or not wanted, name
    assert THINGS["Service/ledger-api"]["spec"]["selector"] == pods[0]


def test_nothing_is_let_in_or_out_that_no_policy_names():
    denied = THINGS["NetworkPolicy/ledger-nothing-else"]["spec"]

    assert denied["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & denied.keys()
    for labels in (pod_of(name)["metadata"]["labels"] for name in WORKLOADS):
        assert denied["podSelector"]["matchLabels"].items() <= labels.items()


def ways_out(labels: dict) -> Iterator[dict]:
    """What pods with these labels may speak to, rule by rule."""
    for thing in THINGS.values():
        if thing["kind"] != "NetworkPolicy" or "Egress" not in thing["spec"]["policyTypes"]:
            continue
        selector = thing["spec"]["podSelector"]
        chosen = selector["matchLabels"].items() <= labels.items()
        if chosen and all(
            labels[one["key"]] in one["values"] for one in selector.get("matchExpressions", ())
        ):
            yield from thing["spec"].get("egress", ())


def endpoint_of_the_collector() -> tuple[str, str, int]:
    """Name, namespace and port of the collector that the settings would send traces to."""
    text = (FOLDER / "settings.yaml").read_text(encoding="utf-8")
    (found,) = re.findall(
        r"# LEDGER_OTLP_ENDPOINT: http://([\w-]+)\.([\w-]+)\.svc:(\d+)$", text, re.MULTILINE
    )
    return found[0], found[1], int(found[2])


@pytest.mark.parametrize(("name", "sends"), list(zip(WORKLOADS, (1, 1, 0), strict=True)))
def test_what_serves_reaches_the_collector_of_the_settings_and_nothing_else_beside_it(name, sends):
    collector, namespace, port = endpoint_of_the_collector()
    reached = [
        rule
        for rule in ways_out(pod_of(name)["metadata"]["labels"])
        if {"protocol": "TCP", "port": port} in rule["ports"]
    ]

    assert len(reached) == sends
    for rule in reached:
        assert rule == {
            "to": [
                {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                    "podSelector": {"matchLabels": {"app.kubernetes.io/name": collector}},
                }
            ],
            "ports": [{"protocol": "TCP", "port": port}],
        }


def test_the_service_takes_the_collector_of_the_settings():
    collector, namespace, port = endpoint_of_the_collector()
    endpoint = f"http://{collector}.{namespace}.svc:{port}"

    values = settings_of(WORKLOADS[0]) | {"LEDGER_OTLP_ENDPOINT": endpoint}
    assert Settings.load(values).otlp_endpoint is not None


def test_nothing_goes_out_on_whatever_port():
    rules = [rule for name in WORKLOADS for rule in ways_out(pod_of(name)["metadata"]["labels"])]

    assert [rule for rule in rules if not rule.get("ports") or not rule.get("to")] == []


def test_what_is_applied_together_is_there():
    assert set(KUSTOMIZATION["resources"]) == set(FILES) - {"migration.yaml", "secrets.example.yaml"}


def test_what_the_migration_needs_is_applied_before_it():
    """The job runs before the rest is applied; without its service account no pod of it is made."""
    steps = DEPLOYING.read_text(encoding="utf-8")
    applied = re.findall(r"kubectl apply [^\n`]*deploy/kubernetes/?([\w.-]*)", steps)
    pod = pod_of(WORKLOADS[2])["spec"]
    needed = {f"ServiceAccount/{pod['serviceAccountName']}", "ConfigMap/ledger-settings"}

    before = applied[: applied.index("migration.yaml")]
    assert needed <= {f"{one['kind']}/{one['metadata']['name']}" for name in before for one in FILES[name]}
