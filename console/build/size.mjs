// What a browser loads for the sign-in page and for the first page behind it must stay small: the page itself, what it
// imports, and their styles, compressed with gzip.
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';

const FIRST_LOAD_BYTES_MAX = 250 * 1024;
const ROOT = new URL('../dist/app/', import.meta.url);
const ENTRIES = ['index.html', 'src/features/sign-in/SignInPage.vue', 'src/shell/AppShell.vue', 'src/features/dashboard/DashboardPage.vue'];

const manifest = JSON.parse(await readFile(new URL('../manifest.json', ROOT), 'utf8'));
const files = new Set();

function follow(name) {
  const chunk = manifest[name];
  if (!chunk || files.has(chunk.file)) return;
  files.add(chunk.file);
  for (const style of chunk.css ?? []) files.add(style);
  for (const imported of chunk.imports ?? []) follow(imported);
}

for (const entry of ENTRIES) {
  if (!manifest[entry]) throw new Error(`${entry} is not in the manifest: correct ENTRIES`);
  follow(entry);
}
let bytes = 0;
for (const file of files) bytes += gzipSync(await readFile(new URL(file, ROOT)), { level: 9 }).length;
console.log(`first load: ${(bytes / 1024).toFixed(1)} KiB of ${FIRST_LOAD_BYTES_MAX / 1024} KiB, in ${files.size} files`);
if (bytes > FIRST_LOAD_BYTES_MAX) process.exit(1);
