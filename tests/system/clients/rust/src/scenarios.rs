//! What a NATS application does, one function per scenario; ../../README.md says what each is.

use std::time::Duration;

use async_nats::{Client, Event, HeaderMap, PublishErrorKind, Request, RequestErrorKind, Subscriber};
use futures::future::{join_all, try_join_all};
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::expect;
use crate::place::{ask, numbers, publish, settle, subscribe, take, take_all, Events, Outcome, Place};

const MIB: usize = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(20);

pub const ALL: [&str; 15] = [
    "publish_subscribe",
    "wildcards",
    "queue_groups",
    "request_reply",
    "headers",
    "no_responders",
    "max_payload",
    "drain",
    "reconnect_after_restart",
    "ordered_100000",
    "auto_unsubscribe",
    "echo_off",
    "large_messages",
    "many_subjects",
    "lame_duck",
];

pub async fn run(name: &str, place: &Place) -> Outcome {
    match name {
        "publish_subscribe" => publish_subscribe(place).await,
        "wildcards" => wildcards(place).await,
        "queue_groups" => queue_groups(place).await,
        "request_reply" => request_reply(place).await,
        "headers" => headers(place).await,
        "no_responders" => no_responders(place).await,
        "max_payload" => max_payload(place).await,
        "drain" => drain(place).await,
        "reconnect_after_restart" => reconnect_after_restart(place).await,
        "ordered_100000" => ordered_100000(place).await,
        "auto_unsubscribe" => auto_unsubscribe(place).await,
        "echo_off" => echo_off(place).await,
        "large_messages" => large_messages(place).await,
        "many_subjects" => many_subjects(place).await,
        "lame_duck" => lame_duck(place).await,
        _ => Err("there is no such scenario".into()),
    }
}

async fn publish_subscribe(place: &Place) -> Outcome {
    let (publisher, one, two) = (place.connect().await?, place.connect().await?, place.connect().await?);
    let mut subscribers = [subscribe(&one, "greet.joe").await?, subscribe(&two, "greet.joe").await?];
    publish(&publisher, "greet.sue", "not for joe").await?;
    let mut greetings = numbers(10);
    greetings[0].clear();
    for greeting in &greetings {
        publish(&publisher, "greet.joe", greeting).await?;
    }
    for subscriber in &mut subscribers {
        take_all(subscriber, &greetings, "greet.joe").await?;
    }
    Ok(())
}

async fn wildcards(place: &Place) -> Outcome {
    let (publisher, client) = (place.connect().await?, place.connect().await?);
    let mut one_token = subscribe(&client, "orders.*").await?;
    let mut any_tokens = subscribe(&client, "orders.>").await?;
    let mut leading = subscribe(&client, "*.new").await?;
    publish(&publisher, "orders", "1").await?;
    publish(&publisher, "orders.new", "2").await?;
    publish(&publisher, "orders.new.eu", "3").await?;
    publish(&publisher, "invoices.new", "4").await?;
    publish(&publisher, "orders.new", "last").await?;
    take_all(&mut one_token, &["2", "last"], "orders.*").await?;
    take_all(&mut any_tokens, &["2", "3", "last"], "orders.>").await?;
    take_all(&mut leading, &["2", "4", "last"], "*.new").await
}

async fn queue_groups(place: &Place) -> Outcome {
    let jobs = numbers(2000);
    let (publisher, observer) = (place.connect().await?, place.connect().await?);
    let mut everything = subscribe(&observer, "work.*").await?;
    let (results, mut taken) = mpsc::unbounded_channel();
    let mut members = Vec::new();
    for member in 0..4 {
        let client = place.connect().await?;
        let mut share = client.queue_subscribe("work.*", "workers".to_owned()).await?;
        settle(&client).await?;
        let results = results.clone();
        members.push(tokio::spawn(async move {
            while let Some(message) = share.next().await {
                let _ = results.send((member, message.payload));
            }
        }));
    }
    for job in &jobs {
        publish(&publisher, "work.todo", job).await?;
    }
    take_all(&mut everything, &jobs, "the plain subscriber").await?;
    let mut given_out = vec![0; jobs.len()];
    let mut shares = [0; 4];
    for _ in &jobs {
        let (member, job) = taken.recv().await.ok_or("the members ended")?;
        shares[member] += 1;
        given_out[std::str::from_utf8(&job)?.parse::<usize>()?] += 1;
    }
    expect!(vec![1; jobs.len()], given_out, "how often each job was given out");
    expect!(
        false,
        shares.contains(&0),
        "a member without any message, of {shares:?}"
    );
    for member in members {
        member.abort();
    }
    Ok(())
}

/// Answers every request with "re: " and the question, until the subscription ends.
async fn answer(service: Client, mut questions: Subscriber) {
    while let Some(question) = questions.next().await {
        if let Some(reply) = question.reply {
            let text = [b"re: ", &question.payload[..]].concat();
            let _ = service.publish(reply, text.into()).await;
        }
    }
}

async fn request_reply(place: &Place) -> Outcome {
    let (service, client) = (place.connect().await?, place.connect().await?);
    let questions = subscribe(&service, "service.echo").await?;
    tokio::spawn(answer(service, questions));
    let answers = join_all(numbers(500).into_iter().map(|question| {
        let client = &client;
        async move { client.request("service.echo", question.into()).await }
    }));
    for (number, answer) in answers.await.into_iter().enumerate() {
        expect!(format!("re: {number}"), answer?.payload, "answer {number}");
    }
    Ok(())
}

fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).map(ToString::to_string).collect()
}

/// async-nats keeps the order of a name's values, and the case of names; not the order of names.
async fn headers(place: &Place) -> Outcome {
    let (service, client) = (place.connect().await?, place.connect().await?);
    let mut painter = subscribe(&service, "paint").await?;
    let mut plain = subscribe(&client, "paint").await?;
    tokio::spawn(async move {
        while let Some(message) = painter.next().await {
            if let (Some(reply), Some(headers)) = (message.reply, message.headers) {
                let mut answer = HeaderMap::new();
                for color in values(&headers, "Color").iter().rev() {
                    answer.append("Color", color.as_str());
                }
                let _ = service.publish_with_headers(reply, answer, message.payload).await;
            }
        }
    });
    let mut sent = HeaderMap::new();
    sent.append("Color", "red");
    sent.insert("Shape", "round");
    sent.append("Color", "green");
    sent.insert("a-lower-case-name", "");
    let request = Request::new().headers(sent).payload("wall".into());
    let reply = client.send_request("paint", request).await?;
    expect!("wall", reply.payload, "payload of the answer");
    let answered = reply.headers.ok_or("an answer without headers")?;
    expect!(vec!["green", "red"], values(&answered, "Color"), "Color of the answer");
    let seen = take(&mut plain).await?.headers.ok_or("no headers")?;
    expect!(vec!["red", "green"], values(&seen, "Color"), "Color");
    expect!(vec!["round"], values(&seen, "Shape"), "Shape");
    expect!(vec![""], values(&seen, "a-lower-case-name"), "a header without a value");
    expect!(3, seen.len(), "names of headers");
    publish(&client, "paint", "no headers").await?;
    expect!(None, take(&mut plain).await?.headers, "headers of a message without");
    Ok(())
}

async fn nobody_is_there(client: &Client) -> Outcome {
    match client.request("nobody.home", "?".into()).await {
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
        other => Err(format!("expected NoResponders, saw {other:?}").into()),
    }
}

async fn no_responders(place: &Place) -> Outcome {
    let (client, service) = (place.connect().await?, place.connect().await?);
    nobody_is_there(&client).await?;
    let mut questions = subscribe(&service, "nobody.home").await?;
    let answered = async {
        let question = take(&mut questions).await?;
        let reply = question.reply.ok_or("a question without a reply subject")?;
        service.publish(reply, "here".into()).await?;
        Outcome::Ok(())
    };
    let (reply, answered) = tokio::join!(client.request("nobody.home", "?".into()), answered);
    answered?;
    expect!("here", reply?.payload, "answer");
    questions.unsubscribe().await?;
    settle(&service).await?;
    nobody_is_there(&client).await
}

async fn max_payload(place: &Place) -> Outcome {
    let client = place.connect().await?;
    let mut subscriber = subscribe(&client, "too.large").await?;
    expect!(MIB, client.max_payload(), "max_payload of INFO");
    match client.publish("too.large", vec![0; MIB + 1].into()).await {
        Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {}
        other => return Err(format!("expected MaxPayloadExceeded, saw {other:?}").into()),
    }
    publish(&client, "too.large", "small").await?;
    take_all(&mut subscriber, &["small"], "what still went through").await
}

/// All messages of a subscription that ends.
async fn rest(subscriber: Subscriber) -> Vec<String> {
    subscriber
        .map(|message| String::from_utf8_lossy(&message.payload).into_owned())
        .collect()
        .await
}

/// async-nats does not wait for the server when it drains, so the scenario settles before.
async fn drain(place: &Place) -> Outcome {
    let (publisher, client, other) = (place.connect().await?, place.connect().await?, place.connect().await?);
    let all = numbers(1000);
    let publish_all = || async {
        for number in &all {
            publish(&publisher, "drain.in", number).await?;
        }
        settle(&publisher).await
    };

    // A subscription: what came before is handled, what comes later is not for it.
    let mut subscriber = subscribe(&client, "drain.in").await?;
    publish_all().await?;
    settle(&client).await?;
    subscriber.drain().await?;
    settle(&client).await?;
    publish(&publisher, "drain.in", "late").await?;
    settle(&publisher).await?;
    expect!(all, rest(subscriber).await, "the drained subscription");

    // A connection: what came in is handled, what was published goes out, and then it is closed.
    let subscriber = subscribe(&client, "drain.in").await?;
    let mut results = subscribe(&other, "drain.out").await?;
    publish_all().await?;
    for number in &all {
        publish(&client, "drain.out", number).await?;
    }
    settle(&client).await?;
    client.drain().await?;
    expect!(all, rest(subscriber).await, "the drained connection's subscription");
    take_all(&mut results, &all, "what the drained connection had published").await?;
    if client.subscribe("drain.in").await.is_ok() && client.flush().await.is_ok() {
        return Err("the drained connection is still in use".into());
    }
    Ok(())
}

async fn reconnect_after_restart(place: &Place) -> Outcome {
    let (subscriber_options, mut subscriber_events) = Events::of(place.options());
    let (publisher_options, mut publisher_events) = Events::of(place.options());
    let subscriber = place.connect_with(subscriber_options).await?;
    let publisher = place.connect_with(publisher_options).await?;
    let mut subscribers = [
        subscriber.subscribe("after.restart").await?,
        subscriber.subscribe("after.*").await?,
        subscriber.queue_subscribe("after.>", "group".to_owned()).await?,
    ];
    settle(&subscriber).await?;
    publish(&publisher, "after.restart", "before").await?;
    for subscriber in &mut subscribers {
        take_all(subscriber, &["before"], "before the restart").await?;
    }
    ask("restart").await?;
    for events in [&mut subscriber_events, &mut publisher_events] {
        events.until(Event::Disconnected).await?;
        events.until(Event::Connected).await?;
    }
    settle(&subscriber).await?;
    for number in &numbers(100) {
        publish(&publisher, "after.restart", number).await?;
    }
    for subscriber in &mut subscribers {
        take_all(subscriber, &numbers(100), "after the restart").await?;
    }
    Ok(())
}

async fn ordered_100000(place: &Place) -> Outcome {
    let (publisher, client) = (place.connect().await?, place.connect().await?);
    let mut subscriber = subscribe(&client, "count.up").await?;
    let counting = tokio::spawn(async move {
        for number in 0..100_000 {
            publish(&publisher, "count.up", &number.to_string()).await?;
        }
        publisher.flush().await?;
        Outcome::Ok(())
    });
    for number in 0..100_000 {
        expect!(number.to_string(), take(&mut subscriber).await?.payload, "order");
    }
    counting.await?
}

async fn auto_unsubscribe(place: &Place) -> Outcome {
    let (publisher, client) = (place.connect().await?, place.connect().await?);
    let mut first_three = client.subscribe("few.wanted").await?;
    let mut later = client.subscribe("few.wanted").await?;
    let mut end = client.subscribe("few.end").await?;
    first_three.unsubscribe_after(3).await?;
    settle(&client).await?;
    let all = numbers(10);
    for number in &all[..2] {
        publish(&publisher, "few.wanted", number).await?;
    }
    take_all(&mut later, &all[..2], "before the limit was set").await?;
    later.unsubscribe_after(5).await?; // counted from the start of the subscription
    settle(&client).await?;
    for number in &all[2..] {
        publish(&publisher, "few.wanted", number).await?;
    }
    publish(&publisher, "few.end", "end").await?;
    take(&mut end).await?;
    expect!(all[..3], rest(first_three).await, "limit of 3");
    expect!(all[2..5], rest(later).await, "limit of 5, two of them before");
    Ok(())
}

async fn echo_off(place: &Place) -> Outcome {
    let quiet = place.connect_with(place.options().no_echo()).await?;
    let other = place.connect().await?;
    let mut mine = subscribe(&quiet, "echo.off").await?;
    let mut theirs = subscribe(&other, "echo.off").await?;
    publish(&quiet, "echo.off", "from the quiet one").await?;
    settle(&quiet).await?;
    publish(&other, "echo.off", "from the other").await?;
    take_all(&mut theirs, &["from the quiet one", "from the other"], "with echo").await?;
    take_all(&mut mine, &["from the other"], "without echo").await
}

/// A megabyte that is another one for each number.
fn megabyte(number: u32) -> Vec<u8> {
    let mut state = 2_463_534_242 + number;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(MIB).collect()
}

async fn large_messages(place: &Place) -> Outcome {
    let (publisher, client) = (place.connect().await?, place.connect().await?);
    let mut subscriber = subscribe(&client, "large").await?;
    for number in 0..4 {
        publisher.publish("large", megabyte(number).into()).await?;
    }
    for number in 0..4 {
        let seen = take(&mut subscriber).await?.payload;
        expect!(
            true,
            seen == megabyte(number),
            "large message {number} is as it was sent"
        );
    }
    Ok(())
}

async fn many_subjects(place: &Place) -> Outcome {
    let (publisher, client, other) = (place.connect().await?, place.connect().await?, place.connect().await?);
    let mut every = subscribe(&other, "many.*").await?;
    let names: Vec<String> = (0..2000).map(|number| format!("many.{number}")).collect();
    let subscribers = try_join_all(names.iter().map(|name| client.subscribe(name.clone()))).await?;
    settle(&client).await?;
    for name in &names {
        publish(&publisher, name, name).await?;
    }
    for (name, mut subscriber) in names.iter().zip(subscribers) {
        take_all(&mut subscriber, &[name], name).await?;
    }
    take_all(&mut every, &names, "many.*").await
}

/// The server is about to leave: it says so, lets go of its clients a little later, and they go on at the other one.
async fn lame_duck(place: &Place) -> Outcome {
    let servers = [place.url.as_str(), place.other_url.as_str()].map(|url| url.parse());
    let servers: Vec<async_nats::ServerAddr> = servers.into_iter().collect::<Result<_, _>>()?;
    let other_port = servers[1].port();
    let (subscriber_options, mut subscriber_events) = Events::of(place.options().retain_servers_order());
    let (publisher_options, mut publisher_events) = Events::of(place.options().retain_servers_order());
    let subscriber = subscriber_options.connect(&servers).await?;
    let publisher = publisher_options.connect(&servers).await?;
    let mut still_here = subscribe(&subscriber, "still.here").await?;
    ask("lame_duck").await?;
    for events in [&mut subscriber_events, &mut publisher_events] {
        events.until(Event::LameDuckMode).await?;
        events.until(Event::Disconnected).await?;
        events.until(Event::Connected).await?;
    }
    for client in [&subscriber, &publisher] {
        tokio::time::timeout(PATIENCE, settle(client)).await??;
        expect!(
            other_port,
            client.server_info().port,
            "port of the server that the client went to"
        );
    }
    publish(&publisher, "still.here", "yes").await?;
    take_all(&mut still_here, &["yes"], "at the other server").await
}
