import { useQuery } from '@tanstack/vue-query';
import type { Ref } from 'vue';
import { answer, api, type Schemas } from '@/api/client';
import { REFERENCE } from '@/shared/reference';

export type Intercept = Schemas['Page_InterceptView']['items'][number];

export interface InterceptFilter {
  reason?: string;
  reference?: string;
  binding?: number;
  client_ip?: string;
  since?: string;
  before?: number;
  limit?: number;
}

export const PAGE_ROWS = 50;

export const useIntercepts = (filter: Ref<InterceptFilter>) =>
  useQuery({
    queryKey: ['intercepts', filter],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/logs', { params: { query: filter.value }, signal })),
    placeholderData: (previous) => previous,
  });

/** One request with its explanation, and the binding as it is now. It is asked anew with the bindings. */
export const useExplained = (reference: Ref<string>) =>
  useQuery({
    queryKey: ['binding', 'explained', reference],
    queryFn: ({ signal }) => answer(api.GET('/admin/api/logs/by-reference/{reference}', { params: { path: { reference: reference.value } }, signal })),
    enabled: () => REFERENCE.test(reference.value),
  });

export const EXPORT_FORMATS = ['csv', 'jsonl'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** The rows of a filter as they are read. Spreadsheets know UTF-8 by the mark. */
export function exported(filter: InterceptFilter, format: ExportFormat, signal: AbortSignal): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const query = { ...filter, limit: undefined, format, bom: format === 'csv' ? '1' : undefined };
  const call = api.GET('/admin/api/logs/export', { params: { query }, parseAs: 'stream', signal });
  return answer(call as Promise<{ data?: ReadableStream<Uint8Array<ArrayBuffer>>; error?: unknown; response: Response }>);
}
