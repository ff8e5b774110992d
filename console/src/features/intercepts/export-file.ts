import type { ExportFormat } from './queries';

/** Where the browser cannot write a file piece by piece, the whole of it is held in memory first: so many bytes at most. */
export const MEMORY_BYTES_MAX = 128 * 1024 * 1024;

/** Where a file goes. */
export interface Sink {
  bytesMax: number;
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

export interface Progress {
  rows: number;
  bytes: number;
}

/** `next`: there are more rows; an export before this id goes on. */
export interface Exported extends Progress {
  next: number | null;
}

const LINE_END = 10;
/** The server's last line when the file does not hold all rows, in both formats. */
const GO_ON = /^(?:next_before,|\{"next_before":)(\d+)/;
/** The id comes first in both formats. */
const ID = /^(?:\{"id":)?(\d+)/;

function joined(a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function linesIn(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(LINE_END); at >= 0; at = bytes.indexOf(LINE_END, at + 1)) lines += 1;
  return lines;
}

function lastLineOf(bytes: Uint8Array): string {
  const before = bytes.length < 2 ? -1 : bytes.lastIndexOf(LINE_END, bytes.length - 2);
  return new TextDecoder().decode(bytes.subarray(before + 1));
}

/** Writes whole lines only, so that a file that has to end early ends behind a row. */
export async function writeFile(stream: ReadableStream<Uint8Array<ArrayBuffer>>, sink: Sink, format: ExportFormat, told: (progress: Progress) => void): Promise<Exported> {
  const reader = stream.getReader();
  let rest = new Uint8Array();
  let [lines, bytes, last] = [0, 0, ''];
  // The first line of a CSV names the columns.
  const rows = () => Math.max(0, lines - (format === 'csv' ? 1 : 0) - (GO_ON.test(last) ? 1 : 0));
  const end = async (next: RegExpExecArray | null) => {
    await sink.close();
    return { rows: rows(), bytes, next: next ? Number(next[1]) : null };
  };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return await end(GO_ON.exec(last));
      const all = joined(rest, value);
      const whole = all.subarray(0, all.lastIndexOf(LINE_END) + 1);
      rest = all.slice(whole.length);
      if (whole.length === 0) continue;
      if (bytes + whole.length > sink.bytesMax) {
        await reader.cancel();
        return await end(ID.exec(last));
      }
      await sink.write(whole.slice());
      [lines, bytes, last] = [lines + linesIn(whole), bytes + whole.length, lastLineOf(whole)];
      told({ rows: rows(), bytes });
    }
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    await sink.abort();
    throw error;
  }
}

type Picker = (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;

/** Asks where the file goes, if the browser can write there piece by piece; null when nobody chose a place. */
export async function sinkFor(name: string): Promise<Sink | null> {
  const pick = (window as { showSaveFilePicker?: Picker }).showSaveFilePicker;
  if (!pick) return memorySink(name);
  try {
    const file = await (await pick.call(window, { suggestedName: name })).createWritable();
    return { bytesMax: Infinity, write: (bytes) => file.write(bytes), close: () => file.close(), abort: () => file.abort() };
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return null;
    return memorySink(name);
  }
}

function memorySink(name: string): Sink {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  return {
    bytesMax: MEMORY_BYTES_MAX,
    write: (bytes) => (pieces.push(bytes), Promise.resolve()),
    close() {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(new Blob(pieces));
      link.download = name;
      link.click();
      URL.revokeObjectURL(link.href);
      return Promise.resolve();
    },
    abort: () => ((pieces.length = 0), Promise.resolve()),
  };
}
