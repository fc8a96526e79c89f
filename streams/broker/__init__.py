"""A local Kafka for the demo, the tests and the benchmarks: no Java, no container and no root needed."""

from streams.broker.cluster import LocalCluster
from streams.broker.node import LocalBroker
from streams.broker.properties import ClusterOptions

__all__ = ["ClusterOptions", "LocalBroker", "LocalCluster"]
