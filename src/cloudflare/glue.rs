//! The declarations of `glue.js`. See there for what each does.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/cloudflare/glue.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    pub fn head(request: &JsValue) -> Result<String, JsValue>;

    #[wasm_bindgen(js_name = onOriginFailed)]
    pub fn on_origin_failed(answer: &Closure<dyn Fn(String, String) -> JsValue>);

    #[wasm_bindgen(catch)]
    pub fn forward(request: &JsValue, edits: &str, is_private: bool) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(catch)]
    pub fn reply(status: u16, headers: &str, body: &str) -> Result<JsValue, JsValue>;

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

    #[wasm_bindgen(catch, js_name = askRegistry)]
    pub async fn ask_registry(env: &JsValue, message: &str, milliseconds: u32) -> Result<JsValue, JsValue>;
}

/// The text of a thrown value, for the log. Never shown to a caller.
pub fn cause(thrown: &JsValue) -> String {
    let message = thrown.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
    message.or_else(|| thrown.as_string()).unwrap_or_else(|| "something that is no error was thrown".to_owned())
}
