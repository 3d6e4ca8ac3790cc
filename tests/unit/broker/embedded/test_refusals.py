"""What was refused lately is remembered within bounds."""

from healthsync_mqtt.broker.embedded.refusals import Refusals


def test_the_newest_of_each_client_are_known() -> None:
    refusals = Refusals()
    for number in range(20):
        refusals.note("a", float(number), "not_allowed", f"t{number}" + "x" * 200)
    assert [each.at for each in refusals.of("a")] == [float(number) for number in range(10, 20)]
    assert all(len(each.topic) == 128 for each in refusals.of("a"))
    assert refusals.of("b") == ()
    assert refusals.report()["a"][0]["reason"] == "not_allowed"


def test_clients_are_bounded() -> None:
    refusals = Refusals()
    for number in range(3000):
        refusals.note(f"c{number}", 0.0, "not_allowed", "t")
    assert len(refusals.report()) == 1000
    assert refusals.of("c2999")
    assert not refusals.of("c0")
