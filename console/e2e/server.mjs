// The true binary on its embedded store, or with E2E_STORE=postgres on PostgreSQL and Redis, in front of its demo upstream, with traffic worth looking at.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStores } from './stores.mjs';
import { freePort, until } from './waiting.mjs';

export { until };

const TARGET = new URL('../../target/', import.meta.url).pathname;
const BINARY = process.env.SENTINEL_BINARY ?? [join(TARGET, 'release/sentinel'), join(TARGET, 'debug/sentinel')].find(existsSync);
const DEMO_KEY = 'sk-SentinelDemoKey000000000000001';

export const USERNAME = 'admin';
export const PASSWORD = 'correct horse battery';

/** What a hostile client may send; a page that takes it for HTML calls `hacked`. */
export const INJECTION = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';

/** A request through the proxy, from one of the machine's own addresses. */
export function use(port, { key = DEMO_KEY, from = '127.0.0.1', path = '/v1/models', agent = 'openai-python/2.0' } = {}) {
  const options = { host: '127.0.0.1', port, path, localAddress: from, agent: false, headers: { authorization: `Bearer ${key}`, 'user-agent': agent } };
  return new Promise((done, failed) => {
    get(options, (response) => response.resume().on('end', () => done(response.statusCode))).on('error', failed);
  });
}

async function makeTraffic(port) {
  await use(port);
  for (const from of ['127.0.0.2', '127.0.0.2', '127.0.0.3', '127.0.0.9']) await use(port, { from });
  await use(port, { from: '127.0.0.4', path: '/v1/chat/completions', agent: INJECTION });
  await use(port, { from: '127.0.0.5', path: `/v1/${encodeURIComponent(INJECTION)}` });
}

function startedStores() {
  const { E2E_STORE = 'embedded' } = process.env;
  if (E2E_STORE === 'postgres') return startStores();
  if (E2E_STORE === 'embedded') return { environment: {}, stop: () => undefined };
  throw new Error(`E2E_STORE is embedded or postgres, not ${E2E_STORE}`);
}

/** Starts a server of its own for a file of tests. `api` calls the API as the configured account. */
export async function startServer({ isUsed = true } = {}) {
  if (!BINARY) throw new Error('there is no binary: cargo build --bin sentinel, or set SENTINEL_BINARY');
  const stores = await startedStores();
  const data = await mkdtemp(join(tmpdir(), 'sentinel-e2e-'));
  const [proxy, admin] = [await freePort(), await freePort()];
  const environment = { PATH: process.env.PATH, SENTINEL_LISTEN: `127.0.0.1:${proxy}`, SENTINEL_ADMIN_LISTEN: `127.0.0.1:${admin}`, SENTINEL_DATA_DIR: data, ADMIN_PASSWORD: PASSWORD, ...stores.environment };
  const child = spawn(BINARY, ['serve', '--demo-upstream'], { cwd: data, env: environment, stdio: 'ignore' });
  const url = `http://127.0.0.1:${admin}`;
  const stop = async () => {
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await ended;
    await rm(data, { recursive: true });
    await stores.stop();
  };
  try {
    await until('the server is ready', async () => (await fetch(`${url}/readyz`)).ok);
    if (isUsed) await makeTraffic(proxy);
    const { token } = await (await post(`${url}/admin/api/login`, { username: USERNAME, password: PASSWORD })).json();
    const api = (method, path, body) => send(method, `${url}/admin/api${path}`, body, { authorization: `Bearer ${token}` });
    if (isUsed) await until('the refusals are on record', async () => (await (await api('GET', '/logs')).json()).items.length >= 5);
    return { url, proxy, api, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const post = (url, body) => send('POST', url, body);

function send(method, url, body, headers = {}) {
  return fetch(url, { method, headers: { 'content-type': 'application/json', ...headers }, body: body && JSON.stringify(body) });
}
