"""The error of a store that was asked for something impossible."""

from healthsync_mqtt.errors import StoreError


class DefectError(StoreError):
    """The program asked the store for something that cannot be: trying again would change nothing."""

    reason = "defect"
    retryable = False
