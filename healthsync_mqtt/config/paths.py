"""What is where in a data directory."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPaths:
    """The files of a data directory."""

    root: Path

    @property
    def config_file(self) -> Path:
        """Settings (optional)."""
        return self.root / "healthsync.toml"

    @property
    def events_db(self) -> Path:
        """The event log."""
        return self.root / "events.db"

    @property
    def postgres_anchor(self) -> Path:
        """How far the event log was durable when it is on a server."""
        return self.root / "postgres.anchor"

    @property
    def has_run(self) -> bool:
        """Whether a service has stored events from here."""
        return self.events_db.exists() or self.postgres_anchor.exists()

    @property
    def adapters_db(self) -> Path:
        """Links to providers, and how far each was fetched."""
        return self.root / "adapters.db"

    @property
    def sessions_db(self) -> Path:
        """What the embedded broker owes to clients, and retained messages."""
        return self.root / "sessions.db"

    @property
    def homeassistant_db(self) -> Path:
        """The newest values that Home Assistant is shown."""
        return self.root / "homeassistant.db"

    @property
    def summaries_db(self) -> Path:
        """What users' days come to."""
        return self.root / "summaries.db"

    @property
    def insights_db(self) -> Path:
        """What was found of users' days."""
        return self.root / "insights.db"

    @property
    def registry_db(self) -> Path:
        """Users, devices, subscribers, consents."""
        return self.root / "registry.db"

    @property
    def keys(self) -> Path:
        """Directory of the signing keys and of the outer key."""
        return self.root / "keys"

    @property
    def keys_db(self) -> Path:
        """The wrapped data keys."""
        return self.root / "keys.db"

    @property
    def certs(self) -> Path:
        """Directory of the certificates."""
        return self.root / "certs"

    @property
    def erasures(self) -> Path:
        """The ledger of erasures: who was erased, without a name."""
        return self.root / "erasures.jsonl"

    @property
    def audit_db(self) -> Path:
        """The audit log."""
        return self.root / "audit.db"

    @property
    def audit_key(self) -> Path:
        """The key of its head and of its pseudonyms."""
        return self.keys / "audit.key"

    @property
    def credentials(self) -> Path:
        """Directory of the credentials for external brokers."""
        return self.root / "credentials"

    @property
    def hook_logins(self) -> Path:
        """Whom the access hooks have let in; without secrets."""
        return self.root / "hook-logins.jsonl"

    @property
    def service_file(self) -> Path:
        """Ports and process id of a running service."""
        return self.root / "service.json"

    @property
    def service_socket(self) -> Path:
        """The admin channel of a running service."""
        return self.root / "service.sock"

    @property
    def writer_lock(self) -> Path:
        """Held by the one process that writes the event log."""
        return self.root / "writer.lock"
