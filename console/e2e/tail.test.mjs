// The log as it is written: followed, paused, cut off, too much of it, and with what hostile clients send.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { judge, launch, open, signIn } from './browser.mjs';
import { cuttable } from './cut.mjs';
import { INJECTION, PASSWORD, startServer, use } from './server.mjs';

let server;
let browser;
let way;
let window;
before(async () => {
  server = await startServer();
  browser = await launch();
  way = await cuttable(Number(new URL(server.url).port));
});
after(async () => {
  await browser?.close();
  await way?.stop();
  await server?.stop();
});
beforeEach(async () => {
  window = await open(browser, way.url);
  await signIn(window);
  await window.go('/intercepts');
});
afterEach(() => window.close());

const click = (name) => window.page.getByRole('button', { name }).click();
const state = (text) => window.page.getByRole('status').getByText(text, { exact: true }).waitFor();
const cell = (text) => window.page.locator('tbody').getByText(text, { exact: true });
const refuse = (mark) => use(server.proxy, { from: '127.0.0.6', path: `/v1/${mark}` });
const row = (id, more = {}) => ({ id, reference: `sr_${String(id).padStart(16, '0')}`, at: '2026-03-01T00:00:00Z', last_at: '2026-03-01T00:00:00Z', reason: 'key_ip_mismatch', outcome: 'refused', binding_id: 1, networks: [], hint: 'sk-a…1', client_ip: '192.0.2.1', method: 'POST', path: `/v1/${id}`, user_agent: '', count: 1, profile: '', replica: 'r', ...more });
const events = (...rows) => rows.map((one) => `event: intercept\nid: ${one.id}\ndata: ${JSON.stringify(one)}\n\n`).join('');
const stream = (body) => ({ status: 200, contentType: 'text/event-stream', body });
const problem = (status, code) => ({ status, contentType: 'application/problem+json', body: JSON.stringify({ type: `urn:sentinel:problem:${code}`, title: '', status, detail: '' }) });

test('rows come as they are written; while it pauses they are held back and counted', async () => {
  const { page } = window;
  await click('Follow live');
  await state('Live');
  await refuse('first');
  await cell('GET /v1/first').waitFor();
  await click('Pause');
  await state('Paused');
  await refuse('second');
  await page.getByRole('button', { name: 'Show 1 held back' }).waitFor();
  assert.equal(await cell('GET /v1/second').count(), 0);
  await judge(page, 'a paused tail');
  await click('Show 1 held back');
  await cell('GET /v1/second').waitFor();
  await state('Live');
  await click('Stop');
  await page.getByRole('button', { name: 'Follow live' }).waitFor();
  await cell('GET /v1/second').waitFor();
  assert.deepEqual(window.errors, []);
});

test('it follows with the filters that are set', async () => {
  await window.go('/intercepts?client_ip=127.0.0.7');
  await click('Follow live');
  await state('Live');
  await refuse('elsewhere');
  await use(server.proxy, { from: '127.0.0.7', path: '/v1/here' });
  await cell('GET /v1/here').waitFor();
  assert.equal(await cell('GET /v1/elsewhere').count(), 0);
});

test('cut off, it comes back by itself, and no row is missed or there twice', async () => {
  await click('Follow live');
  await state('Live');
  await refuse('before');
  await cell('GET /v1/before').waitFor();
  way.cut();
  await state('Cut off, trying again');
  await refuse('meanwhile');
  way.mend();
  await state('Live');
  await cell('GET /v1/meanwhile').waitFor();
  await refuse('afterwards');
  await cell('GET /v1/afterwards').waitFor();
  for (const mark of ['before', 'meanwhile', 'afterwards']) assert.equal(await cell(`GET /v1/${mark}`).count(), 1, mark);
});

test('it goes on behind the last event, and takes a repeated one once', async () => {
  const asked = [];
  await window.page.route(/logs\/tail/, (route) => {
    asked.push(route.request().headers()['last-event-id']);
    if (asked.length === 1) return route.fulfill(stream(events(row(900_001))));
    if (asked.length === 2) return route.fulfill(problem(503, 'store_unavailable'));
    if (asked.length === 3) return route.fulfill(stream(events(row(900_001), row(900_002))));
    return route.fulfill(problem(409, 'limit_reached'));
  });
  await click('Follow live');
  await state('Ended');
  await window.page.getByText('There is no room for another one.').waitFor();
  assert.deepEqual(asked, [undefined, '900001', '900001', '900002']);
  for (const id of [900_001, 900_002]) assert.equal(await cell(`POST /v1/${id}`).count(), 1);
  await window.page.unroute(/logs\/tail/);
  await click('Start again');
  await state('Live');
});

test('one that is refused from the start leaves the list as it was', async () => {
  await window.page.route(/logs\/tail/, (route) => route.fulfill(problem(409, 'limit_reached')));
  await click('Follow live');
  await state('Ended');
  await cell('127.0.0.9').first().waitFor();
});

test('when the session ends it waits for the sign-in, and goes on', async () => {
  const { page } = window;
  await page.route('**/admin/api/session/refresh', (route) => route.fulfill(problem(401, 'sign_in_required')));
  await page.route(/logs\/tail/, (route) => route.fulfill(problem(401, 'sign_in_required')), { times: 1 });
  await click('Follow live');
  await page.getByText('Your session has ended').waitFor();
  await page.locator('main, #main').getByText('Waiting for the sign-in').waitFor();
  const dialog = page.getByRole('dialog').filter({ has: page.getByText('Your session has ended') });
  await dialog.locator('input[name=password]').fill(PASSWORD);
  await dialog.locator('button[type=submit]').click();
  await state('Live');
});

test('what is shown is put together by key and by address', async () => {
  const { page } = window;
  await window.go('/intercepts?group=address');
  const groups = page.locator('.groups');
  await groups.getByRole('button', { name: '127.0.0.2' }).waitFor();
  await judge(page, 'groups');
  await groups.getByRole('button', { name: '127.0.0.2' }).click();
  await page.waitForURL(/client_ip=127.0.0.2/);
  await cell('127.0.0.2').first().waitFor();
  await page.locator('label', { hasText: 'By key' }).click();
  await groups.locator('button.name').first().waitFor();
});

test('what hostile clients send stays text', async () => {
  const { page } = window;
  const hostile = row(900_010, { user_agent: INJECTION, path: `/${INJECTION}`, hint: INJECTION, replica: INJECTION, method: INJECTION, reason: INJECTION });
  await page.route(/logs\/tail/, (route) => route.fulfill(stream(events(hostile))), { times: 1 });
  await click('Follow live');
  await cell(INJECTION).first().waitFor();
  await cell(INJECTION).first().click();
  await page.getByText('User agent').waitFor();
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator('#app img[src=x], .el-drawer img[src=x]').count(), 0);
});

test('a flood is drawn within bounds', async () => {
  const { page } = window;
  const rows = Array.from({ length: 10_000 }, (_, at) => row(910_000 + at));
  await page.evaluate(() => {
    window.frames_ms = [];
    let last = performance.now();
    const step = (now) => (window.frames_ms.push(now - last), (last = now), requestAnimationFrame(step));
    requestAnimationFrame(step);
  });
  await page.route(/logs\/tail/, (route) => route.fulfill(stream(events(...rows))), { times: 1 });
  await click('Follow live');
  await cell('POST /v1/919999').waitFor();
  await page.getByText('The latest 1,000 rows are kept here').waitFor();
  assert.equal(await page.locator('tbody tr').count(), 100);
  await click('Show more (900 left)');
  assert.equal(await page.locator('tbody tr').count(), 200);
  const longest = await page.evaluate(() => Math.max(...window.frames_ms));
  console.log(`10,000 rows at once: the longest frame took ${longest.toFixed(0)} ms`);
});
