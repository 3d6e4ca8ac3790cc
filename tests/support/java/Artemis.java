// ActiveMQ Artemis without access rules, in one process: Artemis PORT FOLDER

import java.nio.file.Path;
import java.util.List;
import org.apache.activemq.artemis.core.config.impl.ConfigurationImpl;
import org.apache.activemq.artemis.core.server.embedded.EmbeddedActiveMQ;

public final class Artemis {
    public static void main(final String[] arguments) throws Exception {
        final Path folder = Path.of(arguments[1]);
        final ConfigurationImpl settings = new ConfigurationImpl();
        settings.setSecurityEnabled(false);
        settings.setPersistenceEnabled(false);
        settings.setJMXManagementEnabled(false);
        settings.setMaxDiskUsage(-1); // how full the machine's disk is, is none of the test's business
        for (final String name : List.of("journal", "bindings", "messages", "paging")) {
            final String path = folder.resolve(name).toString();
            switch (name) {
                case "journal" -> settings.setJournalDirectory(path);
                case "bindings" -> settings.setBindingsDirectory(path);
                case "messages" -> settings.setLargeMessagesDirectory(path);
                default -> settings.setPagingDirectory(path);
            }
        }
        settings.addAcceptorConfiguration("mqtt", "tcp://127.0.0.1:" + arguments[0] + "?protocols=MQTT");
        final EmbeddedActiveMQ server = new EmbeddedActiveMQ();
        server.setConfiguration(settings);
        server.start();
        Thread.currentThread().join();
    }
}
