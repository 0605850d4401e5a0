//! The rule for other scanners. They know prefix and form, and not the check.

use clap::ValueEnum;

use keyward_key::id::Prefix;

/// A scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scanner {
    /// A rule for `.gitleaks.toml`.
    Gitleaks,
    /// A custom detector for TruffleHog's configuration.
    Trufflehog,
    /// What GitHub's secret scanning partner program asks for.
    Github,
}

/// Returns the expression of a prefix, which every named scanner reads alike.
fn expression(prefix: &Prefix) -> String {
    format!("{}_(?:live|test|admin)_[0-9A-Za-z]{{12}}_[0-9A-Za-z]{{46}}", prefix.as_str())
}

/// Returns the rule as the scanner's own configuration.
#[must_use]
pub fn rule(scanner: Scanner, prefix: &Prefix) -> String {
    let (name, expression) = (prefix.as_str(), expression(prefix));
    let keywords = ["live", "test", "admin"].map(|class| format!("{name}_{class}_"));
    match scanner {
        Scanner::Gitleaks => format!(
            "[[rules]]\nid = \"keyward-{name}\"\ndescription = \"Keyward key with the prefix {name}\"\nregex = '''{expression}'''\nkeywords = [\"{}\"]\n",
            keywords.join("\", \"")
        ),
        Scanner::Trufflehog => format!(
            "detectors:\n  - name: keyward-{name}\n    keywords:\n{}    regex:\n      key: '({expression})'\n",
            keywords.map(|keyword| format!("      - {keyword}\n")).concat()
        ),
        Scanner::Github => format!(
            "Token type: keyward_{name}\nRegular expression: {expression}\nVerification: the last 6 characters are the CRC-32 of all before them in base62 (0-9A-Za-z, most significant first, zero-padded)\nEndpoint: POST /_keyward/v1/leaks/github on the gate's host\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expression_matches_a_key_and_the_forms_are_well_formed() {
        let prefix = Prefix::parse("acme").unwrap();
        let rules: toml::Table = rule(Scanner::Gitleaks, &prefix).parse().unwrap();
        assert_eq!(rules["rules"][0]["regex"].as_str().unwrap(), expression(&prefix));
        assert_eq!(rules["rules"][0]["keywords"][0].as_str().unwrap(), "acme_live_");
        assert!(rule(Scanner::Trufflehog, &prefix).contains("key: '(acme_(?:live|test|admin)_"));
        assert!(rule(Scanner::Github, &prefix).contains("/_keyward/v1/leaks/github"));
    }
}
