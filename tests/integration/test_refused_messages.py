"""What a device sent in vain is shown to whoever looks after it: a client of MQTT 3.1.1 is not told by its PUBACK."""

from pathlib import Path

from typer.testing import CliRunner

from healthsync_mqtt.cli.main import program
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.mqtt.codec import encode_publish
from tests.support.identities import logins
from tests.support.service import Service, run_cli
from tests.support.wire import connect, read_exactly


def test_device_show_why_and_doctor_name_messages_that_went_nowhere(tmp_path: Path) -> None:
    """They were counted, and remembered for nobody to ask."""
    data = tmp_path / "data"
    quiet, loud = logins(data, users=1, devices=2)
    with Service(data) as service:
        assert run_cli(data, "device", "show", quiet.user, quiet.device)[0]["messages_refused"] == []
        assert "messages" not in {each["check"] for each in run_cli(data, "doctor", check=False)}
        with connect(service.mqtt, loud) as line:
            for number, (topic, size) in enumerate(
                ((f"{loud.topic}/", 2), (loud.topic, LimitSettings().max_packet)), 1
            ):
                line.sendall(encode_publish(topic.encode(), b"x" * size, 1, False, False, number))
                read_exactly(line, 4)
        for command in ("show", "why"):
            (shown,) = run_cli(data, "device", command, loud.user, loud.device)
            assert [(each["reason"], each["topic"]) for each in shown["messages_refused"]] == [
                ("packet_too_large", loud.topic),
                ("not_allowed", f"{loud.topic}/"),
            ]
            assert f"device show {loud.user} {loud.device}" in shown["messages_refused"][1]["what_to_do"]
        # It was here, so that nobody is asked whether it reaches the service.
        done = CliRunner().invoke(program(["device"]), ["device", "why", loud.user, loud.device, "--data", str(data)])
        assert done.stdout.index("longer than the service takes") < done.stdout.index("may not publish on this topic")
        assert "Does it reach" not in done.stderr
        (found,) = (each for each in run_cli(data, "doctor", check=False) if each["check"] == "messages")
        assert found["grade"] == "note"
        assert f"{loud.client_id} (packet_too_large)" in found["message"]
        assert quiet.client_id not in found["message"]
