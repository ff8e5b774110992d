// Changing settings, looking back, and going back, with the true API behind it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from './browser.mjs';
import { until } from './server.mjs';
import { signedIn } from './session.mjs';

let server;
let window;
signedIn((parts) => ({ server, window } = parts));

const field = (name) => window.page.locator(`[id="${name}"]`);
const dialog = () => window.page.getByRole('dialog');
const answer = (name) => dialog().getByRole('button', { name, exact: true }).click();
const review = () => window.page.getByRole('button', { name: 'Review and save' }).click();
const all = async () => (await server.api('GET', '/settings')).json();
const setting = async (name) => (await all()).items.find((one) => one.name === name);
/** Takes out what the browser says of the conflicts that a test made. */
const forgive = (pattern) => window.errors.splice(0, window.errors.length, ...window.errors.filter((text) => !pattern.test(text)));

/** What a colleague does meanwhile. */
async function changeElsewhere(values) {
  const { version } = await all();
  assert.equal((await server.api('PUT', '/settings', { version, values })).status, 200);
}

test('without changes there is no history', async () => {
  await window.go('/settings?tab=history');
  await window.page.getByText('Nobody changed a setting here').waitFor();
  await judge(window.page, 'no history');
});

test('a change is shown by the server before it is made, and is in the history then', async () => {
  const { page } = window;
  await window.go('/settings');
  await field('policy.slots').fill('3');
  await field('store.intercept_days').fill('45');
  await review();
  const row = dialog().locator('li', { hasText: 'policy.slots' });
  assert.match(await row.innerText(), /1\s*Default[^]*→[^]*3/);
  await judge(page, 'the review');
  assert.equal((await setting('policy.slots')).source, 'default', 'looking changes nothing');
  await answer('Save');
  await page.getByText('The settings are saved.').waitFor();
  await page.locator('.el-radio-group').getByText('History').click();
  await page.getByText('Version 1').waitFor();
  await page.getByText('Holds now', { exact: true }).waitFor();
  assert.match(await page.locator('.versions > li').first().innerText(), /admin[^]*127\.0\.0\.1[^]*policy\.slots[^]*3/);
  await judge(page, 'the history');
});

test('there is a way back to an earlier version, after a look at what it does', async () => {
  const { page } = window;
  await changeElsewhere({ 'policy.slots': '5' });
  await window.go('/settings?tab=history');
  await page.getByRole('button', { name: 'Back to this: Version 1' }).click();
  assert.match(await dialog().locator('li', { hasText: 'policy.slots' }).innerText(), /5[^]*→[^]*3/);
  await judge(page, 'the way back');
  await answer('Roll back');
  await page.getByText('The settings are rolled back.').waitFor();
  await until('the earlier value holds', async () => (await setting('policy.slots')).value === '3');
  await page.getByText('Version 3').waitFor();
  await page.getByRole('button', { name: 'Back to this: Version 1' }).click();
  await dialog().getByText('Nothing would change').waitFor();
  assert.equal(await dialog().getByRole('button', { name: 'Roll back' }).count(), 0);
  await answer('Cancel');
});

test('what somebody else changed meanwhile is never overwritten unseen', async () => {
  const { page } = window;
  await window.go('/settings?tab=history');
  await page.getByRole('button', { name: 'Back to this: Before all changes' }).click();
  await dialog().locator('li', { hasText: 'policy.slots' }).waitFor();
  await changeElsewhere({ 'policy.slots': '7' });
  await answer('Roll back');
  await dialog().getByText('Somebody else changed the settings meanwhile.').waitFor();
  await judge(page, 'a conflict');
  assert.equal((await setting('policy.slots')).value, '7');
  await answer('Look again');
  await dialog().locator('del', { hasText: '7' }).waitFor();
  await answer('Roll back');
  await until('file and defaults hold', async () => (await setting('policy.slots')).source === 'default');

  await window.go('/settings');
  await field('policy.slots').fill('9');
  await changeElsewhere({ 'policy.slots': '8' });
  await review();
  await dialog().getByText('Somebody else changed the settings meanwhile.').waitFor();
  await answer('Look again');
  await dialog().locator('del', { hasText: '8' }).waitFor();
  await answer('Save');
  await until('what was typed holds', async () => (await setting('policy.slots')).value === '9');
  forgive(/409/);
  assert.deepEqual(window.errors, []);
});

test('what was typed outlives a look at the history, and leaving is asked about', async () => {
  const { page } = window;
  await window.go('/settings');
  await field('policy.slots').fill('4');
  await page.locator('.el-radio-group').getByText('History').click();
  await page.getByText('Holds now', { exact: true }).waitFor();
  await page.locator('.el-radio-group').getByText('Settings').click();
  assert.equal(await field('policy.slots').inputValue(), '4');
  const asked = new Promise((done) => page.once('dialog', async (question) => (await question.dismiss(), done(question.message()))));
  await page.getByRole('link', { name: 'Dashboard' }).click();
  assert.equal(await asked, 'There are unsaved changes. Leave all the same?');
  assert.equal(await field('policy.slots').inputValue(), '4');
  await page.getByRole('button', { name: 'Discard' }).click();
  await page.getByRole('link', { name: 'Dashboard' }).click();
  await page.waitForURL(/dashboard/);
});

test('the history is read page by page', async () => {
  const { page } = window;
  for (let slots = 10; slots < 28; slots += 1) await changeElsewhere({ 'policy.slots': String(slots) });
  await window.go('/settings?tab=history');
  await page.getByRole('button', { name: 'Older' }).click();
  await page.waitForURL(/before=\d+/);
  await page.getByText('Before all changes').waitFor();
  await page.getByText('Version 1', { exact: true }).waitFor();
  assert.equal(await page.getByText('Holds now', { exact: true }).count(), 0);
  await page.getByRole('button', { name: 'Newest' }).click();
  await page.getByText('Holds now', { exact: true }).waitFor();
  assert.deepEqual(window.errors, []);
});
