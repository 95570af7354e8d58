//! `qbackd notify`: whether those who are to be told hear it.

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::{Global, ground, output, signals};
use crate::error::{Error, Kind, Result};
use crate::model::{Clock, Event, Name, Notice, SystemClock};
use crate::notify::{self, LIMIT, Message};

/// Tell somebody something, to see whether it arrives.
///
/// `notify test NAME` sends a message by [notify.NAME] right now, once, and says
/// whether the other side took it: the mail server accepted it, the service
/// answered with a success, the command exited 0. The message says that it is a
/// test. It is sent by this process, with its rights and its environment; secrets
/// that only the service can read (credentials of systemd) are not there.
///
/// Examples:
///   qbackd notify test ops
///   qbackd notify test ops --event succeeded
///   qbackd notify test ops --json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Test(TestArgs),
}

/// Send a test message now.
#[derive(Debug, clap::Args)]
struct TestArgs {
    /// The name of a [notify.NAME].
    #[arg(value_name = "NAME")]
    name: Name,
    /// Send it as a message of this event.
    #[arg(long, value_name = "EVENT", default_value = "failed", value_parser = PossibleValuesParser::new(Event::WORDS).try_map(|w| w.parse::<Event>()))]
    event: Event,
}

/// Runs the verb.
pub(super) fn run(args: &Args, global: &Global) -> Result<()> {
    let What::Test(args) = &args.what;
    let plan = ground::plan(global)?;
    let Some(to) = plan.notify.get(&args.name) else {
        let names: Vec<&str> = plan.notify.keys().map(Name::as_str).collect();
        let hint =
            if names.is_empty() { "none is defined yet".to_owned() } else { format!("defined: {}", names.join(", ")) };
        return Err(Error::new(Kind::NotFound, format!("there is no [notify.{}]", args.name)).hint(hint));
    };
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let text = format!("test of [notify.{}]: nothing happened", args.name);
    let message = Message::of(&Notice::new(args.event, SystemClock.now(), &host, None, text)).as_test();
    signals::block_on(|cancel| async move {
        tokio::select! {
            sent = notify::send(to, &message, LIMIT) => sent,
            () = cancel.cancelled() => Err(Error::interrupted()),
        }
    })?;
    if global.json {
        return output::json(&json!({ "name": to.name, "type": to.how.word(), "event": args.event, "taken": true }));
    }
    output::line(&format!("{}: taken by {}, as `{}`", to.name, to.how.word(), args.event))
}
