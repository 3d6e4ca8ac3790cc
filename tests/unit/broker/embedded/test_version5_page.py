"""The page on MQTT 5 names every code that the door sends and every property that it fills in."""

from pathlib import Path

from healthsync_mqtt.broker.embedded.admission import LEAST_PACKET, METHOD
from healthsync_mqtt.broker.embedded.dialect import MOST_ALIASES as ALIASES_OUT
from healthsync_mqtt.broker.embedded.farewells import CODES
from healthsync_mqtt.broker.embedded.protocol import MOST_ALIASES
from healthsync_mqtt.broker.embedded.wills import MOST
from healthsync_mqtt.mqtt.codec.v5.properties import MAX_REPEATED
from healthsync_mqtt.mqtt.replies import LISTED

PAGE = (Path(__file__).parents[4] / "docs/howto/mqtt5.md").read_text(encoding="utf-8")


def test_every_code_of_a_disconnect_is_explained() -> None:
    table = PAGE.split("## When the server ends a connection")[1].split("## Sessions")[0]
    assert {f"0x{int(code):02X}" for code in CODES.values()} == {
        word for word in table.replace("|", " ").replace(",", " ").split() if word.startswith("0x")
    }


def test_user_properties_and_bounds_are_those_of_the_code() -> None:
    for name in (
        "stored",
        "duplicate",
        "rejected",
        "seq",
        "epoch",
        "reason",
        "field",
        "held",
        "ignored",
        LISTED,
        METHOD,
    ):
        assert f"`{name}`" in PAGE, name
    for bound in (MOST_ALIASES, ALIASES_OUT, LEAST_PACKET, MAX_REPEATED):
        assert f"{bound}" in PAGE
    assert f"{MOST:,}" in PAGE
