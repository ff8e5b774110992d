import { onScopeDispose, shallowRef } from 'vue';
import { sinkFor, writeFile, type Exported, type Progress } from './export-file';
import { exported, type ExportFormat, type InterceptFilter } from './queries';

/** An export broke off midway: what there was of the file is gone. */
export class BrokenOff extends Error {}

const nameOf = (format: ExportFormat, before: number | undefined) =>
  `sentinel-intercepts-${new Date().toISOString().slice(0, 10)}${before ? `-before-${before}` : ''}.${format}`;

/** One export at a time, piece by piece from the server into the file. */
export function useExport() {
  /** Null while none is under way. */
  const progress = shallowRef<Progress | null>(null);
  let stop = new AbortController();

  /** Null when it was cancelled, or nobody chose a place for the file. */
  async function start(filter: InterceptFilter, format: ExportFormat): Promise<Exported | null> {
    const own = (stop = new AbortController());
    const sink = await sinkFor(nameOf(format, filter.before));
    if (!sink) return null;
    progress.value = { rows: 0, bytes: 0 };
    try {
      const stream = await exported(filter, format, own.signal).catch(async (error: unknown) => (await sink.abort(), Promise.reject(error)));
      return await writeFile(stream, sink, format, (next) => (progress.value = next)).catch(() => Promise.reject(new BrokenOff()));
    } catch (error) {
      if (own.signal.aborted) return null;
      throw error;
    } finally {
      progress.value = null;
    }
  }

  const cancel = () => stop.abort();
  onScopeDispose(cancel);
  return { progress, start, cancel };
}
