// `npm run deploy`: `wrangler deploy` in the pinned Node. Arguments after `--` are passed to wrangler.

import { main } from "./run.mjs";
import { setup } from "./setup.mjs";
import { wrangler } from "./wrangler.mjs";

main(async () => {
  await setup();
  await wrangler(["deploy", ...process.argv.slice(2)]);
});
