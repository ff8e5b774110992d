import { expect, test } from 'vitest';
import { MEMORY_BYTES_MAX, sinkFor, writeFile, type Progress, type Sink } from './export-file';
import type { ExportFormat } from './queries';

const encoder = new TextEncoder();

async function written(pieces: string[], format: ExportFormat, bytesMax = Infinity, isCut = false) {
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(encoder.encode(piece));
      if (isCut) controller.error(new Error('cut'));
      else controller.close();
    },
  });
  const file = { text: '', state: 'open' };
  const sink: Sink = {
    bytesMax,
    write: async (bytes) => void (file.text += new TextDecoder().decode(bytes)),
    close: async () => void (file.state = 'closed'),
    abort: async () => void (file.state = 'gone'),
  };
  const told: Progress[] = [];
  const end = await writeFile(stream, sink, format, (progress) => told.push(progress)).catch((error: Error) => error.message);
  return { ...file, end, told };
}

test('rows are counted as they come, wherever the pieces are cut', async () => {
  const { text, end, told, state } = await written(['id,path\n9,/', 'a\n8,/b', '\n'], 'csv');
  expect([text, state]).toEqual(['id,path\n9,/a\n8,/b\n', 'closed']);
  expect(told.map((one) => one.rows)).toEqual([0, 1, 2]);
  expect(end).toEqual({ rows: 2, bytes: text.length, next: null });
});

test('the last line of a full file says where to go on', async () => {
  expect((await written(['id\n9\n', 'next_before,9,,\n'], 'csv')).end).toMatchObject({ rows: 1, next: 9 });
  expect((await written(['{"id":9}\n{"id":8}\n{"next_before":8}\n'], 'jsonl')).end).toMatchObject({ rows: 2, next: 8 });
});

test('where memory bounds it, the file ends behind a whole row, and can be gone on with', async () => {
  const { text, end } = await written(['{"id":9}\n{"id"', ':8}\n', '{"id":7}\n'], 'jsonl', 20);
  expect([text, end]).toEqual(['{"id":9}\n{"id":8}\n', { rows: 2, bytes: 18, next: 8 }]);
  expect((await sinkFor('x'))?.bytesMax).toBe(MEMORY_BYTES_MAX);
});

test('a transfer that breaks off leaves no file that looks whole', async () => {
  expect(await written(['{"id":9}\n'], 'jsonl', Infinity, true)).toMatchObject({ state: 'gone', end: 'cut' });
});
