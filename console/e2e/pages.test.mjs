// Every page in both languages, both themes, on a desktop and a phone. Pictures go to target/, or with
// UPDATE_SCREENSHOTS=1 to docs/screenshots/.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { judge, launch, open, signIn } from './browser.mjs';
import { startServer } from './server.mjs';

const PICTURES = new URL(process.env.UPDATE_SCREENSHOTS ? '../../docs/screenshots/' : '../../target/console/screenshots/', import.meta.url).pathname;
const LOOKS = [
  { language: 'en', theme: 'light', device: 'desktop' },
  { language: 'zh-CN', theme: 'dark', device: 'desktop' },
  { language: 'zh-CN', theme: 'light', device: 'phone' },
  { language: 'en', theme: 'dark', device: 'phone' },
];
const PAGES = {
  dashboard: '/dashboard',
  bindings: '/bindings',
  binding: '/bindings?binding=1',
  'bindings-filters': '/bindings?network=127.0.0.0/8',
  intercepts: '/intercepts',
  alerts: '/alerts',
  deliveries: '/alerts?tab=deliveries',
  channels: '/alerts?tab=channels',
  audit: '/audit',
  diagnostics: '/diagnostics',
  explain: '/diagnostics?tab=explain&binding=1&address=203.0.113.9',
  way: '/diagnostics?tab=way',
  settings: '/settings',
  'settings-history': '/settings?tab=history',
  account: '/access',
  sessions: '/access?tab=sessions',
  administrators: '/access?tab=administrators',
  tokens: '/access?tab=tokens',
  'not-found': '/nowhere',
};

/** The pictures that the documents may use. */
const DOCUMENTED = ['sign-in', 'dashboard', 'bindings', 'binding', 'intercepts', 'alerts', 'explain', 'settings', 'administrators'];

let server;
let browser;
before(async () => {
  await mkdir(PICTURES, { recursive: true });
  [server, browser] = await Promise.all([startServer(), launch()]);
  await server.api('POST', '/administrators', { name: 'li.wei', role: 'operator', password: 'a long first password' });
  await server.api('POST', '/tokens', { name: 'grafana', role: 'viewer' });
  await server.api('PUT', '/settings', { version: 0, values: { 'policy.slots': '2', 'store.intercept_days': '45' } });
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function picture(page, name, look) {
  if (process.env.UPDATE_SCREENSHOTS && !DOCUMENTED.includes(name)) return;
  const path = `${PICTURES}${name}-${look.language}-${look.theme}-${look.device}.png`;
  await page.screenshot({ path, animations: 'disabled' });
}

for (const look of LOOKS) {
  test(`every page in ${Object.values(look).join(', ')}`, async (context) => {
    const window = await open(browser, server.url, look);
    await window.go('/');
    await judge(window.page, 'sign-in');
    await picture(window.page, 'sign-in', look);
    await signIn(window);
    for (const [name, path] of Object.entries(PAGES)) {
      await context.test(name, async () => {
        await window.go(path);
        await window.page.locator('#main h1, #main h2').first().waitFor();
        await window.page.locator('.el-skeleton').first().waitFor({ state: 'detached' });
        if (name === 'dashboard') await window.page.locator('.chart canvas').waitFor();
        if (name === 'explain') {
          await window.page.locator('form button[type=submit]').click();
          await window.page.locator('.verdict').waitFor();
        }
        await judge(window.page, name);
        await picture(window.page, name, look);
        assert.deepEqual(window.errors, []);
      });
    }
    await context.test('the palette', async () => {
      await window.go('/dashboard');
      await window.page.keyboard.press('Control+k');
      await window.page.getByRole('combobox').fill('127.0.0.2');
      await judge(window.page, 'palette');
      await picture(window.page, 'palette', look);
      assert.deepEqual(window.errors, []);
    });
    await window.close();
  });
}
