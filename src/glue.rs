//! Declarations of the functions in `glue.js`, `forward.js`, `answer.js` and `connections.js`, which document them. wasm-bindgen copies
//! only files that are named here.

use std::cell::RefCell;

use wasm_bindgen::prelude::*;

use keyward_protocol::FetchError;

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = head)]
    fn write_head(request: &JsValue, env: &JsValue, buffer: &mut [u8]) -> Result<Option<u32>, JsValue>;

    #[wasm_bindgen(catch, js_name = headText)]
    fn head_text(request: &JsValue, env: &JsValue) -> Result<String, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn reply(status: u16, headers: &str, body: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = openApi)]
    pub fn open_api(headers: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_name = consoleFile)]
    pub fn console_file(env: &JsValue, path: &str) -> Option<String>;

    #[wasm_bindgen(catch, js_name = consoleAsset)]
    pub async fn console_asset(env: &JsValue, file: &str, status: u16, headers: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_name = hasAnalytics)]
    pub fn has_analytics(env: &JsValue) -> bool;

    #[wasm_bindgen(catch, js_name = writePoint)]
    pub fn write_point(env: &JsValue, index: &str, texts: &str, count: u32) -> Result<(), JsValue>;

    #[wasm_bindgen]
    pub fn advice(code: &str) -> String;

    #[wasm_bindgen(catch)]
    pub fn stream(status: u16, headers: &str) -> Result<js_sys::Array, JsValue>;

    #[wasm_bindgen(catch, js_name = streamWrite)]
    pub async fn stream_write(writer: &JsValue, text: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = streamClose)]
    pub async fn stream_close(writer: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = streamBreak)]
    pub async fn stream_break(writer: &JsValue) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = fetchText)]
    pub async fn fetch_text(url: &str, most: u32, milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = sendEvent)]
    pub async fn send_event(
        url: &str,
        headers: &str,
        body: &str,
        most: u32,
        milliseconds: u32,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = verifyRs256)]
    pub async fn verify_rs256(n: &str, e: &str, signature: &[u8], signed: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = fetchList)]
    pub async fn fetch_list(url: &str, etag: Option<&str>, most: u32, milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = verifyP256)]
    pub async fn verify_p256(spki: &[u8], signature: &[u8], signed: &[u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub async fn seal(key: &[u8], text: &[u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub async fn open(key: &[u8], sealed: &[u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = holdKey)]
    pub async fn hold_key(name: &str, pkcs8: &[u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub async fn sign(name: &str, text: &[u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = keepAlive)]
    pub fn keep_alive(context: &JsValue, promise: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(catch, js_name = readBody)]
    pub async fn read_body(request: &JsValue, most: u32, milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn variables(env: &JsValue, names: &str) -> Result<String, JsValue>;

    #[wasm_bindgen(js_name = missingBindings)]
    pub fn missing_bindings(env: &JsValue) -> String;

    #[wasm_bindgen(catch)]
    pub async fn pause(milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = kvGet)]
    pub async fn kv_get(env: &JsValue, name: &str, milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = kvPut)]
    pub async fn kv_put(
        env: &JsValue,
        name: &str,
        value: &str,
        expiration: f64,
        milliseconds: u32,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = cacheGet)]
    pub async fn cache_get(name: &str, milliseconds: u32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = cachePut)]
    pub fn cache_put(context: &JsValue, name: &str, text: &str, seconds: u32) -> Result<(), JsValue>;

    #[wasm_bindgen(js_name = isOverload)]
    pub fn is_overload(thrown: &JsValue) -> bool;

    #[wasm_bindgen(catch)]
    pub fn origin(request: &JsValue) -> Result<String, JsValue>;

    #[wasm_bindgen(catch, js_name = askObject)]
    async fn ask_object(
        env: &JsValue,
        binding: &str,
        name: &str,
        message: &str,
        milliseconds: u32,
    ) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen(module = "/src/forward.js")]
extern "C" {
    #[wasm_bindgen(js_name = onFailed)]
    pub fn on_failed(answer: &Closure<dyn Fn(String, String, String, bool) -> JsValue>, milliseconds: u32);

    #[wasm_bindgen(catch)]
    pub fn forward(
        request: &JsValue,
        context: &JsValue,
        edits: &str,
        environment: u32,
        stamp: Option<&str>,
    ) -> Result<JsValue, JsValue>;
}

#[wasm_bindgen(module = "/src/connections.js")]
extern "C" {
    #[wasm_bindgen(js_name = onConnections)]
    pub fn on_connections(
        judge: &Closure<dyn Fn(u32, JsValue, String, String, bool) -> JsValue>,
        closed: &Closure<dyn Fn(String, String, String, String)>,
    );
}

#[wasm_bindgen(module = "/src/answer.js")]
extern "C" {
    #[wasm_bindgen(js_name = onUnedited)]
    pub fn on_unedited(log: &Closure<dyn Fn(String, u16, String)>);
}

/// Size of the buffer for heads, in bytes. Ordinary heads have one or two thousand bytes; a larger head is copied as a string.
const HEAD_BUFFER_BYTES: usize = 8_192;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; HEAD_BUFFER_BYTES]);
}

/// A request as received from the runtime.
pub struct ReceivedHead {
    /// Number of the `env` of the request, from 1 in the order in which the isolate received them.
    pub environment: u32,
    /// Text of the head, in the form that `keyward_http::head` documents.
    pub text: String,
}

/// Reads the whole head of a request in one crossing.
///
/// # Errors
/// The value that the runtime threw.
pub fn head(request: &JsValue, env: &JsValue) -> Result<ReceivedHead, JsValue> {
    BUFFER.with(|buffer| {
        if let Ok(mut buffer) = buffer.try_borrow_mut() {
            let length = write_head(request, env, &mut buffer)?.and_then(|length| usize::try_from(length).ok());
            let text = length.and_then(|length| buffer.get(..length)).and_then(|bytes| std::str::from_utf8(bytes).ok());
            if let Some(text) = text {
                return received(text);
            }
        }
        received(&head_text(request, env)?)
    })
}

/// Splits the number of the `env` off the head.
fn received(text: &str) -> Result<ReceivedHead, JsValue> {
    let head = text.split_once('\n').and_then(|(number, text)| Some((number.parse().ok()?, text)));
    let (environment, text) = head.ok_or_else(|| JsValue::from_str("the head has no number of its env"))?;
    Ok(ReceivedHead { environment, text: text.to_owned() })
}

/// Sends a message to an object and returns its answer.
///
/// # Errors
/// The value that the runtime threw, or a text.
pub async fn ask_object_text(
    env: &JsValue,
    binding: &str,
    name: &str,
    message: &str,
    milliseconds: u32,
) -> Result<String, JsValue> {
    let answer = ask_object(env, binding, name, message, milliseconds).await?;
    answer.as_string().ok_or_else(|| JsValue::from_str("the object's answer is not a text"))
}

/// Sends a message to the registry and returns its answer.
///
/// # Errors
/// The value that the runtime threw, or a text.
pub async fn ask_registry(env: &JsValue, message: &str, milliseconds: u32) -> Result<String, JsValue> {
    ask_object_text(env, "REGISTRY", "registry", message, milliseconds).await
}

/// Returns the response of an object to a message.
pub fn object_response(answered: Result<String, FetchError>) -> worker::Result<worker::Response> {
    match answered {
        Ok(answer) => worker::Response::ok(answer),
        Err(FetchError::Malformed) => worker::Response::error("malformed", 400),
        Err(FetchError::Failed) => worker::Response::error("failed", 500),
    }
}

/// Returns the text of a thrown value, for the log. Never shown to a caller.
pub fn cause(thrown: &JsValue) -> String {
    let message = thrown.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| "the thrown value is not an error".to_owned())
}
