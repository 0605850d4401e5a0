//! Response bodies that several operations share.

use serde::{Deserialize, Serialize};

use super::delivery::Link;
use super::failure::Failure;
use keyward_config::Config;
use keyward_http::problem::Code;
use keyward_key::id::KeyId;
use keyward_key::mint::Minted;
use keyward_key::time::Millis;
use keyward_key::version;
use keyward_protocol::Raw;

/// Response body of a change.
#[derive(Serialize, Default)]
pub(super) struct Changed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring: Option<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guaranteed_by: Option<String>,
}

impl<'a> Changed<'a> {
    /// Creates the body for a changed key.
    pub fn key(key: &'a Raw) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    /// Creates the body for a changed member.
    pub fn member(member: &'a Raw) -> Self {
        Self { member: Some(member), ..Self::default() }
    }

    /// Creates the body for a new key with its text, which only this response shows.
    pub fn new_key(key: &'a Raw, minted: Option<&'a Minted>) -> Result<Self, Failure> {
        Ok(Self { api_key: Some(text_of(key, minted)?), ..Self::key(key) })
    }

    /// Creates the body for a new key that waits for its claim, with the link, which only this response shows.
    pub fn pending_key(key: &'a Raw, link: Link) -> Self {
        Self { claim: Some(link), ..Self::key(key) }
    }

    /// Creates the body for a member with the text of their new credential, which only this response shows.
    pub fn new_credential(member: &'a Raw, minted: Option<&'a Minted>) -> Result<Self, Failure> {
        Ok(Self { api_key: Some(text_of(member, minted)?), ..Self::member(member) })
    }

    /// Adds the retiring key.
    pub fn retiring(self, key: &'a Raw) -> Self {
        Self { retiring: Some(key), ..self }
    }

    /// Adds the times by which the change is in effect everywhere.
    pub fn since(self, config: &Config, changed_at: Millis) -> Self {
        let (effective, guaranteed) = config.effect_times(changed_at);
        Self { effective_by: Some(effective.rfc3339()), guaranteed_by: Some(guaranteed.rfc3339()), ..self }
    }
}

/// Returns the text of a credential if it belongs to the key or member in the view.
fn text_of<'a>(view: &Raw, minted: Option<&'a Minted>) -> Result<&'a str, Failure> {
    credential_of(view, minted).map(|minted| minted.api_key.expose())
}

/// Returns a credential if it belongs to the key or member in the view.
pub(super) fn credential_of<'a>(view: &Raw, minted: Option<&'a Minted>) -> Result<&'a Minted, Failure> {
    #[derive(Deserialize)]
    struct Named {
        id: KeyId,
    }
    let named = version::read::<Named>(view.get()).ok();
    minted
        .filter(|minted| named.is_some_and(|named| named.id == minted.id))
        .ok_or(Failure::Fault { event: "replay_failed", code: Code::AuthorityUnavailable })
}

/// A page of a list, both in the internal message and in the response.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListPage {
    /// Views.
    pub items: Vec<Raw>,
    /// Cursor of the next page; `None` at the end.
    pub next_cursor: Option<String>,
}
