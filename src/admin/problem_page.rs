//! `GET /_keyward/problems/<code>`: what a problem's `type` leads to.

use crate::http::problem::Code;
use crate::http::reply::Reply;

/// The page that explains a code to whoever met it.
#[must_use]
pub fn problem_page(code: Code, request_id: &str) -> Reply {
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#222;background:#fff}}\
         code{{background:#eee;padding:.1em .3em}}\
         @media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}code{{background:#333}}}}</style>\
         <main><h1>{title}</h1><p><code>{status}</code> <code>{name}</code></p><p>{detail}</p><h2>What to do</h2><p>{advice}</p></main></html>\n",
        title = escape(code.title()),
        status = code.status(),
        name = code.as_str(),
        detail = prose(code.detail()),
        advice = prose(code.advice()),
    );
    Reply::page(body, request_id)
}

/// Our own text for HTML, with `code` marked as such.
fn prose(text: &str) -> String {
    let mut shown = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index > 0 {
            shown.push_str(if index % 2 == 1 { "<code>" } else { "</code>" });
        }
        shown.push_str(&escape(part));
    }
    shown
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
