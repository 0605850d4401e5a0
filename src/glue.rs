//! The declarations of `glue.js`. See there for what each does.

use std::cell::RefCell;

use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = head)]
    fn head_into(request: &JsValue, env: &JsValue, buffer: &mut [u8]) -> Result<u32, JsValue>;

    #[wasm_bindgen(catch, js_name = headText)]
    fn head_text(request: &JsValue) -> Result<String, JsValue>;

    #[wasm_bindgen(js_name = onOriginFailed)]
    pub fn on_origin_failed(answer: &Closure<dyn Fn(String, String, bool) -> JsValue>, milliseconds: u32);

    #[wasm_bindgen(catch)]
    pub fn forward(request: &JsValue, edits: &str, is_private: bool, stamp: Option<&str>) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn reply(status: u16, headers: &str, body: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = openApi)]
    pub fn open_api(headers: &str) -> Result<JsValue, JsValue>;

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

    #[wasm_bindgen(catch, js_name = verifyRs256)]
    pub async fn verify_rs256(n: &str, e: &str, signature: &[u8], signed: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = holdKey)]
    pub async fn hold_key(name: &str, pkcs8: &[u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub async fn sign(name: &str, text: &[u8]) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_name = keepAlive)]
    pub fn keep_alive(context: &JsValue, promise: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(catch, js_name = readBody)]
    pub async fn read_body(request: &JsValue, most: u32) -> Result<JsValue, JsValue>;

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

    #[wasm_bindgen(catch, js_name = askRegistry)]
    pub async fn ask_registry(env: &JsValue, message: &str, milliseconds: u32) -> Result<JsValue, JsValue>;
}

/// Bytes of a head that are handed over the fast way: what honest clients send takes one or two thousand.
const HEAD_BUFFER: usize = 8_192;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; HEAD_BUFFER]);
}

/// What the number of an environment is multiplied by where a length is added to it.
const NUMBERED: u32 = 16_384;

/// The number of `env` among those that this isolate was key_endpoints, and the whole head of a request; `http::head` says how it reads.
///
/// # Errors
/// What the runtime threw.
pub fn head(request: &JsValue, env: &JsValue) -> Result<(u32, String), JsValue> {
    BUFFER.with(|buffer| {
        let Ok(mut buffer) = buffer.try_borrow_mut() else { return Ok((0, head_text(request)?)) };
        let told = head_into(request, env, &mut buffer)?;
        let bytes = usize::try_from(told % NUMBERED).ok().and_then(|length| buffer.get(..length));
        let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned);
        Ok((told / NUMBERED, text.map_or_else(|| head_text(request), Ok)?))
    })
}

/// The text of a thrown value, for the log. Never shown to a caller.
pub fn cause(thrown: &JsValue) -> String {
    let message = thrown.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| "something that is no error was thrown".to_owned())
}
