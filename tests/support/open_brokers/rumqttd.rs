// rumqttd without access rules, both versions of MQTT on ports of their own: rumqttd PORT PORT5
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use std::collections::HashMap;

fn listener(name: &str, port: String) -> Option<HashMap<String, ServerSettings>> {
    let settings = ServerSettings {
        name: name.into(),
        listen: format!("127.0.0.1:{port}").parse().expect("a port"),
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 60_000,
            max_payload_size: 1 << 20,
            max_inflight_count: 1_000,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    Some(HashMap::from([(name.to_string(), settings)]))
}

fn main() {
    let mut ports = std::env::args().skip(1);
    let config = Config {
        router: RouterConfig {
            max_connections: 1_000,
            max_outgoing_packet_count: 200,
            max_segment_size: 10 << 20,
            max_segment_count: 10,
            ..RouterConfig::default()
        },
        v4: listener("three", ports.next().expect("a port")),
        v5: ports.next().and_then(|port| listener("five", port)),
        ..Config::default()
    };
    Broker::new(config).start().expect("a broker that starts");
}
