"""The group's assignment on aiokafka: each member says what it has, and the leader places by it."""

from collections.abc import Iterable, Mapping
from typing import Protocol

import msgspec
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from streams.engine.placement import Claim, Rules, Told, place

_VERSION = 0

_claims = msgspec.msgpack.Decoder(Claim)
_tellings = msgspec.msgpack.Decoder(Told)


class Member(Protocol):
    """This worker, as the assignor knows it."""

    topic: str
    rules: Rules

    def claim(self) -> Claim: ...

    def tell(self, owned: tuple[int, ...], told: Told) -> None:
        """What the group's new assignment gives to this worker."""
        ...


class WarmAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """For one consumer: `metadata` is called on joining, `assign` on the leader, then `on_assignment`."""

    name = "penchant-warm"

    def __init__(self, member: Member) -> None:
        self._member = member

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        claim = msgspec.msgpack.encode(self._member.claim())
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), claim)

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        topic = self._member.topic
        claims = {name: _claims.decode(metadata.user_data) for name, metadata in members.items()}
        epoch = 1 + max(claim.epoch for claim in claims.values())
        shares = place(sorted(cluster.partitions_for_topic(topic) or ()), claims, self._member.rules)
        return {
            name: ConsumerProtocolMemberAssignment(
                _VERSION,
                [(topic, share.owned)],
                msgspec.msgpack.encode(Told(epoch, tuple(share.standbys), tuple(share.awaited))),
            )
            for name, share in shares.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        owned = tuple(partition.partition for partition in assignment.partitions())
        self._member.tell(owned, _tellings.decode(assignment.user_data))
