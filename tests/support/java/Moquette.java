// Moquette without access rules, in one process: Moquette PORT FOLDER

import io.moquette.broker.Server;
import io.moquette.broker.config.MemoryConfig;
import java.util.Properties;

public final class Moquette {
    public static void main(final String[] arguments) throws Exception {
        final Properties settings = new Properties();
        settings.setProperty("host", "127.0.0.1");
        settings.setProperty("port", arguments[0]);
        settings.setProperty("allow_anonymous", "true");
        settings.setProperty("persistence_enabled", "true");
        settings.setProperty("data_path", arguments[1]);
        settings.setProperty("telemetry_enabled", "false");
        new Server().startServer(new MemoryConfig(settings));
        Thread.currentThread().join();
    }
}
