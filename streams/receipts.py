"""Sends commands about users, and waits for their receipts."""

import time
import uuid

import msgspec

from streams import kafka, reach
from streams.delivery import CheckedProducer
from streams.errors import InputError, TopicError
from streams.records import UserCommand, UserReceipt
from streams.settings import Settings

POLL_SECONDS = 0.2


def receipt_text(receipt: UserReceipt) -> str:
    """What became of the command, for people."""
    user, into = receipt.user_id, receipt.into
    if receipt.refused is not None:
        return f"not done: {_REFUSALS[receipt.command, receipt.refused].format(user=user, into=into)}"
    if receipt.command == "forget":
        with_it = "" if into is None else f"; {into}, whose part {user} had become, is forgotten with it"
        return f"done{with_it}" if receipt.found else f"done: nothing was held{with_it}"
    done = f"done: {user} is part of {into} now"
    if not receipt.found:
        done += f"; nothing was held, and what comes from now on is {into}'s"
    if receipt.lapsed:
        old = ", ".join(receipt.lapsed)
        done += f"; it has too many old ids, and what comes under {old} is not its own any more"
    return done


_REFUSALS = {
    ("forget", "merged_later"): "by a later merge, {user} is part of {into}; forget {into} to forget all",
    ("merge", "merged_later"): "a later merge of {user} holds",
    ("merge", "forgotten_later"): "{user} was forgotten, as of a later time",
    ("merge", "into_forgotten_later"): (
        "{into} was forgotten, as of a later time, and with it what {user} did before"
    ),
}


class Desk:
    """Make it before a command is sent: receipts are read from their present end. Raises TopicError."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._decoder = msgspec.json.Decoder(UserReceipt)
        topic = settings.topics.user_receipts
        self._consumer = kafka.consumer(settings.kafka, f"penchant-{settings.app.name}-receipts")
        try:
            self._consumer.assign(
                reach.ends(self._consumer, reach.partitions(self._consumer, settings, [topic]))
            )
        except BaseException:
            self.close()
            raise

    def send(self, command: UserCommand) -> str:
        """Send it; returns its id. Raises InputError and TopicError."""
        name = command.command_id or uuid.uuid4().hex
        whole = msgspec.structs.replace(command, command_id=name)
        problems: list[str] = []
        try:
            msgspec.convert(msgspec.to_builtins(whole), UserCommand)
        except msgspec.ValidationError as error:
            raise InputError(str(error)) from error
        producer = CheckedProducer(self._settings, self._settings.topics.user_commands, problems.append)
        producer.send(whole.user_id, whole.user_id.encode(), msgspec.json.encode(whole))
        if producer.finish().lost:
            raise TopicError("; ".join(problems))
        return name

    def wait(self, command_id: str, seconds: float) -> UserReceipt:
        """Raises TopicError where no receipt comes within so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in self._consumer.consume(100, POLL_SECONDS):
                error, value = message.error(), message.value()
                if error is not None:
                    raise TopicError(f"{self._settings.topics.user_receipts}: {error.str()}")
                if value is not None:
                    receipt = self._decoder.decode(value)
                    if receipt.command_id == command_id:
                        return receipt
        raise TopicError(
            f"no receipt for {command_id} within {seconds:g} s: it is done as soon as an encode worker and "
            "an interests worker run; `penchant doctor` checks the rest"
        )

    def close(self) -> None:
        self._consumer.close()
