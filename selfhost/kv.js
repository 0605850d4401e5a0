// The KV namespace of a self-hosted deployment: one object with SQLite, in the process and the data folder of the gate. It speaks the
// part of workerd's KV interface that the worker uses: GET and PUT of a name. A value is gone at its expiry.

const HOUR_MILLISECONDS = 3_600_000;

/** The service: passes each request to the object. */
export default {
  fetch: (request, env) => env.STORE.getByName("keys").fetch(request),
};

export class KvStore {
  #storage;
  #sql;

  constructor({ storage }) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS entries (name TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at INTEGER)",
    );
    this.#sql.exec("CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires_at) WHERE expires_at IS NOT NULL");
  }

  async fetch(request) {
    const url = new URL(request.url);
    const name = decodeURIComponent(url.pathname.slice(1));
    if (name === "") return new Response(null, { status: 501 });
    if (request.method === "GET") return this.#get(name);
    if (request.method === "PUT") return this.#put(name, url.searchParams, await request.arrayBuffer());
    return new Response(null, { status: 501 });
  }

  #get(name) {
    const now = Math.floor(Date.now() / 1000);
    const select = "SELECT value FROM entries WHERE name = ? AND (expires_at IS NULL OR expires_at > ?)";
    const [row] = this.#sql.exec(select, name, now).toArray();
    return row === undefined ? new Response(null, { status: 404 }) : new Response(row.value);
  }

  async #put(name, options, value) {
    const expiry = options.get("expiration");
    if (expiry !== null && !/^\d{1,12}$/.test(expiry)) return new Response(null, { status: 400 });
    this.#sql.exec(
      "INSERT OR REPLACE INTO entries (name, value, expires_at) VALUES (?, ?, ?)",
      name,
      value,
      expiry === null ? null : Number(expiry),
    );
    if (expiry !== null && (await this.#storage.getAlarm()) === null) await this.#scheduleNext();
    return new Response(null);
  }

  /** Removes expired values. Reads have ignored them since their expiry. */
  async alarm() {
    this.#sql.exec("DELETE FROM entries WHERE expires_at <= ?", Math.floor(Date.now() / 1000));
    await this.#scheduleNext();
  }

  /** Sets the alarm to the next expiry, but not sooner than in an hour. */
  async #scheduleNext() {
    const [{ next }] = this.#sql.exec("SELECT MIN(expires_at) AS next FROM entries").toArray();
    if (next !== null) await this.#storage.setAlarm(Math.max(next * 1000, Date.now() + HOUR_MILLISECONDS));
  }
}
