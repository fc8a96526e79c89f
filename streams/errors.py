"""The exception tree of the product. Errors of `encoders` and `state` are converted at the boundary.

PenchantError
├── SettingsError        a setting is wrong: names the key and the mend
├── BrokerError          the local broker cannot be fetched, started or stopped
├── TopicError           a topic is missing or not as it must be
├── RecordError          a record cannot be used: goes to `dead-letters`; `reason` is its error class
├── EngineError          the engine cannot go on
│   ├── OwnershipLost    another process owns the partition now
│   │   └── Superseded   another model serves now
│   ├── CommitFailed     a transaction failed, or nobody knows how it ended
│   ├── SourceTrimmed    records that were not read yet were cut by retention
│   ├── SourceRecreated  the source topic is not the one that the place belongs to
│   └── ChangelogCut     states that no local store has are no longer in the changelog
├── PromotionError       another model cannot serve now
├── RenameError          a deployment cannot get another name now
└── InputError           a file or an argument given to a command is wrong
"""


class PenchantError(Exception):
    """Root of all errors that a command shows as one line."""


class SettingsError(PenchantError):
    """A setting is wrong."""


class BrokerError(PenchantError):
    """The local broker cannot be fetched, started or stopped."""


class TopicError(PenchantError):
    """A topic is missing or not as it must be."""


class RecordError(PenchantError):
    """A record cannot be used. `reason` is a short word for metrics and headers, such as `not_json`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class EngineError(PenchantError):
    """The engine cannot go on; the process ends and the replay finds its guards."""


class OwnershipLost(EngineError):
    """Another process owns the partition now."""


class Superseded(OwnershipLost):
    """Another model serves now, so that states of this one must not be written here."""


class CommitFailed(EngineError):
    """A transaction failed, or its end is unknown: the partition must be opened anew."""


class SourceTrimmed(EngineError):
    """Records that were not read yet were cut by retention."""


class SourceRecreated(EngineError):
    """The source topic is not the one that the place belongs to."""


class ChangelogCut(EngineError):
    """States that no local store has are no longer in the changelog."""


class PromotionError(PenchantError):
    """Another model cannot serve now."""


class RenameError(PenchantError):
    """A deployment cannot get another name now."""


class InputError(PenchantError):
    """A file or an argument given to a command is wrong."""
