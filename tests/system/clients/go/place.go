package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

const patience = 20 * time.Second

// place is where a scenario runs. Its methods end the scenario (by a panic with a verdict, which run catches) at the first
// thing that is not as it should be.
type place struct {
	url, otherURL string
	open          []*nats.Conn
}

// verdict says why a scenario failed.
type verdict struct{ why string }

func fail(format string, arguments ...any) {
	panic(verdict{fmt.Sprintf(format, arguments...)})
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func expect[T comparable](expected, seen T, what string) {
	if expected != seen {
		fail("%s: expected %v, saw %v", what, expected, seen)
	}
}

// connect opens a connection that ends with the scenario. It comes back within milliseconds when the server does.
func (p *place) connect(options ...nats.Option) *nats.Conn {
	return p.connectTo(p.url, options...)
}

func (p *place) connectTo(urls string, options ...nats.Option) *nats.Conn {
	options = append([]nats.Option{
		nats.MaxReconnects(-1),
		nats.ReconnectWait(50 * time.Millisecond),
		nats.ReconnectJitter(10*time.Millisecond, 10*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, options...)
	client, err := nats.Connect(urls, options...)
	check(err)
	p.open = append(p.open, client)
	return client
}

func (p *place) closeAll() {
	for _, client := range p.open {
		client.Close()
	}
}

// settle returns when the server has taken all that this client has said so far.
func settle(client *nats.Conn) {
	check(client.FlushTimeout(patience))
}

// subscribe makes a subscription without a limit of its own, that the server knows of.
func subscribe(client *nats.Conn, subject string) *nats.Subscription {
	subscription, err := client.SubscribeSync(subject)
	check(err)
	check(subscription.SetPendingLimits(-1, -1))
	settle(client)
	return subscription
}

// handle is subscribe with a handler, in a queue group unless that is empty.
func handle(client *nats.Conn, subject, group string, handler nats.MsgHandler) *nats.Subscription {
	subscription, err := client.QueueSubscribe(subject, group, handler)
	check(err)
	check(subscription.SetPendingLimits(-1, -1))
	settle(client)
	return subscription
}

func publish(client *nats.Conn, subject, payload string) {
	check(client.Publish(subject, []byte(payload)))
}

// take returns the next message.
func take(subscription *nats.Subscription) *nats.Msg {
	message, err := subscription.NextMsg(patience)
	if err != nil {
		fail("%s: %v", subscription.Subject, err)
	}
	return message
}

// takeAll takes as many messages as there are payloads, and wants just these.
func takeAll(subscription *nats.Subscription, payloads []string, what string) {
	for number, payload := range payloads {
		if seen := string(take(subscription).Data); seen != payload {
			fail("%s: message %d: expected %q, saw %q", what, number, payload, seen)
		}
	}
}

// await waits for a channel to be closed or written to.
func await[T any](event <-chan T, what string) {
	select {
	case <-event:
	case <-time.After(patience):
		fail("not within %v: %s", patience, what)
	}
}

// numbers returns "0", "1", ... as many as asked.
func numbers(count int) []string {
	all := make([]string, count)
	for number := range all {
		all[number] = fmt.Sprint(number)
	}
	return all
}

var input = bufio.NewReader(os.Stdin)

// ask asks whoever runs the server to do something with it, and waits for the answer.
func ask(what string) {
	fmt.Println("ready", what)
	_, err := input.ReadString('\n')
	check(err)
}
