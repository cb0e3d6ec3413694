//! Where a scenario runs: connections, ways to wait for the server, and checks.

use std::io::{BufRead, Write};
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Message, RequestErrorKind, Subscriber};
use futures::StreamExt;
use tokio::sync::mpsc;

pub type Outcome = Result<(), async_nats::Error>;

/// Ends the scenario unless both are equal.
#[macro_export]
macro_rules! expect {
    ($expected:expr, $seen:expr, $($what:tt)+) => {{
        let (expected, seen) = (&$expected, &$seen);
        if *expected != *seen {
            let mut values = format!("expected {expected:?}, saw {seen:?}");
            values.truncate(300);
            return Err(format!("{}: {values}", format!($($what)+)).into());
        }
    }};
}

pub struct Place {
    pub url: String,
    pub other_url: String,
}

impl Place {
    /// Options of a client that comes back within milliseconds when the server does, and whose subscriptions may wait long.
    pub fn options(&self) -> ConnectOptions {
        ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(50))
            .subscription_capacity(1 << 18)
    }

    pub async fn connect(&self) -> Result<Client, async_nats::Error> {
        self.connect_with(self.options()).await
    }

    pub async fn connect_with(&self, options: ConnectOptions) -> Result<Client, async_nats::Error> {
        Ok(options.connect(self.url.as_str()).await?)
    }
}

/// What a client tells about its connection, in order.
pub struct Events(mpsc::UnboundedReceiver<Event>);

impl Events {
    pub fn of(options: ConnectOptions) -> (ConnectOptions, Events) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let options = options.event_callback(move |event| {
            let sender = sender.clone();
            async move {
                let _ = sender.send(event);
            }
        });
        (options, Events(receiver))
    }

    pub async fn until(&mut self, wanted: Event) -> Outcome {
        while let Some(event) = self.0.recv().await {
            if event == wanted {
                return Ok(());
            }
        }
        Err(format!("the client was gone before it told '{wanted}'").into())
    }
}

/// Returns when the server has taken all that this client has said so far, and the client has all that the server had sent
/// before: a question that nobody answers comes back at once. (`flush` only empties the client's own buffer.)
pub async fn settle(client: &Client) -> Outcome {
    match client.request("settle.nobody.answers", "".into()).await {
        Err(error) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
        other => Err(format!("settle: {other:?}").into()),
    }
}

/// A subscription that the server knows of.
pub async fn subscribe(client: &Client, subject: &str) -> Result<Subscriber, async_nats::Error> {
    let subscriber = client.subscribe(subject.to_owned()).await?;
    settle(client).await?;
    Ok(subscriber)
}

pub async fn publish(client: &Client, subject: &str, payload: &str) -> Outcome {
    Ok(client.publish(subject.to_owned(), payload.to_owned().into()).await?)
}

pub async fn take(subscriber: &mut Subscriber) -> Result<Message, async_nats::Error> {
    Ok(subscriber.next().await.ok_or("the subscription ended")?)
}

/// Takes as many messages as there are payloads, and wants just these.
pub async fn take_all<T: AsRef<str>>(subscriber: &mut Subscriber, payloads: &[T], what: &str) -> Outcome {
    for (number, payload) in payloads.iter().enumerate() {
        let message = take(subscriber).await?;
        expect!(
            payload.as_ref().as_bytes(),
            &message.payload[..],
            "{what}: message {number}"
        );
    }
    Ok(())
}

/// "0", "1", ... as many as asked.
pub fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// Asks whoever runs the server to do something with it, and waits for the answer.
pub async fn ask(what: &'static str) -> Outcome {
    tokio::task::spawn_blocking(move || {
        println!("ready {what}");
        std::io::stdout().flush()?;
        std::io::stdin().lock().read_line(&mut String::new())
    })
    .await??;
    Ok(())
}
