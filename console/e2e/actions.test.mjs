// What an operator does, with the true API behind it.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { judge } from './browser.mjs';
import { until, use } from './server.mjs';
import { signedIn } from './session.mjs';

let server;
let window;
signedIn((parts) => ({ server, window } = parts));

const binding = async () => (await server.api('GET', '/bindings/1')).json();
const click = (name, options) => window.page.getByRole('button', { name, ...options }).click();
test('a ban is made with a reason, and undone', async () => {
  const { page } = window;
  await window.go('/bindings?binding=1');
  await click('Ban', { exact: true });
  await page.getByLabel('Reason, for your colleagues').fill('leaked <b>key</b>');
  await page.locator('form').getByRole('button', { name: 'Ban' }).click();
  await page.getByText('The key is banned.').waitFor();
  assert.equal((await binding()).ban_reason, 'leaked <b>key</b>');
  await page.getByText('leaked <b>key</b>').first().waitFor();
  await click('Undo');
  await until('the ban is undone', async () => (await binding()).status === 'active');
});

test('networks are explained while they are typed, and what is none cannot be saved', async () => {
  const { page } = window;
  await window.go('/bindings?binding=1');
  await click('Edit networks');
  const field = page.getByLabel('Networks, one a line');
  await field.fill('127.0.0.1\n127.0.0.300');
  await page.getByText('Neither an address nor a network').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled());
  await server.api('POST', '/bindings', { fingerprint: 'ef'.repeat(32), networks: ['127.0.0.2'], labels: [] });
  await field.fill('127.0.0.1\n127.0.0.2\n10.0.0.0/24');
  await page.getByText('256 addresses · private').waitFor();
  await page.getByRole('link', { name: 'other keys there: 1' }).waitFor();
  await judge(page, 'editing networks');
  await field.fill('127.0.0.1\n127.0.0.2');
  await click('Save');
  await page.getByText('The networks are saved.').waitFor();
  assert.deepEqual((await binding()).networks.length, 2);
  const lane = page.locator('.lanes li', { hasText: '127.0.0.2' }).first();
  await lane.getByText(/Bound: since/).waitFor({ state: 'attached' });
  await page.locator('.lanes li').getByText(/Refused ×\d+: /).first().waitFor({ state: 'attached' });
  await until('the other address is let in', async () => (await use(server.proxy, { from: '127.0.0.2' })) === 200);
});

test('one intercept is explained, and its address allowed', async () => {
  const { page } = window;
  await window.go('/intercepts?client_ip=127.0.0.3');
  await page.getByRole('button', { name: 'Other network' }).first().click();
  await page.getByText('bound to another network').waitFor();
  await click('Allow this address too');
  await until('the address is allowed', async () => (await binding()).networks.some((one) => one.startsWith('127.0.0.3')));
});

test('a reference is looked up and explained, whatever else is filtered', async () => {
  const { page } = window;
  const { items } = await (await server.api('GET', '/logs?client_ip=127.0.0.9')).json();
  await window.go(`/intercepts?reference=${items[0].reference}&reason=key_banned`);
  await page.getByText('Bound now to').waitFor();
  await page.getByText('The rule is enforced: the request was refused.').waitFor();
  await window.go('/intercepts?reference=sr_aaaaaaaaaaaaaaaa');
  await page.getByText('No row has this reference.').waitFor();
  window.errors.splice(0, window.errors.length, ...window.errors.filter((text) => !/404/.test(text)));
});

test('intercepts are exported with the filters that are set', async () => {
  const { page } = window;
  await window.go('/intercepts?client_ip=127.0.0.9');
  await page.evaluate(() => delete window.showSaveFilePicker);
  const download = async (name) => {
    const [file] = await Promise.all([page.waitForEvent('download'), click(name)]);
    return { name: file.suggestedFilename(), text: await readFile(await file.path(), 'utf8') };
  };
  const table = await download('Export as CSV');
  assert.match(table.name, /^sentinel-intercepts-\d{4}-\d\d-\d\d\.csv$/);
  assert.ok(table.text.includes('127.0.0.9') && !table.text.includes('127.0.0.4'), table.text);
  const lines = (await download('Export as JSON Lines')).text.trim().split('\n');
  assert.ok(lines.every((line) => JSON.parse(line).client_ip === '127.0.0.9'));
});

test('an export is written piece by piece, and a full file leads on to the rest', async () => {
  const { page } = window;
  await window.go('/intercepts');
  // A place that a test may choose: the browser's own.
  await page.evaluate(() => {
    window.showSaveFilePicker = async ({ suggestedName }) => (window.saved = await (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true }));
  });
  const saved = () => page.evaluate(async () => [window.saved.name, await (await window.saved.getFile()).text()]);
  await page.route(/logs\/export/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${await response.text()}{"next_before":4}\n` });
  }, { times: 1 });
  await click('Export as JSON Lines');
  await page.getByText(/The file is full at \d+ rows/).waitFor();
  assert.ok((await saved())[1].includes('127.0.0.9'));
  await click('Export the rest');
  await page.getByText(/Exported: 3 rows/).waitFor();
  const [name, text] = await saved();
  assert.match(name, /-before-4\.jsonl$/);
  assert.deepEqual(text.trim().split('\n').map((line) => JSON.parse(line).id), [3, 2, 1]);
});

test('an export is cancelled, or breaks off, without a file that looks whole', async () => {
  const { page } = window;
  await page.evaluate(() => delete window.showSaveFilePicker);
  let answerNow;
  const waiting = new Promise((done) => (answerNow = done));
  await page.route(/logs\/export/, async (route) => (await waiting, route.abort().catch(() => undefined)), { times: 1 });
  await click('Export as CSV');
  await page.getByText('0 rows, 0 bytes').waitFor();
  await click('Cancel');
  await page.getByRole('button', { name: 'Export as CSV' }).waitFor();
  answerNow();
  await page.route(/logs\/export/, (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ type: 'urn:sentinel:problem:store_busy', title: '', status: 503, detail: '' }) }), { times: 1 });
  await click('Export as CSV');
  await page.getByText('The store is busy').waitFor();
  window.errors.splice(0, window.errors.length, ...window.errors.filter((text) => !/503|ERR_FAILED|ERR_ABORTED/.test(text)));
});

test('what a client sent is never taken for HTML', async () => {
  const { page } = window;
  for (const address of ['127.0.0.4', '127.0.0.5']) {
    await window.go(`/intercepts?client_ip=${address}`);
    await page.getByRole('button', { name: 'Other network' }).first().click();
    await page.getByText('User agent').waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  }
});

test('a setting is checked, reviewed, saved and given back', async () => {
  const { page } = window;
  await window.go('/settings');
  const field = page.locator('[id="policy.slots"]');
  await field.fill('65');
  await page.getByText('It must be from 1 to 64.').waitFor();
  assert.ok(await page.getByRole('button', { name: 'Review and save' }).isDisabled());
  await field.fill('3');
  await click('Review and save');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await page.getByText('The settings are saved.').waitFor();
  const slots = async () => (await (await server.api('GET', '/settings')).json()).items.find((one) => one.name === 'policy.slots');
  assert.deepEqual([(await slots()).value, (await slots()).source], ['3', 'database']);
  await click('Back to file or default');
  await click('Review and save');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  await until('the setting is given back', async () => (await slots()).source === 'default');
});

test('an administrator is added and removed by typing the name', async () => {
  const { page } = window;
  await window.go('/access?tab=administrators');
  await page.getByLabel('Name').fill('zhang.min');
  await page.getByLabel('First password').fill('a long first password');
  await click('Add', { exact: true });
  await page.getByText('zhang.min was added.').waitFor();
  await click('Remove');
  const dialog = page.getByRole('dialog');
  assert.ok(await dialog.getByRole('button', { name: 'Remove' }).isDisabled());
  await dialog.getByRole('textbox').fill('zhang.min');
  await dialog.getByRole('button', { name: 'Remove' }).click();
  await page.locator('li', { hasText: 'zhang.min' }).waitFor({ state: 'detached' });
});

test('a token is shown once and taken back', async () => {
  const { page } = window;
  await window.go('/access?tab=tokens');
  await page.getByLabel('What it is for').fill('backup');
  await click('Make', { exact: true });
  await page.getByText(/^sentinel_/).first().waitFor();
  await click('Take back');
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox').fill('backup');
  await dialog.getByRole('button', { name: 'Take back' }).click();
  await page.getByText('No tokens').waitFor();
});

test('a key is unbound only by typing its hint', async () => {
  const { page } = window;
  await window.go('/bindings?binding=1');
  await click('Unbind');
  const { hint } = await binding();
  const dialog = page.getByRole('dialog').filter({ has: page.getByText('cannot be undone') });
  await dialog.getByRole('textbox').fill(hint);
  await dialog.getByRole('button', { name: 'Unbind' }).click();
  await until('the binding is gone', async () => (await server.api('GET', '/bindings/1')).status === 404);
});

test('signing out leads to the sign-in, and a reload stays there', async () => {
  const { page } = window;
  assert.deepEqual(window.errors, []);
  await window.go('/dashboard');
  await click('Sign out');
  await page.waitForURL(/sign-in/);
  await page.reload();
  await page.locator('input[name=username]').waitFor();
});
