"""Settings for librdkafka, said again for aiokafka, which Faust reads with."""

import ssl
from typing import Any

from streams.errors import SettingsError
from streams.settings import KafkaSettings

_SAME = {
    "client.id": "client_id",
    "client.rack": "client_rack",
    "group.instance.id": "group_instance_id",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "sasl.kerberos.service.name": "sasl_kerberos_service_name",
}

_SSL = (
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
)

_OF_PRODUCERS_OR_TUNING = frozenset(
    {
        "batch.num.messages",
        "batch.size",
        "broker.address.family",
        "compression.level",
        "debug",
        "linger.ms",
        "log_level",
        "message.max.bytes",
        "metadata.max.age.ms",
        "reconnect.backoff.max.ms",
        "reconnect.backoff.ms",
        "retry.backoff.ms",
        "socket.keepalive.enable",
        "socket.timeout.ms",
        "statistics.interval.ms",
        "topic.metadata.refresh.interval.ms",
    }
)


def consumer_options(settings: KafkaSettings, group: str) -> dict[str, Any]:
    """Settings of aiokafka's consumer. Raises SettingsError for a client setting that it does not know."""
    client = dict(settings.client)
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "group_id": group,
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.session_timeout_ms // 3,
        "rebalance_timeout_ms": settings.max_poll_interval_ms,
        "max_poll_interval_ms": settings.max_poll_interval_ms,
        "request_timeout_ms": max(20_000, settings.session_timeout_ms),
        "security_protocol": str(client.pop("security.protocol", "PLAINTEXT")).upper(),
    }
    if options["security_protocol"] in ("SSL", "SASL_SSL"):
        options["ssl_context"] = _ssl_context(client)
    for name, option in _SAME.items():
        if name in client:
            options[option] = client.pop(name)
    unknown = sorted(name for name in client if name not in _OF_PRODUCERS_OR_TUNING)
    if unknown:
        raise SettingsError(
            f"kafka.client: {', '.join(unknown)}: the interests worker reads through Faust, which knows "
            f"{', '.join(sorted((*_SAME, *_SSL, 'security.protocol')))}"
        )
    return options


def _ssl_context(client: dict[str, Any]) -> ssl.SSLContext:
    given = {name: client.pop(name, None) for name in _SSL}
    try:
        context = ssl.create_default_context(cafile=given["ssl.ca.location"])
        if given["ssl.certificate.location"]:
            context.load_cert_chain(
                given["ssl.certificate.location"], given["ssl.key.location"], given["ssl.key.password"]
            )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"kafka.client: the TLS files cannot be used: {error}") from error
    if given["ssl.endpoint.identification.algorithm"] == "none":
        context.check_hostname = False
    if str(given["enable.ssl.certificate.verification"]).lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
