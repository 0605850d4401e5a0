//! `keyward apply`.

use serde_json::{Value as Json, json};

use super::{ApplyArgs, present, read, show, step_document};
use crate::api::{Request, Session};
use crate::commands::keys::issue;
use crate::delivery::DeliveryArgs;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::{Output, confirm};
use crate::plan::difference::{Plan, Step, compare};
use crate::plan::file::Wanted;

/// Makes the deployment's keys those of the file. A step that fails does not keep the others from being taken.
///
/// # Errors
/// [`Failure`] if a step failed.
pub fn apply(args: &ApplyArgs) -> Result<(), Failure> {
    let output = Output::new(args.output);
    let wanted = read(&args.what.file)?;
    let session = Session::open(&args.connection)?;
    let plan = compare(&wanted, &present(&session, None)?, args.what.prune);
    if !output.is_json() {
        show(&output, &plan)?;
    }
    check(&plan, args.yes)?;
    interrupt::hold();

    let (mut documents, mut failures) = (Vec::new(), 0_usize);
    for step in &plan.steps {
        if interrupt::happened() {
            return Err(Failure::failed("Interrupted. The steps above were taken, the others were not.")
                .next("Run the command again for the rest."));
        }
        let mut document = step_document(step);
        match take(&session, &output, step) {
            Ok(answer) => documents.push(merged(document, "answer", answer)),
            Err(failure) => {
                failure.report();
                failures = failures.saturating_add(1);
                document = merged(document, "error", failure.message.into());
                documents.push(document);
            }
        }
    }
    if output.is_json() {
        output.json(&json!({"steps": documents}))?;
    }
    if failures > 0 {
        return Err(Failure::failed(format!("{failures} of {} steps failed.", plan.steps.len()))
            .next("Correct the file or the deployment, and run the command again: what is done stays done."));
    }
    Ok(())
}

/// Checks everything that can be checked before the first step.
fn check(plan: &Plan, yes: bool) -> Result<(), Failure> {
    for step in &plan.steps {
        if let Step::Issue(key) = step
            && let Some(destination) = key.destination()
        {
            destination.check()?;
        }
    }
    let revoked = plan.steps.iter().filter(|step| matches!(step, Step::Revoke { .. })).count();
    if revoked > 0 && !yes && !confirm(&format!("Revoke {revoked} keys for good?"), "--yes")? {
        return Err(Failure::failed("Nothing was changed."));
    }
    Ok(())
}

fn merged(mut document: Json, name: &str, value: Json) -> Json {
    if let Some(fields) = document.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    document
}

/// Takes a step, and returns the answer without the text of a key.
fn take(session: &Session, output: &Output, step: &Step) -> Result<Json, Failure> {
    match step {
        Step::Revoke { id, .. } => {
            let body = json!({"reason": "Not in the file of keyward apply --prune"});
            let path = format!("/_keyward/v1/keys/{id}/revoke");
            session.send(&Request::change("POST", &path, Some(&body)))?.json()
        }
        Step::Change { id, revision, fields, .. } => {
            let (body, path) = (Json::from(fields.clone()), format!("/_keyward/v1/keys/{id}"));
            let request = Request::change("PATCH", &path, Some(&body)).header("if-match", format!("\"{revision}\""));
            session.send(&request)?.json()
        }
        Step::Issue(key) => {
            let delivery = DeliveryArgs { to: key.destination(), show: false };
            let answer = issue(session, output, &body(key), key.claim_hours, &delivery)?;
            crate::delivery::shown_json(&answer, &delivery)
        }
    }
}

fn body(key: &Wanted) -> Json {
    let mut body = json!({
        "name": key.name,
        "integration": key.integration,
        "environment": key.environment,
        "purpose": key.purpose,
        "owner": key.owner,
        "scopes": key.scopes,
        "allowed_cidrs": key.allowed_cidrs,
    });
    let optional = [
        ("limits", key.limits.as_ref().map(|limits| json!(limits))),
        ("expires_in_days", key.expires_in_days.map(Json::from)),
        ("expires_at", key.expires_at.as_deref().map(Json::from)),
    ];
    if let Some(fields) = body.as_object_mut() {
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    body
}
