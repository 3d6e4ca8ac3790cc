"""Requests of MQTT 5 from end to end: a code becomes a device, and its tokens renew each other on a live connection.

By a client of the standard alone, on every listener, with response topics and correlation data.
"""

import json
import struct
from typing import Any

import pytest

from tests.integration.test_enrolment import opened
from tests.integration.test_outsider_version5 import Knock, dial, entered, knock
from tests.support.inprocess import House
from tests.support.outsider import AUTH, CONNACK, PUBACK, PUBLISH, Outsider, properties, text, variable
from tests.support.peer import event

__all__ = ["dial", "knock"]
METHOD = "healthsync-token"
pytestmark = pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.001}], ids=["quick refusals"])


async def asked(client: Outsider, answers: str, data: bytes = b"", **request: str) -> dict[str, Any]:
    """A request whose answer comes on ``answers`` with the same correlation data, and says how it is to be read."""
    said = await client.put(
        answers.replace("response", "request"),
        json.dumps(request).encode(),
        response_topic=answers,
        correlation_data=data,
    )
    assert said.reason == 0, said
    answer = await client.message()
    assert (answer.topic, answer.about["correlation_data"]) == (answers, data)
    assert (answer.about["payload_format_indicator"], answer.about["content_type"]) == (1, "application/json")
    body: dict[str, Any] = json.loads(answer.payload)
    return body


async def test_a_code_becomes_a_device_and_its_tokens_renew_each_other(house: House, knock: Knock) -> None:
    guest = await knock()
    welcome = await guest.connect(
        "enroll-a",
        None,
        username="enroll",
        authentication_method=METHOD,
        authentication_data=opened(house).encode(),
        request_response_information=1,
    )
    assert (welcome.kind, welcome.reason) == (CONNACK, 0)
    answers = welcome.about["response_information"]
    assert (await guest.subscribe((answers, 1))).codes == (1,)
    granted = await asked(guest, answers, b"\x00\xffenrol", transaction="t1")
    assert (granted["status"], granted["transaction"], granted["client_id"]) == ("ok", "t1", "alice-phone")

    phone = await knock()
    welcome = await phone.connect(
        granted["client_id"],
        None,
        username=None,
        authentication_method=METHOD,
        authentication_data=granted["token"].encode(),
        request_response_information=1,
    )
    assert (welcome.kind, welcome.reason) == (CONNACK, 0)
    answers = welcome.about["response_information"]
    assert (await phone.subscribe((answers, 1))).codes == (1,)
    for turn in range(2):
        house.age_tokens(house.settings.token.access_s * 0.7)
        house.edge.requests._clock = house.door._clock
        renewed = await asked(phone, answers, b"%d" % turn, refresh_token=granted["refresh_token"])
        assert (renewed["status"], renewed["client_id"]) == ("ok", "alice-phone")
        phone.authenticate(renewed["token"])
        assert (await phone.expect(AUTH)).reason == 0
        granted = renewed
    assert (await phone.put("users/alice/devices/phone/events", event("e1"))).reason == 0, "the first token is over"
    assert house.stored() == ["e1"]


async def test_a_request_that_nobody_would_hear_the_answer_of_is_refused(house: House, knock: Knock) -> None:
    alice, bob = house.device("alice"), house.device("bob")
    watch, other = await entered(knock, alice), await entered(knock, bob)
    asking, answers = (f"users/alice/devices/watch/token/{each}" for each in ("request", "response"))
    foreign = "users/bob/devices/watch/token/response"
    assert (await other.subscribe((foreign, 1))).codes == (1,)
    for response in ({}, {"response_topic": answers}, {"response_topic": foreign}, {"response_topic": "no/such"}):
        for qos in (1, 2):
            refused = await watch.put(asking, b"{}", qos, correlation_data=b"x", **response)
            assert refused.reason == 0x83
            assert (response.get("response_topic") or answers) in refused.about["reason_string"]
    assert await other.settled() == [], "nobody answers to somebody else"
    assert (await watch.subscribe((answers, 1))).codes == (1,)
    assert (await asked(watch, answers, b"y"))["status"] == "error"
    assert (await watch.put(asking, b"{}", 2, response_topic=answers)).reason == 0
    assert json.loads((await watch.message()).payload)["status"] == "error"


async def test_of_two_requests_at_once_the_second_is_refused(house: House, knock: Knock) -> None:
    watch = await entered(knock, house.device("alice"))
    asking, answers = (f"users/alice/devices/watch/token/{each}" for each in ("request", "response"))
    assert (await watch.subscribe((answers, 1))).codes == (1,)
    both = b""
    for number in (11, 12):
        body = text(asking) + struct.pack(">H", number) + properties({"response_topic": answers}) + b"{}"
        both += b"\x32" + variable(len(body)) + body
    watch.raw(both)  # in one piece, so that nothing is answered between them
    got = [await watch.next() for _ in range(3)]
    assert [each.reason for each in got if each.kind == PUBACK] == [0, 0x97]
    (answer,) = (each for each in got if each.kind == PUBLISH)
    watch.acknowledge(answer)
    assert (await asked(watch, answers))["status"] == "error", "and the next one is heard"
