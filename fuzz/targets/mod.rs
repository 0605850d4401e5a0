//! Fuzz targets: every parser of foreign input. Each target takes bytes and is its own oracle: it panics if the product panics, or if
//! accepted input lacks a property that other code relies on.

mod access;
mod control;
mod credential;
mod feed;
mod fixture;
mod forwarded_request;
mod gate;
mod head;
mod headers;
mod key;
mod path;
mod registry;
mod sealed;

/// One target. Its seeds are the files of `fuzz/seeds/<name>/`.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

pub const ALL: &[Target] = &[
    Target { name: "head", run: head::run },
    Target { name: "path", run: path::run },
    Target { name: "credential", run: credential::run },
    Target { name: "key", run: key::run },
    Target { name: "headers", run: headers::run },
    Target { name: "gate", run: gate::run },
    Target { name: "forwarded_request", run: forwarded_request::run },
    Target { name: "feed", run: feed::run },
    Target { name: "sealed", run: sealed::run },
    Target { name: "access", run: access::run },
    Target { name: "control", run: control::run },
    Target { name: "registry", run: registry::run },
];
