// Values for the schemas of the OpenAPI document: right ones and wrong ones, from a seed. Nothing here decides which is which: ajv does, by
// the document, so that the samples and the document cannot disagree.

import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

/** A value, and the JSON that is sent for it: `30` may be written `30.0`. */
const sample = (value, sent = value) => ({ value, sent });

// TypeScript does not know rawJSON yet.
const written = (text) => sample(JSON.parse(text), /** @type {any} */ (JSON).rawJSON(text));

/** Returns pseudorandom numbers from 0 to below 1 (mulberry32). */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pick = (list, random) => list[Math.floor(random() * list.length)];

/** Creates a validator of schemas whose references point into `document`. */
export function newJudge(document) {
  const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allErrors: true });
  addFormats(ajv);
  // RFC 3339, section 5.6: `T` and a colon in the offset. The library is laxer.
  const form = /^.{10}[Tt].{8}(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
  const dateTime = ajv.formats["date-time"];
  ajv.addFormat("date-time", (text) => form.test(text) && /** @type {any} */ (dateTime).validate(text));
  ajv.addVocabulary(["components", "example"]);
  const validators = new Map();
  return (schema, value) => {
    const name = JSON.stringify(schema);
    if (!validators.has(name)) validators.set(name, ajv.compile({ components: document.components, ...schema }));
    const validate = validators.get(name);
    return validate(value) ? null : validate.errors;
  };
}

/** Returns the fields that the errors of a judge name, as a problem names them: `scopes[1]`. The body itself is "". */
export function fieldsOf(errors) {
  const named = errors.map(({ instancePath, keyword, params }) => {
    const [first = "", ...rest] = instancePath.split("/").slice(1);
    const at = first + rest.map((part) => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`)).join("");
    const within = at === "" ? "" : `${at}.`;
    if (keyword === "required") return within + params.missingProperty;
    if (keyword === "additionalProperties") return within + params.additionalProperty;
    if (keyword === "uniqueItems") return `${at}[${Math.max(params.i, params.j)}]`;
    return at;
  });
  const fields = new Set(named.filter((field) => field !== ""));
  return fields.size > 0 ? fields : new Set([""]);
}

const DAY_MS = 86_400_000;
const day = (ahead) => new Date(Date.now() + ahead * DAY_MS).toISOString();

/** Texts of every form that the document knows, and near misses. */
const TEXTS = () => [
  ...[
    "",
    "http://localhost:9/hook",
    "ftp://localhost:9/hook",
    " ",
    "a",
    "A",
    "0",
    "-",
    "a b",
    " a",
    "a ",
    "crm-sync-2",
    "crm_sync",
    "-crm",
    "crm-",
    "Zoë & 連携 👩‍🚀",
    "Cafe\u0301",
  ],
  ...["contacts:read", "contacts.read_all-2", "Contacts:read", "2contacts", "contacts:read contacts:write", ":read"],
  ...["wafl_live_000000000000", "wafl_test_000000000000", "wafl_admin_000000000000", "wafl_live_00000000000"],
  ...["ops@acme.example", "@acme", "ops@", "a@b@c", "a b@c", "ops@acme.example\u202e", "\u00a0ops@acme.example"],
  ...[
    "a\nb",
    "a\tb",
    "\u0000",
    "a\u0085b",
    "a\u202eb",
    "\ufeffa",
    "a\u2066",
    "\u200d",
    "\u3164",
    "\u2800\ufe0f",
    "\u200da",
  ],
  ...["\u200d a", "a\u200d", "\u3000a", "a\u2009", "a\u3000b", "\u00ad", "a\u061c"],
  ...[
    "live",
    "test",
    "admin",
    "LIVE",
    "owner",
    "manager",
    "king",
    "active",
    "created_at",
    "-name",
    "+name",
    "true",
    "null",
  ],
  ...["192.0.2.7", "192.0.2.0/24", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/024", "010.0.0.1", "1.2.3", "256.1.1.1"],
  ...[
    "::1",
    "2001:db8::/32",
    "2001:db8::1/32",
    "2001:db8::/129",
    "::ffff:192.0.2.7",
    ":::",
    "fe80::1%eth0",
    "64:ff9b::192.0.2.0/120",
    "1:2:3:4:5:6:7::/112",
    "1:2:3:4:5:6:7:8/128",
    "1:2:3:4:5:6:7:8:9",
  ],
  ...[
    day(30),
    day(-1),
    day(400),
    day(30).replace("Z", "+01:00"),
    day(30).replace("Z", "-11:30"),
    day(30).replace("T", "t"),
  ],
  ...[
    day(30).replace("Z", "z"),
    day(30).replace("Z", "+00:00"),
    day(30).replace(/\....Z/, "Z"),
    day(30).replace("Z", "123Z"),
  ],
  ...[day(30).slice(0, 10), day(30).slice(0, -1), day(30).replace("T", " "), day(30).replace("Z", "+0100")],
  ...["2027-02-30T00:00:00Z", "2027-13-01T00:00:00Z", "2027-01-31T24:00:00Z", "tomorrow", "1795442523"],
  ...["1", "30", "-1", "+5", "05", "1.5", "1e2", "0x10", "200", "201", " 7", "18446744073709551616"],
];

const OTHERS = () => [
  ...[null, true, false, [], {}, [null], [[]], [""], { a: 1 }, 0, 1, 30, -1, 1.5, 365, 366].map((value) =>
    sample(value),
  ),
  ...["30.0", "3e1", "0.3E+2", "300e-1", "-0", "0.0", "1e0", "1.0000001", "-1.0", "1e300", "18446744073709551616"].map(
    written,
  ),
];

const ALPHABETS = ["abc-019", "abcxyz", "aZ9:._- ", "ä€漢😀e", "a\u200d\u00a0\u2028", "0123456789", "[]{}\"\\/'&<>"];

function texts(schema, random) {
  const { type, minLength = 1, maxLength = 64, enum: allowed = [] } = schema;
  const edges = [minLength, maxLength, maxLength + 1].flatMap((length) =>
    ["a", "é", "😀"].map((letter) => letter.repeat(length)),
  );
  const addresses = [maxLength, maxLength + 1].map((length) => `a@${"b".repeat(Math.max(length - 2, 0))}`);
  const near = allowed.filter((one) => typeof one === "string").flatMap((one) => [one, one.toUpperCase(), ` ${one}`]);
  const mixed = Array.from({ length: 12 }, () => {
    const alphabet = [...pick(ALPHABETS, random)];
    return Array.from({ length: 1 + Math.floor(random() * 12) }, () => pick(alphabet, random)).join("");
  });
  // Of a field that is no text, a few are enough.
  const some = TEXTS().filter(() => type === "string" || random() < 0.15);
  const numbers = bounds(schema).map(String);
  return [...some, ...numbers, ...edges, ...addresses, ...near, ...mixed];
}

/** Returns the numbers at the bounds of a schema. */
function bounds({ minimum, maximum }) {
  return [minimum, maximum].flatMap((bound) => (bound === undefined ? [] : [bound - 1, bound, bound + 1]));
}

const numbers = (schema) => bounds(schema).flatMap((one) => [sample(one), written(`${one}.0`)]);

/** Families of many different items. */
const FAMILIES = [
  (at) => `s${at}`,
  (at) => `10.0.${at >> 8}.${at & 255}`,
  (at) => `wafl_live_${String(at).padStart(12, "0")}`,
];

function lists(schema, context) {
  const { judge, random } = context;
  const items = samples(schema.items, context);
  const isRight = ({ value }) => judge(schema.items, value) === null;
  const right = items.filter(isRight);
  const wrong = items.filter((item) => !isRight(item));
  const list = (...entries) =>
    sample(
      entries.map(({ value }) => value),
      entries.map(({ sent }) => sent),
    );
  const family = FAMILIES.find((member) => judge(schema.items, member(0)) === null);
  const { maxItems } = schema;
  const full =
    family === undefined || maxItems === undefined
      ? []
      : [maxItems, maxItems + 1].map((count) => sample(Array.from({ length: count }, (_, at) => family(at))));
  return [
    ...items.map((item) => list(item)),
    ...wrong.slice(0, 12).map((item) => list(right[0], item)),
    ...Array.from({ length: 12 }, () => list(pick(right, random), pick(right, random))),
    list(right[0], right[0]),
    list(),
    ...full,
  ];
}

/** Returns objects: for each property some of its samples, then without it; and one with a field that nobody knows. */
function objects(schema, context) {
  const { judge, random } = context;
  const properties = Object.entries(schema.properties).map(([name, property]) => {
    const all = samples(property, context);
    return { name, all, right: all.filter(({ value }) => value !== null && judge(property, value) === null) };
  });
  const object = (entries) =>
    sample(
      Object.fromEntries(entries.map(([name, { value }]) => [name, value])),
      Object.fromEntries(entries.map(([name, { sent }]) => [name, sent])),
    );
  const isNeeded = ({ name }) => schema.required?.includes(name);
  const optional = properties.filter((one) => !isNeeded(one));
  // With each choice of one optional property, and with all of them.
  const choices = [[], ...optional.map((one) => [one]), optional];
  return choices.flatMap((chosen) => {
    const present = [...properties.filter(isNeeded), ...chosen];
    const base = () => present.map(({ name, right }) => [name, pick(right, random)]);
    const varied = present.flatMap(({ name, all }) =>
      all.filter(() => random() < 0.15).map((one) => object([...base(), [name, one]])),
    );
    const lacking = present.map(({ name }) => object(base().filter(([other]) => other !== name)));
    return [object(base()), object([...base(), ["colour", sample(1)]]), ...lacking, ...varied];
  });
}

/** Returns values for a schema, right and wrong, with repeated ones left out. */
export function samples(schema, context) {
  const all = flat(schema, context.follow);
  const found = [
    ...OTHERS(),
    ...all.flatMap((one) => [
      ...texts(one, context.random).map((text) => sample(text)),
      ...numbers(one),
      ...(one.items ? lists(one, context) : []),
      ...(one.properties && one.type === "object" ? objects(one, context) : []),
    ]),
  ];
  return [...new Map(found.map((one) => [JSON.stringify(one.sent), one])).values()];
}

/** Returns a schema's branches, with references followed. */
function flat(schema, follow) {
  const followed = schema.$ref === undefined ? schema : { ...follow(schema), ...schema };
  const branches = followed.anyOf ?? [];
  return [followed, ...branches.flatMap((branch) => flat(branch, follow))];
}
