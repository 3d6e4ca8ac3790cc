// HiveMQ CE in one process: HiveMq PORT FOLDER [HOOKS_URL]. Without the URL of access hooks everything is allowed.

import com.hivemq.embedded.EmbeddedExtension;
import com.hivemq.embedded.EmbeddedHiveMQ;
import com.hivemq.extension.sdk.api.ExtensionMain;
import com.hivemq.extension.sdk.api.auth.Authorizer;
import com.hivemq.extension.sdk.api.auth.PublishAuthorizer;
import com.hivemq.extension.sdk.api.auth.SimpleAuthenticator;
import com.hivemq.extension.sdk.api.auth.SubscriptionAuthorizer;
import com.hivemq.extension.sdk.api.auth.parameter.PublishAuthorizerInput;
import com.hivemq.extension.sdk.api.auth.parameter.PublishAuthorizerOutput;
import com.hivemq.extension.sdk.api.auth.parameter.SimpleAuthInput;
import com.hivemq.extension.sdk.api.auth.parameter.SimpleAuthOutput;
import com.hivemq.extension.sdk.api.auth.parameter.SubscriptionAuthorizerInput;
import com.hivemq.extension.sdk.api.auth.parameter.SubscriptionAuthorizerOutput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStartInput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStartOutput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStopInput;
import com.hivemq.extension.sdk.api.parameter.ExtensionStopOutput;
import com.hivemq.extension.sdk.api.services.Services;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

public final class HiveMq {
    private static final Map<String, String> USERNAMES = new ConcurrentHashMap<>();
    private static final HttpClient HTTP = HttpClient.newHttpClient();

    public static void main(final String[] arguments) throws Exception {
        final Path folder = Path.of(arguments[1]);
        final Path configuration = Files.createDirectories(folder.resolve("conf"));
        Files.writeString(configuration.resolve("config.xml"), """
            <?xml version="1.0"?>
            <hivemq>
              <listeners>
                <tcp-listener><port>%s</port><bind-address>127.0.0.1</bind-address></tcp-listener>
              </listeners>
              <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
            </hivemq>
            """.formatted(arguments[0]));
        final EmbeddedExtension extension = EmbeddedExtension.builder()
            .withId("access").withName("access").withVersion("1").withAuthor("tests").withPriority(0)
            .withExtensionMain(arguments.length > 2 ? new Hooked(arguments[2]) : new Open())
            .build();
        EmbeddedHiveMQ.builder()
            .withConfigurationFolder(configuration)
            .withDataFolder(Files.createDirectories(folder.resolve("data")))
            .withExtensionsFolder(Files.createDirectories(folder.resolve("extensions")))
            .withEmbeddedExtension(extension)
            .build().start().join();
        Thread.currentThread().join();
    }

    private static final class Open implements ExtensionMain {
        @Override
        public void extensionStart(final ExtensionStartInput input, final ExtensionStartOutput output) {
            Services.securityRegistry().setAuthenticatorProvider(
                provider -> (SimpleAuthenticator) (asked, answer) -> answer.authenticateSuccessfully());
        }

        @Override
        public void extensionStop(final ExtensionStopInput input, final ExtensionStopOutput output) {
        }
    }

    /** Asks the hooks of mosquitto-go-auth's form. */
    private record Hooked(String url) implements ExtensionMain {
        @Override
        public void extensionStart(final ExtensionStartInput input, final ExtensionStartOutput output) {
            Services.securityRegistry().setAuthenticatorProvider(provider -> (SimpleAuthenticator) this::login);
            final Authorizer rules = new Rules(this);
            Services.securityRegistry().setAuthorizerProvider(provider -> rules);
        }

        @Override
        public void extensionStop(final ExtensionStopInput input, final ExtensionStopOutput output) {
        }

        private void login(final SimpleAuthInput input, final SimpleAuthOutput output) {
            final String client = input.getClientInformation().getClientId();
            final String username = input.getConnectPacket().getUserName().orElse("");
            final String password = input.getConnectPacket().getPassword()
                .map(bytes -> StandardCharsets.UTF_8.decode(bytes).toString()).orElse("");
            if (allows("user", Map.of("clientid", client, "username", username, "password", password))) {
                USERNAMES.put(client, username);
                output.authenticateSuccessfully();
            } else {
                output.failAuthentication();
            }
        }

        boolean may(final String client, final String topic, final String access) {
            return allows("acl", Map.of(
                "clientid", client, "username", USERNAMES.getOrDefault(client, client), "topic", topic, "acc", access));
        }

        private boolean allows(final String question, final Map<String, String> fields) {
            final String body = fields.entrySet().stream()
                .map(field -> field.getKey() + "=" + URLEncoder.encode(field.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
            final HttpRequest request = HttpRequest.newBuilder(URI.create(url + "/goauth/" + question))
                .timeout(Duration.ofSeconds(5))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(HttpRequest.BodyPublishers.ofString(body)).build();
            try {
                return HTTP.send(request, HttpResponse.BodyHandlers.ofString()).body().contains("\"Ok\":true");
            } catch (final Exception error) {
                return false;
            }
        }
    }

    private record Rules(Hooked hooks) implements PublishAuthorizer, SubscriptionAuthorizer {
        @Override
        public void authorizePublish(final PublishAuthorizerInput input, final PublishAuthorizerOutput output) {
            final String client = input.getClientInformation().getClientId();
            if (hooks.may(client, input.getPublishPacket().getTopic(), "2")) {
                output.authorizeSuccessfully();
            } else {
                output.failAuthorization();
            }
        }

        @Override
        public void authorizeSubscribe(
            final SubscriptionAuthorizerInput input, final SubscriptionAuthorizerOutput output) {
            final String client = input.getClientInformation().getClientId();
            if (hooks.may(client, input.getSubscription().getTopicFilter(), "4")) {
                output.authorizeSuccessfully();
            } else {
                output.failAuthorization();
            }
        }
    }
}
