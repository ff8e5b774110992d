// What an operator sees when something fails.
import assert from 'node:assert/strict';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { judge, launch, open, signIn } from './browser.mjs';
import { PASSWORD, startServer } from './server.mjs';

let server;
let browser;
let window;
before(async () => ([server, browser] = await Promise.all([startServer({ isUsed: false }), launch()])));
after(async () => {
  await browser?.close();
  await server?.stop();
});
beforeEach(async () => (window = await open(browser, server.url)));
afterEach(() => window.close());

const problem = (status, code) => ({ status, contentType: 'application/problem+json', body: JSON.stringify({ type: `urn:sentinel:problem:${code}`, title: '', status, detail: '' }) });

test('a wrong password is said, and what was typed stays', async () => {
  const { page } = window;
  await window.go('/');
  await page.locator('input[name=username]').fill('admin');
  await page.locator('input[name=password]').fill('wrong');
  await page.locator('form button[type=submit]').click();
  await page.getByText('Username, password or code is wrong.').waitFor();
  assert.equal(await page.locator('input[name=username]').inputValue(), 'admin');
});

test('a lockout says how long it lasts', async () => {
  const { page } = window;
  await page.route('**/admin/api/login', (route) => route.fulfill({ ...problem(429, 'login_locked'), headers: { 'retry-after': '42' } }));
  await window.go('/');
  await page.locator('input[name=username]').fill('admin');
  await page.locator('input[name=password]').fill('wrong');
  await page.locator('form button[type=submit]').click();
  await page.getByText(/Try again in 4\d seconds/).waitFor();
  assert.ok(await page.locator('form button[type=submit]').isDisabled());
});

test('a second factor is asked for after the password', async () => {
  const { page } = window;
  await page.route('**/admin/api/login', (route) => route.fulfill(problem(401, 'second_factor_required')));
  await window.go('/');
  await page.locator('input[name=username]').fill('li.wei');
  await page.locator('input[name=password]').fill(PASSWORD);
  await page.locator('form button[type=submit]').click();
  await page.locator('input[name=otp]').waitFor();
  await judge(page, 'second factor');
});

test('an unused server shows the next step', async () => {
  await signIn(window);
  await window.page.getByText('Ready for the first key').waitFor();
  await judge(window.page, 'first steps');
  assert.deepEqual(window.errors, []);
});

test('a reload keeps the session, without a token in any storage', async () => {
  await signIn(window);
  const kept = await window.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.ok(!kept.includes('eyJ') && kept.includes('sentinel.session'), kept);
  await window.go('/bindings');
  await window.page.getByText('No key is bound yet').waitFor();
  assert.deepEqual(window.errors, []);
});

test('a session that ends midway asks for the password over the page', async () => {
  const { page } = window;
  await signIn(window);
  await window.go('/settings');
  await page.locator('[id="policy.slots"]').fill('7');
  await page.route('**/admin/api/session/refresh', (route) => route.fulfill(problem(401, 'sign_in_required')));
  await page.route('**/admin/api/settings', (route) => route.fulfill(problem(401, 'sign_in_required')), { times: 1 });
  await page.getByRole('button', { name: 'Review and save' }).click();
  await page.getByText('Your session has ended').waitFor();
  const dialog = page.getByRole('dialog').filter({ has: page.getByText('Your session has ended') });
  await dialog.locator('input[name=password]').fill(PASSWORD);
  await dialog.locator('button[type=submit]').click();
  await page.getByText('Your session has ended').waitFor({ state: 'detached' });
  assert.equal(await page.locator('[id="policy.slots"]').inputValue(), '7');
  await page.getByRole('dialog').getByRole('button', { name: 'Look again' }).click();
  await page.getByRole('dialog').locator('ins', { hasText: '7' }).waitFor();
});

test('a server that is away, slow, or too old is said in words', async () => {
  const { page } = window;
  await signIn(window);
  await page.route(/admin\/api\/alerts(\?|$)/, (route) => route.fulfill(problem(404, 'not_found')));
  await window.go('/alerts');
  await page.getByText('This server does not offer it').waitFor();
  await judge(page, 'not offered');

  let answerNow;
  const waiting = new Promise((done) => (answerNow = done));
  await page.route(/admin\/api\/bindings\?/, async (route) => (await waiting, route.continue()));
  await page.getByRole('link', { name: 'Bindings' }).click();
  await page.locator('.el-skeleton').first().waitFor();
  answerNow();
  await page.getByText('No key is bound yet').waitFor();

  await page.route(/admin\/api\/logs/, (route) => route.abort());
  await page.getByRole('link', { name: 'Intercepts' }).click();
  await page.getByText('The server cannot be reached').waitFor();
  await judge(page, 'unreachable');
  await page.unroute(/admin\/api\/logs/);
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByText('Nothing was refused').waitFor();
});
