import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.eclipse.paho.mqttv5.client.IMqttToken;
import org.eclipse.paho.mqttv5.client.MqttAsyncClient;
import org.eclipse.paho.mqttv5.client.MqttCallback;
import org.eclipse.paho.mqttv5.client.MqttConnectionOptions;
import org.eclipse.paho.mqttv5.client.MqttDisconnectResponse;
import org.eclipse.paho.mqttv5.client.persist.MemoryPersistence;
import org.eclipse.paho.mqttv5.common.MqttException;
import org.eclipse.paho.mqttv5.common.MqttMessage;
import org.eclipse.paho.mqttv5.common.MqttSubscription;
import org.eclipse.paho.mqttv5.common.packet.MqttProperties;

/** One subscriber and one device of MQTT 5 with paho's Java client; see languages.py for the arguments. */
class PahoClient {
    record Arrivals(ArrayBlockingQueue<MqttMessage> queue) implements MqttCallback {
        public void messageArrived(String topic, MqttMessage message) {
            queue.add(message);
        }

        public void disconnected(MqttDisconnectResponse response) {}

        public void mqttErrorOccurred(MqttException error) {}

        public void deliveryComplete(IMqttToken token) {}

        public void connectComplete(boolean again, String uri) {}

        public void authPacketArrived(int reason, MqttProperties properties) {}
    }

    static MqttAsyncClient connect(String[] a, String clientId, String token) throws Exception {
        String scheme = a[0].equals("mqtt") ? "tcp" : a[0].equals("mqtts") ? "ssl" : "wss";
        String path = a[0].equals("wss") ? "/mqtt" : "";
        var client = new MqttAsyncClient(scheme + "://" + a[1] + ":" + a[2] + path, clientId, new MemoryPersistence());
        var options = new MqttConnectionOptions();
        options.setUserName(clientId);
        options.setPassword(token.getBytes(StandardCharsets.UTF_8));
        if (!a[0].equals("mqtt")) {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null);
            try (FileInputStream in = new FileInputStream(a[3])) {
                store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
            }
            var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            factory.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, factory.getTrustManagers(), null);
            options.setSocketFactory(context.getSocketFactory());
        }
        client.connect(options).waitForCompletion(20_000);
        return client;
    }

    public static void main(String[] a) {
        try {
            talk(a);
            System.exit(0);
        } catch (Exception error) { // its threads would keep the process
            error.printStackTrace();
            System.exit(1);
        }
    }

    static void talk(String[] a) throws Exception {
        var arrivals = new ArrayBlockingQueue<MqttMessage>(16);
        MqttAsyncClient reader = connect(a, a[7], a[8]);
        MqttAsyncClient writer = connect(a, a[9], a[10]);
        reader.setCallback(new Arrivals(arrivals));
        reader.subscribe(new MqttSubscription(a[4], 1)).waitForCompletion(20_000);
        IMqttToken answer = writer.publish(a[5], a[6].getBytes(StandardCharsets.UTF_8), 1, false);
        answer.waitForCompletion(20_000);
        String stored = answer.getResponseProperties().getUserProperties().stream()
                .filter(each -> each.getKey().equals("stored")).map(each -> each.getValue()).findFirst().orElse("");
        MqttMessage message = arrivals.poll(20, TimeUnit.SECONDS);
        System.out.println("{\"message\":" + new String(message.getPayload(), StandardCharsets.UTF_8)
                + ",\"content_type\":\"" + message.getProperties().getContentType() + "\",\"reason\":"
                + answer.getReasonCodes()[0] + ",\"stored\":\"" + stored + "\"}");
        reader.disconnect().waitForCompletion(5_000);
        writer.disconnect().waitForCompletion(5_000);
    }
}
