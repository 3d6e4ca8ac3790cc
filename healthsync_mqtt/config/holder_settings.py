"""Settings of services that hold the outer key."""

from pathlib import Path
from typing import Literal

from healthsync_mqtt.config.sections import Section

HolderName = Literal["vault", "aws", "google", "azure"]


class HolderSettings(Section):
    """A service that holds the outer key of what is sealed. Secrets are in private files alone."""

    url: str = ""
    """Where it is: the address of Vault, of an Azure vault; else nothing: where the provider says."""
    key: str = ""
    """Its key: a name (``healthsync``), an id or ARN (AWS), ``projects/…/cryptoKeys/…`` (Google)."""
    ca_file: Path | None = None
    """The CA of its certificate; nothing: those that this machine trusts."""
    mount: str = ""
    """Where the transit engine is (Vault); nothing: ``transit``."""
    namespace: str = ""
    """The namespace (Vault)."""
    token_file: Path | None = None
    """A private file with the token, which an agent may renew (Vault)."""
    region: str = ""
    """The region of the key (AWS)."""
    credentials_file: Path | None = None
    """A private file with the credentials: AWS's ``AccessKeyId`` and ``SecretAccessKey``, or the key of a service
    account (Google)."""
    tenant: str = ""
    """The directory of the application (Azure)."""
    client_id: str = ""
    """The id of the application (Azure)."""
    client_secret_file: Path | None = None
    """A private file with its secret (Azure)."""
    login_url: str = ""
    """Where tokens come from (Azure, Google); nothing: where the provider says."""
