/** MQTT 5 over WebSocket or TLS, with MQTT.js. */

export type { MqttPlace } from "./connection.js";
export * from "./lobby.js";
export * from "./transport.js";
