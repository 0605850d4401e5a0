//! Wrong arguments.

use crate::program::{User, well_formed};

#[test]
fn a_key_among_the_arguments_is_refused_and_not_repeated() {
    let key = well_formed("wafl_live_8Fh2kQ0sZp1L", 'k');
    let user = User::new();
    for arguments in [
        vec!["keys", "show", &key],
        vec!["keys", "--unknown", &key],
        vec![&key],
        vec!["keys", "revoke", "wafl_live_8Fh2kQ0sZp1L", "--reason", &format!("was {key}")],
        vec!["claim", "-", "--to", &format!("exec:echo {key}")],
    ] {
        let outcome = user.run(&arguments).expect(2);
        assert!(!outcome.shown().contains(&key[30..]), "{}", outcome.shown());
        assert!(outcome.stderr.contains("treat the key as leaked"), "{}", outcome.stderr);
    }
}

#[test]
fn a_wrong_id_says_what_an_id_looks_like() {
    let user = User::of("http://127.0.0.1:1");
    assert!(user.run(&["keys", "show", "crm"]).expect(2).stderr.contains("An id looks like"));
    let member = user.run(&["keys", "show", "wafl_admin_8Fh2kQ0sZp1L"]).expect(2);
    assert!(member.stderr.contains("next: keyward members show wafl_admin_8Fh2kQ0sZp1L"), "{}", member.stderr);
    assert!(user.run(&["members", "show", "wafl_live_8Fh2kQ0sZp1L"]).expect(2).stderr.contains("keyward keys show"));
}

#[test]
fn an_unknown_command_or_option_is_wrong_usage() {
    let user = User::new();
    user.run(&["lose"]).expect(2);
    user.run(&["keys", "list", "--colour"]).expect(2);
    user.run(&["keys", "issue"]).expect(2);
    user.run(&[]).expect(2);
}
