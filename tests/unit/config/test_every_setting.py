"""Every setting has a test that sets it to another value and sees its effect. A new one is refused without."""

import re
from collections import Counter
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.settings import load_settings

ROOT = Path(__file__).parents[3]

TABLE: Final = """
tests/unit/config/test_settings.py::test_the_data_directory_is_found
    data
tests/integration/test_cli_service.py::test_t17_no_service_without_access_rules
    topics_file
tests/integration/test_door_addresses.py::test_another_loopback_address_is_shown_and_used
    broker.host
tests/integration/test_settings_ports.py::test_a_listener_is_on_the_port_that_is_set
    broker.mqtt_port broker.mqtts_port broker.wss_port
tests/integration/test_insights.py::test_who_agrees_to_it_by_name_gets_a_report_until_that_is_withdrawn
    insights.model.url insights.model.name insights.model.key_file
tests/unit/insights/test_reports.py::test_an_answer_is_bounded_in_time_and_bytes_and_leads_nowhere
    insights.model.answer_s
tests/integration/test_gateway.py::test_a_port_that_is_taken_is_said
    gateway.host gateway.port
tests/integration/test_adapters.py::test_a_link_is_fetched_revised_killed_and_over
    adapters
tests/unit/keys/holders/test_holders.py::test_the_commands_move_the_outer_key_there_rotate_it_and_back
    keys
tests/integration/test_opentelemetry.py::test_a_request_is_followed_to_the_sink
    tracing.endpoint
tests/integration/test_opentelemetry.py::test_what_is_not_to_be_told_is_not
    tracing.sample_ratio
tests/integration/test_gateway.py::test_plain_http_is_for_this_machine_only
    gateway.tls
tests/unit/gateway/server/test_http_server.py::test_one_connection_too_many_is_closed_and_room_comes_back
    gateway.connections gateway.connections_per_address
tests/unit/gateway/server/test_forwarding.py::test_limits_go_by_the_client_where_the_proxy_is_believed
    gateway.proxies
tests/unit/gateway/server/test_forwarding.py::test_limits_go_by_the_client_that_forwarded_names
    gateway.proxies_say
tests/unit/gateway/server/test_balancers.py::test_limits_of_the_gateway_go_by_whom_the_balancer_names
    gateway.balancers
tests/unit/gateway/connections/test_publisher.py::test_one_message_more_than_in_flight_is_refused_at_once
    gateway.in_flight
tests/unit/gateway/connections/test_own_name.py::test_an_id_is_the_one_name_of_its_gateway
    gateway.id
tests/unit/bridge/jobs/test_backups.py::test_the_worker_keeps_what_is_to_be_kept_and_writes_the_keys
    backup.hourly backup.daily backup.weekly backup.keys_file
tests/unit/bridge/jobs/test_backups.py::test_without_a_directory_there_is_no_schedule
    backup.directory
tests/unit/bridge/jobs/test_backups.py::test_one_that_is_old_is_followed_by_the_next
    backup.every_s
tests/unit/config/test_storage_setting.py::test_a_new_log_is_sealed_as_the_setting_says
    storage.encryption
tests/unit/cli/test_adapter_webhook.py::test_where_a_provider_sends_is_shown_and_whether_it_does
    gateway.public_url
tests/integration/test_postgres_service.py::test_a_service_works_on_it_and_goes_on_after_each_kill
    storage.url storage.password_file
tests/integration/test_postgres_bridges.py::test_every_event_is_stored_once_and_what_is_elected_moves
    storage.shared
tests/integration/test_postgres_registry.py::test_a_command_on_another_machine_closes_a_connection
    registry.url registry.password_file
tests/integration/test_postgres_registry.py::test_two_bridges_of_mosquitto_refuse_what_a_third_machine_takes_back
    registry.home
tests/unit/gateway/jobs/test_deliveries.py::test_a_host_that_the_operator_names_may_be_anywhere
    gateway.webhook_hosts
tests/unit/gateway/oidc/test_organisations.py::test_who_signs_in_there_is_signed_in_here
    gateway.oidc.issuer gateway.oidc.title gateway.oidc.client_id gateway.oidc.client_secret_file gateway.oidc.scopes
tests/unit/gateway/oidc/test_organisations.py::test_a_name_that_is_bound_is_the_users_and_no_other_name_is
    gateway.oidc.users
tests/unit/gateway/oidc/test_organisations.py::test_which_user_a_name_stands_for
    gateway.oidc.claim gateway.oidc.domain
tests/unit/gateway/routes/service/test_administration_of_data.py::test_a_file_is_no_longer_than_upload_bytes
    gateway.upload_bytes
tests/unit/gateway/bodies/test_room.py::test_one_byte_more_than_in_flight_bytes_is_refused_at_once
    gateway.in_flight_bytes
tests/unit/gateway/connections/test_publisher.py::test_what_is_not_answered_within_answer_s_may_be_sent_again
    gateway.answer_s
tests/integration/test_door_addresses.py::test_ipv6_alone
    broker.mqtts_host
tests/integration/test_door_addresses.py::test_both_families_with_one_setting
    broker.wss_host
tests/integration/test_client_certificates.py::test_without_a_certificate_there_is_no_handshake
    broker.mqtts_clients
tests/integration/test_settings_seen.py::test_the_websocket_listener_asks_for_a_certificate_and_the_other_does_not
    broker.wss_clients
tests/integration/test_door_listeners.py::test_origins_come_from_the_list
    broker.allowed_origins
tests/integration/test_load_balancer.py::test_a_header_is_believed_of_a_proxy_alone
    broker.proxies
tests/integration/test_settings_seen.py::test_the_server_certificate_carries_the_hosts
    broker.certificate_hosts
tests/integration/test_settings_seen.py::test_the_oldest_tls_that_is_spoken
    broker.tls_minimum
tests/integration/test_moved.py::test_who_comes_to_an_installation_that_has_moved_is_sent_there
    broker.moved_to
tests/integration/test_door_limits.py::test_packet_size
    limits.max_packet
tests/integration/test_door_limits.py::test_connect_is_bounded
    limits.connect_bytes
tests/integration/test_door_limits.py::test_silence_is_cut_off
    limits.connect_timeout_s
tests/integration/test_settings_seen.py::test_who_asks_for_no_keep_alive_is_held_to_the_longest
    limits.max_keep_alive_s
tests/unit/broker/embedded/limits/test_addresses.py::test_a_table_full_of_logins_refuses_the_newcomer
    limits.max_connections
tests/integration/test_door_limits.py::test_connections_of_an_address_are_bounded
    limits.connections_per_address
tests/unit/broker/embedded/limits/test_addresses.py::test_the_oldest_of_the_address_that_has_most_makes_room
    limits.max_unauthenticated
tests/integration/test_door_limits.py::test_waiting_connections_of_an_address_are_bounded
    limits.unauthenticated_per_address
tests/integration/test_door_limits.py::test_failed_logins_slow_down
    limits.failed_login_base_s limits.failed_login_max_s
tests/integration/test_door_takeover.py::test_t10_a_cloned_token_is_slowed_down_and_reported
    limits.takeovers_per_minute
tests/integration/test_door_limits.py::test_filters
    limits.max_filters limits.filters_per_subscribe
tests/integration/test_homeassistant.py::test_a_dashboard_of_many_sensors_has_all_of_them
    limits.subscriber_filters
tests/integration/test_door_publish.py::test_window_stops_and_goes_on
    limits.receive_window
tests/integration/test_door_publish.py::test_back_pressure_ends_for_every_client
    limits.backlog_bytes
tests/integration/test_app_messages.py::test_what_is_longer_than_the_apps_limit_goes_by_is_acknowledged_and_told
    limits.app_message
tests/integration/test_app_messages.py::test_who_finds_no_room_waits_and_nobody_else_does
    limits.app_messages_bytes
tests/integration/test_floods.py::test_t31_a_flood_is_slowed_down_and_loses_nothing
    limits.device_messages_per_s limits.device_burst
tests/unit/broker/embedded/limits/test_rates.py::test_a_user_has_one_bucket_for_all_devices_and_none_of_it_is_anothers
    limits.user_messages_per_s limits.user_burst
tests/unit/config/test_bridge_settings.py::test_the_daily_limit_is_the_one_set
    limits.device_events_per_day
tests/integration/test_door_limits.py::test_a_full_queue_does_not_stop_acknowledgements
    limits.send_window limits.session_queue
tests/unit/config/test_bridge_settings.py::test_messages_kept_for_one_client_keep_to_their_bytes
    limits.session_bytes
tests/unit/broker/embedded/sessions/test_session_bytes.py::test_those_who_want_everything_leave_room_for_the_rest
    limits.sessions_bytes
tests/unit/config/test_setting_effects.py::test_retained_messages_keep_to_their_bytes
    limits.retained_bytes
tests/unit/broker/embedded/sessions/test_sessions.py::test_sessions_expire_and_the_oldest_absent_ones_make_room
    limits.session_expiry_s limits.max_sessions
tests/integration/test_door_limits.py::test_who_only_publishes_to_others_is_cut_off
    limits.refused_publishes
tests/integration/test_door_limits.py::test_unreleased_messages
    limits.max_unreleased
tests/unit/config/test_setting_effects.py::test_the_decoder_keeps_to_its_settings
    events.max_payload events.max_events events.max_depth events.max_string events.max_batch_id
    events.max_unknown events.max_samples events.max_future_s
tests/unit/config/test_bridge_settings.py::test_gzip_unfolds_as_far_as_set
    events.max_ratio
tests/integration/test_hangup.py::test_settings_and_certificates_are_read_again_and_bad_ones_change_nothing
    log.level
tests/unit/config/test_bridge_settings.py::test_the_log_is_written_in_the_format_and_level_that_are_set
    log.format
tests/unit/config/test_bridge_settings.py::test_new_tokens_live_as_long_as_set
    token.lifetime_s
tests/integration/test_settings_seen.py::test_an_enrolled_devices_token_lives_as_long_as_set
    token.access_s
tests/unit/config/test_setting_effects.py::test_the_bridges_own_connection_is_as_set
    bridge.id external.host external.port external.tls external.ca_file external.receive_maximum
    external.session_expiry_s external.keep_alive_s
tests/unit/config/test_bridge_settings.py::test_the_metrics_are_where_they_are_set
    metrics.host
tests/integration/test_metrics_endpoint.py::test_off_unless_asked_for
    metrics.port
tests/unit/config/test_setting_effects.py::test_the_bridges_own_certificate_is_used_with_its_key
    external.cert_file external.key_file
tests/integration/test_external_gateway.py::test_who_enrols_over_http_gets_its_login_at_the_broker
    external.provisioned
tests/unit/config/test_bridge_settings.py::test_the_broker_hears_the_version_that_is_set
    external.protocol
tests/integration/test_external_faults.py::test_what_devices_were_told_is_stored_once
    external.registry_file
tests/unit/bridge/edges/test_external_source.py::test_bridges_may_not_share_all_messages
    external.share
tests/unit/bridge/edges/test_external_source.py::test_a_shard_stores_its_users_and_acknowledges_the_others
    external.shard
tests/unit/config/test_bridge_settings.py::test_canonical_events_follow_a_connection_when_that_is_set
    external.canonical
tests/unit/config/test_bridge_settings.py::test_unregistered_devices_are_taken_unless_that_is_set
    external.devices
tests/unit/config/test_bridge_settings.py::test_types_asked_for_by_name_go_to_a_broker_when_that_is_set
    external.guarded
tests/integration/test_external_mosquitto.py::test_the_bridge_stops_when_the_rules_can_be_crossed
    external.canary external.canary_interval_s
tests/unit/bridge/test_reload.py::test_retention_goes_by_other_days_at_once
    retention.days
tests/unit/config/test_quarantine_setting.py::test_the_quotas_of_the_settings_hold_in_the_log
    quarantine.device_bytes quarantine.row_bytes
tests/unit/config/test_bridge_settings.py::test_the_quarantine_keeps_what_is_set
    quarantine.user_bytes quarantine.total_bytes
tests/unit/config/test_bridge_settings.py::test_the_quarantine_keeps_it_for_as_long_as_set
    quarantine.days
tests/unit/config/test_storage_setting.py::test_a_new_log_is_sealed_as_the_setting_says
    storage.encryption
"""
"""A test, and below it the settings whose effect it sees."""

SEEN_BY: Final = {test: keys.split() for test, keys in re.findall(r"^(\S+)\n((?: .*\n)+)", TABLE, re.MULTILINE)}


def test_every_setting_is_seen_by_one_test(tmp_path: Path) -> None:
    seen = Counter(key for keys in SEEN_BY.values() for key in keys)
    assert seen == Counter(each.key for each in load_settings(tmp_path).describe())


def test_those_tests_are_there() -> None:
    for test in SEEN_BY:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), test


def test_each_of_them_names_its_settings() -> None:
    """In its file, or in what it has from tests/support: a row cannot point at a test of something else."""
    for test, keys in SEEN_BY.items():
        waiting, text = [test.partition("::")[0]], ""
        for file in waiting:
            text += (ROOT / file).read_text(encoding="utf-8")
            used = re.findall(r"^from (tests\.support\.\w+) import", text, re.MULTILINE)
            waiting += [name for each in used if (name := each.replace(".", "/") + ".py") not in waiting]
        for key in keys:
            assert re.search(rf"(?:\b|\\n){key.rpartition('.')[2]}\b", text, re.IGNORECASE), (test, key)
