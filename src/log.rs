//! The operator's log: one line of JSON for each event.
//!
//! No line contains a key, a credential or a secret, because only `expose` turns one into a string.

use serde_json::{Map, Value};
use worker::{console_error, console_log, console_warn};

use std::cell::RefCell;

pub use keyward_edge::{Level, LoggedEvents};

thread_local! {
    /// Events of this isolate that are not counted yet: its reports of usage and the objects in it take them.
    static LOGGED: RefCell<Vec<LoggedEvents>> = const { RefCell::new(Vec::new()) };
}

/// Takes the events at level warn or error that are not counted yet.
pub fn take() -> Vec<LoggedEvents> {
    LOGGED.with(|logged| logged.try_borrow_mut().map(|mut logged| std::mem::take(&mut *logged)).unwrap_or_default())
}

fn count(level: Level, event: &str) {
    LOGGED.with(|logged| {
        let Ok(mut logged) = logged.try_borrow_mut() else { return };
        match logged.iter_mut().find(|known| known.event == event && known.level == level) {
            Some(known) => known.count = known.count.saturating_add(1),
            None => logged.push(LoggedEvents { event: event.to_owned(), level, count: 1 }),
        }
    });
}

/// Writes `{"level", "event", …fields}`.
pub fn event(level: Level, event: &str, fields: &[(&str, &str)]) {
    if level != Level::Info {
        count(level, event);
    }
    let mut line = Map::new();
    line.insert("level".to_owned(), level.as_str().into());
    line.insert("event".to_owned(), event.into());
    for (field, value) in fields {
        line.insert((*field).to_owned(), (*value).into());
    }
    let line = Value::Object(line).to_string();
    match level {
        Level::Info => console_log!("{line}"),
        Level::Warn => console_warn!("{line}"),
        Level::Error => console_error!("{line}"),
    }
}
