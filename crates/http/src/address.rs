//! IP addresses and networks. Everything that reads one from outside uses these parsers, so that one text means one thing
//! everywhere.

use std::net::IpAddr;

use ipnet::IpNet;

/// Reason why a text is not a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadNetwork {
    /// It is neither an address nor an address with a prefix length.
    Form,
    /// The network has bits beyond its prefix length. Contains the network that was probably intended.
    HostBits(IpNet),
    /// It is an IPv4 network in IPv6 form.
    Mapped,
}

/// Parses an IPv4 or IPv6 address. Leading zeros are refused: some parsers read `010` as 8 (CVE-2021-29922).
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

/// Parses a network in CIDR form. One address means the network that contains only this address (`/32` or `/128`).
///
/// # Errors
/// [`BadNetwork`].
pub fn parse_network(text: &str) -> Result<IpNet, BadNetwork> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address = parse_address(address).ok_or(BadNetwork::Form)?;
    let network = match length {
        None => IpNet::from(address),
        Some(length) => IpNet::new(address, parse_length(length)?).map_err(|_| BadNetwork::Form)?,
    };
    if matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
        return Err(BadNetwork::Mapped);
    }
    if network.trunc() == network { Ok(network) } else { Err(BadNetwork::HostBits(network.trunc())) }
}

fn parse_length(text: &str) -> Result<u8, BadNetwork> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or(BadNetwork::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_one_meaning() {
        for (text, network) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("2001:DB8:0::/32", "2001:db8::/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(parse_network(text).map(|network| network.to_string()).as_deref(), Ok(network), "{text}");
        }
    }

    #[test]
    fn what_two_parsers_read_differently_is_refused() {
        for text in [
            "",
            "/",
            "/8",
            "192.0.2.0/",
            "192.0.2",
            "192.0.2/24",
            "10/8",
            "010.8.0.0/16",
            "192.0.2.010/32",
            "192.0.2.010",
            "0x7f.0.0.1",
            "127.1",
            "2130706433",
            "192.0.2.0/024",
            "192.0.2.0/+24",
            "192.0.2.0/33",
            "192.0.2.0/-1",
            "192.0.2.0/24/24",
            " 192.0.2.0/24",
            "192.0.2.0/24 ",
            "192.0.2.0 /24",
            "::/129",
            "::/0128",
            "fe80::1%eth0",
            "fe80::1%eth0/64",
            "[::1]",
            "localhost",
            "192.0.2.٧",
            "192.0.2.0/255.255.255.0",
            "*",
        ] {
            assert_eq!(parse_network(text), Err(BadNetwork::Form), "{text}");
            assert_eq!(parse_address(text), None, "{text}");
        }
        for text in ["::ffff:192.0.2.0/120", "::ffff:192.0.2.7", "::ffff:0:0/96"] {
            assert_eq!(parse_network(text), Err(BadNetwork::Mapped), "{text}");
        }
        let meant = |text: &str| BadNetwork::HostBits(text.parse().unwrap());
        assert_eq!(parse_network("192.0.2.7/24"), Err(meant("192.0.2.0/24")));
        assert_eq!(parse_network("2001:db8::7/32"), Err(meant("2001:db8::/32")));
    }
}
