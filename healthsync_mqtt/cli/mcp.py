"""healthsync mcp: what a person's assistant may read, over stdin and stdout."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from healthsync_mqtt.errors import ConfigError


def mcp(
    *,
    url: Annotated[str, typer.Option(help="The gateway: https://host:port.")],
    token_file: Annotated[Path, typer.Option(help="The file (mode 0600) that holds the token.")],
    ca_file: Annotated[Path | None, typer.Option(help="The CA of the gateway's certificate.")] = None,
) -> None:
    """Let an assistant read a person's data by the Model Context Protocol: it starts this command, and speaks with it.

    Example: healthsync mcp --url https://localhost:8443 --token-file assistant.token --ca-file data/certs/ca.crt
    """
    if find_spec("mcp") is None:
        raise ConfigError("mcp is not installed", hint="in the checkout: pip install '.[mcp]'")
    from healthsync_mqtt.assistant.questions import GatewayQuestions

    asking = GatewayQuestions.of(url, token_file, ca_file)
    from healthsync_mqtt.assistant.tools import serve

    serve(asking)
