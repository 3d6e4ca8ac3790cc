"""The settings of insights: whose language model phrases them, and where it may be."""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from healthsync_mqtt.config.networks import is_loopback
from healthsync_mqtt.config.sections import Seconds, Section


def _model(url: str) -> str:
    there = urlsplit(url)
    if not url:
        return ""
    if there.username or there.password or there.query or there.fragment or not there.hostname:
        raise ValueError("it must be a URL without a login, such as https://models.example.org/v1")
    if there.scheme != "https" and (there.scheme != "http" or not is_loopback(there.hostname)):
        raise ValueError("a language model is asked by https, or by http on this machine (127.0.0.1, ::1, localhost)")
    return url.rstrip("/")


class ModelSettings(Section):
    """A language model that phrases weekly reports, of those users' insights who agree to the purpose analysis."""

    url: Annotated[str, AfterValidator(_model)] = ""
    """Where it is, with OpenAI's API: http://127.0.0.1:11434/v1; elsewhere by https. Nothing: none is asked."""
    name: Annotated[str, Field(max_length=200)] = ""
    """What the server calls it."""
    key_file: Path | None = None
    """A private file with the key of the server, where it wants one."""
    answer_s: Seconds = 120.0
    """Seconds that it has for an answer."""

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.url and not self.name:
            raise ValueError("a model has a name, too: what its server calls it")
        return self


class InsightSettings(Section):
    """Insights."""

    model: ModelSettings = ModelSettings()
