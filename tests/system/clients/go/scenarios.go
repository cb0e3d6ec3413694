package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// What a NATS application does, one function per scenario; ../README.md says what each is.
var scenarios = []struct {
	name string
	run  func(*place)
}{
	{"publish_subscribe", publishSubscribe},
	{"wildcards", wildcards},
	{"queue_groups", queueGroups},
	{"request_reply", requestReply},
	{"headers", headers},
	{"no_responders", noResponders},
	{"max_payload", maxPayload},
	{"drain", drain},
	{"reconnect_after_restart", reconnectAfterRestart},
	{"ordered_100000", ordered100000},
	{"auto_unsubscribe", autoUnsubscribe},
	{"echo_off", echoOff},
	{"large_messages", largeMessages},
	{"many_subjects", manySubjects},
	{"lame_duck", lameDuck},
}

const mib = 1024 * 1024

func publishSubscribe(p *place) {
	publisher := p.connect()
	one, two := subscribe(p.connect(), "greet.joe"), subscribe(p.connect(), "greet.joe")
	publish(publisher, "greet.sue", "not for joe")
	greetings := append([]string{""}, numbers(9)...)
	for _, greeting := range greetings {
		publish(publisher, "greet.joe", greeting)
	}
	takeAll(one, greetings, "the first subscriber")
	takeAll(two, greetings, "the second subscriber")
}

func wildcards(p *place) {
	publisher, client := p.connect(), p.connect()
	oneToken, anyTokens, leading := subscribe(client, "orders.*"), subscribe(client, "orders.>"), subscribe(client, "*.new")
	publish(publisher, "orders", "1")
	publish(publisher, "orders.new", "2")
	publish(publisher, "orders.new.eu", "3")
	publish(publisher, "invoices.new", "4")
	publish(publisher, "orders.new", "last")
	takeAll(oneToken, []string{"2", "last"}, "orders.*")
	takeAll(anyTokens, []string{"2", "3", "last"}, "orders.>")
	takeAll(leading, []string{"2", "4", "last"}, "*.new")
}

func queueGroups(p *place) {
	const members = 4
	jobs := numbers(2000)
	publisher, everything := p.connect(), subscribe(p.connect(), "work.*")
	type result struct {
		member int
		job    string
	}
	results := make(chan result, 2*len(jobs))
	for member := range members {
		handle(p.connect(), "work.*", "workers", func(message *nats.Msg) { results <- result{member, string(message.Data)} })
	}
	for _, job := range jobs {
		publish(publisher, "work.todo", job)
	}
	takeAll(everything, jobs, "the plain subscriber")
	seen, shares := map[string]bool{}, [members]int{}
	for range jobs {
		select {
		case done := <-results:
			if seen[done.job] {
				fail("job %s was given out twice", done.job)
			}
			seen[done.job] = true
			shares[done.member]++
		case <-time.After(patience):
			fail("the members got %d of %d messages", len(seen), len(jobs))
		}
	}
	for member, share := range shares {
		if share == 0 {
			fail("member %d got no message", member)
		}
	}
}

func requestReply(p *place) {
	service, client := p.connect(), p.connect()
	handle(service, "service.echo", "", func(message *nats.Msg) {
		_ = message.Respond(append([]byte("re: "), message.Data...))
	})
	var good atomic.Int32
	var all sync.WaitGroup
	for _, question := range numbers(500) {
		all.Go(func() {
			reply, err := client.Request("service.echo", []byte(question), patience)
			if err == nil && string(reply.Data) == "re: "+question {
				good.Add(1)
			}
		})
	}
	all.Wait()
	expect(500, good.Load(), "requests that were answered as they should")
}

// headers: nats.go keeps the order of a name's values; the names are a map's keys, in the case in which they were sent.
func headers(p *place) {
	service, client := p.connect(), p.connect()
	handle(service, "paint", "", func(message *nats.Msg) {
		if message.Header == nil {
			return
		}
		reply := nats.NewMsg(message.Reply)
		colors := message.Header.Values("Color")
		for i := len(colors) - 1; i >= 0; i-- {
			reply.Header.Add("Color", colors[i])
		}
		reply.Data = message.Data
		_ = message.RespondMsg(reply)
	})
	plain := subscribe(client, "paint")
	request := nats.NewMsg("paint")
	request.Data = []byte("wall")
	request.Header.Add("Color", "red")
	request.Header.Add("Color", "green")
	request.Header.Set("Shape", "round")
	request.Header["lower-case"] = []string{""}
	reply, err := client.RequestMsg(request, patience)
	check(err)
	expect("map[Color:[green red]]", fmt.Sprint(reply.Header), "headers of the answer")
	expect("wall", string(reply.Data), "payload of the answer")
	expect("map[Color:[red green] Shape:[round] lower-case:[]]", fmt.Sprint(take(plain).Header), "headers")
	publish(client, "paint", "no headers")
	expect(0, len(take(plain).Header), "headers of a message without")
}

func noResponders(p *place) {
	client, service := p.connect(), p.connect()
	nobodyIsThere := func(when string) {
		if _, err := client.Request("nobody.home", []byte("?"), patience); !errors.Is(err, nats.ErrNoResponders) {
			fail("%s: expected %v, saw %v", when, nats.ErrNoResponders, err)
		}
	}
	nobodyIsThere("before")
	subscription := handle(service, "nobody.home", "", func(message *nats.Msg) { _ = message.Respond([]byte("here")) })
	reply, err := client.Request("nobody.home", []byte("?"), patience)
	check(err)
	expect("here", string(reply.Data), "answer")
	check(subscription.Unsubscribe())
	settle(service)
	nobodyIsThere("after")
}

func maxPayload(p *place) {
	client := p.connect()
	subscription := subscribe(client, "too.large")
	expect(int64(mib), client.MaxPayload(), "max_payload of INFO")
	if err := client.Publish("too.large", make([]byte, mib+1)); !errors.Is(err, nats.ErrMaxPayload) {
		fail("expected %v, saw %v", nats.ErrMaxPayload, err)
	}
	publish(client, "too.large", "small")
	expect("small", string(take(subscription).Data), "what still went through")
}

func drain(p *place) {
	closed := make(chan struct{})
	publisher, other := p.connect(), p.connect()
	client := p.connect(nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	all := numbers(1000)
	publishAll := func() {
		for _, number := range all {
			publish(publisher, "drain.in", number)
		}
		settle(publisher)
	}

	// A subscription: what the server had taken before is handled, what comes later is not for it.
	var handled []string
	subscription := handle(client, "drain.in", "", func(message *nats.Msg) { handled = append(handled, string(message.Data)) })
	publishAll()
	drained := subscription.StatusChanged(nats.SubscriptionClosed)
	check(subscription.Drain())
	await(drained, "the subscription is drained")
	publish(publisher, "drain.in", "late")
	settle(publisher)
	settle(client)
	expect(fmt.Sprint(all), fmt.Sprint(handled), "the drained subscription")

	// A connection: what came in is handled, what was published goes out, and then it is closed.
	handled = nil
	handle(client, "drain.in", "", func(message *nats.Msg) { handled = append(handled, string(message.Data)) })
	results := subscribe(other, "drain.out")
	publishAll()
	for _, number := range all {
		publish(client, "drain.out", number)
	}
	check(client.Drain())
	await(closed, "the drained connection is closed")
	expect(fmt.Sprint(all), fmt.Sprint(handled), "the drained connection's subscription")
	takeAll(results, all, "what the drained connection had published")
}

func reconnectAfterRestart(p *place) {
	back := make(chan struct{}, 2)
	reconnected := nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} })
	subscriber, publisher := p.connect(reconnected), p.connect(reconnected)
	grouped, err := subscriber.QueueSubscribeSync("after.>", "group")
	check(err)
	subscriptions := []*nats.Subscription{subscribe(subscriber, "after.restart"), subscribe(subscriber, "after.*"), grouped}
	publish(publisher, "after.restart", "before")
	for _, subscription := range subscriptions {
		expect("before", string(take(subscription).Data), subscription.Subject)
	}
	ask("restart")
	for range 2 {
		await(back, "both clients are back")
	}
	settle(subscriber)
	all := numbers(100)
	for _, number := range all {
		publish(publisher, "after.restart", number)
	}
	for _, subscription := range subscriptions {
		takeAll(subscription, all, subscription.Subject+" after the restart")
	}
}

func ordered100000(p *place) {
	const count = 100_000
	publisher, client := p.connect(), p.connect()
	complete := make(chan string, 1)
	expected := 0
	handle(client, "count.up", "", func(message *nats.Msg) {
		if number, _ := strconv.Atoi(string(message.Data)); number != expected && len(complete) == 0 {
			complete <- fmt.Sprintf("expected message %d, saw %s", expected, message.Data)
		}
		if expected++; expected == count && len(complete) == 0 {
			complete <- ""
		}
	})
	for _, number := range numbers(count) {
		publish(publisher, "count.up", number)
	}
	settle(publisher)
	select {
	case problem := <-complete:
		expect("", problem, "order")
	case <-time.After(patience):
		fail("not all of %d messages came", count)
	}
}

func autoUnsubscribe(p *place) {
	publisher, client := p.connect(), p.connect()
	firstThree, later, end := subscribe(client, "few.wanted"), subscribe(client, "few.wanted"), subscribe(client, "few.end")
	check(firstThree.AutoUnsubscribe(3))
	settle(client)
	all := numbers(10)
	for _, number := range all[:2] {
		publish(publisher, "few.wanted", number)
	}
	takeAll(later, all[:2], "before the limit was set")
	check(later.AutoUnsubscribe(5)) // counted from the start of the subscription
	settle(client)
	for _, number := range all[2:] {
		publish(publisher, "few.wanted", number)
	}
	publish(publisher, "few.end", "end")
	take(end)
	takeAll(firstThree, all[:3], "limit of 3")
	takeAll(later, all[2:5], "limit of 5, two of them before")
	for _, subscription := range []*nats.Subscription{firstThree, later} {
		if message, err := subscription.NextMsg(1); err == nil {
			fail("%q came beyond the limit", message.Data)
		}
	}
}

func echoOff(p *place) {
	quiet, other := p.connect(nats.NoEcho()), p.connect()
	mine, theirs := subscribe(quiet, "echo.off"), subscribe(other, "echo.off")
	publish(quiet, "echo.off", "from the quiet one")
	settle(quiet)
	publish(other, "echo.off", "from the other")
	takeAll(theirs, []string{"from the quiet one", "from the other"}, "with echo")
	takeAll(mine, []string{"from the other"}, "without echo")
}

func largeMessages(p *place) {
	publisher, client := p.connect(), p.connect()
	subscription := subscribe(client, "large")
	random := rand.New(rand.NewSource(1))
	payloads := make([][]byte, 4)
	for number := range payloads {
		payloads[number] = make([]byte, mib)
		random.Read(payloads[number])
		check(publisher.Publish("large", payloads[number]))
	}
	for number, payload := range payloads {
		if !bytes.Equal(payload, take(subscription).Data) {
			fail("large message %d is not as it was sent", number)
		}
	}
}

func manySubjects(p *place) {
	publisher, client := p.connect(), p.connect()
	every := subscribe(p.connect(), "many.*")
	names := make([]string, 2000)
	subscriptions := make([]*nats.Subscription, len(names))
	var err error
	for number := range names {
		names[number] = fmt.Sprintf("many.%d", number)
		subscriptions[number], err = client.SubscribeSync(names[number])
		check(err)
	}
	settle(client)
	for _, name := range names {
		publish(publisher, name, name)
	}
	for number, name := range names {
		expect(name, string(take(subscriptions[number]).Data), name)
	}
	takeAll(every, names, "many.*")
}

// lameDuck: the server is about to leave: it says so, lets go of its clients a little later, and they go on at the other one.
func lameDuck(p *place) {
	told, moved := make(chan struct{}, 2), make(chan struct{}, 2)
	connect := func() *nats.Conn {
		return p.connectTo(p.url+","+p.otherURL, nats.DontRandomize(),
			nats.LameDuckModeHandler(func(*nats.Conn) { told <- struct{}{} }),
			nats.ReconnectHandler(func(*nats.Conn) { moved <- struct{}{} }))
	}
	subscriber, publisher := connect(), connect()
	subscription := subscribe(subscriber, "still.here")
	ask("lame_duck")
	for range 2 {
		await(told, "both clients are told")
	}
	for range 2 {
		await(moved, "both clients are at the other server")
	}
	expect(p.otherURL, subscriber.ConnectedUrl(), "where the subscriber went")
	expect(p.otherURL, publisher.ConnectedUrl(), "where the publisher went")
	settle(subscriber)
	publish(publisher, "still.here", "yes")
	takeAll(subscription, []string{"yes"}, "at the other server")
}
