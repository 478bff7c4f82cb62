//! Encodes facts as JSON.

use serde_json::{Map, Value, json};

use super::Fact;
use crate::status::{
    ChangeType,
    notified::{Notified, OpenClose},
    overrides::{Override, OverrideAction},
    pulled::Pulled,
};

pub(super) fn encode_fact(fact: &Fact) -> Map<String, Value> {
    match fact {
        Fact::Notified(notified) => encode_notified(notified),
        Fact::Pulled(pulled) => encode_pulled(pulled),
        Fact::Override(latest) => encode_override(latest),
    }
}

fn encode_notified(notified: &Notified) -> Map<String, Value> {
    let details = &notified.details;
    let mut map = details.extra.clone();
    map.insert("at".to_owned(), json!(notified.token_time));
    map.insert("seen".to_owned(), json!(notified.received_at));
    map.insert("version".to_owned(), json!(details.version_name.as_str()));
    map.insert("file".to_owned(), json!(details.file_version.as_str()));
    if notified.place() != 1 {
        map.insert("place".to_owned(), json!(notified.place()));
    }
    if let Some(endpoint) = &details.endpoint {
        map.insert("endpoint".to_owned(), json!(endpoint.as_str()));
    }
    if let ChangeType::Other(number) = notified.change() {
        map.insert("number".to_owned(), json!(number));
    }
    map
}

fn encode_pulled(pulled: &Pulled) -> Map<String, Value> {
    let details = &pulled.details;
    let mut map = details.extra.clone();
    map.insert("state".to_owned(), json!(pulled.state.name()));
    map.insert("seq".to_owned(), json!(pulled.seq));
    map.insert("since".to_owned(), json!(pulled.since));
    map.insert("known".to_owned(), json!(pulled.known));
    if let Some(knew) = pulled.knew() {
        map.insert("knew".to_owned(), json!(change_key(knew.change)));
        map.insert("knew_at".to_owned(), json!(knew.token_time));
    }
    if pulled.fresh != 0 {
        map.insert("fresh".to_owned(), json!(pulled.fresh));
    }
    if let Some(endpoint) = &details.endpoint {
        map.insert("endpoint".to_owned(), json!(endpoint.as_str()));
    }
    if let Some(version) = &details.version {
        map.insert("version".to_owned(), json!(version.as_str()));
    }
    map
}

fn encode_override(latest: &Override) -> Map<String, Value> {
    let mut map = latest.extra.clone();
    // `order` was the name of the action before overrides were numbered.
    map.insert("order".to_owned(), json!(action_key(latest.action)));
    map.insert("number".to_owned(), json!(latest.order));
    map.insert("set_at".to_owned(), json!(latest.set_at));
    map.insert("note".to_owned(), json!(latest.note.as_str()));
    if let Some(until) = latest.until {
        map.insert("until".to_owned(), json!(until));
    }
    map
}

pub(super) fn change_key(change: OpenClose) -> &'static str {
    match change {
        OpenClose::Resume => "resume",
        OpenClose::Upgrade => "upgrade",
        OpenClose::Suspend => "suspend",
        OpenClose::Delete => "delete",
    }
}

pub(super) fn action_key(action: OverrideAction) -> &'static str {
    match action {
        OverrideAction::Open => "open",
        OverrideAction::Close => "close",
        OverrideAction::Release => "release",
    }
}
