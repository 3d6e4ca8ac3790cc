/* One subscriber and one device of MQTT 5 with paho's C client; see languages.py for the arguments. */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int acknowledged = 0, arrived = 0, reason = -1;
static char stored[16] = "", payload[4096] = "", content_type[64] = "";

static void text(char *to, size_t room, const char *from, int length) {
    snprintf(to, room, "%.*s", length, from);
}

static void published(void *context, int token, int type, MQTTProperties *about, enum MQTTReasonCodes code) {
    for (int at = 0; about != NULL && at < about->count; at++) {
        MQTTProperty *each = &about->array[at];
        if (each->identifier == MQTTPROPERTY_CODE_USER_PROPERTY && each->value.data.len == 6 &&
            memcmp(each->value.data.data, "stored", 6) == 0)
            text(stored, sizeof stored, each->value.value.data, each->value.value.len);
    }
    reason = code;
    acknowledged = 1;
}

static int received(void *context, char *topic, int length, MQTTClient_message *message) {
    text(payload, sizeof payload, message->payload, message->payloadlen);
    MQTTProperty *type = MQTTProperties_getProperty(&message->properties, MQTTPROPERTY_CODE_CONTENT_TYPE);
    if (type != NULL)
        text(content_type, sizeof content_type, type->value.data.data, type->value.data.len);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
    arrived = 1;
    return 1;
}

static void lost(void *context, char *cause) {}

static void must(int code, const char *what) {
    if (code < 0 || code >= 0x80) {
        fprintf(stderr, "%s: %d\n", what, code);
        exit(1);
    }
}

static MQTTClient open_client(char **a, char *client_id, char *token) {
    char url[256];
    const char *scheme = strcmp(a[0], "mqtt") == 0 ? "tcp" : strcmp(a[0], "mqtts") == 0 ? "ssl" : "wss";
    snprintf(url, sizeof url, "%s://%s:%s%s", scheme, a[1], a[2], strcmp(a[0], "wss") == 0 ? "/mqtt" : "");
    MQTTClient client;
    MQTTClient_createOptions how = MQTTClient_createOptions_initializer;
    how.MQTTVersion = MQTTVERSION_5;
    must(MQTTClient_createWithOptions(&client, url, client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &how), "create");
    must(MQTTClient_setCallbacks(client, NULL, lost, received, NULL), "callbacks");
    must(MQTTClient_setPublished(client, NULL, published), "published");
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer5;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    options.username = client_id;
    options.password = token;
    options.cleanstart = 1;
    if (strcmp(a[0], "mqtt") != 0) {
        tls.trustStore = a[3];
        tls.verify = 1;
        options.ssl = &tls;
    }
    MQTTResponse answer = MQTTClient_connect5(client, &options, NULL, NULL);
    must(answer.reasonCode, "connect");
    MQTTResponse_free(answer);
    return client;
}

int main(int count, char **all) {
    char **a = all + 1;
    if (count != 12)
        return 2;
    MQTTClient reader = open_client(a, a[7], a[8]), writer = open_client(a, a[9], a[10]);
    MQTTResponse answer = MQTTClient_subscribe5(reader, a[4], 1, NULL, NULL);
    must(answer.reasonCode, "subscribe");
    MQTTResponse_free(answer);
    answer = MQTTClient_publish5(writer, a[5], (int)strlen(a[6]), a[6], 1, 0, NULL, NULL);
    must(answer.reasonCode, "publish");
    for (int tries = 0; tries < 2000 && !(acknowledged && arrived); tries++)
        usleep(10000);
    printf("{\"message\":%s,\"content_type\":\"%s\",\"reason\":%d,\"stored\":\"%s\"}\n", payload, content_type, reason,
           stored);
    MQTTClient_disconnect(reader, 1000);
    MQTTClient_disconnect(writer, 1000);
    return 0;
}
