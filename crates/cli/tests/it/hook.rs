//! The pre-commit hook of the examples.

use std::path::Path;
use std::process::Command;

use crate::program::{User, well_formed};

#[test]
fn the_example_hook_refuses_a_commit_with_a_key_and_lets_others_pass() {
    let user = User::new();
    let hook = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/scan/pre-commit");
    let programs = Path::new(env!("CARGO_BIN_EXE_keyward")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(user.path("repository"))
            .args(["-c", "user.name=T", "-c", "user.email=t@t.example"])
            .args(arguments);
        command.env_clear().env("PATH", &path).env("HOME", user.path("repository")).output().unwrap()
    };
    user.write("repository/readme.md", "Hello\n");
    assert!(git(&["init", "--quiet"]).status.success());
    user.write("repository/.git/hooks/pre-commit", std::fs::read(hook).unwrap());
    Command::new("chmod").arg("755").arg(user.path("repository/.git/hooks/pre-commit")).status().unwrap();
    git(&["add", "."]);
    assert!(git(&["commit", "--quiet", "-m", "Clean"]).status.success());

    user.write("repository/app.env", well_formed("wafl_live_8Fh2kQ0sZp1L", 'k'));
    git(&["add", "."]);
    let refused = git(&["commit", "--quiet", "-m", "Leaky"]);
    let shown = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert!(
        !refused.status.success() && shown.contains("This commit was not made.") && !shown.contains("kkkkk"),
        "{shown}"
    );

    user.run(&["scan", "--staged", "repository", "--write-baseline", "repository/.keyward-baseline.json"]).expect(0);
    assert!(git(&["commit", "--quiet", "-m", "Accepted"]).status.success());
}
