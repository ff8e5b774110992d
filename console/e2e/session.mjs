// A server with traffic and a signed-in browser window for all tests of a file; they end with the file.
import { after, before } from 'node:test';
import { launch, open, signIn } from './browser.mjs';
import { startServer } from './server.mjs';

/** Hands them over before the first test. */
export function signedIn(take) {
  let server;
  let browser;
  before(async () => {
    server = await startServer();
    browser = await launch();
    const window = await open(browser, server.url);
    await signIn(window);
    take({ server, browser, window });
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });
}
