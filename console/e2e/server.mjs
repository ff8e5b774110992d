// The true binary on its embedded store, in front of its demo upstream, with traffic worth looking at.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TARGET = new URL('../../target/', import.meta.url).pathname;
const BINARY = process.env.SENTINEL_BINARY ?? [join(TARGET, 'release/sentinel'), join(TARGET, 'debug/sentinel')].find(existsSync);
const DEMO_KEY = 'sk-SentinelDemoKey000000000000001';
const START_WAIT_MS = 20_000;
const STEP_MS = 50;

export const USERNAME = 'admin';
export const PASSWORD = 'correct horse battery';

/** What a hostile client may send; a page that takes it for HTML calls `hacked`. */
export const INJECTION = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Asks until the answer is as wanted, for a bounded time. */
export async function until(what, isSo) {
  for (const end = Date.now() + START_WAIT_MS; Date.now() < end; await new Promise((done) => setTimeout(done, STEP_MS))) {
    if (await isSo().catch(() => false)) return;
  }
  throw new Error(`waited in vain: ${what}`);
}

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

/** Starts a server of its own for a file of tests. `api` calls the API as the configured account. */
export async function startServer({ isUsed = true } = {}) {
  if (!BINARY) throw new Error('there is no binary: cargo build --bin sentinel, or set SENTINEL_BINARY');
  const data = await mkdtemp(join(tmpdir(), 'sentinel-e2e-'));
  const [proxy, admin] = [await freePort(), await freePort()];
  const environment = { PATH: process.env.PATH, SENTINEL_LISTEN: `127.0.0.1:${proxy}`, SENTINEL_ADMIN_LISTEN: `127.0.0.1:${admin}`, SENTINEL_DATA_DIR: data, ADMIN_PASSWORD: PASSWORD };
  const child = spawn(BINARY, ['serve', '--demo-upstream'], { cwd: data, env: environment, stdio: 'ignore' });
  const url = `http://127.0.0.1:${admin}`;
  const stop = async () => {
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGTERM');
    await ended;
    await rm(data, { recursive: true });
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
