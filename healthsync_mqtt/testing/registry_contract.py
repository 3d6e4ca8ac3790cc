# long: one promise after another, a kind of rows each
"""The contract of a registry as tests that any implementation of its tables can run.

A test module of an implementation inherits the suite and gives it two openings of one registry that is empty::

    class TestMyRegistry(RegistryContract):
        @pytest.fixture
        def both(self, tmp_path):
            with open_mine(tmp_path) as one, open_mine(tmp_path) as other:
                yield Both(one, other)
"""

import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from healthsync_mqtt.errors import ConflictError, NotFoundError, StoreError, TokenError
from healthsync_mqtt.identity.audit.delivery import deliver
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.consent.decisions import Purpose
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.refused_logins import MOST_OF_CLIENT, RefusedLogin
from healthsync_mqtt.identity.people.passkeys import Passkey
from healthsync_mqtt.identity.people.senders import SenderStanding
from healthsync_mqtt.identity.people.sessions import SessionRole
from healthsync_mqtt.identity.people.sightings import SeenEvent, SeenLogin
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.erasure import ErasureStep, Errand
from healthsync_mqtt.model.principal import Role

NOW_US = 1_800_000_000_000_000
_S = 1_000_000


class Both(NamedTuple):
    """Two openings of one registry, as two processes have them."""

    one: Registry
    other: Registry


class RegistryContract:
    """Inherit it; ``both`` is a fixture of the heir."""

    def test_who_was_added_is_there_for_everybody_in_the_order_of_octets(self, both: Both) -> None:
        for name in ("bob", "alice", "Carol", "_d", "a-1", "zed"):
            both.one.add_user(name, "all", NOW_US)
        assert [each.id for each in both.other.users()] == ["Carol", "_d", "a-1", "alice", "bob", "zed"]
        assert [each.id for each in both.other.users(after="alice", limit=1)] == ["bob"]
        device = both.other.add_device("alice", "watch", NOW_US)
        assert both.one.device("alice", "watch") == device
        assert both.one.devices() == both.one.devices("alice") == [device]
        both.one.rename_device("alice", "watch", "Grandma's")
        assert both.other.device("alice", "watch").title == "Grandma's"
        with pytest.raises(ConflictError):
            both.one.add_user("alice", None, NOW_US)
        with pytest.raises(NotFoundError):
            both.one.device("bob", "watch")

    def test_a_transaction_is_whole_or_nothing(self, both: Both) -> None:
        before = both.other.generation()

        def add_twice() -> None:
            with both.one.write():
                both.one.add_user("alice", "all", NOW_US)
                both.one.audit_outbox.note("user.added", actor="cli", now_us=NOW_US)
                both.one.add_user("alice", "all", NOW_US)

        with pytest.raises(ConflictError):
            add_twice()
        assert (both.other.users(), both.other.audit_outbox.pending()) == ([], [])
        assert both.other.generation() == before
        with both.one.write():
            both.one.add_user("alice", "all", NOW_US)
            both.one.audit_outbox.note("user.added", actor="cli", now_us=NOW_US, detail={"ä": [1, None]})
        assert [dict(each.detail) for each in both.other.audit_outbox.pending()] == [{"ä": [1, None]}]
        assert both.other.generation() == both.one.generation() > before

    def test_changes_of_two_processes_go_one_after_the_other(self, both: Both) -> None:
        """Each reads before it writes, so that one in between would be lost."""
        both.one.add_user("alice", None, NOW_US)
        both.one.add_device("alice", "watch", NOW_US)

        def revoke(registry: Registry) -> None:
            for _ in range(10):
                registry.revocation.revoke_device_tokens("alice", "watch", NOW_US)

        threads = [threading.Thread(target=revoke, args=(each,)) for each in both]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert both.one.token_epoch("alice-watch") == 20

    def test_a_directory_follows_what_another_process_takes_away(self, both: Both) -> None:
        both.one.add_user("alice", "all", NOW_US)
        both.one.add_user("bob", "all", NOW_US)
        for user, device in (("alice", "watch"), ("alice", "phone"), ("bob", "watch")):
            both.one.add_device(user, device, NOW_US)
        both.one.add_subscriber("panel", ["alice", "bob"], "*", NOW_US, batches=True)
        both.one.add_admin("ada", NOW_US)
        directory = Directory(both.other)
        assert directory.refresh() == frozenset()
        assert directory.has_device("alice", "watch")
        assert directory.principal("panel") is not None
        both.one.remove_device("alice", "watch", NOW_US + 1)
        both.one.revocation.suspend_user("bob", NOW_US + 1)
        both.one.remove_admin("ada", NOW_US + 1)
        both.one.revocation.revoke_token("a" * 22, NOW_US + 1)
        assert directory.refresh() == {"alice-watch", "bob-watch", "ada"}
        assert directory.has_device("alice", "phone")
        assert directory.revoked_tokens == {"a" * 22}
        both.one.revocation.resume_user("bob")
        both.one.add_device("alice", "watch", NOW_US + 2)
        both.one.remove_subscriber("panel", NOW_US + 2)
        assert directory.refresh() == {"panel"}
        assert directory.has_device("bob", "watch")
        entry = directory.entry(Role.device, "alice", "watch")
        assert entry is not None
        assert entry.epoch == 1
        fresh = Directory(both.other)
        assert (fresh.has_device("alice", "watch"), fresh.principal("panel")) == (True, None)

    def test_who_may_send_is_known_to_other_processes_by_what_has_changed(self, both: Both) -> None:
        both.one.add_user("alice", "all", NOW_US)
        for name in ("watch", "old", "ring"):
            both.one.add_device("alice", name, NOW_US)
        both.one.remove_device("alice", "old", NOW_US)
        both.one.revocation.suspend_device("alice", "ring", NOW_US)
        barred = {("alice", "old"): SenderStanding.removed, ("alice", "ring"): SenderStanding.suspended}
        found = both.other.senders.fetch(active=False)
        assert (found.devices, found.users, found.whole) == (barred, {}, True)
        everybody = both.other.senders.fetch(active=True)
        assert everybody.devices == barred | {("alice", "watch"): SenderStanding.active}
        assert both.other.senders.since(found.change, active=False) == (found.change, {}, {}, False)
        both.one.remove_device("alice", "watch", NOW_US)
        both.one.add_device("alice", "old", NOW_US)
        both.one.revocation.suspend_user("alice", NOW_US)
        newer = both.other.senders.since(found.change, active=False)
        assert newer.devices == {("alice", "watch"): SenderStanding.removed, ("alice", "old"): SenderStanding.active}
        assert (newer.users, newer.whole) == ({"alice": SenderStanding.suspended}, False)
        both.one.revocation.resume_user("alice")
        assert both.other.senders.since(newer.change, active=False).users == {"alice": SenderStanding.active}
        assert both.other.senders.since(1 << 40, active=True).whole, "of another registry"

    def test_what_users_agreed_to(self, both: Both) -> None:
        both.one.add_user("alice", "all", NOW_US)
        both.one.add_user("bob", ["steps"], NOW_US, purposes=[Purpose.store])
        stored = both.other.consent.permissions()[Purpose.store]
        assert stored["alice"].span("weight").covers(NOW_US, NOW_US + 1)
        assert not stored["bob"].span("weight").covers(NOW_US, NOW_US + 1)
        seen = both.other.consent.amended(0).newest
        both.one.consent.withdraw("alice", "*", NOW_US + 5)
        amended = both.other.consent.amended(seen)
        assert list(amended.permissions[Purpose.store]) == ["alice"]
        assert not both.other.consent.permissions()[Purpose.store]["alice"].span("weight").covers(NOW_US, NOW_US + 9)
        assert [each.action.value for each in both.other.consent.history("bob")] == ["grant"]

    def test_the_history_of_consent_stays_as_it_was_written(self, both: Both) -> None:
        both.one.add_user("alice", "all", NOW_US)
        tables = both.one._tables  # noqa: SLF001  # nothing else would try it
        for statement in ("UPDATE consent_decisions SET types = '*'", "DELETE FROM consent_decisions WHERE no = 1"):
            with pytest.raises(StoreError), tables.write():
                tables.execute(statement)
        assert len(both.other.consent.history("alice")) == 3

    def test_codes_and_refresh_tokens(self, both: Both) -> None:
        both.one.add_user("alice", "all", NOW_US)
        code = both.one.enrolments.create("alice", "watch", NOW_US).replace("-", "")
        (enrolment,) = both.other.enrolments.open(NOW_US)
        assert code.startswith(enrolment.handle)
        both.other.enrolments.note_tries({enrolment.handle: 2})
        with both.other.write():
            assert both.other.enrolments.redeem(enrolment.handle, NOW_US + 1, "alice-watch") == ("alice", "watch")
            both.other.add_device("alice", "watch", NOW_US + 1)
            begun = both.other.refresh_tokens.begin("alice", "watch", NOW_US + 1)
        with both.one.write(), pytest.raises(TokenError):
            both.one.enrolments.redeem(enrolment.handle, NOW_US + 2, "alice-watch")
        assert both.one.enrolments.again(enrolment.handle, NOW_US + 2, "alice-watch") == ("alice", "watch")
        assert both.one.refresh_tokens.is_unused("alice", "watch")
        both.one.refresh_tokens.rotate(begun.token, NOW_US + 3)
        (family,) = both.other.refresh_tokens.live(NOW_US + 4)
        assert family.device_id == "watch"
        both.other.remove_device("alice", "watch", NOW_US + 5)
        assert both.one.refresh_tokens.find(family.family) is None

    def test_certificates_are_denied_with_their_holder(self, both: Both) -> None:
        both.one.add_user("alice", None, NOW_US)
        both.one.add_device("alice", "watch", NOW_US)
        both.one.certificates.revoke("abc1", NOW_US, why="lost", foreign=True)
        assert [each.serial for each in both.other.certificates.issued()] == ["abc1"]
        assert both.other.certificates.issued("alice-watch") == []
        assert both.other.certificates.denied() == {"abc1"}
        assert both.other.certificates.denied_among(["abc1"], ["alice-watch"]) == {"abc1": True}
        assert both.other.certificates.ends_of("alice-watch", NOW_US) is None
        assert both.other.certificates.ends_of_clients(NOW_US) == []
        assert [both.one.certificates.listed(NOW_US)[0], both.other.certificates.listed(NOW_US)[0]] == [1, 2]

    def test_who_was_here_and_who_was_refused(self, both: Both) -> None:
        both.one.add_user("alice", None, NOW_US)
        both.one.add_device("alice", "watch", NOW_US)
        login = SeenLogin(client_id="alice-watch", at_us=NOW_US, address="192.0.2.1", protocol="MQTT 5.0")
        both.one.sightings.note(
            [login], [SeenEvent("alice", "watch", NOW_US + 2, "watchos 11")], [("alice-watch", NOW_US + 1)]
        )
        both.other.sightings.note([], [SeenEvent("alice", "watch", NOW_US + 1, None)], [("alice-watch", NOW_US + 9)])
        seen = both.one.sightings.all()["alice-watch"]
        assert (seen.connected_us, seen.event_us, seen.seen_us, seen.version) == (
            NOW_US, NOW_US + 2, NOW_US + 9, "watchos 11",
        )  # fmt: skip
        refused = [
            RefusedLogin(
                client_id=name, reason=f"r{number % 30}", address="", count=1, first_us=number, last_us=NOW_US + number
            )
            for number in range(31)
            for name in ("alice-watch", "stranger")
        ]
        both.one.refused_logins.note(refused)
        kept = both.other.refused_logins.of("alice-watch")
        assert len(kept) == MOST_OF_CLIENT
        assert [(each.reason, each.count) for each in kept[:2]] == [("r0", 2 - 1), ("r29", 1)]
        assert both.other.refused_logins.since(NOW_US + 30) == kept[:1]
        both.one.remove_device("alice", "watch", NOW_US + 50)
        assert both.other.sightings.of("alice-watch") is None

    def test_apps_dashboards_sources_carers_and_webhooks(self, both: Both) -> None:
        for name in ("alice", "bob"):
            both.one.add_user(name, "all", NOW_US)
        declared = Declared("Europe/Berlin", None, 60, None, 4096)
        scale = both.one.add_device("alice", "scale", NOW_US)
        both.one.apps.add(scale, ["own"], declared, "kept", NOW_US)
        both.one.apps.add(scale, ["own"], declared, "kept anew", NOW_US + 1)
        assert both.other.apps.declarations() == {("alice", "scale"): declared}
        assert both.other.apps.rotate("alice-scale", "other", NOW_US + 2).rotated_us == NOW_US + 2
        both.one.sources.prefer("alice", ["watch", "phone"], NOW_US)
        assert both.other.sources.all() == {"alice": ("watch", "phone")}
        both.one.carers.grant("alice", "bob", "*", NOW_US + _S, NOW_US)
        both.one.carers.grant("alice", "bob", ["steps"], NOW_US + 2 * _S, NOW_US)
        assert [(each.carer_id, each.types) for each in both.other.carers.of("alice")] == [
            ("bob", frozenset({"steps"}))
        ]
        both.one.add_subscriber("panel", "*", "*", NOW_US)
        both.one.webhooks.add("hook", "panel", "https://example.com", NOW_US)
        both.other.webhooks.note("hook", seq=7, said="200")
        assert both.one.webhooks.of("hook").seq == 7
        both.one.remove_subscriber("panel", NOW_US + 1)
        both.one.remove_user("alice", NOW_US + 1)
        assert (both.other.webhooks.all(), both.other.carers.all(), both.other.sources.all()) == ([], [], {})
        assert both.other.apps.all() == {}

    def test_sessions_and_passkeys(self, both: Both) -> None:
        both.one.add_user("alice", None, NOW_US)
        link = both.one.sessions.invite(SessionRole.user, "alice", NOW_US, until_us=NOW_US + _S)
        session = both.other.sessions.begin(link, NOW_US + 1)
        with pytest.raises(TokenError):
            both.one.sessions.begin(link, NOW_US + 2)
        assert both.one.sessions.live(NOW_US + 2) == [session]
        renewed = both.one.sessions.renew(session.id, 1, NOW_US + 3)
        assert renewed is not None
        assert renewed.generation == 2
        key = Passkey(
            id="k", role=SessionRole.user, holder="alice", handle="h", name="phone", public_key=b"\0\xff",
            sign_count=0, created_us=NOW_US, used_us=None,
        )  # fmt: skip
        both.one.passkeys.add(key, b"challenge", NOW_US + _S)
        assert both.other.passkeys.of(SessionRole.user, "alice") == [key]
        with pytest.raises(TokenError):
            both.other.passkeys.use("k", 1, b"challenge", NOW_US + 1, NOW_US + _S)
        both.other.passkeys.use("k", 1, b"another", NOW_US + 1, NOW_US + _S)
        both.one.revocation.suspend_user("alice", NOW_US + 9)
        assert both.other.sessions.live(NOW_US + 9) == []
        assert [each.ended_for for each in both.other.sessions.of(SessionRole.user, "alice")] == ["user suspended"]

    def test_who_is_erased_leaves_no_row_and_no_token_of_then_is_good(self, both: Both) -> None:
        for name in ("alice", "bob"):
            both.one.add_user(name, "all", NOW_US)
            both.one.add_device(name, "watch", NOW_US)
        both.one.add_subscriber("panel", ["alice", "bob"], "*", NOW_US)
        directory = Directory(both.other)
        erasure = both.one.erase("alice", NOW_US + 1)
        assert both.other.erasures.open() == [erasure]
        both.one.erasures.send(Errand(erasure=erasure.id, place="sink:main", subject="pseudonym"))
        both.one.erasures.send(Errand(erasure=erasure.id, place="sink:main", subject="pseudonym"))
        assert both.other.erasures.pending(erasure.id) == ["sink:main"]
        while erasure.step is not ErasureStep.registry:
            erasure = both.other.erasures.advance(erasure, NOW_US + 2)
        both.other.erasures.forget(erasure, NOW_US + 3)
        both.other.erasures.scrub()
        assert directory.refresh() >= {"alice-watch"}
        assert [each.id for each in both.one.users()] == ["bob"]
        assert both.one.subscriber("panel").users == frozenset({"bob"})
        assert both.one.erasures.erased_among(["alice", "bob", "nobody"]) == {"alice", "nobody"}
        amended = both.one.consent.amended(1)
        assert amended.whole
        both.one.add_user("alice", "all", NOW_US + 4)
        assert both.one.add_device("alice", "watch", NOW_US + 4).token_epoch == 1
        assert both.other.consent.amended(amended.newest).newest == amended.newest + 3

    def test_notes_for_the_audit_log_arrive_once(self, both: Both, tmp_path: Path) -> None:
        log = AuditLog.open(tmp_path / "own" / "audit.db", tmp_path / "own" / "audit.key")
        for number in range(3):
            with both.one.write():
                both.one.audit_outbox.note(f"deed.{number}", actor="cli", now_us=NOW_US)
        assert deliver(both.other.audit_outbox, log) == 3
        assert deliver(both.one.audit_outbox, log) == 0
        assert log.verify(both.one.audit_outbox.anchor()).first_bad is None
        assert [row.action for row in log.rows()] == ["deed.0", "deed.1", "deed.2"]
