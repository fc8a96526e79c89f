"""Kafka settings in librdkafka's words, said again for the client that Faust reads with."""

import ssl
import subprocess
from pathlib import Path

import pytest

from streams.errors import SettingsError
from streams.interests.faust_options import consumer_options
from streams.settings import KafkaSettings


def options(**client: str | int | float | bool) -> dict[str, object]:
    named = {name.replace("_", "."): value for name, value in client.items()}
    return consumer_options(KafkaSettings(bootstrap_servers="a:1,b:2", client=named), "group")


def test_plain_settings() -> None:
    settings = KafkaSettings(
        bootstrap_servers="a:1,b:2", session_timeout_ms=9_000, max_poll_interval_ms=50_000
    )
    found = consumer_options(settings, "readers")
    assert found["bootstrap_servers"] == ["a:1", "b:2"]
    assert found["group_id"] == "readers"
    assert found["session_timeout_ms"] == 9_000
    assert found["heartbeat_interval_ms"] == 3_000
    assert found["max_poll_interval_ms"] == 50_000
    assert found["security_protocol"] == "PLAINTEXT"
    assert "ssl_context" not in found


def test_sasl() -> None:
    found = options(
        security_protocol="sasl_plaintext",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="reader",
        sasl_password="secret",
    )
    assert found["security_protocol"] == "SASL_PLAINTEXT"
    assert found["sasl_mechanism"] == "SCRAM-SHA-512"
    assert found["sasl_plain_username"] == "reader"
    assert found["sasl_plain_password"] == "secret"


def test_static_membership_and_rack() -> None:
    found = options(group_instance_id="one", client_rack="r1", client_id="me")
    assert (found["group_instance_id"], found["client_rack"], found["client_id"]) == ("one", "r1", "me")


def test_tls_verifies_by_default() -> None:
    context = options(security_protocol="SSL")["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_tls_with_an_authority_and_a_client_certificate(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test"
    made = subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(certificate)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip("openssl is not there")
    context = options(
        security_protocol="SASL_SSL",
        ssl_ca_location=str(certificate),
        ssl_certificate_location=str(certificate),
        ssl_key_location=str(key),
    )["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert [each["subject"] for each in context.get_ca_certs()] == [((("commonName", "test"),),)]


@pytest.mark.parametrize(
    ("name", "value", "hostname", "mode"),
    [
        ("ssl_endpoint_identification_algorithm", "none", False, ssl.CERT_REQUIRED),
        ("ssl_endpoint_identification_algorithm", "https", True, ssl.CERT_REQUIRED),
        ("enable_ssl_certificate_verification", False, False, ssl.CERT_NONE),
        ("enable_ssl_certificate_verification", "true", True, ssl.CERT_REQUIRED),
    ],
)
def test_tls_checks_can_be_loosened(name: str, value: object, hostname: bool, mode: ssl.VerifyMode) -> None:
    context = options(security_protocol="SSL", **{name: value})["ssl_context"]  # type: ignore[arg-type]
    assert isinstance(context, ssl.SSLContext)
    assert (context.check_hostname, context.verify_mode) == (hostname, mode)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.client"):
        options(security_protocol="SSL", ssl_ca_location=str(tmp_path / "none.pem"))


def test_what_concerns_producers_or_tuning_alone_is_passed_over() -> None:
    assert options(linger_ms=5, socket_keepalive_enable=True) == options()


@pytest.mark.parametrize("name", ["sasl.oauthbearer.method", "ssl.keystore.location", "isolation.level"])
def test_what_cannot_be_followed_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        consumer_options(KafkaSettings(client={name: "x"}), "group")
