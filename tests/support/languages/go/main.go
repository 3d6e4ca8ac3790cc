// One subscriber and one device of MQTT 5 with paho.golang. Reads a JSON object from stdin, prints one.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

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

func dial(asked request) net.Conn {
	address := net.JoinHostPort(asked.Host, strconv.Itoa(asked.Port))
	if asked.Protocol == "mqtt" {
		conn, err := net.Dial("tcp", address)
		must(err)
		return conn
	}
	authority, err := os.ReadFile(asked.CAFile)
	must(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: asked.Host})
	must(err)
	return conn
}

func connect(ctx context.Context, asked request, who login, received chan<- *paho.Publish) *paho.Client {
	client := paho.NewClient(paho.ClientConfig{
		Conn: dial(asked),
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){
			func(message paho.PublishReceived) (bool, error) {
				received <- message.Packet
				return true, nil
			},
		},
	})
	answer, err := client.Connect(ctx, &paho.Connect{
		ClientID:     who.ClientID,
		KeepAlive:    30,
		CleanStart:   true,
		Username:     who.Username,
		UsernameFlag: true,
		Password:     []byte(who.Token),
		PasswordFlag: true,
	})
	must(err)
	if answer.ReasonCode != 0 {
		must(fmt.Errorf("refused with %d", answer.ReasonCode))
	}
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
	must(reader.Disconnect(&paho.Disconnect{ReasonCode: 0}))
	must(writer.Disconnect(&paho.Disconnect{ReasonCode: 0}))
}
