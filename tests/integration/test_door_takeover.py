"""T10: one token on two machines. They do not drive each other out for ever, and neither loses anything."""

from pathlib import Path

from tests.support.inprocess import Bystander, opened
from tests.support.peer import event

CHANGES = {"limits.takeovers_per_minute": 3, "limits.failed_login_base_s": 0.01}


async def test_t10_a_cloned_token_is_slowed_down_and_reported(tmp_path: Path) -> None:
    async with opened(tmp_path / "data", CHANGES) as house:
        neighbour = await Bystander.arrive(house)
        device = house.device("alice")
        refused: list[str] = []
        house.door.on_refused = lambda reason, *_: refused.append(reason)
        present = await house.connect(device, clean=False)
        for turn in range(3):
            before, present = present, await house.connect(device, clean=False)
            await before.ended()
            await present.publish(device.events, event(f"turn-{turn}"))
        for _ in range(3):
            other = await house.knock()
            assert (await other.connect(device, clean=False)).code == 3
            await other.ended()
        await present.publish(device.events, event("still-here"))
        assert house.stored("alice") == ["turn-0", "turn-1", "turn-2", "still-here"]
        assert refused == ["token_cloned"] * 3
        await house.still_serves(neighbour)
