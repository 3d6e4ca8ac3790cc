// One subscriber and one device of MQTT 5 with paho.golang (its autopaho has the transports). Reads a JSON object from stdin, prints one.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

type login struct {
	ClientID string `json:"client_id"`
	Username string `json:"username"`
	Token    string `json:"token"`
}

type request struct {
	Protocol   string `json:"protocol"`
	Host       string `json:"host"`
	Port       int    `json:"port"`
	CAFile     string `json:"ca_file"`
	Filter     string `json:"filter"`
	Topic      string `json:"topic"`
	Event      string `json:"event"`
	Subscriber login  `json:"subscriber"`
	Device     login  `json:"device"`
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func connect(ctx context.Context, asked request, who login, received chan<- *paho.Publish) *autopaho.ConnectionManager {
	server := &url.URL{Scheme: asked.Protocol, Host: net.JoinHostPort(asked.Host, strconv.Itoa(asked.Port))}
	if asked.Protocol == "wss" {
		server.Path = "/mqtt"
	}
	var secure *tls.Config
	if asked.Protocol != "mqtt" {
		authority, err := os.ReadFile(asked.CAFile)
		must(err)
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(authority)
		secure = &tls.Config{RootCAs: pool, ServerName: asked.Host}
	}
	client, err := autopaho.NewConnection(ctx, autopaho.ClientConfig{
		ServerUrls:                    []*url.URL{server},
		TlsCfg:                        secure,
		KeepAlive:                     30,
		CleanStartOnInitialConnection: true,
		ConnectUsername:               who.Username,
		ConnectPassword:               []byte(who.Token),
		OnConnectError:                must,
		ClientConfig: paho.ClientConfig{
			ClientID: who.ClientID,
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){
				func(message paho.PublishReceived) (bool, error) {
					received <- message.Packet
					return true, nil
				},
			},
		},
	})
	must(err)
	must(client.AwaitConnection(ctx))
	return client
}

func main() {
	var asked request
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	received := make(chan *paho.Publish, 16)
	reader := connect(ctx, asked, asked.Subscriber, received)
	writer := connect(ctx, asked, asked.Device, received)
	_, err := reader.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: asked.Filter, QoS: 1}}})
	must(err)
	answer, err := writer.Publish(ctx, &paho.Publish{Topic: asked.Topic, QoS: 1, Payload: []byte(asked.Event)})
	must(err)
	message := <-received
	var event struct {
		ID string `json:"id"`
	}
	must(json.Unmarshal(message.Payload, &event))
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"id":           event.ID,
		"content_type": message.Properties.ContentType,
		"reason":       answer.ReasonCode,
		"stored":       answer.Properties.User.Get("stored"),
	}))
	must(reader.Disconnect(ctx))
	must(writer.Disconnect(ctx))
}
