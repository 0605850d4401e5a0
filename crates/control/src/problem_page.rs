//! `GET /_keyward/problems/{code}`: the page that the `type` of a problem links to.

use keyward_http::problem::Code;
use keyward_http::reply::Reply;

/// Returns the page that explains a code. `advice` is the code's entry in `advice.json`, which the platform serves.
pub(super) fn problem_page(code: Code, advice: &str, request_id: &str) -> Reply {
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
        advice = prose(advice),
    );
    Reply::page(body, request_id)
}

/// Converts a text of Keyward's own to HTML, with the parts in backticks as `<code>`.
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

/// Operation object of the OpenAPI document.
pub(super) const OPEN_API: &str = r##"{
  "operationId": "explainProblem",
  "tags": ["Documents"],
  "summary": "The page that explains a code, linked by a problem's `type`",
  "security": [],
  "parameters": [{"name": "code", "in": "path", "required": true, "schema": {"type": "string", "pattern": "^[a-z_]+$"}}],
  "responses": {
    "200": {
      "description": "The page",
      "headers": {
        "Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"},
        "Cache-Control": {"$ref": "#/components/headers/FiveMinutes"}
      },
      "content": {"text/html; charset=utf-8": {"schema": {"type": "string"}}}
    },
    "404": {
      "description": "Unknown code: `no_route`",
      "headers": {"Keyward-Request-Id": {"$ref": "#/components/headers/RequestId"}},
      "content": {
        "application/problem+json": {
          "schema": {
            "$ref": "#/components/schemas/Problem",
            "properties": {
              "code": {
                "enum": [
                  "no_route"
                ]
              }
            }
          }
        }
      }
    },
    "default": {"$ref": "#/components/responses/General"}
  }
}"##;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_every_code_shows_its_advice() {
        for code in Code::ALL {
            let page = problem_page(*code, code.advice(), "r").body;
            assert!(page.contains(&prose(code.advice())), "{}", code.as_str());
        }
    }
}
