//! The table of roles: tries every operation as every role and compares with docs/reference/roles.md.

use keyward_protocol::Rejection;
use keyward_protocol::role::Role;
use keyward_testkit::registry_world::*;

const PAGE: &str = include_str!("../../../../docs/reference/roles.md");

/// Returns the page's row of that operation.
fn row(operation: Operation) -> Vec<(Role, bool)> {
    let begin = format!("| `{}` |", operation.route());
    let mut rows = PAGE.lines().filter_map(|line| line.strip_prefix(&begin));
    let row = rows.next().unwrap_or_else(|| panic!("{operation:?} has no row in docs/reference/roles.md"));
    assert!(rows.next().is_none(), "{operation:?} has two rows");
    let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
    let roles: Vec<Role> = PAGE
        .lines()
        .find_map(|line| line.strip_prefix("| operation |"))
        .unwrap()
        .trim_end_matches('|')
        .split('|')
        .map(|name| Role::parse(name.trim()).unwrap())
        .collect();
    assert_eq!(roles, Role::ALL);
    assert_eq!(cells.len(), roles.len(), "{operation:?}");
    let allowed = cells.into_iter().map(|cell| match cell {
        "yes" => true,
        "–" => false,
        other => panic!("{operation:?}: {other}"),
    });
    roles.into_iter().zip(allowed).collect()
}

#[test]
fn every_role_may_do_exactly_the_documented_operations() {
    for operation in Operation::ALL.iter().copied() {
        for (role, may) in row(operation) {
            for command in [command_for(operation), Command::Authorise { operation }] {
                let mut world = furnished();
                let member = world.add_member(role, None);
                let before = world.store.dump();
                let case = format!("{role:?} {command:?}");
                match world.ask(member, command).unwrap() {
                    Response::Done(_) => assert!(may, "{case} was done"),
                    Response::Refused(Rejection::Forbidden) => {
                        assert!(!may, "{case} was refused");
                        assert_eq!(world.store.dump(), before, "{case}");
                    }
                    other => panic!("{case}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn the_roles_page_has_no_row_without_an_operation() {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, Operation::ALL.len());
}

/// Compares the operation that a command is sent as with the one that the registry runs.
#[test]
fn every_command_belongs_to_its_own_operation() {
    for operation in Operation::ALL.iter().copied() {
        assert_eq!(command_for(operation).operation(), operation);
    }
}

#[test]
fn a_changed_role_applies_to_the_next_request() {
    let mut world = furnished();
    let member = world.add_member(Role::Manager, None);
    assert!(matches!(world.ask(member.clone(), issue(2, live("shop"))).unwrap(), Response::Done(_)));
    let changes = MemberChanges { role: Some(Role::Auditor), ..MemberChanges::default() };
    world.member(update_member(member_id("manager0"), changes));
    assert_eq!(world.refused(member, issue(3, live("post"))), Rejection::Forbidden);
}
