import json

import pytest

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.model.event import Rejection
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.model.receipt import RejectedEvent, encode_receipt, parse_receipt, rejected_entry

REJECTION = Rejection(5, "x", Reason.OUT_OF_RANGE, "value.bpm", "bpm 900 is above 300", b"{}")


def test_the_receipt_of_the_design():
    sent = encode_receipt("ep", 1841, "b-17", 98, 1, [rejected_entry(REJECTION)])
    assert json.loads(sent) == {
        "epoch": "ep",
        "seq": 1841,
        "batch": "b-17",
        "stored": 98,
        "duplicate": 1,
        "rejected": [
            {
                "index": 5,
                "id": "x",
                "code": "out_of_range",
                "field": "value.bpm",
                "message": "bpm 900 is above 300",
            }
        ],
    }
    receipt = parse_receipt(sent)
    assert (receipt.stored, receipt.duplicate, receipt.batch) == (98, 1, "b-17")
    assert receipt.rejected == [RejectedEvent(5, "x", "out_of_range", "value.bpm", "bpm 900 is above 300")]


def test_without_a_batch_there_are_lists_of_ids():
    receipt = parse_receipt(encode_receipt("ep", 1, None, ["a", "b"], [], []))
    assert (receipt.batch, receipt.stored, receipt.duplicate, receipt.rejected) == (None, ["a", "b"], [], [])


def test_a_receipt_of_a_newer_bridge_is_read():
    receipt = parse_receipt(b'{"epoch":"e","seq":1,"new":{},"rejected":[{"index":0,"id":null,"code":"newer"}]}')
    assert receipt.rejected == [RejectedEvent(0, None, "newer")]


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b'{"epoch":1,"seq":1}', b'{"epoch":"\xff","seq":1}', b"[" * 9999]
)
def test_what_is_no_receipt_is_an_input_error(payload):
    with pytest.raises(InputError, match="not a receipt"):
        parse_receipt(payload)
