// The part of a self-hosted deployment that reads a request before the worker does: the address of the client, which Cloudflare's edge
// determines otherwise, and the host, which decides whether the socket serves the request. No I/O, so that tests call it directly.

/** Header with the client's address, as a proxy sets it, unless `CLIENT_IP_HEADER` names another. */
const DEFAULT_HEADER = "X-Forwarded-For";

/** Names of this machine that the worker takes for `localhost` in `CONTROL_HOST`. */
const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * A network: its first bytes, and the number of bits that count.
 * @typedef {{ bytes: number[], bits: number }} Network
 */

/**
 * Settings of the front. `problem` says what is wrong with them.
 * @typedef {{ trusted: Network[], header: string, controlHost: string, problem?: { variable: string, problem: string } }} Front
 */

/** Reads the settings of the front. @returns {Front} */
export function frontOf(env) {
  /** @type {Front} */
  const front = { trusted: [], header: env.CLIENT_IP_HEADER || DEFAULT_HEADER, controlHost: env.CONTROL_HOST || "" };
  const wrong = (variable, problem) => ({ ...front, problem: { variable, problem } });
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(front.header)) return wrong("CLIENT_IP_HEADER", "must be the name of one header");
  if (!isPlainHost(front.controlHost))
    return wrong("CONTROL_HOST", "must be a host name, and an address in its usual form");
  for (const text of (env.TRUSTED_PROXIES || "").split(/[\s,]+/).filter(Boolean)) {
    const network = networkOf(text);
    if (network === null) return wrong("TRUSTED_PROXIES", "must be addresses and networks, separated by commas");
    front.trusted.push(network);
  }
  return front;
}

/**
 * Returns the client's address and whether the peer is a trusted proxy. The address is that of the peer, and with a trusted proxy the one
 * that it names; `null` if it names none. `peer` is the address and port of the socket.
 * @param {string | undefined} peer
 * @param {Headers} headers
 * @param {Front} front
 */
export function clientOf(peer, headers, { trusted, header }) {
  const socket = addressOf(peer?.replace(/:\d+$/, "") ?? "");
  if (socket === null || !contains(trusted, socket)) return { address: socket && textOf(socket), isProxied: false };
  // Each proxy appends the address that it saw, so only the entries after the last one of a stranger are true.
  const hops = (headers.get(header) ?? "").split(",").reverse();
  let address = null;
  for (const hop of hops) {
    address = addressOf(hop.trim());
    if (address === null || !contains(trusted, address)) break;
  }
  return { address: address && textOf(address), isProxied: true };
}

/**
 * Returns which socket serves a URL, by its host. `none`: the host is `CONTROL_HOST` in a spelling that the worker takes for another host,
 * such as `127.1`, so the control plane's socket would serve the gate.
 * @returns {"gate" | "control" | "none"}
 */
export function socketOf(url, controlHost) {
  if (!URL.canParse(url)) return "gate"; // It is not `CONTROL_HOST`, which can be parsed.
  const [asked, control] = [new URL(url), new URL(`http://${controlHost}`)];
  const name = asked.hostname.replace(/\.+$/, "");
  const isNamed = name === control.hostname || (control.hostname === "localhost" && LOOPBACK.has(name));
  // At another port the worker refuses it, if `CONTROL_HOST` has none.
  if (!isNamed || (control.port !== "" && control.port !== asked.port)) return "gate";
  return nameIn(url).toLowerCase() === name ? "control" : "none";
}

/** Returns the name or address in a URL as it is written there, which is what the worker compares. */
const nameIn = (url) => /^[^:]*:\/\/([^/?#\\]*?)(?::\d*)?(?:[/?#\\]|$)/.exec(url)?.[1] ?? "";

/** Whether a host, perhaps with a port, is written as the parser of URLs writes it. */
const isPlainHost = (host) => URL.canParse(`http://${host}`) && new URL(`http://${host}`).host === host.toLowerCase();

/** Reads an address or a network such as `10.0.0.0/8`; `null` if it is neither, or has bits after its length. */
export function networkOf(text) {
  const [address, length, more] = text.split("/");
  const bytes = bytesOf(address);
  if (bytes === null || more !== undefined) return null;
  const bits = length === undefined ? bytes.length * 8 : Number(length);
  if (length !== undefined && !(/^(0|[1-9]\d*)$/.test(length) && bits <= bytes.length * 8)) return null;
  const isWhole = bytes.every((byte, at) => (byte & (0xff >> Math.max(0, Math.min(8, bits - at * 8)))) === 0);
  return isWhole ? { bytes, bits } : null;
}

const contains = (networks, address) =>
  networks.some(
    ({ bytes, bits }) =>
      bytes.length === address.length &&
      bytes.every((byte, at) => (byte ^ address[at]) >> (8 - Math.max(0, Math.min(8, bits - at * 8))) === 0),
  );

/** Reads an address in a header or of a socket: in brackets or not, with or without a port. IPv4 in IPv6 counts as IPv4. */
function addressOf(text) {
  const [, inBrackets] = /^\[([^\]]*)\](?::\d+)?$/.exec(text) ?? [];
  const [, withoutPort] = /^([\d.]+):\d+$/.exec(text) ?? [];
  const bytes = bytesOf(inBrackets ?? withoutPort ?? text);
  const isMapped = bytes?.length === 16 && bytes.every((byte, at) => at >= 12 || byte === (at < 10 ? 0 : 0xff));
  return isMapped ? bytes.slice(12) : bytes;
}

/** Returns the 4 or 16 bytes of an address; `null` for any other text. */
function bytesOf(text) {
  const parts = text.split(".");
  if (parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return parts.map(Number);
  }
  if (!/^[\dA-Fa-f:.]{2,45}$/.test(text) || !text.includes(":")) return null;
  // The parser of URLs knows every spelling of RFC 4291, and writes it in one.
  if (!URL.canParse(`http://[${text}]/`)) return null;
  const [left, right] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split("::");
  const groups = (part) => (part ? part.split(":").map((group) => Number.parseInt(group, 16)) : []);
  const [start, end] = [groups(left), groups(right)];
  const zeros = Array(8 - start.length - end.length).fill(0);
  return [...start, ...zeros, ...end].flatMap((group) => [group >> 8, group & 0xff]);
}

/** Writes an address. IPv6 is written in full, which every parser reads. */
function textOf(bytes) {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, at) => ((bytes[2 * at] << 8) | bytes[2 * at + 1]).toString(16));
  return groups.join(":");
}
