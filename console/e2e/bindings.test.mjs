// What an operator does with bindings, one or many, and what the audit log keeps of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from './browser.mjs';
import { until, use } from './server.mjs';
import { signedIn } from './session.mjs';

let server;
let window;
signedIn((parts) => ({ server, window } = parts));

const binding = async () => (await server.api('GET', '/bindings/1')).json();
const click = (name, options) => window.page.getByRole('button', { name, ...options }).click();
/** What is chosen now lies over the field itself. */
async function choose(field, option) {
  await window.page.getByRole('combobox', { name: field }).click({ force: true });
  await window.page.getByRole('option', { name: option }).click();
}

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
  await page.getByText('Bindings: 1 (1 active, 0 banned)').waitFor();
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
  await page.getByText('Bindings: 1 (1 active, 0 banned)').waitFor();
  assert.equal(await page.getByLabel('Part of the note').inputValue(), 'billing');
  await click('Clear the filters');
  await page.waitForURL((url) => url.search === '?sort=most_used');
});

test('a view keeps filters, the order and columns under a name', async () => {
  const { page } = window;
  await window.go('/bindings?status=active&sort=oldest&label=prod');
  await click('Columns');
  await page.locator('.el-checkbox', { hasText: 'Note' }).click();
  await page.locator('.el-checkbox', { hasText: 'Uses' }).click();
  await page.getByRole('columnheader', { name: 'Note' }).waitFor();
  await judge(page, 'choosing columns');
  await page.keyboard.press('Escape');
  await click('Views');
  await page.getByLabel('Name of this view').fill('<b>Production</b>');
  await click('Keep');
  await page.getByText('The view “<b>Production</b>” is kept.').waitFor();
  await judge(page, 'views');

  await window.go('/bindings');
  assert.equal(await page.getByRole('columnheader', { name: 'Uses' }).count(), 0);
  await click('Columns');
  await click('The usual ones');
  await page.getByRole('columnheader', { name: 'Uses' }).waitFor();
  await page.keyboard.press('Escape');
  await click('Views');
  await page.getByRole('button', { name: '<b>Production</b>', exact: true }).click();
  await page.waitForURL((url) => url.searchParams.get('label') === 'prod' && url.searchParams.get('sort') === 'oldest');
  await page.getByRole('columnheader', { name: 'Note' }).waitFor();

  await click('Rename <b>Production</b>');
  await page.locator(':focus').and(page.getByLabel('New name of <b>Production</b>')).fill('Live keys');
  await page.keyboard.press('Enter');
  await click('Remove Live keys');
  await page.getByText('The view “Live keys” is removed.').waitFor();
  await page.locator('.el-message', { hasText: 'Live keys' }).getByRole('button', { name: 'Undo' }).click();
  await page.getByRole('button', { name: 'Remove Live keys' }).waitFor();
  const kept = await page.evaluate(() => localStorage.getItem('sentinel.bindings.views'));
  assert.deepEqual(JSON.parse(kept).map((view) => view.query), [{ status: 'active', label: 'prod', sort: 'oldest' }]);
  await page.keyboard.press('Escape');
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

  await page.getByText('Bindings: 2 (0 active, 2 banned)').waitFor();
  await page.locator('tbody .el-checkbox').first().click();
  await click('Change the 1 ticked…');
  await choose('What to do', 'Unbind');
  await dialog.getByRole('button', { name: 'See what it would do' }).click();
  await dialog.getByRole('button', { name: 'Unbind' }).click();
  const confirmation = page.getByRole('dialog').filter({ has: page.getByText('cannot be undone') });
  assert.ok(await confirmation.getByRole('button', { name: 'Unbind' }).isDisabled());
  await confirmation.getByRole('textbox').fill('unbind 1');
  await confirmation.getByRole('button', { name: 'Unbind' }).click();
  await page.getByText('Bindings: 1 (0 active, 1 banned)').waitFor();
  assert.equal(await banned(), 1);
});

test('a key is bound before its first use', async () => {
  const { page } = window;
  await window.go('/bindings');
  await click('Bind a key');
  const dialog = page.getByRole('dialog').filter({ has: page.getByText('before its first use') });
  await dialog.getByLabel('The key in clear').fill('sk-BoundBeforeItsFirstUse0000000001');
  await dialog.getByLabel('Labels, separated by commas').fill('early');
  assert.ok(await dialog.getByRole('button', { name: 'Bind', exact: true }).isDisabled());
  await dialog.getByLabel('Networks, one a line').fill('127.0.0.20');
  await judge(page, 'binding a key');
  await dialog.getByRole('button', { name: 'Bind', exact: true }).click();
  await page.getByText('The key is bound.').waitFor();
  await page.getByText('Bound beforehand').waitFor();
  const key = 'sk-BoundBeforeItsFirstUse0000000001';
  // The demo upstream does not know the key, and says so: it was asked.
  assert.deepEqual([await use(server.proxy, { key, from: '127.0.0.20' }), await use(server.proxy, { key, from: '127.0.0.21' })], [401, 403]);
});

test('what was done stands in the audit log, whose chain is verified', async () => {
  const { page } = window;
  await window.go('/audit');
  await page.locator('strong', { hasText: 'Ban lifted' }).first().waitFor();
  await page.getByRole('combobox', { name: 'Action' }).click({ force: true });
  await page.getByRole('option', { name: 'Note or labels changed' }).click();
  await page.waitForURL(/action=set_remarks/);
  await page.locator('strong', { hasText: 'Ban lifted' }).first().waitFor({ state: 'detached' });
  await page.locator('ins', { hasText: 'theirs' }).first().waitFor();
  await page.getByLabel('Who').fill('nobody');
  await page.getByText('Nothing found').waitFor();
  await click('Verify the chain');
  await page.getByText(/Intact: \d+ entries/).waitFor();
});

test('nothing went wrong unseen', () => assert.deepEqual(window.errors, []));
