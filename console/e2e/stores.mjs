// A PostgreSQL and a Redis of their own for one server, on free ports, with a folder that goes with them.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort, until } from './waiting.mjs';

const DEBIAN_FOLDER = '/usr/lib/postgresql';
/** Whom PostgreSQL runs as where root starts it: it refuses root. */
const ACCOUNT = 'postgres';
const USER = 'sentinel';

function programs() {
  const versions = existsSync(DEBIAN_FOLDER) ? readdirSync(DEBIAN_FOLDER).filter((name) => /^\d+$/.test(name)).sort((a, b) => b - a) : [];
  const folders = [...(process.env.PATH ?? '').split(':'), ...versions.map((version) => join(DEBIAN_FOLDER, version, 'bin'))];
  const folder = folders.find((one) => one && existsSync(join(one, 'initdb')));
  if (!folder) throw new Error('a PostgreSQL server (13 or newer) is missing: on Debian, apt-get install postgresql');
  // A link leads to the folder where the programs find each other.
  const home = dirname(realpathSync(join(folder, 'initdb')));
  return { initdb: join(home, 'initdb'), postgres: join(home, 'postgres'), isReady: join(home, 'pg_isready') };
}

function account() {
  if (process.getuid() !== 0) return {};
  const number = (of) => Number(spawnSync('id', [of, ACCOUNT], { encoding: 'utf8' }).stdout);
  return { uid: number('-u'), gid: number('-g') };
}

function stopped(child, signal) {
  const ended = child.exitCode === null && child.signalCode === null ? new Promise((done) => child.once('exit', done)) : null;
  child.kill(signal);
  return ended;
}

async function startPostgres(folder, owner) {
  const { initdb, postgres, isReady } = programs();
  const data = join(folder, 'postgres');
  const made = spawnSync(initdb, ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'], { ...owner, cwd: folder, encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr ?? made.error}`);
  const port = await freePort();
  const options = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=', 'fsync=off'].flatMap((option) => ['-c', option]);
  const child = spawn(postgres, ['-D', data, ...options], { ...owner, cwd: folder, stdio: 'ignore' });
  const ready = () => spawnSync(isReady, ['-q', '-h', '127.0.0.1', '-p', String(port), '-U', USER, '-d', 'postgres']).status === 0;
  // SIGINT ends its connections rather than waiting for them.
  return { child, signal: 'SIGINT', ready: async () => ready(), environment: { PG_DSN: `postgresql://${USER}@127.0.0.1:${port}/postgres` } };
}

async function startRedis(folder, owner) {
  const port = await freePort();
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder], { ...owner, cwd: folder, stdio: 'ignore' });
  child.once('error', () => console.error('a Redis server is missing: on Debian, apt-get install redis-server'));
  const ready = () =>
    new Promise((done, failed) => {
      const socket = connect(port, '127.0.0.1', () => (socket.destroy(), done(true)));
      socket.once('error', failed);
    });
  return { child, signal: 'SIGTERM', ready, environment: { REDIS_URL: `redis://127.0.0.1:${port}` } };
}

/** Both, with what a server has to be told of them. */
export async function startStores() {
  const owner = account();
  const folder = await mkdtemp(join(tmpdir(), 'sentinel-e2e-stores-'));
  if (owner.uid) await chown(folder, owner.uid, owner.gid);
  const servers = [];
  const stop = async () => {
    for (const { child, signal } of servers) await stopped(child, signal);
    await rm(folder, { recursive: true });
  };
  try {
    for (const start of [startPostgres, startRedis]) servers.push(await start(folder, owner));
    for (const { ready } of servers) await until('the stores are ready', ready);
    const told = Object.assign({ SENTINEL_HMAC_SECRET: 'an HMAC secret of the browser tests, 32 bytes and more' }, ...servers.map((server) => server.environment));
    return { environment: told, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
