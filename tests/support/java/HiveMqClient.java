import com.hivemq.client.mqtt.MqttClient;
import com.hivemq.client.mqtt.MqttGlobalPublishFilter;
import com.hivemq.client.mqtt.datatypes.MqttQos;
import com.hivemq.client.mqtt.mqtt5.Mqtt5BlockingClient;
import com.hivemq.client.mqtt.mqtt5.message.publish.Mqtt5PublishResult;
import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.TrustManagerFactory;

/** One subscriber and one device of MQTT 5 with HiveMQ's client; see languages.py for the arguments. */
class HiveMqClient {
    static TrustManagerFactory trust(String caFile) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (FileInputStream in = new FileInputStream(caFile)) {
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory;
    }

    static Mqtt5BlockingClient connect(String[] a, String clientId, String token) throws Exception {
        var builder = MqttClient.builder().useMqttVersion5().identifier(clientId)
                .serverHost(a[1]).serverPort(Integer.parseInt(a[2]));
        if (!a[0].equals("mqtt")) {
            builder = builder.sslConfig().trustManagerFactory(trust(a[3])).applySslConfig();
        }
        if (a[0].equals("wss")) {
            builder = builder.webSocketConfig().serverPath("mqtt").applyWebSocketConfig();
        }
        Mqtt5BlockingClient client = builder.buildBlocking();
        client.connectWith().simpleAuth().username(clientId).password(token.getBytes(StandardCharsets.UTF_8))
                .applySimpleAuth().send();
        return client;
    }

    public static void main(String[] a) throws Exception {
        Mqtt5BlockingClient reader = connect(a, a[7], a[8]);
        Mqtt5BlockingClient writer = connect(a, a[9], a[10]);
        try (var arrivals = reader.publishes(MqttGlobalPublishFilter.ALL)) {
            reader.subscribeWith().topicFilter(a[4]).qos(MqttQos.AT_LEAST_ONCE).send();
            Mqtt5PublishResult answer = writer.publishWith().topic(a[5]).qos(MqttQos.AT_LEAST_ONCE)
                    .payload(a[6].getBytes(StandardCharsets.UTF_8)).send();
            var acknowledgement = ((Mqtt5PublishResult.Mqtt5Qos1Result) answer).getPubAck();
            String stored = acknowledgement.getUserProperties().asList().stream()
                    .filter(each -> each.getName().toString().equals("stored"))
                    .map(each -> each.getValue().toString()).findFirst().orElse("");
            var message = arrivals.receive(20, TimeUnit.SECONDS).orElseThrow();
            String payload = new String(message.getPayloadAsBytes(), StandardCharsets.UTF_8);
            String type = message.getContentType().map(Object::toString).orElse("");
            System.out.println("{\"message\":" + payload + ",\"content_type\":\"" + type + "\",\"reason\":"
                    + acknowledgement.getReasonCode().getCode() + ",\"stored\":\"" + stored + "\"}");
        }
        reader.disconnect();
        writer.disconnect();
        System.exit(0);
    }
}
