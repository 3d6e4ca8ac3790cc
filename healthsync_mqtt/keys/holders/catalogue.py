"""All services that are asked."""

from collections.abc import Callable, Mapping
from typing import Final

from healthsync_mqtt.config.holder_settings import HolderName, HolderSettings
from healthsync_mqtt.keys.holders.aws import AwsHolder
from healthsync_mqtt.keys.holders.azure import AzureHolder
from healthsync_mqtt.keys.holders.google import GoogleHolder
from healthsync_mqtt.keys.holders.port import Holder
from healthsync_mqtt.keys.holders.vault import VaultHolder

HOLDERS: Final[Mapping[HolderName, Callable[[HolderSettings], Holder]]] = {
    "vault": VaultHolder,
    "aws": AwsHolder,
    "google": GoogleHolder,
    "azure": AzureHolder,
}
