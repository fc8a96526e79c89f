"""The files of deploy/, as far as they can be checked without a container engine."""

import fnmatch
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from streams import metrics
from streams.cli import COMMANDS
from streams.settings import AppSettings, MetricsSettings, Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
YAML = sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")])
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "penchant.json"
PROCESS_METRICS = {"process_resident_memory_bytes"}
WORDS = {
    *("absent", "and", "by", "count", "group_left", "histogram_quantile", "increase", "max", "on", "or"),
    *("rate", "sum", "time", "up"),
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def compose() -> Any:
    return read(DEPLOY / "compose.yaml")


def series() -> dict[str, set[str]]:
    """Name of every series that the product serves, to the names of its labels."""
    found: dict[str, set[str]] = {}
    for value in vars(metrics).values():
        if not isinstance(value, Counter | Gauge | Histogram | metrics.BatchHistogram):
            continue
        labels = set(getattr(value, "_labelnames", ()))
        for family in value.describe():
            if family.type == "histogram":
                found[f"{family.name}_bucket"] = labels | {"le"}
                found[f"{family.name}_sum"] = found[f"{family.name}_count"] = labels
            else:
                found[f"{family.name}_total" if family.type == "counter" else family.name] = labels
    return found


def panels() -> list[Any]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def rules() -> list[Any]:
    return [rule for group in read(DEPLOY / "alerts.yml")["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (target["expr"] for panel in panels() for target in panel["targets"])
    yield from (rule["expr"] for rule in rules())


def names(expression: str) -> set[str]:
    """Words of an expression outside quotes, braces, ranges and lists of labels."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', "", expression)
    bare = re.sub(r"\b(by|on|group_left)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_]*", bare)) - WORDS


@pytest.mark.parametrize("path", YAML, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_yaml_parses(path: Path) -> None:
    assert isinstance(read(path), dict)


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_every_metric_exists_with_its_labels(expression: str) -> None:
    known = series()
    used = names(expression)
    assert used <= known.keys() | PROCESS_METRICS
    labels = {"job", "instance"}.union(*(known.get(name, set()) for name in used))
    for listed in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        assert {label.strip() for label in listed.split(",") if label.strip()} <= labels
    for selector in re.findall(r"\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*[=!]", selector)) <= labels
    assert expression.count("(") == expression.count(")")


def test_every_metric_of_the_product_is_on_the_dashboard() -> None:
    shown = set().union(*(names(target["expr"]) for panel in panels() for target in panel["targets"]))
    shown = {re.sub("_(bucket|sum|count)$", "", name) for name in shown}
    served = {re.sub("_(bucket|sum|count)$", "", name) for name in series()}
    assert served - shown == set()


def test_legends_name_labels_that_are_there() -> None:
    for panel in panels():
        for target in panel["targets"]:
            known = set().union(*(series().get(name, set()) for name in names(target["expr"])))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known | {"job", "instance"}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


def test_panels_have_numbers_and_the_provisioned_source() -> None:
    source = read(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]
    numbers = [panel["id"] for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert {panel["datasource"]["uid"] for panel in panels()} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"


def test_alerts_say_what_to_do() -> None:
    alerts = [rule["alert"] for rule in rules()]
    assert len(set(alerts)) == len(alerts)
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"]


def test_alerts_cover_what_matters() -> None:
    used = set().union(*(names(rule["expr"]) for rule in rules()))
    assert used >= {
        "penchant_consumer_lag",
        "penchant_freshness_seconds_bucket",
        "penchant_dead_letters_total",
        "penchant_last_commit_timestamp_seconds",
        "penchant_ready",
    }


def test_summaries_name_labels_that_the_expression_keeps() -> None:
    known = series()
    for rule in rules():
        labels = {"job", "instance"}.union(*(known.get(name, set()) for name in names(rule["expr"])))
        assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= labels


def test_prometheus_scrapes_services_of_the_composition() -> None:
    config = read(DEPLOY / "prometheus.yml")
    services = compose()["services"]
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in config["scrape_configs"]}
    assert jobs.keys() == {"penchant-encode", "penchant-interests", "penchant-describe"}
    for found in jobs.values():
        assert services[found["names"][0]]["image"] == "penchant"
        assert found["port"] == MetricsSettings().port
    mounted = [volume.split(":")[1] for volume in services["prometheus"]["volumes"]]
    assert set(config["rule_files"]) <= set(mounted)


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_variables_of_the_compositions_are_settings(name: str) -> None:
    for service in read(DEPLOY / name)["services"].values():
        variables = {
            key: value for key, value in service.get("environment", {}).items() if key.startswith("PENCHANT_")
        }
        # An unknown variable raises.
        assert load_settings(ROOT / "docs/penchant.toml", variables).app == AppSettings()


def test_variables_of_the_image_are_settings() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    variables = dict(re.findall(r"^\s*(?:ENV )?(PENCHANT_\w+)=(\S+)", text, re.MULTILINE))
    settings = load_settings(ROOT / "docs/penchant.toml", variables)
    assert (settings.app.data, settings.log.format) == ("/data", "json")
    assert f"EXPOSE {settings.metrics.port}" in text
    assert settings.metrics.host == "0.0.0.0"


def test_services_run_commands_that_there_are() -> None:
    for service in compose()["services"].values():
        if service["image"] == "penchant":
            assert service["command"][0] in COMMANDS
            assert (ROOT / "streams/commands" / f"{COMMANDS[service['command'][0]][0]}.py").is_file()


def test_services_wait_for_services_that_there_are() -> None:
    services = compose()["services"]
    for service in services.values():
        assert set(service.get("depends_on", [])) <= services.keys()
    assert services["encode"]["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}
    assert services["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}


def test_files_and_volumes_that_are_mounted_are_there() -> None:
    composition = compose()
    for service in composition["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            elif not source.startswith("/"):
                assert source in composition["volumes"]


def test_a_worker_has_more_time_to_stop_than_it_takes() -> None:
    for name in ("encode", "interests"):
        grace = compose()["services"][name]["stop_grace_period"]
        assert float(grace.removesuffix("s")) > AppSettings().drain_seconds


def test_the_broker_serves_where_workers_and_people_look() -> None:
    kafka = compose()["services"]["kafka"]
    listeners = dict(
        each.split("://") for each in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    )
    settings = compose()["services"]["encode"]["environment"]
    assert listeners["INSIDE"] == settings["PENCHANT_KAFKA__BOOTSTRAP_SERVERS"]
    assert listeners["OUTSIDE"].split(":")[1] == Settings().kafka.bootstrap_servers.split(":")[1]


def test_only_this_machine_reaches_the_ports() -> None:
    for service in compose()["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


class TestDockerfile:
    @staticmethod
    def instructions() -> list[list[str]]:
        text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return [shlex.split(line, posix=False) for line in lines]

    def copied(self) -> list[str]:
        copies = [words[1:-1] for words in self.instructions() if words[0] == "COPY"]
        return [source for words in copies if not words[0].startswith("--from") for source in words]

    def test_what_it_copies_is_there(self) -> None:
        assert "requirements.lock" in self.copied()
        for source in self.copied():
            assert (ROOT / source).exists(), source

    def test_what_it_copies_reaches_the_builder_and_nothing_else(self) -> None:
        lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        assert {line[1:] for line in lines if line.startswith("!")} == set(self.copied())
        assert "*" in lines

    def test_every_package_of_the_product_is_copied(self) -> None:
        packages = {path.parent.name for path in ROOT.glob("*/py.typed")}
        assert packages == {"encoders", "state", "streams"}
        assert packages <= set(self.copied())

    def test_dependencies_come_by_their_hashes(self) -> None:
        installs = [" ".join(words) for words in self.instructions() if "requirements.lock" in words]
        (install,) = [line for line in installs if line.startswith("RUN")]
        assert "--require-hashes" in install
        assert "--no-deps" in install

    def test_it_does_not_run_as_root(self) -> None:
        users = [words[1] for words in self.instructions() if words[0] == "USER"]
        assert users == ["penchant"]

    def test_it_asks_the_health_server(self) -> None:
        (check,) = [" ".join(words) for words in self.instructions() if words[0] == "HEALTHCHECK"]
        assert "/healthz" in check

    def test_it_starts_a_command_that_there_is(self) -> None:
        last = {words[0]: words[1:] for words in self.instructions()}
        assert json.loads(" ".join(last["ENTRYPOINT"])) == ["penchant"]
        assert json.loads(" ".join(last["CMD"]))[0] in COMMANDS

    def test_both_stages_are_the_same_python(self) -> None:
        images = [words[1] for words in self.instructions() if words[0] == "FROM"]
        assert len(images) == 2
        assert all(fnmatch.fnmatch(image, "python:3.11-slim") for image in images)
