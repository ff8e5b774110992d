// A way to a server that can be cut, and is passable again at once.
import { connect, createServer } from 'node:net';

export async function cuttable(port) {
  const open = new Set();
  let isOpen = true;
  const server = createServer((near) => {
    if (!isOpen) return near.destroy();
    const far = connect(port, '127.0.0.1');
    open.add(near);
    const end = () => (open.delete(near), near.destroy(), far.destroy());
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const drop = () => open.forEach((socket) => socket.destroy());
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut: () => ((isOpen = false), drop()),
    mend: () => (isOpen = true),
    stop: () => (drop(), new Promise((done) => server.close(done))),
  };
}
