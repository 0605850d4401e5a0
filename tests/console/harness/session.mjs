// A browser at the console of a deployment of its own, signed in.

import { endAll, openPage, signIn, startBrowser } from "./browser.mjs";
import { startDeployment } from "./deployment.mjs";

/**
 * Starts a browser and a deployment, and signs in: as its owner, or with the credential that `as` returns for the deployment. `clipboard`
 * lets the page write to the clipboard.
 */
export async function startSession({ clipboard = false, as = async (deployment) => deployment.owner } = {}) {
  const [browser, deployment] = await Promise.all([startBrowser(), startDeployment()]);
  let opened;
  // The page first: a browser that has ended cannot close it any more.
  const stop = () =>
    endAll(() => opened?.close()).finally(() =>
      endAll(
        () => browser.close(),
        () => deployment.stop(),
      ),
    );
  try {
    opened = await openPage(browser, deployment, { clipboard });
    await signIn(opened.page, await as(deployment));
    return { browser, deployment, opened, stop };
  } catch (failure) {
    await stop();
    throw failure;
  }
}
