//! Where a request comes from and what sent it, reduced to what is counted: a network instead of an address, a client family instead of
//! a `User-Agent`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keyward_http::address::parse_address;
use keyward_http::limits::CLIENT_FAMILY_BYTES;
use keyward_protocol::usage::OTHER;

/// Country and autonomous system of a network, as the platform tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Country, as two letters.
    pub country: Option<String>,
    /// Number of the autonomous system.
    pub asn: Option<u32>,
}

impl Origin {
    /// Parses the platform's texts. A text of another form counts as absent.
    #[must_use]
    pub fn parse(country: &str, asn: &str) -> Self {
        let is_country =
            country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        Self { country: is_country.then(|| country.to_owned()), asn: asn.parse().ok() }
    }
}

/// A network: /24 of IPv4, /48 of IPv6. It fits into 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// First 24 bits of an IPv4 address.
    V4(u32),
    /// First 48 bits of an IPv6 address.
    V6(u64),
    /// The address is unknown.
    Unknown,
    /// One of more networks than are told apart.
    Other,
}

impl Network {
    /// Returns the network in CIDR form; `None` for an unknown address.
    pub(crate) fn text(self) -> Option<String> {
        match self {
            Self::V4(bits) => Some(format!("{}/24", Ipv4Addr::from_bits(bits << 8))),
            Self::V6(bits) => Some(format!("{}/48", Ipv6Addr::from_bits(u128::from(bits) << 80))),
            Self::Unknown => None,
            Self::Other => Some(keyward_protocol::usage::OTHER.to_owned()),
        }
    }
}

/// Returns the network of an address. An IPv4 address in IPv6 form is in its IPv4 network.
pub(crate) fn network_of(address: Option<&str>) -> Network {
    match address.and_then(parse_address).map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => Network::V4(address.to_bits() >> 8),
        Some(IpAddr::V6(address)) => Network::V6(u64::try_from(address.to_bits() >> 80).unwrap_or_default()),
        None => Network::Unknown,
    }
}

/// Returns the client family: the first product token of `User-Agent` (RFC 9110, section 10.1.5); `other` if it is longer than
/// [`CLIENT_FAMILY_BYTES`], an empty text if there is none.
pub(super) fn client_of(user_agent: Option<&str>) -> &str {
    let text = user_agent.unwrap_or_default();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    // A longer token is not a product name, and may be a key in the wrong header.
    let end = text.bytes().take(CLIENT_FAMILY_BYTES.saturating_add(1)).take_while(|byte| is_token(*byte)).count();
    if end > CLIENT_FAMILY_BYTES { OTHER } else { text.get(..end).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_of_an_address_is_kept() {
        for (address, network) in [
            ("192.0.2.7", Some("192.0.2.0/24")),
            ("255.255.255.255", Some("255.255.255.0/24")),
            ("::ffff:192.0.2.7", Some("192.0.2.0/24")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1::/48")),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("ffff:ffff:ffff::/48")),
            ("::1", Some("::/48")),
            ("2001:db8:1:2::3", Some("2001:db8:1::/48")),
            ("192.0.2", None),
            ("", None),
            ("010.0.0.1", None),
        ] {
            assert_eq!(network_of(Some(address)).text().as_deref(), network, "{address}");
        }
        assert_eq!(network_of(None), Network::Unknown);
    }

    #[test]
    fn a_client_family_is_the_first_product_token() {
        for (agent, family) in [
            ("curl/8.5.0", "curl"),
            ("Mozilla/5.0 (X11; Linux x86_64)", "Mozilla"),
            ("python-requests/2.31.0", "python-requests"),
            ("Go-http-client/1.1", "Go-http-client"),
            ("acme", "acme"),
            ("(comment) x", ""),
            ("", ""),
            ("é/1", ""),
        ] {
            assert_eq!(client_of(Some(agent)), family, "{agent}");
        }
        assert_eq!(client_of(None), "");
        assert_eq!(client_of(Some(&"x".repeat(CLIENT_FAMILY_BYTES))).len(), CLIENT_FAMILY_BYTES);
        assert_eq!(client_of(Some(&"x".repeat(5_000))), OTHER);
        let key = "wafl_live_8Fh2kQ0sZp1L_3xK9mQ2vLr7TnW5yBc8DfG1hJ4kM6pR";
        assert_eq!(client_of(Some(key)), OTHER, "no part of a key is kept");
    }

    #[test]
    fn a_country_or_system_of_another_form_counts_as_absent() {
        assert_eq!(Origin::parse("DE", "64496"), Origin { country: Some("DE".to_owned()), asn: Some(64_496) });
        assert_eq!(Origin::parse("T1", ""), Origin { country: Some("T1".to_owned()), asn: None });
        for country in ["", "de", "DEU", "D\n"] {
            assert_eq!(Origin::parse(country, "-1"), Origin::default(), "{country}");
        }
    }
}
