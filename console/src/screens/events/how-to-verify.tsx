import { call } from "../../api/client.ts";
import { useResource } from "../../logic/resource.ts";
import { ProblemBox } from "../../parts/problem-box.tsx";
import { Snippet } from "../../parts/snippet.tsx";

const JAVASCRIPT = (key: string) => `const publicKey = Buffer.from("${key}".replace("whpk_", ""), "base64");
const signed = \`\${headers["webhook-id"]}.\${headers["webhook-timestamp"]}.\${rawBody}\`;
const key = await crypto.subtle.importKey("raw", publicKey, "Ed25519", false, ["verify"]);
const good = await Promise.all(
  headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"))
    .map((one) => crypto.subtle.verify("Ed25519", key, Buffer.from(one.slice(4), "base64"), Buffer.from(signed))),
);
if (!good.includes(true)) throw new Error("not from Keyward");`;

const PYTHON = (key: string) => `import base64
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

key = Ed25519PublicKey.from_public_bytes(base64.b64decode("${key}".removeprefix("whpk_")))
signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw_body
for part in headers["webhook-signature"].split():
    if part.startswith("v1a,"):
        key.verify(base64.b64decode(part[4:]), signed)  # raises if it is wrong`;

const GO = (key: string) => `key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix("${key}", "whpk_"))
signed := header.Get("webhook-id") + "." + header.Get("webhook-timestamp") + "." + string(body)
for _, part := range strings.Fields(header.Get("webhook-signature")) {
	signature, found := strings.CutPrefix(part, "v1a,")
	raw, err := base64.StdEncoding.DecodeString(signature)
	if found && err == nil && ed25519.Verify(key, []byte(signed), raw) {
		return nil
	}
}
return errors.New("not from Keyward")`;

/** How a receiver checks that an event is from this deployment. */
export function HowToVerify() {
  const key = useResource<{ whpk: string }>("key", () => call<{ whpk: string }>("/endpoints/key"));
  const text = key.data?.whpk ?? "whpk_…";
  return (
    <div class="stack">
      <p class="prose">
        Events follow Standard Webhooks 1.0: any of its libraries verifies them with the public key below. Refuse a
        message whose <code>webhook-timestamp</code> is more than five minutes off, and remember each{" "}
        <code>webhook-id</code>, because deliveries may repeat.
      </p>
      <ProblemBox problem={key.problem} retry={key.reload} />
      <Snippet text={text} what="public key" />
      <h2>JavaScript</h2>
      <Snippet text={JAVASCRIPT(text)} what="example" />
      <h2>Python</h2>
      <Snippet text={PYTHON(text)} what="example" />
      <h2>Go</h2>
      <Snippet text={GO(text)} what="example" />
    </div>
  );
}
