//! Deployments and credentials: where they come from, and that they go nowhere else.

use serde_json::json;

use crate::program::{User, credential, well_formed};
use crate::server::{Reply, Server, in_days};

fn deployment() -> Server {
    Server::start(|request| match request.header("authorization") {
        Some(sent) if sent == format!("Bearer {}", credential()) => Reply::json(
            200,
            &json!({"id": "wafl_admin_Owner0000001", "name": "Olivia Owner", "email": "olivia@acme.example", "role": "owner",
                "environments": null, "status": "active", "created_at": in_days(-1), "expires_at": in_days(300), "revision": 1}),
        ),
        _ => Reply::problem(401, "invalid_key", "This is not a valid key."),
    })
}

#[cfg(unix)]
fn set_mode(path: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_login_with_a_file_signs_in_later_commands() {
    let server = deployment();
    let user = User::new();
    let file = user.path("credential");
    let file = file.to_str().unwrap();
    let arguments = ["login", "--url", &server.url, "--profile", "local", "--credential-file", file];
    let outcome = user.run_with(&arguments, format!("{}\n", credential())).expect(0);
    assert!(outcome.stdout.contains("as Olivia Owner (owner). Profile local"), "{}", outcome.stdout);
    assert!(!outcome.shown().contains(&credential()));

    let outcome = user.run(&["whoami"]).expect(0);
    assert!(
        outcome.stdout.contains("olivia@acme.example") && outcome.stdout.contains(&server.url),
        "{}",
        outcome.stdout
    );
    assert_eq!(user.run(&["whoami", "--output", "json"]).expect(0).json()["role"], "owner");

    user.run(&["logout"]).expect(0);
    assert!(!std::path::Path::new(file).exists());
    assert!(user.run(&["whoami"]).expect(2).stderr.contains("keyward login"));
}

#[cfg(unix)]
#[test]
fn files_of_the_program_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = deployment();
    let user = User::new();
    let file = user.path("credential");
    user.run_with(&["login", "--url", &server.url, "--credential-file", file.to_str().unwrap()], credential())
        .expect(0);
    for path in [file, user.path("config/keyward/profiles.toml")] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let profiles = std::fs::read_to_string(user.path("config/keyward/profiles.toml")).unwrap();
    assert!(!profiles.contains(&credential()[24..]), "{profiles}");
}

#[cfg(unix)]
#[test]
fn a_credential_file_that_others_can_read_is_refused() {
    let server = deployment();
    let user = User::new();
    let file = user.write("credential", credential());
    for (mode, code) in [(0o644, 3), (0o640, 3), (0o660, 3), (0o600, 0), (0o400, 0)] {
        set_mode(&file, mode);
        let outcome = user.run(&["whoami", "--url", &server.url, "--credential-file", &file]).expect(code);
        assert!(code == 0 || outcome.stderr.contains("chmod 600"), "{}", outcome.stderr);
    }
    let missing = user.run(&["whoami", "--url", &server.url, "--credential-file", "missing"]).expect(3);
    assert!(missing.stderr.contains("missing can't be read"), "{}", missing.stderr);
}

#[test]
fn without_a_credential_the_exit_code_is_3_and_the_next_step_is_said() {
    let outcome = User::new().run(&["whoami", "--url", "http://127.0.0.1:1"]).expect(3);
    assert!(
        outcome.stderr.contains("KEYWARD_CREDENTIAL") || outcome.stderr.contains("keyward login"),
        "{}",
        outcome.stderr
    );
}

/// A bus that accepts connections and never answers, such as one whose service waits for a window that nobody sees.
#[cfg(target_os = "linux")]
#[test]
fn a_keyring_that_does_not_answer_is_given_up_after_3_s() {
    let mut user = User::new();
    let path = user.path("bus");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let connections = std::thread::spawn(move || listener.accept().unwrap());
    user.variables.push(("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", path.display())));
    let started = std::time::Instant::now();
    let outcome = user.run(&["whoami", "--url", "http://127.0.0.1:1"]).expect(3);
    assert!(outcome.stderr.contains("The keyring did not answer within 3 s."), "{}", outcome.stderr);
    assert!(started.elapsed() >= std::time::Duration::from_secs(3));
    drop(connections.join().unwrap());
}

#[test]
fn a_malformed_credential_is_never_sent_and_never_shown() {
    let server = deployment();
    for text in ["nonsense-secret", &credential()[1..], &well_formed("wafl_live_8Fh2kQ0sZp1L", 'k')] {
        let mut user = User::of(&server.url);
        user.variables[1].1 = text.to_owned();
        let outcome = user.run(&["whoami"]).expect(3);
        assert!(!outcome.shown().contains(text), "{}", outcome.shown());
    }
    assert!(server.received().is_empty());
}

#[test]
fn a_refused_credential_is_not_stored() {
    let server = deployment();
    let user = User::new();
    let other = well_formed("wafl_admin_Other0000001", 'x');
    let arguments = ["login", "--url", &server.url, "--credential-file", "credential"];
    let outcome = user.run_with(&arguments, &other).expect(3);
    assert!(outcome.stderr.contains("next: Sign in with another credential"), "{}", outcome.stderr);
    assert_eq!(user.files(), "");
}

#[test]
fn a_profiles_credential_goes_to_its_own_address_only() {
    let (server, other) = (deployment(), deployment());
    let user = User::new();
    user.run_with(&["login", "--url", &server.url, "--credential-file", "credential"], credential()).expect(0);
    user.run(&["whoami", "--url", &other.url]).expect(3);
    assert!(other.received().is_empty());
}

#[test]
fn plain_http_is_for_this_machine_only() {
    let outcome = User::of("http://keys.example.com").run(&["whoami"]).expect(2);
    assert!(outcome.stderr.contains("use https"), "{}", outcome.stderr);
}

#[test]
fn a_redirect_is_not_followed_with_the_credential() {
    let other = deployment();
    let target = other.url.clone();
    let server = Server::start(move |_| Reply::json(302, &json!({})).with("location", target.clone()));
    let outcome = User::of(&server.url).run(&["whoami"]).expect(1);
    assert!(outcome.stderr.contains("Redirects are not followed"), "{}", outcome.stderr);
    assert!(other.received().is_empty());
}
