// Waiting for a state, with a bound, and for a port that is free.
import { createServer } from 'node:net';

const WAIT_MS = 20_000;
const STEP_MS = 50;

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** Asks until the answer is as wanted, for a bounded time. */
export async function until(what, isSo) {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await new Promise((done) => setTimeout(done, STEP_MS))) {
    if (await isSo().catch(() => false)) return;
  }
  throw new Error(`waited in vain: ${what}`);
}
