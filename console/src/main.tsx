import { render } from "preact";
import { App } from "./app/app.tsx";
import { guardUnload } from "./app/notices.ts";
import { followLinks } from "./app/router.ts";
import { resume, session, startSession, takeTokenFromAddress } from "./app/session.ts";
import { applyTheme } from "./app/theme.ts";

const token = takeTokenFromAddress();
applyTheme();
followLinks();
guardUnload();
startSession();
if (token) session.set({ state: "first-run", token });
else resume();

const root = document.getElementById("app");
if (root) render(<App />, root);
