// What an operator asks when something is not as expected, with the true API behind it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, open, signIn } from './browser.mjs';
import { signedIn } from './session.mjs';

let server;
let browser;
let window;
signedIn((parts) => ({ server, browser, window } = parts));

const UNKNOWN_KEY = 'sk-AskedAboutOnly0000000000000001';
const click = (name) => window.page.getByRole('button', { name, exact: true }).click();
const problem = (status, code) => ({ status, contentType: 'application/problem+json', body: JSON.stringify({ type: `urn:sentinel:problem:${code}`, title: '', status, detail: '' }) });
/** Takes out what the browser says of an answer that the test asked for. */
const forgive = (pattern) => window.errors.splice(0, window.errors.length, ...window.errors.filter((text) => !pattern.test(text)));

test('what is commonly wrong is looked for, and the upstream is tried when asked', async () => {
  const { page } = window;
  await window.go('/dashboard');
  await page.getByRole('link', { name: 'Diagnostics' }).click();
  await page.getByText(/Need a look: \d of \d+/).waitFor();
  const first = page.locator('.findings li').first();
  assert.match(await first.innerText(), /Alerts[^]*What to do:/, 'what needs doing stands first');
  await click('Test now');
  await page.locator('.tried').getByText('Reached', { exact: true }).waitFor();
  await judge(page, 'checks');
  assert.deepEqual(window.errors, []);
});

test('a decision about a bound key is explained from its drawer on', async () => {
  const { page } = window;
  await window.go('/bindings?binding=1');
  await page.getByRole('link', { name: 'Explain a decision for this key' }).click();
  await page.locator('input[name=address]').fill('203.0.113.9');
  await click('Explain');
  await page.getByRole('heading', { name: 'The request is refused' }).waitFor();
  await page.getByText('key_ip_mismatch').waitFor();
  assert.match(await page.locator('.steps li.bad').innerText(), /Network[^]*none of its networks/);
  await judge(page, 'a refusal explained');
  await page.locator('input[name=address]').fill('127.0.0.1');
  await click('Explain');
  await page.getByRole('heading', { name: 'The request goes on' }).waitFor();
  assert.equal(await page.locator('.steps li.bad').count(), 0);
});

test('a key in clear is kept nowhere', async () => {
  const { page } = window;
  await window.go('/diagnostics?tab=explain');
  await page.locator('input[name=named]').fill(UNKNOWN_KEY);
  await page.locator('input[name=address]').fill('203.0.113.9');
  await page.locator('input[name=path]').fill('/v1/chat/completions');
  await click('Explain');
  await page.getByRole('heading', { name: 'The request goes on and binds the key' }).waitFor();
  await page.locator('.steps').getByText('First use', { exact: true }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify([location.href, { ...localStorage }, { ...sessionStorage }, document.cookie, history.state, document.body.innerHTML]));
  assert.ok(!kept.includes(UNKNOWN_KEY));
  await page.locator('.tabs').getByText('My address').click();
  await page.getByText('The way to here').waitFor();
  await page.locator('.tabs').getByText('Explain a decision').click();
  assert.equal(await page.locator('input[name=named]').inputValue(), '');
  const { items } = await (await server.api('GET', '/bindings')).json();
  assert.equal(items.length, 1, 'asking binds nothing');
});

test('what cannot be asked is said beside its field', async () => {
  const { page } = window;
  await window.go('/diagnostics?tab=explain&binding=x&address=10.0.0.0/8');
  await page.getByText('It must be a whole number.').waitFor();
  await page.getByText('It must be one address.').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Explain', exact: true }).isDisabled());
  await page.locator('.el-radio-group').getByText('Hint', { exact: true }).click();
  await page.locator('input[name=named]').fill('no such hint');
  await page.locator('input[name=address]').fill('203.0.113.9');
  await click('Explain');
  await page.locator('form').getByText('No bound key has it.').waitFor();
  await judge(page, 'a question refused');
  forgive(/422/);
  assert.deepEqual(window.errors, []);
});

test('the way of the request is drawn, and says what is wrong with it', async () => {
  const { page } = window;
  await window.go('/diagnostics?tab=way');
  await page.locator('.stop.client').getByText('127.0.0.1').waitFor();
  await page.getByText('Nothing about it is suspicious.').waitFor();
  await page.route('**/diagnostics/address', (route) => route.continue({ headers: { ...route.request().headers(), 'x-real-ip': '203.0.113.7', 'x-forwarded-for': '203.0.113.7' } }));
  await click('Look again');
  await page.getByText('127.0.0.1 is not a trusted one').waitFor();
  await page.locator('.stop.mistaken').getByText('127.0.0.1').waitFor();
  await page.getByText('add it to SENTINEL_TRUSTED_PROXIES').waitFor();
  await judge(page, 'an untrusted proxy');
  await page.unroute('**/diagnostics/address');
});

test('a long way stands below each other, and fits a phone', async () => {
  const phone = await open(browser, server.url, { language: 'zh-CN', theme: 'dark', device: 'phone' });
  await signIn(phone);
  const hop = (address, is_trusted, source = 'x-forwarded-for') => ({ address, is_trusted, source });
  const hops = [hop('10.0.0.2', true, 'connection'), hop('10.0.0.1', true), hop('2001:db8:1111:2222:3333:4444:5555:6666', false), hop(null, false)];
  const seen = { peer: '10.0.0.2', hops, client_ip: hops[2].address, reason: null, would_bind: true, network: '2001:db8:1111:2222::/64', warnings: [{ code: 'not_known_here', text: 'Something new.' }] };
  await phone.page.route('**/diagnostics/address', (route) => route.fulfill({ json: seen }));
  await phone.go('/diagnostics?tab=way');
  await phone.page.getByText('Something new.').waitFor();
  assert.equal(await phone.page.locator('.stop').count(), 5);
  await judge(phone.page, 'a long way');
  assert.deepEqual(phone.errors, []);
  await phone.close();
});

test('a server that looks already, or is away, is said in words', async () => {
  const { page } = window;
  await page.route('**/diagnostics/upstream', (route) => route.fulfill(problem(503, 'store_busy')), { times: 1 });
  await window.go('/diagnostics');
  await click('Test now');
  await page.getByText('Somebody else is looking just now.').waitFor();
  await click('Test now');
  await page.locator('.tried').waitFor();
  await page.route('**/diagnostics/address', (route) => route.fulfill(problem(404, 'not_found')));
  await page.locator('.tabs').getByText('My address').click();
  await page.getByText('This server does not offer it').waitFor();
  await judge(page, 'not offered');
  await page.unroute('**/diagnostics/address');
  forgive(/503|404/);
  assert.deepEqual(window.errors, []);
});

test('who may not ask is not offered the page', async () => {
  await server.api('POST', '/administrators', { name: 'reader', role: 'viewer', password: 'a long first password' });
  const other = await open(browser, server.url);
  await signIn(other, 'reader', 'a long first password');
  await other.page.getByRole('link', { name: 'Settings' }).waitFor();
  assert.equal(await other.page.getByRole('link', { name: 'Diagnostics' }).count(), 0);
  await other.page.keyboard.press('Control+k');
  await other.page.getByRole('combobox').fill('203.0.113.7');
  await other.page.getByRole('option', { name: 'Bindings that allow 203.0.113.7' }).waitFor();
  assert.equal(await other.page.getByRole('option', { name: /Explain/ }).count(), 0);
  await other.close();
});
