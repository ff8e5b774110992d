// Debian's Chromium, and what every page is held to: no error in its console, nothing that axe finds serious.
import { AxeBuilder } from '@axe-core/playwright';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { PASSWORD, USERNAME } from './server.mjs';

const PATHS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const SERIOUS = ['serious', 'critical'];

/** A phone is as narrow as the narrowest that is in use. */
export const DEVICES = { desktop: { width: 1360, height: 860 }, phone: { width: 375, height: 812 } };

export function launch() {
  const executablePath = PATHS.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error('there is no Chromium: apt-get install chromium, or set CHROMIUM');
  return chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
}

/** A browser window of its own. `errors` gathers what its console says is wrong; a test may take out what it caused. */
export async function open(browser, url, { language = 'en', theme = 'light', device = 'desktop' } = {}) {
  const context = await browser.newContext({ viewport: DEVICES[device], locale: language, colorScheme: theme, timezoneId: 'UTC', reducedMotion: 'reduce', hasTouch: device === 'phone' });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const errors = [];
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  const go = async (path) => {
    await page.goto(`${url}/admin/ui${path}`);
    await page.waitForLoadState('networkidle');
  };
  return { page, errors, go, close: () => context.close() };
}

export async function signIn({ page, go }, username = USERNAME, password = PASSWORD) {
  await go('/');
  await page.locator('input[name=username]').fill(username);
  await page.locator('input[name=password]').fill(password);
  await page.locator('form button[type=submit]').click();
  await page.locator('#main h1').waitFor();
}

/** Asserts that axe finds nothing serious, and that the page is no wider than the window. */
export async function judge(page, what) {
  const { violations } = await new AxeBuilder({ page }).setLegacyMode(true).analyze();
  const found = violations.filter((one) => SERIOUS.includes(one.impact));
  assert.deepEqual(found.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 140)} ${node.any[0]?.message ?? ''}`).join(' | ')}`), [], what);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${what} is ${overflow} px too wide`);
}
