//! `GET /_keyward/v1/leaks/rules`: expressions by which scanners find the keys of this deployment.

use serde::Serialize;

use crate::platform::ControlPlatform;
use crate::serve::ControlContext;
use keyward_config::Config;
use keyward_edge::Platform;
use keyward_http::reply::Reply;

#[derive(Serialize)]
struct Rules {
    /// Regular expression for GitHub's custom patterns and partner program.
    github: String,
    /// A rule in TOML.
    gitleaks: String,
    /// A custom detector in YAML.
    trufflehog: String,
}

/// Returns the id of the rule for gitleaks, which GitLab's type is made of.
pub(super) fn rule_id(config: &Config) -> String {
    ["keyward-", config.prefix.as_str()].concat()
}

pub(super) fn serve<P: Platform, C: ControlPlatform>(context: &ControlContext<'_, P, C>) -> Reply {
    let config = context.request.config;
    let prefix = config.prefix.as_str();
    let id = rule_id(config);
    let pattern = format!("{prefix}_(live|test|admin)_[0-9A-Za-z]{{12}}_[0-9A-Za-z]{{46}}");
    let gitleaks = format!(
        "[[rules]]\nid = \"{id}\"\ndescription = \"API key of {prefix}\"\nregex = '''({pattern})'''\n\
         keywords = [\"{prefix}_\"]\n"
    );
    let trufflehog = format!(
        "detectors:\n  - name: {id}\n    keywords:\n      - {prefix}_\n    regex:\n      key: '({})'\n",
        pattern.replace("(live", "(?:live")
    );
    Reply::json(200, &Rules { github: pattern, gitleaks, trufflehog }, context.request.request_id)
}
