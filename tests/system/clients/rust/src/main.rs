//! The program runs scenarios of a NATS application with async-nats, the official Rust client:
//!
//! ```text
//! program URL[,URL] [scenario...]
//! ```
//!
//! All of them by default; the second URL is lame_duck's. One line each, `ok <scenario>` or `FAILED <scenario>: why`; it ends
//! with 1 if any failed. Where the server has to be restarted or sent away, it prints `ready restart` or `ready lame_duck` and
//! goes on when it reads a line.

mod place;
mod scenarios;

use std::process::ExitCode;
use std::time::Duration;

use place::Place;

const SCENARIO_TIME_MAX: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(urls) = arguments.next() else {
        eprintln!("usage: program URL[,URL] [scenario...]");
        return ExitCode::from(2);
    };
    let (url, other_url) = urls.split_once(',').unwrap_or((&urls, ""));
    let mut names: Vec<String> = arguments.collect();
    if names.is_empty() {
        names = scenarios::ALL.iter().map(ToString::to_string).collect();
    }
    let mut code = ExitCode::SUCCESS;
    for name in &names {
        let place = Place {
            url: url.to_owned(),
            other_url: other_url.to_owned(),
        };
        let outcome = match tokio::time::timeout(SCENARIO_TIME_MAX, scenarios::run(name, &place)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("not within {SCENARIO_TIME_MAX:?}").into()),
        };
        match outcome {
            Ok(()) => println!("ok {name}"),
            Err(why) => {
                println!("FAILED {name}: {}", why.to_string().replace('\n', " "));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
