//! Decodes facts from JSON.

use std::sync::Arc;

use serde_json::Value;

use super::{
    DecodeError, Fact, Slot,
    encode::{action_key, change_key},
    fields::Fields,
    malformed,
};
use crate::status::{
    ChangeType, State,
    notified::{Details, Notified, OpenClose},
    overrides::{LAST_NUMBER, Override, OverrideAction},
    pulled::{Knew, PullDetails, Pulled},
    wall::LATEST_MS,
};

pub(super) fn decode_fact(slot: Slot, value: Value) -> Result<Fact, DecodeError> {
    let part = slot.key();
    let fields = Fields::new(value, part)?;
    let fact = match slot {
        Slot::Upgrade => notified(|_| Ok(ChangeType::Upgrade), fields),
        Slot::BackupRestored => notified(|_| Ok(ChangeType::BackupRestored), fields),
        Slot::Suspend => notified(|_| Ok(ChangeType::Suspend), fields),
        Slot::Resume => notified(|_| Ok(ChangeType::Resume), fields),
        Slot::Delete => notified(|_| Ok(ChangeType::Delete), fields),
        Slot::Move => notified(|_| Ok(ChangeType::Move), fields),
        Slot::Other => {
            notified(|fields| fields.number("number", 0..=u32::MAX).map(ChangeType::from), fields)
        }
        Slot::Settled(_) => pulled(fields, true),
        Slot::Unsettled => pulled(fields, false),
        Slot::Override => overridden(fields),
    }?;
    // A number that is a documented type's, or a state of another outcome, stands under a wrong
    // key.
    if fact.slot() == slot { Ok(fact) } else { Err(malformed(part)) }
}

fn notified(
    change: impl FnOnce(&mut Fields) -> Result<ChangeType, DecodeError>,
    mut fields: Fields,
) -> Result<Fact, DecodeError> {
    let change = change(&mut fields)?;
    let place = fields.optional_number("place", 1..=u16::MAX)?.unwrap_or(1);
    let (token_time, received_at) = (fields.token_time("at")?, fields.wall_time("seen")?);
    let details = Arc::new(Details {
        version_name: fields.text("version")?,
        file_version: fields.text("file")?,
        endpoint: fields.optional_text("endpoint")?,
        extra: fields.into_extra(),
    });
    let notified = Notified::new(change, token_time, received_at, details);
    Ok(Fact::Notified(notified.at_place(place)))
}

fn pulled(mut fields: Fields, settled: bool) -> Result<Fact, DecodeError> {
    let state = State::from_name(&fields.text("state")?).ok_or(fields.malformed())?;
    let seq = fields.number("seq", 1..=LAST_NUMBER)?;
    let mut pulled = Pulled::new(state, seq, knew(&mut fields)?);
    pulled.settled = settled;
    pulled.since = fields.wall_time("since")?;
    pulled.known = fields.number("known", 0..=u32::MAX)?;
    pulled.fresh = fields.optional_number("fresh", 1..=u16::MAX)?.unwrap_or(0);
    pulled.details = Arc::new(PullDetails {
        endpoint: fields.optional_text("endpoint")?,
        version: fields.optional_text("version")?,
        extra: fields.into_extra(),
    });
    Ok(Fact::Pulled(pulled))
}

fn knew(fields: &mut Fields) -> Result<Option<Knew>, DecodeError> {
    if !fields.has("knew") && !fields.has("knew_at") {
        return Ok(None);
    }
    let name = fields.text("knew")?;
    let change = OpenClose::ALL.into_iter().find(|own| change_key(*own) == name);
    let change = change.ok_or(fields.malformed())?;
    Ok(Some(Knew { token_time: fields.token_time("knew_at")?, change }))
}

fn overridden(mut fields: Fields) -> Result<Fact, DecodeError> {
    let name = fields.text("order")?;
    let actions = [OverrideAction::Open, OverrideAction::Close, OverrideAction::Release];
    let action = actions.into_iter().find(|own| action_key(*own) == name);
    Ok(Fact::Override(Box::new(Override {
        action: action.ok_or(fields.malformed())?,
        // Version 1.0 had one override in each record, and no number.
        order: fields.optional_number("number", 1..=LAST_NUMBER)?.unwrap_or(1),
        set_at: fields.wall_time("set_at")?,
        note: fields.text("note")?,
        until: fields.optional_number("until", 0..=LATEST_MS)?,
        extra: fields.into_extra(),
    })))
}
