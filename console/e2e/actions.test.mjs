// What an operator does, with the true API behind it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, signIn } from './browser.mjs';
import { startServer, until, use } from './server.mjs';

let server;
let browser;
let window;
before(async () => {
  [server, browser] = await Promise.all([startServer(), launch()]);
  window = await open(browser, server.url);
  await signIn(window);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const binding = async () => (await server.api('GET', '/bindings/1')).json();
const click = (name, options) => window.page.getByRole('button', { name, ...options }).click();
/** What is chosen now lies over the field itself. */
async function choose(field, option) {
  await window.page.getByRole('combobox', { name: field }).click({ force: true });
  await window.page.getByRole('option', { name: option }).click();
}

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
  await field.fill('127.0.0.1\n127.0.0.2');
  await click('Save');
  await page.getByText('The networks are saved.').waitFor();
  assert.deepEqual((await binding()).networks.length, 2);
  await until('the other address is let in', async () => (await use(server.proxy, { from: '127.0.0.2' })) === 200);
});

test('a note and labels are kept, found by, and stand in the history', async () => {
  const { page } = window;
  await window.go('/bindings?binding=1');
  await click('Edit note and labels');
  await page.getByLabel('Note', { exact: true }).fill('the billing <b>job</b>');
  await page.getByLabel('Labels, separated by commas').fill('team a, prod');
  await click('Save');
  await page.getByText('Note and labels are saved.').waitFor();
  assert.deepEqual((await binding()).labels, ['team a', 'prod']);
  await page.getByText('Note or labels changed').first().waitFor();
  await page.getByText('the billing <b>job</b>').first().waitFor();
  await window.go('/bindings?label=prod');
  await page.getByText('1 bindings: 1 active, 0 banned').waitFor();
  await window.go('/bindings?label=nobody');
  await page.getByText('Nothing found').waitFor();
});

test('filters and the order are kept in the address bar', async () => {
  const { page } = window;
  await window.go('/bindings');
  await click('More filters');
  await page.getByLabel('Part of the note').fill('billing');
  await page.waitForURL(/note=billing/);
  await page.getByLabel('Shares addresses with the network').fill('127.0.0.0/8');
  await page.waitForURL(/network=127/);
  await page.getByLabel('Last used on or after').fill('2020-01-01');
  await page.waitForURL(/used_after=2020-01-01/);
  await choose('Order', 'Most used first');
  await page.waitForURL(/sort=most_used/);
  await page.reload();
  await page.getByText('1 bindings: 1 active, 0 banned').waitFor();
  assert.equal(await page.getByLabel('Part of the note').inputValue(), 'billing');
  await click('Clear the filters');
  await page.waitForURL((url) => url.search === '?sort=most_used');
});

test('what somebody changed meanwhile is not written over', async () => {
  const { page } = window;
  await window.go('/bindings?binding=1');
  await click('Edit note and labels');
  await page.getByLabel('Note', { exact: true }).fill('mine');
  await server.api('PATCH', '/bindings/1', { note: 'theirs' });
  await click('Save');
  await page.getByText('Somebody changed it meanwhile').waitFor();
  assert.equal((await binding()).note, 'theirs');
  await click('Load it anew');
  await page.locator('dd', { hasText: 'theirs' }).first().waitFor();
  const taken = (text) => !/412/.test(text);
  window.errors.splice(0, window.errors.length, ...window.errors.filter(taken));
});

test('a ban may end by itself', async () => {
  const { page } = window;
  await window.go('/bindings?binding=1');
  await click('Ban', { exact: true });
  await choose('For how long', '7 days');
  await page.locator('form').getByRole('button', { name: 'Ban' }).click();
  await page.getByText('The ban ends by itself').waitFor();
  assert.ok(Date.parse((await binding()).ban_expires_at) > Date.now());
  await click('Lift the ban');
  await until('the ban is lifted', async () => (await binding()).status === 'active');
});

test('many are changed alike, after a look at how many', async () => {
  const { page } = window;
  await server.api('POST', '/bindings', { fingerprint: 'ab'.repeat(32), networks: ['198.51.100.7'], labels: ['batch'] });
  await server.api('POST', '/bindings', { fingerprint: 'cd'.repeat(32), networks: ['198.51.100.8'], labels: ['batch'] });
  await window.go('/bindings?network=198.51.100.0/24');
  await click('Change all of them…');
  const dialog = page.getByRole('dialog').filter({ has: page.getByText('What to do') });
  await dialog.getByRole('button', { name: 'See what it would do' }).click();
  await dialog.getByText('Bindings that would change: 2').waitFor();
  const banned = async () => (await (await server.api('GET', '/bindings/counts?status=banned')).json()).total;
  assert.equal(await banned(), 0);
  await dialog.getByRole('button', { name: 'Change 2' }).click();
  await page.getByText('Bindings changed: 2').waitFor();
  assert.equal(await banned(), 2);

  await page.getByText('2 bindings: 0 active, 2 banned').waitFor();
  await page.locator('tbody .el-checkbox').first().click();
  await click('Change the 1 ticked…');
  await choose('What to do', 'Unbind');
  await dialog.getByRole('button', { name: 'See what it would do' }).click();
  await dialog.getByRole('button', { name: 'Unbind' }).click();
  const confirmation = page.getByRole('dialog').filter({ has: page.getByText('cannot be undone') });
  assert.ok(await confirmation.getByRole('button', { name: 'Unbind' }).isDisabled());
  await confirmation.getByRole('textbox').fill('unbind 1');
  await confirmation.getByRole('button', { name: 'Unbind' }).click();
  await page.getByText('1 bindings: 0 active, 1 banned').waitFor();
  assert.equal(await banned(), 1);
});

test('one intercept is explained, and its address allowed', async () => {
  const { page } = window;
  await window.go('/intercepts?client_ip=127.0.0.3');
  await page.getByRole('button', { name: 'Other network' }).first().click();
  await page.getByText('bound to another network').waitFor();
  await click('Allow this address too');
  await until('the address is allowed', async () => (await binding()).networks.some((one) => one.startsWith('127.0.0.3')));
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
