// For the tests only: Python with `cryptography`, in .tools/python. It runs tests/audit_verifier/verify.py, which uses no
// code of this project.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { TOOLS_DIR } from "./paths.mjs";
import { PINNED } from "./pinned.mjs";
import { ask, runWithProgress, Stop } from "./run.mjs";

const CRYPTOGRAPHY = PINNED.python.cryptography;
const HOME = join(TOOLS_DIR, "python");

/** Path of this Python, once `ensurePython` has run. */
export const PYTHON = join(HOME, ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));

export async function ensurePython() {
  const { ok, out } = existsSync(PYTHON)
    ? await ask(PYTHON, ["-c", "import cryptography; print(cryptography.__version__)"])
    : {};
  if (ok && out === CRYPTOGRAPHY) return;
  console.log(`Python's cryptography ${CRYPTOGRAPHY}, for the test that verifies the audit log: 10 seconds, once.`);
  const { ok: found } = await ask("python3", ["-c", "import venv, ensurepip, sys; assert sys.version_info >= (3, 9)"]);
  if (!found)
    throw new Stop(
      "Missing: Python 3.9 or newer with venv, for one of the tests.\nDebian, Ubuntu: sudo apt install python3-venv.  macOS: brew install python",
    );
  await runWithProgress("python3 -m venv", "python3", ["-m", "venv", "--clear", HOME]);
  await runWithProgress("pip install cryptography", PYTHON, [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--only-binary=:all:",
    `cryptography==${CRYPTOGRAPHY}`,
  ]);
}
