import { render } from "preact";
import { applyTheme } from "./app/theme.ts";
import { Bars } from "./parts/bars.tsx";
import { ClaimPage } from "./screens/claim/claim-page.tsx";
import { takeLink } from "./screens/claim/link.ts";

applyTheme();
const link = takeLink();
const root = document.getElementById("app");
if (root) {
  render(
    <>
      <ClaimPage link={link} />
      <Bars />
    </>,
    root,
  );
}
