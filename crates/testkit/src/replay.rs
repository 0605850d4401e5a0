//! Replays the audit log from its first entry and compares the result with the tables and with the model.

use std::collections::BTreeMap;

use keyward_key::time::Millis;
use keyward_protocol::audit::{Entry, Head, verify};
use keyward_registry::audit::audit_after;
use serde_json::{Map, Value as Json, json};

use crate::model::Model;
use crate::sqlite_store::SqliteStore;

type Tables = BTreeMap<String, Map<String, Json>>;

pub fn check(store: &mut SqliteStore, model: &Model) {
    let log = audit_after(store, 0, 1000).unwrap();
    let head = verify(&Head::empty(), &log).expect("the chain is broken");
    assert_eq!(head.seq, model.changes);
    let replayed = replay(&log);
    let held = read_tables(store);
    assert_eq!(replayed, held, "the log and the tables differ");
    assert_eq!(held.len(), model.keys.len() + model.members.len());
    for key in &model.keys {
        let id = format!("wafl_{}_{:012}", key.environment.as_str(), key.number);
        let held = &held[&id];
        assert_eq!(held["name"], format!("name {}", key.name));
        assert_eq!(held["integration"], format!("i{}", key.integration));
        assert_eq!(held["scopes"].as_array().unwrap().len(), if key.wide { 2 } else { 1 });
        assert_eq!(held["expires_at"], Millis(key.expires_at).rfc3339());
        assert_eq!(held["revoked"], key.revoked);
        let successor = key.successor.map(|number| format!("wafl_{}_{number:012}", key.environment.as_str()));
        assert_eq!(held["successor"], json!(successor));
    }
    for member in &model.members {
        let held = &held[&format!("wafl_admin_{:0>12}", member.number)];
        assert_eq!(held["role"], member.role.as_str());
        assert_eq!(held["environments"], json!(member.limit));
        assert_eq!(held["expires_at"], Millis(member.expires_at).rfc3339());
        assert_eq!(held["revoked"], member.revoked);
    }
}

const KEY: [&str; 8] =
    ["name", "integration", "environment", "scopes", "expires_at", "rotated_from", "successor", "revoked_by"];
const MEMBER: [&str; 5] = ["name", "email", "role", "environments", "expires_at"];

/// Returns the fields that log and tables share, and whether the key or member is revoked.
fn fields(view: &Json, names: &[&str]) -> Map<String, Json> {
    let mut fields: Map<_, _> = names.iter().map(|name| ((*name).to_owned(), view[name].clone())).collect();
    fields.insert("revoked".to_owned(), json!(!view["revoked_at"].is_null()));
    fields
}

fn replay(log: &[Entry]) -> Tables {
    let mut tables = Tables::new();
    for entry in log {
        let detail = &entry.detail;
        let subject = entry.subject.clone();
        match entry.action.as_str() {
            "key.issue" | "bootstrap" | "member.create" => {
                let (name, names) =
                    if subject.contains("_admin_") { ("member", &MEMBER[..]) } else { ("key", &KEY[..]) };
                assert_eq!(detail[name]["id"], subject);
                assert!(tables.insert(subject, fields(&detail[name], names)).is_none(), "created twice");
            }
            "key.rotate" => {
                let successor = detail["key"]["id"].as_str().unwrap().to_owned();
                assert!(tables.insert(successor, fields(&detail["key"], &KEY)).is_none(), "created twice");
                if !detail.contains_key("retiring") {
                    // The successor waits for its claim, and the old key is unchanged.
                    continue;
                }
                let mut retiring = fields(&detail["retiring"], &KEY);
                // Both keys have the same lists, so the entry has them once.
                retiring.insert("scopes".to_owned(), detail["key"]["scopes"].clone());
                let before = tables.insert(subject, retiring).unwrap();
                assert!(before["successor"].is_null() && before["revoked"] == false);
            }
            "key.claim" => {
                let before = tables.insert(subject, fields(&detail["key"], &KEY)).unwrap();
                assert_eq!(before["revoked"], false, "claimed after it was revoked");
                if let Some(retiring) = detail.get("retiring") {
                    let old = tables.get_mut(retiring["id"].as_str().unwrap()).unwrap();
                    let scopes = old["scopes"].clone();
                    *old = fields(retiring, &KEY);
                    old.insert("scopes".to_owned(), scopes);
                }
            }
            "key.revoke" | "claim.withdraw" | "claim.expire" => {
                let key = tables.get_mut(&subject).unwrap();
                let by = key.insert("revoked_by".to_owned(), entry.actor.as_str().into());
                assert_eq!(by, Some(Json::Null), "revoked twice");
                let before = key.insert("revoked".to_owned(), true.into());
                assert_eq!(before, Some(false.into()), "revoked twice");
            }
            "member.rotate" | "member.revoke" => {
                let before = tables.insert(subject, fields(&detail["member"], &MEMBER)).unwrap();
                assert_eq!(before["revoked"], false, "changed after it was revoked");
            }
            "key.update" | "member.update" => {
                let row = tables.get_mut(&subject).unwrap();
                assert_eq!(row["revoked"], false, "changed after it was revoked");
                for (name, after) in detail.get("after").and_then(Json::as_object).into_iter().flatten() {
                    let before = row.insert(name.clone(), after.clone());
                    // The histories never change the purpose or the owner of a key.
                    assert_eq!(before.as_ref(), detail["before"].get(name), "{name}");
                    assert_ne!(before.as_ref(), Some(after), "{name}");
                }
                change_lists(row, detail);
            }
            "key.expose"
            | "key.dismiss_exposure"
            | "key.quarantine"
            | "key.release"
            | "key.idle"
            | "key.reach_limit"
            | "member.expose"
            | "member.end_handover" => {
                assert!(tables.contains_key(&subject), "exposed before it was created");
            }
            "leak.report" => assert!(subject.starts_with("leak_")),
            "key.shown_again" => assert!(tables.contains_key(&subject), "shown before it was created"),
            other => panic!("{other}"),
        }
    }
    tables
}

/// Removes the removed items from the lists of a key or member, and appends the added ones.
fn change_lists(row: &mut Map<String, Json>, detail: &Map<String, Json>) {
    let lists = |name: &str| detail.get(name).and_then(Json::as_object).cloned().unwrap_or_default();
    for (name, removed) in lists("removed") {
        let list = row[&name].as_array_mut().unwrap();
        for item in removed.as_array().unwrap() {
            let at = list.iter().position(|known| known == item).expect("removed an item that was not there");
            list.remove(at);
        }
    }
    for (name, added) in lists("added") {
        let list = row[&name].as_array_mut().unwrap();
        list.extend(added.as_array().unwrap().iter().cloned());
        // Environments have a fixed order. Scopes keep the order of the request, which these histories sort.
        list.sort_by_key(|item| item.as_str().unwrap().to_owned());
    }
}

fn read_tables(store: &SqliteStore) -> Tables {
    let mut dump = store.dump();
    let mut tables = Tables::new();
    for (table, names) in [("keys", &KEY[..]), ("members", &MEMBER[..])] {
        for row in dump[table].as_array_mut().unwrap() {
            for list in ["scopes", "environments"] {
                if let Some(text) = row[list].as_str() {
                    row[list] = serde_json::from_str(text).unwrap();
                }
            }
            row["expires_at"] = Millis(row["expires_at"].as_i64().unwrap()).rfc3339().into();
            tables.insert(row["id"].as_str().unwrap().to_owned(), fields(row, names));
        }
    }
    tables
}
