"""compose.yaml and deploy/Dockerfile fit the files and settings there are; no container engine is needed to see that."""

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Final

import pytest
import yaml

from ledger.api.permissions import PERMISSIONS
from ledger.settings import known_names

ROOT: Final = Path(__file__).resolve().parents[1]
COMPOSE: Final = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Final = COMPOSE["services"]
PROMETHEUS: Final = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8"))
DOCKERFILE: Final = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
STAGES: Final = re.split(r"(?m)^FROM ", DOCKERFILE)[1:]
PROVISIONING: Final = ROOT / "deploy/grafana/provisioning"


def mounts_of(name: str) -> dict[str, str]:
    """Where what is mounted comes from, by where it is found inside."""
    return {
        inside: source for source, inside, *_ in (one.split(":") for one in SERVICES[name].get("volumes", ()))
    }


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name):
    for source in mounts_of(name).values():
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_waits_for_containers_that_there_are(name):
    assert set(SERVICES[name].get("depends_on", ())) <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_for_this_machine_alone(name):
    assert [port for port in SERVICES[name].get("ports", ()) if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize(
    "name", sorted(set(SERVICES) - {"database"})
)  # which prepares its volume as root, and steps down
def test_a_container_may_do_no_more_than_it_needs(name):
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


def test_the_service_and_all_that_it_needs_is_there():
    assert set(SERVICES) == {"database", "ledger", "redis", "prometheus", "grafana"}


def test_the_service_counts_where_redis_is():
    assert SERVICES["ledger"]["environment"]["LEDGER_REDIS_URL"].startswith("redis://redis:6379/")
    assert "ports" not in SERVICES["redis"]


def test_the_service_writes_to_volumes_alone():
    ledger = SERVICES["ledger"]

    assert ledger["read_only"] is True
    assert set(mounts_of("ledger")) | set(ledger["tmpfs"]) == {"/var/lib/ledger", "/" + "tmp"}


def test_what_builds_the_image_is_not_in_it():
    build, final = STAGES

    assert build.splitlines()[0].endswith(" AS build")
    assert re.findall(r"^COPY (?!--from=build)", final, re.MULTILINE) == []
    assert "--require-hashes" in build
    assert "pip" not in final
    (copied,) = re.findall(r"^COPY --from=build (\S+) \1$", final, re.MULTILINE)
    assert f"venv --without-pip {copied}\n" in build
    assert (
        f"pip --python {copied} install --no-cache-dir --require-hashes -r requirements/service.txt\n"
        in build
    )


def test_what_is_copied_into_the_build_is_there():
    for line in re.findall(r"^COPY (?!--from)(.+)$", STAGES[0], re.MULTILINE):
        *sources, _ = line.split()
        assert [one for one in sources if not (ROOT / one).exists()] == []


def test_the_image_runs_as_nobody_in_particular():
    (user,) = re.findall(r"^USER (\d+):(\d+)$", STAGES[-1], re.MULTILINE)

    assert user == ("10001", "10001")


def test_the_image_says_whether_it_is_ready():
    (asked,) = re.findall(r"http://127\.0\.0\.1:8002(/\S+?)'", STAGES[-1])

    assert PERMISSIONS[f"GET {asked}"] is None


def test_every_setting_of_the_image_is_one_and_none_a_secret():
    named = set(re.findall(r"\b(LEDGER_\w+)=", STAGES[-1]))

    assert named == {"LEDGER_ENVIRONMENT", "LEDGER_HOST", "LEDGER_DATA_DIR"}
    assert named <= set(known_names())


def test_every_setting_of_the_service_is_one():
    assert set(SERVICES["ledger"]["environment"]) <= set(known_names())


def test_no_secret_has_a_default():
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")

    assert re.findall(r"\$\{(\w+):-[^}]", text) == []


def required() -> set[str]:
    """What has to be chosen before anything starts: variables are looked at for all containers, started or not."""
    return set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text(encoding="utf-8")))


def started(*profiles: str) -> set[str]:
    """What 'docker compose up' starts with these profiles."""
    return {
        name
        for name, one in SERVICES.items()
        if "profiles" not in one or set(profiles) & set(one["profiles"])
    }


def test_what_the_readme_says_chooses_all_that_is_required(tmp_path):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = (
        found for found in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "docker compose" in found
    )
    *choosing, starting = block.strip().splitlines()
    subprocess.run(["sh", "-ec", "\n".join(choosing)], cwd=tmp_path, check=True)
    chosen = dict(line.split("=") for line in (tmp_path / ".env").read_text().splitlines())

    assert starting == "docker compose up"
    assert set(chosen) == required()
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in chosen.values())
    assert len(set(chosen.values())) == len(chosen)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_what_watches_is_started_for_whoever_wants_it():
    assert started() == {"database", "ledger", "redis"}
    assert started("watched") == set(SERVICES)
    for name in started():
        assert set(SERVICES[name].get("depends_on", ())) <= started()


@pytest.mark.parametrize(
    ("password", "said"), [("", "GRAFANA_PASSWORD is missing"), ("a-password", "/run.sh")]
)
def test_grafana_starts_with_a_password_that_was_chosen_and_not_without(password, said):
    script = SERVICES["grafana"]["entrypoint"][-1].replace("$$", "$")
    environ = {**os.environ, "GF_SECURITY_ADMIN_PASSWORD": password}

    ran = subprocess.run(  # there is no /run.sh here: to look for it is to have come so far
        ["/bin/sh", "-c", script], env=environ, capture_output=True, text=True, check=False
    )

    assert ran.returncode != 0
    assert said in ran.stderr
    assert ("is missing" in ran.stderr) == (not password)


def test_prometheus_asks_where_the_service_serves_its_metrics():
    port = SERVICES["ledger"]["environment"]["LEDGER_METRICS_PORT"]
    (job,) = PROMETHEUS["scrape_configs"]

    assert job["static_configs"] == [{"targets": [f"ledger:{port}"]}]


def test_alerts_are_about_the_job_that_prometheus_asks():
    (job,) = PROMETHEUS["scrape_configs"]
    rules = (ROOT / "deploy/prometheus/rules.yml").read_text(encoding="utf-8")

    assert set(re.findall(r'job="([^"]+)"', rules)) == {job["job_name"]}


def test_prometheus_finds_its_alerts_where_they_are_mounted():
    folder = ROOT / mounts_of("prometheus")["/etc/prometheus"]

    for path in PROMETHEUS["rule_files"]:
        assert (folder / Path(path).relative_to("/etc/prometheus")).is_file()


def test_grafana_finds_its_dashboard_and_its_source():
    mounted = mounts_of("grafana")
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards/ledger.yml").read_text())["providers"]
    (source,) = yaml.safe_load((PROVISIONING / "datasources/prometheus.yml").read_text())["datasources"]

    assert (ROOT / mounted["/etc/grafana/provisioning"]) == PROVISIONING
    assert f"{provider['options']['path']}/ledger.json" in mounted
    assert source["url"] == "http://prometheus:9090"
    assert "127.0.0.1:9090:9090" in SERVICES["prometheus"]["ports"]
