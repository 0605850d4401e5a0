# Keyward on workerd. `start` runs it; see README.md. Settings and secrets come from the environment of the process.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "keyward", worker = .keyward),
    (name = "kv", worker = .kv),
    # `start` says where the two folders are.
    (name = "data", disk = (writable = true)),
    (name = "assets", disk = ()),
    # Origins may be in a private network or on this machine. Events go only to the hosts in EVENT_HOSTS.
    (name = "internet", network = (allow = ["public", "private", "local"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [
    # entry.js counts the scheme only if a proxy in TRUSTED_PROXIES sent it.
    (name = "gate", http = (forwardedProtoHeader = "X-Forwarded-Proto"), service = "keyward"),
    (name = "control", http = (forwardedProtoHeader = "X-Forwarded-Proto"), service = (name = "keyward", entrypoint = "Control")),
  ],
);

const keyward :Workerd.Worker = (
  modules = [
    (name = "entry.js", esModule = embed "worker/entry.js"),
    (name = "front.js", esModule = embed "worker/front.js"),
    (name = "index.js", esModule = embed "worker/index.js"),
    (name = "index_bg.wasm", wasm = embed "worker/index_bg.wasm"),
  ],
  compatibilityDate = "@COMPATIBILITY_DATE@",
  bindings = [
    (name = "KEY_INDEX", kvNamespace = "kv"),
    (name = "ASSETS", service = "assets"),
    (name = "REGISTRY", durableObjectNamespace = "Registry"),
    (name = "USAGE", durableObjectNamespace = "Usage"),
    (name = "LIMITS", durableObjectNamespace = "Limits"),
    (name = "EVENTS", durableObjectNamespace = "Events"),
@SETTINGS@
  ],
  # A key is the name of a folder with databases, and the ids of its objects derive from it: it never changes.
  durableObjectNamespaces = [
    (className = "Registry", uniqueKey = "registry", enableSql = true),
    (className = "Usage", uniqueKey = "usage", enableSql = true),
    (className = "Limits", uniqueKey = "limits", enableSql = true),
    (className = "Events", uniqueKey = "events", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "data"),
);

const kv :Workerd.Worker = (
  modules = [(name = "kv.js", esModule = embed "worker/kv.js")],
  compatibilityDate = "@COMPATIBILITY_DATE@",
  bindings = [(name = "STORE", durableObjectNamespace = "KvStore")],
  durableObjectNamespaces = [(className = "KvStore", uniqueKey = "kv", enableSql = true)],
  durableObjectStorage = (localDisk = "data"),
);
