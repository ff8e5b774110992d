// Takes the build's manifest out of what is served, and writes a brotli and a gzip copy beside each built file that gains by it; the server hands them out as they are.
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const ROOT = new URL('../dist/app/', import.meta.url).pathname;
const COMPRESSIBLE = /\.(html|js|css|svg|json)$/;
const SMALL_BYTES = 1024;

await rename(join(ROOT, '.vite/manifest.json'), join(ROOT, '../manifest.json'));
await rm(join(ROOT, '.vite'), { recursive: true });

for (const entry of await readdir(ROOT, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !COMPRESSIBLE.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const content = await readFile(path);
  if (content.length < SMALL_BYTES) continue;
  await writeFile(`${path}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
  await writeFile(`${path}.gz`, gzipSync(content, { level: 9 }));
}
