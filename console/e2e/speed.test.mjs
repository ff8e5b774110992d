// What a page may cost: the time to the first paint, and how much of a long list is drawn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signedIn } from './session.mjs';

const FIRST_PAINT_MAX_MS = 1_000;
const VISITS_MAX = 10;
const ROWS = 10_000;
const PAGE_ROWS = 50;
const DRAWN_ROWS_MAX = 100;

let window;
signedIn((parts) => ({ window } = parts));

test('the dashboard is painted within a second', async () => {
  const { page } = window;
  const paints = [];
  // On a machine that does other things meanwhile, some visits wait for those.
  while (paints.length < VISITS_MAX && !paints.some((paint) => paint <= FIRST_PAINT_MAX_MS)) {
    await window.go('/dashboard');
    await page.locator('#main h1').waitFor();
    paints.push(await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime));
  }
  console.log(`first contentful paint of the dashboard: ${paints.map((paint) => `${paint.toFixed(0)} ms`).join(', ')}`);
  assert.ok(Math.min(...paints) <= FIRST_PAINT_MAX_MS, String(paints));
});

test('ten thousand rows are gone through page by page, and only one page is drawn', async () => {
  const { page } = window;
  const row = (id) => ({ id, reference: `sr_${String(id).padStart(16, '0')}`, at: '2026-03-01T00:00:00Z', last_at: '2026-03-01T00:00:00Z', reason: 'key_ip_mismatch', outcome: 'refused', binding_id: 1, networks: [], hint: 'sk-a…1', client_ip: '192.0.2.1', method: 'POST', path: `/v1/${id}`, user_agent: '', count: 1, profile: '', replica: 'r' });
  await page.route(/admin\/api\/logs\?/, (route) => {
    const before = Number(new URL(route.request().url()).searchParams.get('before') ?? ROWS + 1);
    const items = Array.from({ length: Math.min(PAGE_ROWS, before - 1) }, (_, at) => row(before - 1 - at));
    return route.fulfill({ json: { items, next_before: items.at(-1).id > 1 ? items.at(-1).id : null } });
  });
  await window.go('/intercepts');
  await page.locator('nav.pages').waitFor();
  const figures = await page.evaluate(async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const button = () => [...document.querySelectorAll('nav.pages button')].at(-1);
    const first = () => document.querySelector('tbody code.reference').textContent;
    const times = [];
    let drawn = 0;
    while (!button().disabled) {
      const [before, start] = [first(), performance.now()];
      button().click();
      while (first() === before) await frame();
      times.push(performance.now() - start);
      drawn = Math.max(drawn, document.querySelectorAll('tbody tr').length);
    }
    return { drawn, pages: times.length + 1, middle: times.sort((a, b) => a - b)[Math.floor(times.length / 2)], worst: times.at(-1), last: first() };
  });
  console.log(`${ROWS} rows in ${figures.pages} pages: at most ${figures.drawn} drawn, a page took ${figures.middle.toFixed(0)} ms, the slowest ${figures.worst.toFixed(0)} ms`);
  assert.equal(figures.pages, ROWS / PAGE_ROWS);
  assert.ok(figures.drawn <= DRAWN_ROWS_MAX, String(figures.drawn));
});
