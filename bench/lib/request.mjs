// A request of an API client, with the headers that the edge adds.

const HEADERS = [
  ["host", "api.example.com"],
  ["accept", "application/json"],
  ["accept-encoding", "gzip, br"],
  ["user-agent", "acme-crm-sync/2.4.1 (node 22.11.0; linux x64)"],
  ["content-type", "application/json"],
  ["cf-connecting-ip", "203.0.113.7"],
  ["cf-ray", "8e7f3b2a1c4d5e6f-AMS"],
  ["cf-ipcountry", "NL"],
  ["cf-visitor", '{"scheme":"https"}'],
  ["x-forwarded-proto", "https"],
  ["x-forwarded-for", "203.0.113.7"],
];

const REST = HEADERS.map(([name, value]) => `${name}: ${value}\r\n`).join("");

export const PATH = "/v1/contacts/c_8Fh2kQ0sZp1L?include=tags&limit=50";

export const headOf = (path, credential) =>
  `GET ${path} HTTP/1.1\r\n${REST}${credential === null ? "" : `authorization: Bearer ${credential}\r\n`}\r\n`;
