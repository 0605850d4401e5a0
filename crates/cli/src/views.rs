//! Objects of the API, as far as this program shows them. Unknown fields are ignored, missing ones are empty.

use serde::Deserialize;
use serde_json::Value as Json;

use crate::output::{Column, Output, Table};
use crate::secret::Secret;
use crate::time::{date, relative};

/// A key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Key {
    /// Key id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Integration that uses it.
    pub integration: String,
    /// `live` or `test`.
    pub environment: String,
    /// Purpose.
    pub purpose: String,
    /// Whom to ask.
    pub owner: String,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Networks; empty means every address.
    pub allowed_cidrs: Vec<String>,
    /// Limits, as the API writes them.
    pub limits: Vec<Json>,
    /// State.
    pub status: String,
    /// RFC 3339.
    pub created_at: String,
    /// Member id.
    pub created_by: String,
    /// RFC 3339.
    pub expires_at: String,
    /// Predecessor.
    pub rotated_from: Option<String>,
    /// Successor.
    pub successor: Option<String>,
    /// RFC 3339.
    pub revoked_at: Option<String>,
    /// Member id or `holder`.
    pub revoked_by: Option<String>,
    /// Reason.
    pub revoke_reason: Option<String>,
    /// RFC 3339.
    pub last_used_at: Option<String>,
    /// RFC 3339.
    pub exposed_at: Option<String>,
    /// Number of the last change.
    pub revision: u64,
}

/// A member.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Member id.
    pub id: String,
    /// Name.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// Role.
    pub role: String,
    /// Environments; `None` means all.
    pub environments: Option<Vec<String>>,
    /// State.
    pub status: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// RFC 3339.
    pub revoked_at: Option<String>,
}

/// Permission to mint a key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Claim {
    /// Id.
    pub id: String,
    /// Address of the page, with the claim's secret in its fragment.
    pub url: String,
    /// State, where an answer names it.
    pub status: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// Answer to a change.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Change {
    /// The changed or new key.
    pub key: Option<Key>,
    /// The changed or new member.
    pub member: Option<Member>,
    /// Text of a new key or credential.
    pub api_key: Option<Secret>,
    /// Claim, if the key is delivered by one.
    pub claim: Option<Claim>,
    /// Old key of a rotation.
    pub retiring: Option<Key>,
    /// RFC 3339.
    pub effective_by: Option<String>,
    /// RFC 3339.
    pub guaranteed_by: Option<String>,
}

impl Key {
    /// Returns the lines that describe a key.
    #[must_use]
    pub fn pairs(&self, output: &Output) -> Vec<(&'static str, String)> {
        let moment = |text: &str| format!("{text} ({})", relative(text, output.now));
        let mut pairs = vec![
            ("id", self.id.clone()),
            ("name", self.name.clone()),
            ("integration", self.integration.clone()),
            ("environment", self.environment.clone()),
            ("status", self.status.clone()),
            ("purpose", self.purpose.clone()),
            ("owner", self.owner.clone()),
            ("scopes", self.scopes.join(" ")),
            ("networks", if self.allowed_cidrs.is_empty() { "any".to_owned() } else { self.allowed_cidrs.join(" ") }),
        ];
        if !self.limits.is_empty() {
            pairs.push(("limits", self.limits.iter().map(limit_text).collect::<Vec<_>>().join(", ")));
        }
        pairs.extend([
            ("created", format!("{} by {}", moment(&self.created_at), self.created_by)),
            ("expires", moment(&self.expires_at)),
        ]);
        let optional = [
            ("rotated from", self.rotated_from.clone()),
            ("successor", self.successor.clone()),
            ("last used", self.last_used_at.as_deref().map(moment)),
            ("exposed", self.exposed_at.as_deref().map(moment)),
            (
                "revoked",
                self.revoked_at.as_deref().map(|at| match &self.revoked_by {
                    Some(by) => format!("{} by {by}", moment(at)),
                    None => moment(at),
                }),
            ),
            ("reason", self.revoke_reason.clone()),
        ];
        pairs.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        pairs
    }
}

/// Returns a limit in words, such as `100 in 60 s`.
#[must_use]
pub fn limit_text(limit: &Json) -> String {
    let number = |name: &str| limit.get(name).and_then(Json::as_u64);
    let text = |name: &str| limit.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let requests = number("requests").map(|count| count.to_string()).unwrap_or_default();
    match number("seconds") {
        Some(seconds) => format!("{} {requests} in {seconds} s", text("name")),
        None => format!("{} {requests} a {}", text("name"), text("period")),
    }
}

/// Returns the table of a list of keys.
#[must_use]
pub fn key_table(keys: &[Key], output: &Output) -> Table {
    let columns = [
        Column::whole("ID"),
        Column::elastic("NAME"),
        Column::elastic("INTEGRATION"),
        Column::whole("STATUS"),
        Column::elastic("SCOPES"),
        Column::whole("EXPIRES"),
    ];
    let mut table = Table::new(&columns);
    for key in keys {
        let ends = if key.status == "revoked" { "–".to_owned() } else { relative(&key.expires_at, output.now) };
        let cells = [&key.id, &key.name, &key.integration, &key.status].map(String::clone);
        table.row(cells.into_iter().chain([key.scopes.join(" "), ends]));
    }
    table
}

/// Returns the environments of a member in words.
#[must_use]
pub fn environments_text(environments: Option<&[String]>) -> String {
    environments.map_or_else(|| "all".to_owned(), |environments| environments.join(" "))
}

impl Member {
    /// Returns the lines that describe a member.
    #[must_use]
    pub fn pairs(&self, output: &Output) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("id", self.id.clone()),
            ("name", self.name.clone()),
            ("email", self.email.clone()),
            ("role", self.role.clone()),
            ("environments", environments_text(self.environments.as_deref())),
            ("status", self.status.clone()),
            ("expires", format!("{} ({})", self.expires_at, relative(&self.expires_at, output.now))),
        ];
        pairs.extend(self.revoked_at.clone().map(|at| ("revoked", at)));
        pairs
    }
}

/// Returns the table of a list of members.
#[must_use]
pub fn member_table(members: &[Member], output: &Output) -> Table {
    let columns = [
        Column::whole("ID"),
        Column::elastic("NAME"),
        Column::elastic("EMAIL"),
        Column::whole("ROLE"),
        Column::whole("ENVIRONMENTS"),
        Column::whole("STATUS"),
        Column::whole("EXPIRES"),
    ];
    let mut table = Table::new(&columns);
    for member in members {
        let ends = if member.status == "revoked" {
            date(member.revoked_at.as_deref().unwrap_or_default())
        } else {
            relative(&member.expires_at, output.now)
        };
        table.row([
            member.id.clone(),
            member.name.clone(),
            member.email.clone(),
            member.role.clone(),
            environments_text(member.environments.as_deref()),
            member.status.clone(),
            ends,
        ]);
    }
    table
}
