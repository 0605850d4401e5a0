//! A signed-in client: deployment and credential, found by the options of a command.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::address::Address;
use super::client::{Answer, Client, Request};
use crate::credential::{Credential, keyring};
use crate::failure::{Exit, Failure};
use crate::profile::{ConnectionArgs, DEFAULT_NAME, Profile, Profiles};

/// Number of items that one page of a list has.
const PAGE_ITEMS: usize = 200;

/// A client with a credential.
pub struct Session {
    client: Client,
    /// Name of the profile, for messages and for the cache of completions.
    pub profile: String,
}

/// Deployment that the options name.
pub struct Deployment {
    /// Name of the profile.
    pub profile: String,
    /// Address.
    pub address: Address,
    /// The profile, if its address is the one in use.
    pub stored: Option<Profile>,
}

impl Deployment {
    /// Finds the deployment.
    ///
    /// # Errors
    /// [`Failure`] if none is named, or the named profile does not exist.
    pub fn find(args: &ConnectionArgs) -> Result<Self, Failure> {
        let profiles = Profiles::load()?;
        let found = profiles.get(args.profile.as_deref());
        if let (Some(name), None, None) = (&args.profile, found, &args.url) {
            let known: Vec<&str> = profiles.profile.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "There is none yet.".to_owned()
            } else {
                format!("There are: {}.", known.join(", "))
            };
            return Err(Failure::usage(format!("There is no profile {name}. {known}"))
                .next(format!("keyward login --url URL --profile {name}")));
        }
        let profile = args.profile.as_deref().or(found.map(|(name, _)| name)).unwrap_or(DEFAULT_NAME).to_owned();
        let stored = found.map(|(_, profile)| profile.clone());
        let url = args.url.clone().or_else(|| stored.as_ref().map(|stored| stored.url.clone()));
        let Some(url) = url else {
            return Err(Failure::usage("Which deployment?")
                .next("Sign in once: `keyward login --url https://keys.example.com`. Or set KEYWARD_URL."));
        };
        let address = Address::parse(&url)?;
        // A profile's credential is for its own address only.
        let stored = stored.filter(|stored| Address::parse(&stored.url).is_ok_and(|own| own == address));
        Ok(Self { profile, address, stored })
    }
}

impl Session {
    /// Finds deployment and credential.
    ///
    /// # Errors
    /// [`Failure`] if one of them is missing or malformed.
    pub fn open(args: &ConnectionArgs) -> Result<Self, Failure> {
        let Deployment { profile, address, stored } = Deployment::find(args)?;
        let file = args.credential_file.clone().or_else(|| stored.and_then(|stored| stored.credential_file));
        let credential = match Credential::given(file.as_deref())? {
            Some(credential) => credential,
            None => keyring::read(&profile, address.as_str())?.ok_or_else(|| {
                Failure::new(Exit::Refused, format!("There is no credential for {address}."))
                    .next(format!("keyward login --url {address} --profile {profile}"))
            })?,
        };
        Ok(Self::new(address, credential, profile))
    }

    /// Creates a session of a credential that is known already.
    #[must_use]
    pub fn new(address: Address, credential: Credential, profile: String) -> Self {
        Self { client: Client::new(address, Some(credential.text)), profile }
    }

    /// Returns the client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`Failure`] as of [`Client::send`].
    pub fn send(&self, request: &Request<'_>) -> Result<Answer, Failure> {
        self.client.send(request)
    }

    /// Reads an object.
    ///
    /// # Errors
    /// [`Failure`] as of [`Client::send`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.send(&Request::get(path))?.parse()
    }

    /// Reads a list that has one page and takes no query.
    ///
    /// # Errors
    /// [`Failure`] as of [`Client::send`].
    pub fn short_list(&self, path: &str) -> Result<Vec<Json>, Failure> {
        #[derive(serde::Deserialize)]
        struct Page {
            items: Vec<Json>,
        }
        self.get::<Page>(path).map(|page| page.items)
    }

    /// Reads a list page by page, at most `most` items. `query` has no `?`.
    ///
    /// # Errors
    /// [`Failure`] as of [`Client::send`].
    pub fn list(&self, path: &str, query: &[(&str, String)], most: usize) -> Result<Vec<Json>, Failure> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = PAGE_ITEMS.min(most.saturating_sub(items.len()));
            let mut all = query.to_vec();
            all.push(("limit", limit.to_string()));
            all.extend(cursor.map(|cursor| ("cursor", cursor)));
            let mut page: Json = self.get(&format!("{path}?{}", encode_query(&all)))?;
            cursor = page.get("next_cursor").and_then(Json::as_str).map(str::to_owned);
            if let Some(Json::Array(more)) = page.get_mut("items").map(Json::take) {
                items.extend(more);
            }
            if cursor.is_none() || items.len() >= most {
                return Ok(items);
            }
        }
    }
}

/// Parses the items of a list.
///
/// # Errors
/// [`Failure`] if one has another form.
pub fn parse_list<T: DeserializeOwned>(items: Vec<Json>) -> Result<Vec<T>, Failure> {
    items.into_iter().map(parse_item).collect()
}

/// Parses an item of a list.
///
/// # Errors
/// [`Failure`] if it has another form.
pub fn parse_item<T: DeserializeOwned>(item: Json) -> Result<T, Failure> {
    serde_json::from_value(item)
        .map_err(|_| Failure::failed("The list has an unknown form.").next("Update this program."))
}

/// Encodes the parameters of a query or form.
#[must_use]
pub fn encode_query(parameters: &[(&str, String)]) -> String {
    let pairs = parameters.iter().map(|(name, value)| format!("{name}={}", encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode_query;

    #[test]
    fn parameters_are_encoded() {
        let query =
            encode_query(&[("q", "a b&c".to_owned()), ("expires_before", "2027-01-01T00:00:00+01:00".to_owned())]);
        assert_eq!(query, "q=a%20b%26c&expires_before=2027-01-01T00%3A00%3A00%2B01%3A00");
    }
}
